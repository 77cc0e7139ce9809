"""What the answers of all servers mean together."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from catalyst_pool_domain_manager.domain.propagation import (
    Observation,
    Role,
    Verdict,
    is_arrived,
    progressed,
    summarise,
)
from hypothesis import given
from hypothesis import strategies as st

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PARENT = Observation(Role.PARENT, "ns1.works.", "192.0.2.1:53", Verdict.OK, ttl=3600)
CHILD = Observation(Role.CHILD, "ns1.omani.works.", "192.0.2.2:53", Verdict.OK, serial=7, ttl=300)
OPINION = Observation(Role.RESOLVER, "", "192.0.2.9:53", Verdict.STALE, serial=3, ttl=40)
SERVERS = st.lists(
    st.builds(
        Observation, st.sampled_from(Role), st.sampled_from(["a.", "b."]), st.sampled_from(["192.0.2.1:53", "[::1]:53"]),
        st.sampled_from(Verdict), serial=st.none() | st.integers(0, 9), ttl=st.integers(0, 90),
    ),
    max_size=6,
)  # fmt: skip


def test_all_servers_that_agree_are_a_delegation_and_one_that_does_not_is_none() -> None:
    found = summarise([PARENT, CHILD, OPINION], 7, NOON)
    assert (found.delegated, found.consistent, found.consensus_serial) == (True, True, 7)
    assert (found.asked, found.ok, found.horizon) == (2, 2, NOON + timedelta(hours=1))
    for verdict in set(Verdict) - {Verdict.OK, Verdict.ERROR}:
        other = replace(PARENT, server="ns2.works.", verdict=verdict)
        assert not summarise([PARENT, other, CHILD], 7, NOON).delegated


def test_an_address_that_nobody_here_can_reach_does_not_count_beside_one_that_answered() -> None:
    unreachable = replace(PARENT, address="[2001:db8::1]:53", verdict=Verdict.ERROR)
    assert summarise([PARENT, unreachable], 0, NOON).delegated
    assert not summarise([unreachable], 0, NOON).delegated


def test_an_outcome_is_told_again_only_when_it_is_another_one_or_of_another_zone_of_the_name() -> None:
    found = summarise([PARENT, CHILD], 7, NOON)
    first = progressed(None, "acme.example", "uid", found, NOON)
    assert first is not None
    assert progressed(first, "acme.example", "uid", replace(found, asked=9, horizon=NOON), NOON) is None
    for other in ({"delegated": False}, {"consistent": False}, {"consensus_serial": 8}):
        again = progressed(first, "acme.example", "uid", replace(found, **other), NOON)
        assert again is not None
        assert again.version == 2
    assert progressed(first, "acme.example", "reborn", found, NOON) is not None


@given(st.lists(SERVERS, min_size=1).map(lambda groups: groups[0]), st.integers(0, 9))
def test_an_outcome_needs_every_server_and_no_resolver(seen: list[Observation], wanted: int) -> None:
    found = summarise(seen, wanted, NOON)
    without = summarise([o for o in seen if o.role is not Role.RESOLVER], wanted, NOON)
    told = progressed(None, "acme.example", "uid", found, NOON)
    assert progressed(told, "acme.example", "uid", without, NOON) is None
    silent = replace(CHILD, server="silent.", verdict=Verdict.TIMEOUT, serial=None)
    assert not summarise([*seen, silent], wanted, NOON).consistent
    assert not summarise([*seen, replace(PARENT, server="silent.", verdict=Verdict.TIMEOUT)], wanted, NOON).delegated


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**31 - 1))
def test_a_later_serial_has_arrived_beyond_the_end_of_the_numbers_too(serial: int, ahead: int) -> None:
    assert is_arrived((serial + ahead) % 2**32, serial)
    assert not is_arrived((serial - ahead - 1) % 2**32, serial)
    assert not is_arrived(None, serial)
