"""What a parent shows, compared with what a delegation came to."""

from dataclasses import replace

import pytest
from catalyst_pool_domain_manager.domain import conditions, delegations, hosting
from catalyst_pool_domain_manager.domain.delegations import Delegation, State
from catalyst_pool_domain_manager.domain.drifts import Drift, Kind, Sight
from catalyst_pool_domain_manager.domain.drifts import State as DriftState
from catalyst_pool_domain_manager.domain.heights import (
    differing,
    is_compared,
    is_late,
    is_unmoved,
    ours,
    still,
    unmoved,
)
from catalyst_sdk.registrar import DsRecord, Target

from .makers import NOON

DS, NEXT, STRANGE = (DsRecord(n, 13, 2, "ab" * 32) for n in (1, 2, 9))
OLD, NEW = ("ns1.old.test.", "ns2.old.test."), ("ns1.new.test.", "ns2.new.test.")
PUBLISHED = (conditions.true(conditions.DS_PUBLISHED),)
MOVED = replace(
    delegations.none_yet("acme.example", "uid", "organizations/acme", NOON), state=State.DELEGATED,
    wished=Target(NEW, (DS,)), conditions=PUBLISHED,
)  # fmt: skip
KEPT = hosting.Zone(
    "acme.example", "uid", hosting.Kind.BYO, "organizations/acme", "backends/embedded", "nameServerSets/main",
    hosting.State.ACTIVE, NOON, NOON,
)  # fmt: skip
BACK = replace(MOVED, state=State.ROLLED_BACK, wished=Target(OLD, (STRANGE,)))


def kinds(d: Delegation, shown: Target, *, signing: tuple[DsRecord, ...] = (DS,)) -> list[Kind]:
    seen = differing(d, [("a.", shown)], (), signing=signing, present=(DS, NEXT))
    assert all(one.server == "a." and one.name == "acme.example." for one in seen)
    return [one.kind for one in seen]


def test_what_the_parent_was_to_show_is_no_difference_in_whatever_order() -> None:
    assert kinds(MOVED, Target(NEW[::-1], (DS,))) == []
    assert kinds(BACK, Target(OLD, (STRANGE,))) == []


@pytest.mark.parametrize(
    ("d", "shown", "found"),
    [
        (MOVED, Target(OLD, (DS,)), [Kind.NS_MISMATCH]),
        (MOVED, Target((), ()), [Kind.NS_MISMATCH, Kind.DS_MISMATCH]),
        (MOVED, Target(NEW), [Kind.DS_MISMATCH]),
        (MOVED, Target(NEW, (DS, STRANGE)), [Kind.DS_MISMATCH]),
        (BACK, Target(NEW, (STRANGE,)), [Kind.NS_MISMATCH]),
        (BACK, Target(OLD), [Kind.DS_MISMATCH]),
    ],
)
def test_a_parent_that_somebody_changed_is_told(d: Delegation, shown: Target, found: list[Kind]) -> None:
    assert kinds(d, shown) == found


def test_while_a_key_is_exchanged_both_ds_are_right_and_one_that_signs_is_needed() -> None:
    assert kinds(MOVED, Target(NEW, (DS, NEXT))) == []
    assert kinds(MOVED, Target(NEW, (NEXT,)), signing=(NEXT,)) == []
    assert kinds(MOVED, Target(NEW, (NEXT,)), signing=(DS,)) == [Kind.DS_MISMATCH]


def test_a_ds_that_a_person_was_to_enter_may_be_missing_and_never_be_a_strangers() -> None:
    by_hand = replace(MOVED, conditions=())
    assert kinds(by_hand, Target(NEW)) == []
    assert kinds(by_hand, Target(NEW, (STRANGE,))) == [Kind.DS_MISMATCH]


def test_a_server_that_is_silent_leaves_what_was_seen_of_it() -> None:
    sight = Sight(Kind.NS_MISMATCH, "a.", "acme.example.", "NS")
    known = [Drift(1, "acme.example", "o", sight, DriftState.OPEN, NOON)]
    for server, stands in (("a.", (sight,)), ("b.", ())):
        assert differing(MOVED, [(server, None)], known, signing=(DS,), present=(DS,)) == stands
    assert still(known) == (sight,)
    assert differing(MOVED, [("a.", Target(NEW, (DS,)))], known, signing=(DS,), present=(DS,)) == ()


@pytest.mark.parametrize("state", State)
def test_only_what_rests_where_a_move_has_left_it_is_compared(state: State) -> None:
    rests = state in (State.DELEGATED, State.ROLLED_BACK)
    assert is_compared(replace(MOVED, state=state), "uid") == rests
    assert not is_compared(replace(MOVED, state=state, run="r"), "uid")
    assert not is_compared(replace(MOVED, state=state), "another life")
    assert is_compared(replace(MOVED, state=State.PLANNED, rested=state), "uid") == rests


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        (Target(NEW, (DS,)), []),
        (Target(NEW), []),
        (Target(OLD, (STRANGE,)), []),
        (Target(()), []),
        (Target(NEW[:1]), [Kind.NS_MISMATCH]),
        (Target((NEW[0], OLD[0])), [Kind.NS_MISMATCH]),
        (Target(NEW, (STRANGE,)), [Kind.DS_MISMATCH]),
    ],
)
def test_a_zone_that_nobody_has_moved_is_compared_where_its_parent_names_one_of_our_servers(
    shown: Target, found: list[Kind]
) -> None:
    d = unmoved(KEPT, NEW)
    assert is_compared(d, KEPT.uid)
    seen = differing(d, ours([("a.", shown)], NEW), (), signing=(DS,), present=(DS, NEXT))
    assert [one.kind for one in seen] == found


def test_a_zone_is_unmoved_until_a_run_of_ours_has_it_in_hand() -> None:
    fresh = delegations.none_yet("acme.example", "uid", "organizations/acme", NOON)
    assert is_unmoved(None)
    assert is_unmoved(fresh)
    assert is_unmoved(replace(fresh, state=State.PLANNED, rested=State.NONE))
    assert not is_unmoved(replace(fresh, state=State.PLANNED, run="runs/1"))
    assert not is_unmoved(MOVED)


SNAPSHOT = delegations.Snapshot("p1", Target(OLD, (STRANGE,)), "etag", NOON)
RETURNED = replace(BACK, snapshot=SNAPSHOT)


@pytest.mark.parametrize(
    ("shown", "late"),
    [
        (Target(NEW[::-1], (STRANGE,)), True),
        (Target(OLD, (STRANGE, DS)), True),
        (Target(OLD), False),
        (Target(("ns1.third.test.",), (STRANGE,)), False),
        (Target((), (STRANGE,)), False),
    ],
)
def test_only_what_came_with_the_plan_that_was_taken_back_is_a_late_change_of_ours(shown: Target, late: bool) -> None:
    seen = differing(RETURNED, [("a.", shown)], (), signing=(DS,), present=(DS,))
    assert any(is_late(RETURNED, Target(NEW, (DS,)), one) for one in seen) == late
    assert not any(is_late(replace(RETURNED, state=State.PLANNED), Target(NEW, (DS,)), one) for one in seen)
    assert not any(is_late(MOVED, Target(NEW, (DS,)), one) for one in seen)
