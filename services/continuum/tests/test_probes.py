"""What a client of the public name saw of a move is kept with its run, once, by the region that can tell."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from catalyst_continuum.domain import runs
from catalyst_continuum.domain.authority import Moment
from catalyst_continuum.domain.measure import Measured
from catalyst_continuum.domain.runs import Kind, Run, RunState
from catalyst_continuum.workers.probes import Probes

EAST, WEST, SLOT = "sb-east-rtz-dev", "sb-west-rtz-dev", "demo/shop"
NOW = Moment(500.0, 1_000_000.0)
SEEN = Measured(rto=2.0, rows=0, rpo=0.0)


@dataclass
class FakeProber:
    """Remembers what it was asked to measure."""

    asked: list[Any] = field(default_factory=list)
    answer: Measured = SEEN

    async def measure(self, epoch: int, *, fenced_at: float | None, drain: tuple[float, float] | None) -> Measured:
        self.asked.append((epoch, fenced_at, drain))
        return self.answer


def ended(kind: Kind, ago: float = 10.0, state: RunState = RunState.SUCCEEDED) -> Run:
    run = runs.opened(Run("abcdefghij", SLOT, kind, EAST, WEST, 4, 5), NOW.wall - 60)
    for number in range(1, 8):
        run = runs.reached(runs.began(run, number, NOW.wall - 40 + number), number, NOW.wall - 39 + number)
    return runs.over(run, state, NOW.wall - ago)


async def measured(region: str, run: Run, prober: FakeProber) -> list[Run]:
    booked: list[Run] = []
    agent = SimpleNamespace(moves=SimpleNamespace(known={run.id: run}))
    noted: list[Any] = []
    probes = Probes(
        region, {SLOT: prober}, lambda: [(SLOT, agent)], booked.append, lambda: NOW, noted=lambda *told: noted.append(told)  # type: ignore[dict-item, list-item]
    )  # fmt: skip
    for _ in range(2):
        await probes.measure()
    assert noted == [(SLOT, run.kind.word, prober.answer)] * len(prober.asked), "the metrics hear of it, once"
    return booked


async def test_a_planned_move_is_measured_once_by_the_region_that_stopped_its_writers() -> None:
    run, prober = ended(Kind.SWITCHOVER), FakeProber()
    (booked,) = await measured(EAST, run, prober)
    assert prober.asked == [(5, 500.0 - 34, (500.0 - 35, 500.0 - 34))]
    assert booked.measured == {"rto": 2.0, "rpo_rows": 0.0, "rpo": 0.0}
    kept = runs.merged(run, booked)
    assert (kept.measured, kept.version) == (booked.measured, run.version + 1)
    assert runs.merged(kept, replace(booked, measured={"rto": 9.0})) is kept, "what was measured stays"
    assert await measured(WEST, run, FakeProber()) == []


async def test_a_failover_is_measured_by_the_region_that_gained() -> None:
    prober = FakeProber()
    assert len(await measured(WEST, ended(Kind.FAILOVER), prober)) == 1
    assert prober.asked == [(5, None, None)]
    assert await measured(EAST, ended(Kind.FAILOVER), FakeProber()) == []


@pytest.mark.parametrize(
    "run",
    [
        ended(Kind.FAILOVER, 1.0),
        ended(Kind.FAILOVER, state=RunState.FAILED),
        replace(ended(Kind.FAILOVER), source=WEST),
    ],
)
async def test_what_ended_just_now_or_badly_or_moved_nothing_is_not_measured(run: Run) -> None:
    assert await measured(WEST, run, FakeProber()) == []


async def test_where_nothing_was_seen_nothing_is_kept() -> None:
    assert await measured(WEST, ended(Kind.FAILOVER), FakeProber(answer=Measured())) == []


def test_the_parts_of_a_move_are_the_times_of_its_steps() -> None:
    assert runs.parts(ended(Kind.SWITCHOVER)) == {"fence": 1.0}
    assert runs.parts(runs.opened(ended(Kind.FAILOVER), 0.0)) == {}
