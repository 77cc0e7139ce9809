"""What is known before a move: everybody is asked, nobody is changed, and who is silent leaves a fact unknown."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from catalyst_continuum.domain import gaps
from catalyst_continuum.domain.checks import Facts, Goals, blockers, judged
from catalyst_continuum.domain.lease import Me, bootstrap, renew
from catalyst_continuum.domain.plan import Purpose, Times, plan
from catalyst_continuum.domain.record import Lease
from catalyst_continuum.domain.timing import FAST
from catalyst_continuum.workers import survey
from catalyst_continuum.workers.register import Register
from catalyst_continuum.workers.survey import Survey
from catalyst_continuum.workers.traffic.authority import Readiness
from catalyst_sdk import Temporary
from catalyst_sdk.continuum import (
    AuthorityView,
    CheckResult,
    DatabaseView,
    DrainResult,
    Effect,
    Role,
    TrafficPlan,
    TrafficView,
)
from catalyst_testkit.servers import free_port

from .witnesses import MemoryWitness

EAST, WEST = "sb-east-rtz-dev", "sb-west-rtz-dev"
SLOT = "demo/shop"
PRIMARY = DatabaseView(
    EAST, Role.PRIMARY, writable=True, ready=True, system_id="7", timeline=2, replayed="0/60", committed_ms=50_000
)
STANDBY = replace(PRIMARY, region=WEST, role=Role.REPLICA, writable=False, received="0/60")


@dataclass
class FakeTraffic:
    """Answers and counts: every effect is one too many."""

    epoch: int = 1
    effects: list[str] = field(default_factory=list)

    async def observe(self) -> TrafficView:
        return TrafficView((AuthorityView("ns1", "shop.demo.test", self.epoch, ("127.0.0.1",), 10),))

    def plan(self, *, holder: str) -> TrafficPlan:
        return TrafficPlan(holder, {"shop.demo.test": ("127.0.0.1",)}, 10)

    async def apply(self, plan: TrafficPlan, *, epoch: int, run: str) -> Effect:
        self.effects.append("apply")
        return Effect.DONE

    async def set_ttl(self, *, ttl: int, epoch: int, run: str) -> Effect:
        self.effects.append("set_ttl")
        return Effect.DONE

    async def drain(self, *, region: str, epoch: int, budget: float) -> DrainResult:
        self.effects.append("drain")
        return DrainResult(0, 0)

    async def undrain(self, *, region: str, epoch: int) -> Effect:
        self.effects.append("undrain")
        return Effect.DONE

    async def verify(self, plan: TrafficPlan, *, epoch: int) -> list[CheckResult]:
        return []


@dataclass
class FakeAuthority:
    """A name server that only says whether it is ready."""

    name: str
    told: Readiness

    async def readiness(self) -> Readiness:
        return self.told


@dataclass
class Cells(MemoryWitness):
    """Counts swaps."""

    swaps: int = 0

    async def swap(self, **what: Any) -> Any:
        self.swaps += 1
        return await super().swap(**what)


def say(**views: DatabaseView) -> Callable[[str], Awaitable[DatabaseView | None]]:
    async def told(region: str) -> DatabaseView | None:
        return {"east": PRIMARY, "west": STANDBY, **views}[region.split("-")[1]]

    return told


async def version(region: str) -> str:
    return "0.1"


@pytest.fixture
async def register() -> Register:
    register = Register(Cells(), "aaaaaa-bbbbbbbb")
    me = Me(EAST, 10_000, "00000001")
    await register.change(SLOT, lambda lease: bootstrap(lease, me))
    await register.change(SLOT, lambda lease: renew(lease, me, 1))
    register._witness.swaps = 0  # type: ignore[attr-defined]
    return register


def surveyed(register: Register, port: int, **others: Any) -> Survey:
    fields: dict[str, Any] = {
        "databases": say(), "traffic": FakeTraffic(), "authorities": [FakeAuthority("ns1", Readiness(True, 0.5))],
        "fronts": {WEST: ["127.0.0.1"]}, "port": port, "version": "0.1", "versions": version, **others,
    }  # fmt: skip
    return Survey(
        lambda: register.glance(SLOT), lambda: list(register.views.values()), [EAST, WEST], FAST.renew, **fields
    )


KNOWN = Facts(EAST, WEST, drill_age=1.0, goals=Goals(ttl=10))


async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def test_a_dry_run_asks_everybody_and_changes_nothing(register: Register) -> None:
    traffic = FakeTraffic()
    async with await asyncio.start_server(hello, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = [await surveyed(register, port, traffic=traffic).look(KNOWN) for _ in range(2)]
    reports = [plan(Purpose.SWITCHOVER, facts, Times(FAST), names=traffic.plan(holder=WEST)) for facts in found]
    assert not reports[0].blockers
    assert reports[0].fingerprint == reports[1].fingerprint
    assert found[0].epoch == 1
    assert (found[0].lag, found[0].offset, found[0].fronts) == (0.0, 0.5, {"127.0.0.1": True})
    assert traffic.effects == []
    assert register._witness.swaps == 0  # type: ignore[attr-defined]
    await register.close()


async def test_who_is_silent_leaves_a_fact_unknown_and_the_plan_says_so(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "PATIENCE", 0.05)
    never = asyncio.Event()

    async def away(region: str) -> DatabaseView | None:
        if region == EAST:
            await never.wait()
        raise Temporary("it does not answer")

    async def nobody(region: str) -> str | None:
        return None

    blind = surveyed(
        register, free_port(), databases=away, versions=nobody, authorities=[FakeAuthority("ns1", Readiness(None))]
    )
    register._witness.down |= {"a", "b"}  # type: ignore[attr-defined]
    facts = await blind.look(KNOWN)
    names = {check.name for check in blockers(judged(facts, planned=True), planned=True)}
    assert names >= {
        "lease-holder", "epoch-readable", "witness-quorum", "target-agent", "target-ready", "lag", "zone-writable", "clock",
        "target-addresses", "not-suspended",
    }  # fmt: skip
    await register.close()


async def test_a_slot_without_database_and_names_is_asked_for_neither(register: Register) -> None:
    bare = surveyed(register, 1, databases=None, traffic=None, authorities=[], fronts={})
    facts = await bare.look(replace(KNOWN, goals=Goals()))
    assert not blockers(judged(facts, planned=True), planned=True)
    await register.close()


@pytest.mark.parametrize(
    ("primary", "standby", "seconds"),
    [
        (PRIMARY, STANDBY, 0.0), (None, STANDBY, None), (PRIMARY, None, None),
        (replace(PRIMARY, replayed="0/90", committed_ms=53_000), STANDBY, 3.0),
        (replace(PRIMARY, replayed="0/90", committed_ms=40_000), STANDBY, 0.0),
        (replace(PRIMARY, replayed="0/90", committed_ms=None), STANDBY, None),
        (replace(PRIMARY, replayed=None), replace(STANDBY, replayed=None, committed_ms=None), None),
    ],
)  # fmt: skip
def test_a_lag_is_known_where_both_say_how_far_they_are(
    primary: DatabaseView | None, standby: DatabaseView | None, seconds: float | None
) -> None:
    assert gaps.lag(primary, standby) == seconds


def test_timelines_and_ways_back_are_compared_where_both_are_known() -> None:
    assert gaps.same_history(PRIMARY, STANDBY)
    assert gaps.same_history(PRIMARY, replace(STANDBY, timeline=3)) is False
    assert gaps.same_history(PRIMARY, replace(STANDBY, timeline=1)) is None
    assert gaps.same_history(None, STANDBY) is None
    assert gaps.reverses(PRIMARY, STANDBY)
    assert gaps.reverses(replace(PRIMARY, ready=False), STANDBY) is False
    assert gaps.reverses(replace(PRIMARY, role=Role.STOPPED), STANDBY) is False
    assert gaps.reverses(PRIMARY, replace(STANDBY, system_id="8")) is False
    assert gaps.reverses(replace(PRIMARY, ready=None), STANDBY) is None


def test_what_a_dead_holder_loses_is_counted_from_its_last_word() -> None:
    lease = bootstrap(None, Me(EAST, 10_000, "00000001"))
    assert isinstance(lease, Lease)
    assert gaps.loss(lease, STANDBY, 2.0) is None
    told = replace(lease, commit_ms=f"{51_500:x}", lsn="0/70", sync="2")
    assert gaps.loss(told, STANDBY, 2.0) == 3.5
    assert gaps.loss(told, None, 2.0) is None
    assert gaps.loss_bytes(told, STANDBY) == 16
    assert gaps.loss_bytes(told, replace(STANDBY, received="1/0")) == 0
    assert gaps.loss_bytes(lease, STANDBY) is None
    assert gaps.keeps_all(told, [WEST, EAST]) == {WEST}
