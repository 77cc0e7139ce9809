"""Merged traces are judged by the names of the invariants: what is sound passes, and each breach is found."""

import pytest
from catalyst_sdk.traces import JUDGES, Line, check, merged, overlaps, reigns

SLOT = "demo/shop"


def line(at: float, region: str, event: str, epoch: int, effect: str = "", deadline: float | None = None) -> Line:
    return Line(at, region, SLOT, event, epoch, deadline=deadline, effect=effect)


SOUND = (
    line(0.9, "east", "claim", 0, "bootstrap"),
    line(1, "east", "authority", 1, deadline=8),
    line(2, "east", "begun", 1, "promote"),
    line(2.5, "east", "done", 1, "promote"),
    line(3, "east", "authority", 1, deadline=10),
    line(3, "east", "state", 1, "promoting 26 leading"),
    line(11.9, "west", "claim", 1, "steal"),
    line(12, "west", "authority", 2, deadline=19),
    line(12.1, "west", "begun", 2, "promote"),
    line(12.2, "west", "done", 2, "promote"),
    line(13, "west", "begun", 2, "names"),
    line(13.1, "west", "done", 2, "names"),
)
"""East dies at 3; west takes over when its silence has lasted."""


def test_a_failover_that_waited_long_enough_is_sound() -> None:
    assert check(SOUND) == []
    assert [(r.region, r.epoch, r.since, r.until) for r in reigns(SOUND)] == [("east", 1, 1, 10), ("west", 2, 12, 19)]


BREACHES = {
    "I1": line(9, "west", "authority", 2, deadline=16),
    "I2": line(14, "east", "authority", 2, deadline=14.5),
    "I3": line(14, "east", "done", 1, "names"),
    "I4": line(11, "west", "begun", 2, "promote"),
    "I5": line(14, "west", "offered", 2),
    "I17": line(10.5, "east", "begun", 1, "unfence-3"),
}


@pytest.mark.parametrize("name", sorted(JUDGES))
def test_each_breach_is_found_under_its_own_name(name: str) -> None:
    spoiled = sorted((*SOUND, BREACHES[name]), key=lambda one: one.boottime)
    found = check(spoiled, [name])
    assert [breach.invariant for breach in found] == [name]
    assert found[0].boottime == pytest.approx(BREACHES[name].boottime)


def test_authority_that_was_given_up_ends_at_once() -> None:
    handed = (
        line(1, "east", "authority", 1, deadline=8),
        line(4, "east", "fenced", 1),
        line(4, "east", "ended", 1),
        line(4.5, "east", "offered", 1),
        line(5, "west", "authority", 2, deadline=12),
    )
    assert check(handed, ["I1", "I5"]) == []
    assert [b.what for b in check([one for one in handed if one.event != "ended"], ["I1"])] == [
        "east in epoch 1 and west in epoch 2 could both act for 3.000 s"
    ]


def test_a_fence_that_was_lifted_is_no_fence_for_a_handoff() -> None:
    lines = (
        line(1, "east", "fenced", 1),
        line(2, "east", "begun", 1, "unfence-1"),
        line(3, "east", "offered", 1),
    )
    assert [breach.boottime for breach in check(lines, ["I5"])] == [3]


def test_two_slots_do_not_disturb_each_other() -> None:
    other = [Line(one.boottime, "north", "demo/blog", one.event, one.epoch, deadline=one.deadline) for one in SOUND[:4]]
    assert check(sorted((*SOUND, *other), key=lambda one: one.boottime)) == []


def test_files_are_merged_by_time_and_a_line_cut_off_by_a_death_is_left_out() -> None:
    first, second = SOUND[0].to_json(), SOUND[6].to_json()
    assert merged([f"{second}\n", f'{first}\n{{"boottime": 3, "reg']) == [SOUND[0], SOUND[6]]
    with pytest.raises(ValueError, match="no line"):
        merged(['{"boottime": 3}\n'])


def test_what_is_not_judged_here_is_refused_and_overlaps_are_counted_as_pairs() -> None:
    with pytest.raises(ValueError, match="I99"):
        check(SOUND, ["I1", "I99"])
    assert len(overlaps([*SOUND, line(12.5, "east", "authority", 3, deadline=13)])) == 1
