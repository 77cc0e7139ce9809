"""Whom a plan asks in the daemon of a region, with an agent's own sight and hands."""

from dataclasses import dataclass, field, replace
from typing import Any

import grpc
import pytest
from catalyst.continuum.v1 import service_pb2, service_pb2_grpc
from catalyst_continuum.clock import boottime
from catalyst_continuum.domain.authority import Moment
from catalyst_continuum.domain.checks import Facts, Goals, blockers, judged
from catalyst_continuum.domain.duty import Duty
from catalyst_continuum.domain.lease import Me, bootstrap
from catalyst_continuum.domain.parsing import parse
from catalyst_continuum.domain.record import Lease
from catalyst_continuum.domain.spec_rules import House
from catalyst_continuum.workers.memory import Remembered
from catalyst_continuum.workers.observe import Sight
from catalyst_continuum.workers.outcomes import Committed
from catalyst_continuum.workers.register import Register
from catalyst_continuum.workers.steps.scene import Hands
from catalyst_continuum.workers.surveys import VERSION, survey_of, version_of
from catalyst_sdk.continuum import DatabaseView, Role
from catalyst_testkit.servers import free_port

from .manifests import EAST, WEST, having, stateful
from .test_survey import FakeTraffic
from .witnesses import MemoryWitness

SLOT = "demo/shop"
STANDBY = DatabaseView(
    WEST, Role.REPLICA, writable=False, ready=True, system_id="7", timeline=1, received="0/60", replayed="0/60"
)
SPEC = parse(having(stateful(), luaRecord=...), House("demo"))


@dataclass
class FakePromoter:
    """Answers for its region, and counts every effect."""

    effects: list[str] = field(default_factory=list)

    async def observe(self, *, region: str) -> DatabaseView:
        return replace(STANDBY, region=region)

    def __getattr__(self, name: str) -> Any:
        self.effects.append(name)
        raise AttributeError(name)


@dataclass
class FakeMemory:
    """One file, in memory."""

    kept: Remembered = field(default_factory=Remembered)

    def read(self, slot: str) -> Remembered:
        return self.kept

    def keep(self, slot: str, what: Remembered) -> None:
        raise AssertionError("a plan keeps nothing")


async def version(region: str) -> str | None:
    assert region != WEST, "nobody asks another daemon for the version of this one"
    return VERSION


def now() -> Moment:
    return Moment(boottime(), 0.0)


async def found(memory: FakeMemory, *told: DatabaseView) -> tuple[Facts, FakePromoter]:
    """What the agent of the standby knows of a failover to it, of which the holder told this."""
    promoter, register = FakePromoter(), Register(MemoryWitness(), "aaaaaa-bbbbbbbb")
    await register.change(SLOT, lambda lease: bootstrap(lease, Me(EAST, 10_000, "00000001")))
    duty = Duty(SLOT, WEST, (EAST, WEST))
    sight = Sight(duty, register=register, promoter=promoter, peers={}, clock=now)  # type: ignore[arg-type]
    for view in told:
        sight.told(view)
    survey = survey_of(
        SLOT, SPEC, register=register, sight=sight, hands=Hands(promoter, FakeTraffic()), memory=memory, versions=version  # type: ignore[arg-type]
    )  # fmt: skip
    facts = await survey.look(Facts(EAST, WEST, accepts_loss=True, goals=Goals()))
    await register.close()
    return facts, promoter


def stopping(facts: Facts) -> set[str]:
    return {check.name for check in blockers(judged(facts, planned=False), planned=False)}


async def test_whose_copy_a_dead_regions_database_was_is_remembered_and_stops_no_failover() -> None:
    facts, promoter = await found(FakeMemory(Remembered(system_id="7")))
    assert stopping(facts) == set()
    assert promoter.effects == []
    assert stopping((await found(FakeMemory(Remembered(system_id="8"))))[0]) == {"system-identifier"}
    assert stopping((await found(FakeMemory()))[0]) == {"system-identifier"}


async def test_what_a_living_holder_told_is_taken_before_what_is_remembered() -> None:
    primary = replace(STANDBY, region=EAST, role=Role.PRIMARY, writable=True, received=None)
    facts, _ = await found(FakeMemory(Remembered(system_id="8")), primary)
    assert stopping(facts) == set()
    assert (facts.lag, facts.same_history, facts.reverses) == (0.0, True, True)


class Hello(service_pb2_grpc.ContinuumPeerServiceServicer):
    async def Hello(self, request: service_pb2.HelloRequest, context: object) -> service_pb2.HelloResponse:
        assert request.region == WEST
        return service_pb2.HelloResponse(region=EAST, version="9.9")


@pytest.mark.parametrize("is_there", [True, False])
async def test_the_version_of_another_region_is_what_its_daemon_says_and_unknown_where_it_is_away(
    is_there: bool,
) -> None:
    server, port = grpc.aio.server(), free_port()
    service_pb2_grpc.add_ContinuumPeerServiceServicer_to_server(Hello(), server)
    if is_there:
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert await version_of(channel, WEST) == ("9.9" if is_there else None)
    await server.stop(None)


def test_for_how_long_a_region_has_had_every_write_counts_from_the_last_break() -> None:
    at = [100.0]
    duty = Duty(SLOT, EAST, (EAST, WEST))
    sight = Sight(duty, register=Register(MemoryWitness(), "aaaaaa-bbbbbbbb"), promoter=FakePromoter(), peers={},
                  clock=lambda: Moment(at[0], 0.0))  # type: ignore[arg-type]  # fmt: skip
    lease = bootstrap(None, Me(EAST, 10_000, "00000001"))
    assert isinstance(lease, Lease)

    def heard(seq: int, sync: str) -> None:
        sight.heard(Committed(replace(lease, seq=seq, sync=sync), at[0]))

    sight.told(STANDBY)
    assert sight.stable(WEST) is None, "it follows, and nothing says that it has every write"
    heard(2, duty.bits([WEST]))
    for _ in range(10):
        at[0] += 2.0
        sight.told(STANDBY)
    assert sight.stable(WEST) == 20.0
    at[0] += 60.0
    assert sight.stable(WEST) is None, "it is silent"
    sight.told(STANDBY)
    assert sight.stable(WEST) == 0.0, "and begins anew"
    at[0] += 2.0
    heard(3, "0")
    heard(4, duty.bits([WEST]))
    sight.told(STANDBY)
    assert sight.stable(WEST) == 0.0, "the record did not name it for a moment"
    sight.told(replace(STANDBY, ready=False))
    assert sight.stable(WEST) is None
