"""Records, ballots, times and slots, without any server."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from catalyst_continuum.domain import ballot, record, slots
from catalyst_continuum.domain.ballot import Acceptor, Ballot
from catalyst_continuum.domain.facts import ContinuumCreated, EpochAdvanced, LeaseAcquired, LeaseLost
from catalyst_continuum.domain.record import Corrupt, Lease, State
from catalyst_continuum.domain.slots import Phase
from catalyst_continuum.domain.timing import FAST, Profile
from hypothesis import given
from hypothesis import strategies as st

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
REGIONS = st.sampled_from(["", "sb-east-mgt-prod", "hz-fsn-rtz-prod"])
LEASES = st.builds(
    Lease, epoch=st.integers(0, 10**9), seq=st.integers(0, 10**9), state=st.sampled_from(State), holder=REGIONS,
    next=REGIONS, ttl_ms=st.integers(1, 600_000), nonce=st.text("0123456789abcdef", min_size=8, max_size=8),
)  # fmt: skip


@given(LEASES)
def test_a_record_is_read_as_it_was_written_and_fits_a_cell(lease: Lease) -> None:
    text = record.write(lease)
    assert record.read(text) == lease
    raw = ballot.write(Acceptor(Ballot(10**9, "abcdef-abcdefgh"), Ballot(10**9, "abcdef-abcdefgh"), text))
    assert len(raw) <= 255
    assert ballot.read(raw).value == text


@pytest.mark.parametrize(
    "text",
    ["", "c2 e=1", "c1 e=1 q=1", "C1 E=1", "c1 e=-1 q=1 s=held h=- n=- t=1 y=0 w=0 m=0 o=- k=- x=00000000",
     "c1 e=01 q=1 s=held h=- n=- t=1 y=0 w=0 m=0 o=- k=- x=00000000", "c1 " + "e=1 " * 80],
)  # fmt: skip
def test_what_no_writer_writes_is_corrupt(text: str) -> None:
    with pytest.raises(Corrupt):
        record.read(text)


@given(st.binary(max_size=80))
def test_rubbish_in_a_cell_is_corrupt_and_never_a_crash(raw: bytes) -> None:
    with suppress(Corrupt):
        assert ballot.write(ballot.read(raw)) == raw


def test_ballots_are_ordered_by_counter_then_proposer() -> None:
    assert Ballot(1, "b") < Ballot(2, "a") < Ballot(2, "b")
    assert Ballot(2, "b").next_of("a") > Ballot(2, "b")


def test_authority_ends_before_anybody_may_steal() -> None:
    assert FAST.faults() == []
    # A holder's writers end A / (1 - rho) + F after the send; nobody steals before T / (1 + rho).
    assert FAST.authority / (1 - FAST.drift) + FAST.fence <= FAST.ttl / (1 + FAST.drift) + 1e-9


def test_unsafe_times_are_refused_with_their_arithmetic() -> None:
    faults = Profile(ttl=5, renew=4, op=2, fence=4).faults()
    assert [fault[:2] for fault in faults] == ["C1", "C2", "C3"]


def test_a_sovereign_gets_one_slot_however_often_it_is_told() -> None:
    first = slots.want(None, "omantel", "sb-east-mgt-prod", NOON)
    assert first.state is not None
    assert [type(fact) for fact in first.events] == [ContinuumCreated]
    assert slots.want(first.state, "omantel", "sb-east-mgt-prod", NOON).state is None


def test_a_slot_lives_from_pending_to_given_back() -> None:
    slot = slots.want(None, "omantel", "sb-east-mgt-prod", NOON).state
    assert slot is not None
    held = slots.hold(slot, 1, 1, NOON)
    assert held.state is not None
    assert [type(fact) for fact in held.events] == [EpochAdvanced, LeaseAcquired]
    versions = [fact.told.version for fact in held.events]  # type: ignore[attr-defined]
    assert versions == [2, 3]
    assert slots.hold(held.state, 1, 2, NOON).state is None
    leaving = slots.leave(held.state, NOON + timedelta(hours=1)).state
    assert leaving is not None
    assert leaving.phase is Phase.LEAVING
    assert leaving.version == 4
    assert slots.leave(leaving, NOON).state is None
    gone = slots.forget(leaving, NOON)
    assert gone.state is not None
    assert gone.state.gone
    assert [type(fact) for fact in gone.events] == [LeaseLost]
    again = slots.want(gone.state, "omantel", "sb-east-mgt-prod", NOON).state
    assert again is not None
    assert (again.epoch, again.phase) == (1, Phase.PENDING), "a second life remembers the first one's epoch"


def test_every_version_is_told() -> None:
    slot = slots.want(None, "omantel", "sb-east-mgt-prod", NOON).state
    told = [1]
    for decide in (
        lambda s: slots.hold(s, 1, 1, NOON), lambda s: slots.falter(s, "a", NOON), lambda s: slots.falter(s, "b", NOON),
        lambda s: slots.hold(s, 1, 9, NOON), lambda s: slots.leave(s, NOON), lambda s: slots.forget(s, NOON),
    ):  # fmt: skip
        decision = decide(slot)
        told += [fact.told.version for fact in decision.events]  # type: ignore[attr-defined]
        slot = decision.state
        assert slot is not None
        assert slot.version == told[-1]
    assert told == list(range(1, len(told) + 1))


def test_a_witness_that_is_away_is_said_once() -> None:
    slot = slots.want(None, "omantel", "sb-east-mgt-prod", NOON).state
    assert slot is not None
    first = slots.falter(slot, "no majority", NOON)
    assert first.state is not None
    assert len(first.events) == 1
    assert slots.falter(first.state, "no majority", NOON).state is None
    other = slots.falter(first.state, "another reason", NOON)
    assert other.state is not None
    assert [fact.told.version for fact in (*first.events, *other.events)] == [2, 3]  # type: ignore[attr-defined]
