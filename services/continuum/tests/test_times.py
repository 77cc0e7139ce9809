"""Which times are safe, what they come to, and who goes on without cells."""

import time
from collections.abc import Callable

import pytest
from catalyst_continuum import clock
from catalyst_continuum.domain.authority import Authority, Moment
from catalyst_continuum.domain.failsafe import Peer, Promise, extended, hold_off, may_claim_from
from catalyst_continuum.domain.timing import COMPAT, DEFAULT, FAST, Costs, Profile, fitting
from catalyst_sdk import deadman
from hypothesis import given
from hypothesis import strategies as st

NOW = Moment(100.0, 0.0)


@pytest.mark.parametrize(
    ("profile", "authority", "worst"), [(COMPAT, 24.4, 65.3), (DEFAULT, 14.6, 51.2), (FAST, 6.8, 38.1)]
)
def test_the_profiles_are_those_of_the_specification(profile: Profile, authority: float, worst: float) -> None:
    assert profile.faults() == []
    assert authority <= profile.authority < authority + 0.1  # the table cuts, it does not round
    assert round(profile.worst_rto(Costs()), 1) == worst


@pytest.mark.parametrize("shown", [clock.boottime, deadman.boottime])
def test_time_goes_on_while_the_machine_sleeps(shown: Callable[[], float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 10.0)
    monkeypatch.setattr(time, "clock_gettime", {time.CLOCK_MONOTONIC: 10.0, time.CLOCK_BOOTTIME: 3610.0}.__getitem__)
    assert shown() == 3610.0


def test_the_calmest_profile_that_keeps_the_goal_is_taken() -> None:
    assert fitting(60, Costs()) == (DEFAULT, True)
    assert fitting(70, Costs()) == (COMPAT, True)
    assert fitting(27, Costs(promote=3, dns_ttl=5)) == (FAST, True)
    assert fitting(10, Costs()) == (FAST, False)


def test_a_refusal_shows_its_arithmetic_and_a_value_that_would_do() -> None:
    tight = Profile(ttl=10, renew=4, op=2, fence=3)
    (fault,) = tight.faults()
    assert fault.startswith("C1")
    assert "R + 2 O + 0.2 R = 8.8 s" in fault
    least = float(fault.split("a time to live of ")[1].split()[0])
    assert Profile(ttl=least + 0.1, renew=4, op=2, fence=3).faults() == []
    assert [fault[:2] for fault in Profile(ttl=30, renew=2, op=1, fence=3, poll=2.5).faults()] == ["C4"]


@given(st.floats(5, 600), st.floats(1, 60), st.floats(0.2, 10), st.floats(1, 120), st.floats(0.0001, 0.1))
def test_no_admitted_times_let_a_challenger_begin_before_the_writers_end(
    ttl: float, renew: float, op: float, fence: float, drift: float
) -> None:
    profile = Profile(ttl, renew, op, fence, drift)
    if not profile.faults():
        assert profile.authority / (1 - drift) + fence <= ttl / (1 + drift) + 1e-6
        assert profile.authority > renew + 2 * op


def test_a_peer_says_no_while_it_claims_and_to_an_epoch_that_is_over() -> None:
    peer = Peer(epoch=5, claims=False, started_at=0)
    assert hold_off(Peer(5, True, 0), epoch=5, seconds=10, now=NOW) is None
    assert hold_off(peer, epoch=4, seconds=10, now=NOW) is None
    promised = hold_off(peer, epoch=5, seconds=10, now=NOW)
    assert promised is not None
    assert promised.promise == Promise(5, 110.0)


def test_a_later_promise_never_shortens_the_one_before() -> None:
    peer = Peer(5, False, 0, Promise(5, 150.0))
    again = hold_off(peer, epoch=5, seconds=10, now=NOW)
    assert again is not None
    assert again.promise == Promise(5, 150.0)


def test_a_promise_and_a_fresh_start_are_both_waited_for() -> None:
    assert may_claim_from(Peer(5, False, 0, Promise(5, 110.0)), longest=10) == 110
    assert may_claim_from(Peer(5, False, 95), longest=10) == 105


@pytest.mark.parametrize("answers", [{"a": True, "b": False}, {"a": True, "b": None}])
def test_one_region_that_does_not_agree_ends_it(answers: dict[str, bool | None]) -> None:
    assert extended(Authority(5, 101), answers, NOW, FAST) is None


def test_where_all_agree_authority_counts_from_the_question() -> None:
    assert extended(Authority(5, 101), {"a": True, "b": True}, NOW, FAST) == Authority(5, 100 + FAST.authority)
