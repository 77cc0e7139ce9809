"""Keeps with each move what a client of the public name saw of it: a prober for each slot that has an address to write to.

Of a planned move the region that gave measures, which knows when it stopped its writers; of another one the region that gained.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from catalyst_mesh import get_logger
from catalyst_mesh.waits import rest

from catalyst_continuum.domain import runs
from catalyst_continuum.domain.measure import Measured
from catalyst_continuum.domain.runs import Run, RunState, StepState

from .agent import Agent
from .prober import Prober
from .standing import Clock
from .steps.carry import Book

Noted = Callable[[str, str, Measured], None]
"""Hears what a move of a slot cost, with its kind: for the metrics."""

LOOK = 1.0
"""Seconds from one look at the runs to the next."""
AFTER = 3.0
"""Seconds after the end of a run before it is measured: those who are asked by name follow until then."""


class Probes:
    """The probers of a region's daemon.

    probers  by slot
    agents   that are at work, by slot
    book     keeps the record of a run
    """

    def __init__(
        self, region: str, probers: Mapping[str, Prober], agents: Callable[[], Iterable[tuple[str, Agent]]], book: Book,
        clock: Clock, after: float = AFTER, noted: Noted = lambda slot, kind, found: None,
    ) -> None:  # fmt: skip
        self._region = region
        self._probers = probers
        self._agents = agents
        self._book = book
        self._clock = clock
        self._after = after
        self._noted = noted
        self._seen: set[str] = set()
        self._log = get_logger("probes")

    async def run(self, stop: asyncio.Event) -> None:
        """Probe and measure until `stop`."""
        async with asyncio.TaskGroup() as group:
            for prober in self._probers.values():
                group.create_task(prober.run(stop))
            while not stop.is_set():
                await self.measure()
                await rest(stop, LOOK)

    async def measure(self) -> None:
        """Measure the runs that ended a moment ago, each once."""
        for slot, agent in self._agents():
            prober = self._probers.get(slot)
            for run in list(agent.moves.known.values()) if prober is not None else ():
                if prober is not None and self._is_due(run):
                    self._seen.add(run.id)
                    await self._measured(run, prober)

    def _is_due(self, run: Run) -> bool:
        mine = run.source if run.kind.is_planned else run.target
        if run.state is not RunState.SUCCEEDED or mine != self._region or run.source == run.target:
            return False
        return run.id not in self._seen and self._clock().wall - (run.ended_at or 0.0) >= self._after

    async def _measured(self, run: Run, prober: Prober) -> None:
        fenced = _began(run, "FenceSource")
        drain = (_began(run, "Drain"), fenced)
        found = await prober.measure(
            run.epoch,
            fenced_at=self._boot(fenced),
            drain=None if None in drain else (self._boot(drain[0]) or 0.0, self._boot(drain[1]) or 0.0),
        )
        figures = found.figures()
        self._log.info("run measured", run=run.name, **figures)
        self._noted(run.slot, run.kind.word, found)
        if figures:
            self._book(runs.measured(run, figures, self._clock().wall))

    def _boot(self, wall: float | None) -> float | None:
        """A moment of the run's record by the clock of the prober; what was set meanwhile spoils a figure, and nothing else."""
        now = self._clock()
        return None if wall is None else now.boot - (now.wall - wall)


def _began(run: Run, phase: str) -> float | None:
    return next((step.began_at for step in run.steps if step.phase == phase and step.state is StepState.DONE), None)
