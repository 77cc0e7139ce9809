"""Which newer version can be reached, by which hops, with what beside it; and how configurations are carried along."""

from typing import Any

import pytest
from catalyst_catalog.domain import schema_changes, upgrades
from catalyst_catalog.domain.provider import Policy
from catalyst_catalog.domain.refusals import ConfigInvalid, FieldImmutable, FieldRemoved
from catalyst_catalog.domain.schema_changes import Kind
from catalyst_catalog.domain.universe import Release, State, Universe
from catalyst_catalog.domain.upgrades import Advice, Standing, hops
from hypothesis import given
from hypothesis import strategies as st

from .makers import needs, one


def advised(*releases: Release, version: str = "1.0.0", **installed: str) -> Advice:
    versions = {"bp-shop": version, **{f"bp-{name}": text for name, text in installed.items()}}
    policy = Policy(installed=versions, locked=frozenset(versions))
    return upgrades.advise(Universe(releases), Standing("shop", "bp-shop", version), policy)


def shop(version: str, state: State = State.VERIFIED, **spec: Any) -> Release:
    return one("bp-shop", version, state, **spec)


def test_the_newest_version_is_reached_over_as_few_hops_as_are_allowed() -> None:
    found = advised(
        shop("1.0.0"),
        shop("2.0.0", upgrades={"from": ["^1"]}),
        shop("2.1.0", upgrades={"from": ["^1", "^2"]}),
        shop("3.0.0", upgrades={"from": ["^2.1"]}),
    )  # fmt: skip - one catalogue
    assert found.path == ("2.1.0", "3.0.0")
    assert found.reasons == ()


def test_without_a_way_it_says_why() -> None:
    found = advised(
        shop("1.0.0"), shop("2.0.0", upgrades={"blocks": ["^1"]}), shop("3.0.0", upgrades={"from": ["^2.5"]})
    )
    assert found.path == ()
    assert found.reasons == (
        "3.0.0: says nothing about an upgrade from 1.0.0", "2.0.0: has no upgrade path from 1.0.0",
    )  # fmt: skip
    assert advised(shop("1.0.0")).reasons == ("1.0.0 is the newest version",)


def test_a_withdrawn_version_is_no_goal_and_no_hop_and_standing_on_one_is_told() -> None:
    found = advised(shop("1.0.0", State.YANKED), shop("1.1.0"), shop("1.2.0", State.YANKED))
    assert found.path == ("1.1.0",)
    assert found.notices == ((State.YANKED, "bp-shop 1.0.0 is yanked"),)


def test_what_else_must_move_is_told_and_nothing_that_may_stay() -> None:
    found = advised(
        shop("1.0.0", depends=needs(db="^1")),
        shop("2.0.0", depends=needs(db="^2")),
        one("bp-db", "1.0.0"),
        one("bp-db", "2.0.0"),
        one("bp-mail", "1.0.0"),
        one("bp-mail", "2.0.0"),
        db="1.0.0",
        mail="1.0.0",
    )  # fmt: skip - one catalogue
    assert found.path == ("2.0.0",)
    assert [(e.release.name, e.release.version) for e in found.also_moves] == [("bp-db", "2.0.0")]


def test_a_version_that_the_others_do_not_allow_is_passed_over_for_the_next() -> None:
    found = advised(
        shop("1.0.0"), shop("1.1.0"), shop("2.0.0"), one("bp-mall", "1.0.0", depends=needs(shop="^1")), mall="1.0.0"
    )  # fmt: skip - one catalogue
    assert found.path == ("1.1.0",)


@given(st.data())
def test_hops_agree_with_trying_every_way(data: st.DataObject) -> None:
    numbers = [f"{n}.0.0" for n in range(1, 6)]
    releases = {}
    for text in numbers:
        allowed = data.draw(st.lists(st.sampled_from(numbers), unique=True, max_size=3))
        spec: dict[str, Any] = {"upgrades": {"from": allowed}} if allowed else {}
        releases[text] = shop(text, **spec)
    goal = data.draw(st.sampled_from(numbers[1:]))

    def ways(at: str) -> list[tuple[str, ...]]:
        if at == goal:
            return [()]
        onward = [
            v
            for v in numbers
            if v > at
            and (at in releases[v].manifest.spec.upgrades.from_ or not releases[v].manifest.spec.upgrades.from_)
        ]  # fmt: skip - one condition
        return [(v, *rest) for v in onward for rest in ways(v)]

    found, every = hops(releases, "1.0.0", goal), ways("1.0.0")
    assert (found is None) == (not every)
    if found is not None:
        assert found in every
        assert len(found) == min(map(len, every))


BEFORE = {"properties": {
    "host": {"type": "string", "x-catalyst-immutable": True}, "size": {"type": "integer", "default": 1},
    "old": {"properties": {"flag": {"type": "boolean"}}},
}}  # fmt: skip
AFTER = {"properties": {
    "host": {"type": "string", "x-catalyst-immutable": True}, "size": {"type": "string", "default": "1"},
    "new": {"type": "array", "items": {"type": "string"}},
}}  # fmt: skip


def test_differences_of_schemas_are_told_by_path() -> None:
    assert [(c.path, c.kind, c.before, c.after) for c in schema_changes.between(BEFORE, AFTER)] == [
        ("/new", Kind.ADDED, "", "array of string"),
        ("/old/flag", Kind.REMOVED, "boolean", ""),
        ("/size", Kind.RETYPED, "integer", "string"),
    ]
    assert schema_changes.between(AFTER, AFTER) == []
    cheaper = {"properties": {"size": {"type": "integer", "default": 2}}}
    (change,) = [c for c in schema_changes.between(BEFORE, cheaper) if c.path == "/size"]
    assert (change.kind, change.before, change.after) == (Kind.DEFAULT, "1", "2")


def test_a_value_is_lost_only_if_somebody_says_so() -> None:
    wanted = {"host": "a", "old": {"flag": True}}
    with pytest.raises(FieldRemoved, match="/old/flag"):
        schema_changes.carry(BEFORE, AFTER, {"host": "a"}, wanted)
    carried = schema_changes.carry(BEFORE, AFTER, {"host": "a"}, wanted, drop_unknown=True)
    assert (carried.config, carried.dropped) == ({"host": "a", "size": "1"}, ("/old/flag",))


def test_what_is_fixed_at_installation_stays_and_the_rest_is_checked() -> None:
    with pytest.raises(FieldImmutable, match="/host"):
        schema_changes.carry(BEFORE, AFTER, {"host": "a"}, {"host": "b"})
    with pytest.raises(ConfigInvalid):
        schema_changes.carry(BEFORE, AFTER, {"host": "a"}, {"host": "a", "size": 3})
