"""Git homes: branches that move onward only, homes that are set aside and never mixed."""

from pathlib import Path

import pytest
from catalyst_environment.repositories import Moved, Repositories


def test_a_branch_moves_from_the_commit_that_was_read_and_never_elsewhere(tmp_path: Path) -> None:
    homes = Repositories(tmp_path)
    first = homes.commit("acme", "blog", "main", {"a": b"1"}, "one", 1, onto=None)
    assert homes.commit("acme", "blog", "main", {"a": b"1"}, "again", 2, onto=None) == first, "no change, no commit"
    second = homes.commit("acme", "blog", "main", {"a": b"2", "x/y": b"3"}, "two", 3, onto=first)
    for onto in (None, first):
        with pytest.raises(Moved):
            homes.commit("acme", "blog", "main", {"a": b"9"}, "late", 4, onto=onto)
    head = homes.head("acme", "blog", "main")
    assert head is not None
    assert (head.id, head.parents, head.author) == (second, (first,), "acme-iac-bot <acme-iac-bot@catalyst.invalid>")
    assert homes.files("acme", "blog", second) == {"a": b"2", "x/y": b"3"}


def test_a_merge_has_two_parents_and_is_made_once(tmp_path: Path) -> None:
    homes = Repositories(tmp_path)
    base = homes.commit("acme", "blog", "main", {"a": b"1"}, "one", 1, onto=None)
    other = homes.commit("acme", "blog", "develop", {"a": b"2"}, "two", 2, onto=None)
    merged = homes.commit("acme", "blog", "main", {"a": b"2"}, "merge", 3, onto=base, merging=other)
    head = homes.head("acme", "blog", "main")
    assert head is not None
    assert head.parents == (base, other)
    assert homes.commit("acme", "blog", "main", {"a": b"2"}, "merge", 4, onto=base, merging=other) == merged


def test_a_home_of_a_former_life_is_set_aside_and_a_dead_writers_lock_holds_nobody_up(tmp_path: Path) -> None:
    homes = Repositories(tmp_path)
    homes.settle("acme", "first", 1)
    (tmp_path / "acme" / "iac.git" / "refs" / "heads" / "main.lock").touch()
    head = homes.head("acme", "iac", "main")
    assert head is not None
    homes.commit("acme", "iac", "main", {"a": b"1"}, "one", 2, onto=head.id)
    homes.settle("acme", "second", 3)
    assert {p.name for p in (tmp_path / ".archive").iterdir()} == {"acme-first"}
    homes.archive("acme", "first")
    assert (tmp_path / "acme").is_dir(), "another life's home is not this one's"
    homes.archive("acme", "second")
    assert not (tmp_path / "acme").exists()
