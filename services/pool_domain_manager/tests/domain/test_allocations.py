"""Decisions about one name."""

from dataclasses import replace
from datetime import timedelta

import pytest
from catalyst_pool_domain_manager.domain import allocations, refusals
from catalyst_pool_domain_manager.domain.allocations import Allocation, State
from catalyst_pool_domain_manager.domain.conditions import SIGNED, false, settle, true

from .makers import ACME, ELSEWHERE, EVERY, HOME, NAME, NOON, RIVAL, TOKEN, TTL, active, committed, reserved, resting


def told(decision: object) -> list[str]:
    return [type(fact).__name__ for fact in decision.events]  # type: ignore[attr-defined]


def test_a_name_is_free_again_at_the_moment_it_expires() -> None:
    held = reserved()
    with pytest.raises(refusals.NameTaken):
        allocations.reserve(held, RIVAL, held.expires_at - timedelta(microseconds=1))
    assert allocations.reserve(held, RIVAL, held.expires_at).state.owner == RIVAL.owner


def test_a_reservation_lasts_a_day_at_most() -> None:
    week = replace(ACME, ttl=timedelta(days=7))
    assert allocations.reserve(None, week, NOON).state.expires_at == NOON + timedelta(hours=24)
    renewed = allocations.renew(reserved(), NAME, TOKEN, timedelta(days=7), NOON)
    assert renewed.state.expires_at == NOON + timedelta(hours=24)


def test_a_stranger_hears_nothing_of_who_holds_a_name_or_until_when() -> None:
    with pytest.raises(refusals.NameTaken) as refused:
        allocations.reserve(reserved(), RIVAL, NOON)
    assert refused.value.metadata == {"name": NAME}


def test_only_its_former_owner_takes_a_resting_name_back() -> None:
    assert allocations.reserve(resting(), ACME, NOON).state.state is State.RESERVED
    with pytest.raises(refusals.NameTaken):
        allocations.reserve(resting(), RIVAL, NOON)


def test_a_rested_name_is_free_at_its_moment_without_a_sweeper() -> None:
    ended = resting().available_at
    assert ended is not None
    with pytest.raises(refusals.NameTaken):
        allocations.reserve(resting(), RIVAL, ended - timedelta(microseconds=1))
    assert allocations.reserve(resting(), RIVAL, ended).state.owner == RIVAL.owner


@pytest.mark.parametrize("state", [State.PROVISIONING, State.ACTIVE, State.DEGRADED, State.FAILED, State.RELEASING])
def test_a_name_in_the_dns_is_nobody_elses_not_even_its_owners_to_reserve(state: State) -> None:
    with pytest.raises(refusals.NameTaken):
        allocations.reserve(replace(active(), state=state), ACME, NOON + timedelta(days=400))


def test_a_heartbeat_moves_the_end() -> None:
    renewed = allocations.renew(reserved(), NAME, TOKEN, TTL, NOON + TTL / 2)
    assert (renewed.state.expires_at, told(renewed)) == (NOON + TTL * 1.5, ["Renewed"])


def test_an_expired_reservation_cannot_be_renewed_or_committed() -> None:
    late = reserved().expires_at
    with pytest.raises(refusals.ReservationExpired):
        allocations.renew(reserved(), NAME, TOKEN, TTL, late)
    with pytest.raises(refusals.ReservationExpired):
        allocations.commit(reserved(), NAME, TOKEN, HOME, late)


def test_a_swept_reservation_still_says_that_it_expired() -> None:
    swept = allocations.sweep(reserved(), reserved().expires_at).state
    assert swept is not None
    with pytest.raises(refusals.ReservationExpired):
        allocations.commit(swept, NAME, TOKEN, HOME, NOON + TTL * 2)


def test_the_same_commit_again_is_answered_alike_even_when_active() -> None:
    for a in (committed(), active()):
        again = allocations.commit(a, NAME, TOKEN, HOME, NOON + timedelta(days=1))
        assert (again.state, again.events) == (a, ())


def test_another_commit_is_refused() -> None:
    with pytest.raises(refusals.AlreadyCommitted):
        allocations.commit(committed(), NAME, TOKEN, ELSEWHERE, NOON)


@pytest.mark.parametrize("a", [reserved(), committed(), active()])
def test_another_token_is_refused_in_every_state(a: Allocation) -> None:
    with pytest.raises(refusals.TokenMismatch):
        allocations.commit(a, NAME, "b" * 64, HOME, NOON)


def test_whether_it_expired_is_said_before_the_token_is_looked_at() -> None:
    with pytest.raises(refusals.ReservationExpired):
        allocations.commit(reserved(), NAME, "b" * 64, HOME, NOON + TTL)


def test_a_failed_name_is_tried_again_by_the_same_commit() -> None:
    broken = allocations.fail(committed(), false("ParentClean", "ParentOccluded", "remove it"), NOON).state
    assert (broken.state, broken.reason) == (State.FAILED, "remove it")
    assert allocations.commit(broken, NAME, TOKEN, HOME, NOON).state.state is State.PROVISIONING


def test_a_new_wish_raises_the_generation_and_begins_anew() -> None:
    moved = allocations.retarget(active(), ELSEWHERE, "somebody", NOON)
    a = moved.state
    assert (a.state, a.generation, a.observed_generation, told(moved)) == (State.PROVISIONING, 2, 1, ["Retargeted"])
    assert allocations.activate(a, NOON, EVERY).state.observed_generation == 2


def test_the_same_wish_again_changes_nothing() -> None:
    assert allocations.retarget(active(), HOME, "somebody", NOON).events == ()


def test_a_reservation_has_no_targets_to_change() -> None:
    with pytest.raises(refusals.NotCommitted):
        allocations.retarget(reserved(), ELSEWHERE, "somebody", NOON)


def test_a_released_reservation_is_free_at_once() -> None:
    released = allocations.release(reserved(), "changed our mind", "somebody", NOON)
    assert (released.state.state, told(released)) == (State.FREE, ["Freed"])


def test_a_released_name_goes_step_by_step_and_a_repeat_changes_nothing() -> None:
    released = allocations.release(active(), "done", "somebody", NOON)
    assert (released.state.state, told(released)) == (State.RELEASING, ["Withdrawn"])
    assert allocations.release(released.state, "again", "somebody", NOON).events == ()
    assert allocations.release(resting(), "again", "somebody", NOON).state == resting()


def test_a_free_name_cannot_be_released() -> None:
    free = allocations.release(reserved(), "done", "somebody", NOON).state
    with pytest.raises(refusals.AllocationNotFound):
        allocations.release(free, "again", "somebody", NOON)


@pytest.mark.parametrize("a", [committed(), active()])
def test_time_alone_never_takes_a_committed_name(a: Allocation) -> None:
    assert allocations.sweep(a, NOON + timedelta(days=4000)).state is None


def test_a_condition_keeps_its_moment_until_it_turns() -> None:
    later = NOON + timedelta(seconds=5)
    first = settle((), (true(SIGNED),), 1, NOON)
    assert settle(first, (true(SIGNED),), 2, later)[0].since == NOON
    assert settle(first, (false(SIGNED, "Bogus", "a signature does not hold"),), 2, later)[0].since == later
