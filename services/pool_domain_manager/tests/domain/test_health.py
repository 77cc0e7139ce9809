"""Names that are looked at, taken from their owners, offered, warmed, and at rest."""

from dataclasses import replace
from datetime import timedelta

import pytest
from catalyst_pool_domain_manager.domain import allocations, refusals, transfers
from catalyst_pool_domain_manager.domain.allocations import PATIENT, Allocation, State
from catalyst_pool_domain_manager.domain.conditions import Condition, false, true, unknown

from .makers import ACME, EVERY, NAME, NOON, TOKEN, active, committed, reserved, resting

GOOD, BAD, SILENT = true("ZoneReady"), false("ZoneReady", "Lame", "no authority"), unknown("ZoneReady", "Timeout", "?")
CODE = "c" * 64
TAKER = "organizations/taker"


def seen(a: Allocation, *found: Condition) -> tuple[Allocation, list[str]]:
    told: list[str] = []
    for one in found:
        decision = allocations.looked(a, (one,), NOON, EVERY)
        a = decision.state
        told += [type(fact).__name__ for fact in decision.events]
    return a, told


def test_a_condition_that_falls_degrades_a_name_once_and_it_recovers_once() -> None:
    a, told = seen(active(), GOOD, BAD, BAD, GOOD, GOOD)
    assert (a.state, told) == (State.ACTIVE, ["Degraded", "Recovered"])


def test_silence_is_no_fall_before_it_has_lasted() -> None:
    assert seen(active(), *[SILENT] * (PATIENT - 1))[0].state is State.ACTIVE
    assert seen(active(), *[SILENT] * PATIENT)[0].state is State.DEGRADED
    assert seen(active(), *[SILENT] * (PATIENT - 1), GOOD, SILENT)[0].state is State.ACTIVE
    assert seen(active(), BAD, SILENT)[0].state is State.DEGRADED, "not known to hold is not recovered"


def test_a_degraded_name_is_made_anew_when_somebody_asks_for_it() -> None:
    fallen = seen(active(), BAD)[0]
    again = allocations.hurry(fallen, "somebody", NOON).state
    assert (again.state, again.step, again.generation) == (State.PROVISIONING, "", fallen.generation)


def test_nobody_else_has_a_name_released_before_720_hours() -> None:
    end = NOON + timedelta(hours=720)
    with pytest.raises(refusals.GraceNotElapsed, match="2026-01-31T12:00:00Z"):
        allocations.force_release(active(), "abandoned", "admin", end - timedelta(seconds=1))
    decision = allocations.force_release(active(), "abandoned", "admin", end)
    assert decision.state.state is State.RELEASING
    assert [fact.forced for fact in decision.events] == [True]  # type: ignore[attr-defined]


def test_a_name_that_still_resolves_rests_once_more_and_only_once() -> None:
    a = resting()
    longer = allocations.rested(a, NOON, in_use=True, rest=timedelta(days=30)).state
    assert a.available_at is not None
    assert longer.available_at == a.available_at + timedelta(days=30)
    assert allocations.rested(longer, NOON, in_use=True, rest=timedelta(days=30)).events == ()
    assert allocations.rested(a, NOON, in_use=False, rest=timedelta(days=30)).events == ()


def test_a_warm_reservation_that_ends_leaves_by_way_of_its_release() -> None:
    warm = allocations.reserve(None, replace(ACME, warm=True), NOON).state
    late = warm.expires_at
    assert warm.is_live(late), "its zone is there"
    with pytest.raises(refusals.NameTaken):
        allocations.reserve(warm, replace(ACME, owner="organizations/rival"), late)
    with pytest.raises(refusals.ReservationExpired):
        allocations.commit(warm, NAME, TOKEN, (("default", "127.7.0.1"),), late)
    swept = allocations.sweep(warm, late).state
    assert swept is not None
    assert swept.state is State.RELEASING
    with pytest.raises(refusals.ReservationExpired):
        allocations.commit(swept, NAME, TOKEN, (("default", "127.7.0.1"),), late)
    assert allocations.release(warm, "enough", "somebody", NOON).state.state is State.RELEASING
    assert not swept.may_be_visible


def test_an_offer_is_taken_by_its_code_within_its_time_and_a_repeat_is_no_error() -> None:
    offered = transfers.offer(committed(), TAKER, CODE, NOON).state
    with pytest.raises(refusals.TokenMismatch):
        transfers.accept(offered, "d" * 64, "taker", NOON)
    with pytest.raises(refusals.TransferExpired):
        transfers.accept(offered, CODE, "taker", NOON + transfers.STANDS)
    taken = transfers.accept(offered, CODE, "taker", NOON)
    assert taken.state.owner == TAKER
    assert [fact.previous for fact in taken.events] == ["organizations/acme"]  # type: ignore[attr-defined]
    assert transfers.accept(taken.state, CODE, "taker", NOON).events == ()


def test_after_a_transfer_the_former_holders_token_proves_nothing() -> None:
    taken = transfers.accept(transfers.offer(committed(), TAKER, CODE, NOON).state, CODE, "taker", NOON).state
    with pytest.raises(refusals.TokenMismatch):
        allocations.commit(taken, NAME, TOKEN, taken.targets, NOON)


def test_a_new_offer_voids_the_one_before_and_a_reservation_cannot_be_offered() -> None:
    first = transfers.offer(committed(), TAKER, CODE, NOON).state
    second = transfers.offer(first, "organizations/other", "e" * 64, NOON).state
    with pytest.raises(refusals.TokenMismatch):
        transfers.accept(second, CODE, "taker", NOON)
    with pytest.raises(refusals.NotCommitted):
        transfers.offer(reserved(), TAKER, CODE, NOON)
