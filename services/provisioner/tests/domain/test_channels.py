"""Release channels, decided without one."""

from typing import Any

import pytest
from catalyst_provisioner.domain import channels
from catalyst_provisioner.domain.channels import BadChannels, Channel, Member
from hypothesis import given
from hypothesis import strategies as st

STABLE = Channel("stable", {"bp-a": "1.1.0", "bp-b": "2.0.0"}, after="canary")
versions = st.builds(
    lambda core, pre: ".".join(map(str, core)) + (f"-{pre}" if pre else ""),
    st.tuples(*[st.integers(0, 12)] * 3),
    st.sampled_from(["", "rc.1", "rc.2", "rc.10", "alpha"]),
)  # fmt: skip - core, pre-release


def test_the_order_of_versions_is_that_of_semver() -> None:
    rising = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.2.0",
        "1.10.0",
        "2.0.0",
    ]  # fmt: skip - semver.org, section 11
    assert [*map(channels.order, rising)] == sorted(map(channels.order, rising))
    assert len({*map(channels.order, rising)}) == len(rising)


@given(stands=st.dictionaries(st.sampled_from(["bp-a", "bp-b", "bp-c"]), versions), newest=st.booleans())
def test_nothing_goes_back_and_nothing_moves_that_the_channel_does_not_name(
    stands: dict[str, str], newest: bool
) -> None:
    demanded = channels.pins(STABLE, stands, newest=newest)
    assert demanded.keys() <= STABLE.versions.keys()
    assert all(channels.order(stands[n]) < channels.order(v) for n, v in demanded.items() if n in stands)
    assert newest or not demanded.keys() & stands.keys()
    assert STABLE.versions.keys() - stands.keys() <= demanded.keys()


def test_who_is_behind_or_ahead_hears_so() -> None:
    told = {f.code: f.message for f in channels.findings(STABLE, {"bp-a": "1.0.0", "bp-b": "2.1.0"}, upgrading=False)}
    assert told["release.behind"] == "channel stable has moved: bp-a 1.0.0 to 1.1.0"
    assert told["release.ahead"].endswith("bp-b")
    assert not list(channels.findings(STABLE, dict(STABLE.versions), upgrading=False))


@pytest.mark.parametrize(
    ("first", "stands"),
    [
        ([], False),
        ([Member("sovereigns/c", True, {"bp-a": "1.1.0"})], True),
        ([Member("sovereigns/c", True, {"bp-a": "1.2.0"})], True),
        ([Member("sovereigns/c", True, {})], True),  # it has not chosen that component
        ([Member("sovereigns/c", True, {"bp-a": "1.0.0"})], False),
        ([Member("sovereigns/c", True, {"bp-a": ""})], False),
        ([Member("sovereigns/c", False, {"bp-a": "1.1.0"})], False),
        ([Member("sovereigns/c", True, {"bp-a": "1.1.0"}), Member("sovereigns/d", True, {"bp-a": ""})], False),
    ],
)
def test_a_release_is_taken_once_those_who_go_first_stand_well_with_it(first: list[Member], stands: bool) -> None:
    assert (channels.unproven(STABLE, ["bp-a"], first) == []) is stands
    assert channels.unproven(STABLE, [], first) == []


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "names of channels"),
        ({"beta": {"versions": {}}}, "beta is no channel"),
        ({"stable": {}}, "stable has no versions"),
        ({"stable": {"versions": {"flux": "1.0.0"}}}, "flux is no Blueprint"),
        ({"stable": {"versions": {"bp-flux": "^1"}}}, "no exact version"),
        ({"stable": {"versions": {}, "freeze": True}}, "nobody knows freeze"),
        ({"stable": {"versions": {}, "after": "canary"}}, "no channel here"),
        ({"stable": {"versions": {}, "after": "ring1"}, "ring1": {"versions": {}, "after": "stable"}}, "itself"),
    ],
)
def test_what_is_written_wrong_is_said_whole(document: Any, said: str) -> None:
    with pytest.raises(BadChannels, match=said):
        channels.read(document)


def test_the_same_release_has_one_digest_in_every_channel() -> None:
    known = channels.read({"canary": {"versions": {"bp-a": "1.1.0"}}, "stable": {"versions": {"bp-a": "1.1.0"}}})
    assert known["canary"].digest == known["stable"].digest != STABLE.digest
    assert channels.of({}) == "stable"
