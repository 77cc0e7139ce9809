"""The trees: what a death leaves behind stops nobody."""

from pathlib import Path

from catalyst_provisioner.repository import Repositories


def test_locks_of_a_process_that_died_do_not_stop_the_next(tmp_path: Path) -> None:
    trees = Repositories(tmp_path)
    trees.commit("omantel", "uid-1", {"a/b.yaml": b"one"}, "first", 1)
    for locked in ("refs/heads/main", "objects/ab/cdef"):
        orphan = trees.path("omantel") / f"{locked}.lock"
        orphan.parent.mkdir(parents=True, exist_ok=True)
        orphan.touch()
    head = trees.commit("omantel", "uid-1", {"a/b.yaml": b"two"}, "second", 2)
    assert trees.head("omantel") == (head, "second")
    assert trees.files("omantel") == {"a/b.yaml": b"two"}
    assert not list(trees.path("omantel").rglob("*.lock"))


def test_the_same_tree_makes_no_commit(tmp_path: Path) -> None:
    trees = Repositories(tmp_path)
    assert trees.commit("o", "u", {"a": b"1"}, "first", 1) == trees.commit("o", "u", {"a": b"1"}, "again", 2)
