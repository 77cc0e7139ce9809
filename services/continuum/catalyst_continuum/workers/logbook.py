"""Runs between the store and the agents: what was wished and approved is given to an agent, what it does is written down.

Nothing waits for the store: what an agent notes stands here until it is written, and what is lost here by a death the register
still knows.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

from catalyst_mesh import Work, get_logger
from catalyst_mesh.waits import rest, rung
from catalyst_sdk import Refused

from catalyst_continuum.domain import approvals, runs
from catalyst_continuum.domain.runs import Run, RunState
from catalyst_continuum.store import Store

from .agent import Agent

LOOK = 1.0
"""Seconds from one look at the wishes to the next, where nothing rings."""


class Logbook:
    """agents   of this daemon, by slot"""

    def __init__(self, work: Work[Store], agents: Callable[[], Iterable[tuple[str, Agent]]]) -> None:
        self._work = work
        self._agents = agents
        self._noted: dict[str, Run] = {}
        self._bell = asyncio.Event()
        self._log = get_logger("logbook")

    def book(self, run: Run) -> None:
        """Note how far a run is; the last word of each is written as soon as the store takes it."""
        self._noted[run.id] = run
        self._bell.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Write and give out until `stop`."""
        while not stop.is_set():
            self._bell.clear()
            try:
                await self._write()
                for slot, agent in self._agents():
                    await self._give_out(slot, agent)
            except Exception as error:
                self._log.error("the store takes no runs", exc_info=error)
                await rest(stop, LOOK)
            await rung(stop, self._bell, LOOK)

    async def _write(self) -> None:
        for id, run in list(self._noted.items()):
            await self._work.again(partial(self._put, run))
            if self._noted.get(id) is run:
                del self._noted[id]

    async def _put(self, told: Run, tx: Store) -> None:
        kept = await tx.run(told.slot, told.id, lock=True)
        after = runs.merged(kept, told)
        if after is not kept:
            await tx.put_run(after)

    async def _give_out(self, slot: str, agent: Agent) -> None:
        async with self._work.reading() as tx:
            open_runs, now = await tx.open_runs(slot), tx.now
        for run in open_runs:
            agent.moves.known.setdefault(run.id, run)
            if run.need is not None and run.state is RunState.AWAITING_APPROVAL:
                if approvals.is_over(run.need, run.approvals, run.plan_fingerprint, now):
                    self.book(runs.over(run, RunState.ABORTED, now.timestamp(), "nobody approved it in time"))
            elif run.state is RunState.PENDING and run.executor == agent.duty.region:
                if agent.moves.ordered is None and not agent.moves.is_busy:
                    agent.order(run)
            elif run.state is RunState.ABORTING:
                self._abort(agent, run)

    def _abort(self, agent: Agent, run: Run) -> None:
        try:
            agent.abort(run)
        except Refused as refused:  # it has moved the epoch, or is over: it goes on
            self._log.info("a run is not taken back", run=run.name, why=str(refused))
