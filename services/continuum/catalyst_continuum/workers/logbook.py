"""Between the store and the agents: what was wished and approved is given to an agent, what it does is written down.

Nothing waits for the store: what an agent notes stands here until it is written, and what is lost here by a death the register
still knows.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from catalyst_mesh import Work, get_logger
from catalyst_mesh.waits import rest, rung
from catalyst_sdk import Refused

from catalyst_continuum.domain import approvals, runs
from catalyst_continuum.domain.antiflap import Move
from catalyst_continuum.domain.runs import Kind, Run, RunState
from catalyst_continuum.store import Store

from .agent import Agent

REMEMBERED = 50
"""Runs of a slot that are looked at for how often it moved."""
_BEFORE = (RunState.PENDING, RunState.AWAITING_APPROVAL)
LOOK = 1.0
"""Seconds from one look at the wishes to the next, where nothing rings."""


class Logbook:
    """agents   of this daemon, by slot"""

    def __init__(self, work: Work[Store], agents: Callable[[], Iterable[tuple[str, Agent]]]) -> None:
        self._work = work
        self._agents = agents
        self._noted: dict[str, Run] = {}
        self._history: dict[str, Sequence[Move]] = {}
        self._bell = asyncio.Event()
        self._log = get_logger("logbook")

    def book(self, run: Run) -> None:
        """Note how far a run is; the last word of each is written as soon as the store takes it."""
        self._noted[run.id] = run
        self._bell.set()

    def history(self, slot: str) -> Sequence[Move]:
        """Moves to this region that the daemon made by itself."""
        return self._history.get(slot, ())

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
            recent = await tx.runs_of(slot, limit=REMEMBERED)
        own = [run for run in recent if _is_own(run)]
        self._history[slot] = [Move(run.ended_at or now.timestamp(), run.source, run.target) for run in own]
        for run in open_runs:
            known = agent.moves.known.get(run.id)
            if known is None or known.state in _BEFORE:
                agent.moves.known[run.id] = known = run
            if run.need is not None and run.state is RunState.AWAITING_APPROVAL:
                if approvals.is_over(run.need, run.approvals, run.plan_fingerprint, now):
                    self.book(runs.over(run, RunState.ABORTED, now.timestamp(), "nobody approved it in time"))
            elif known.state is RunState.PENDING and run.executor == agent.duty.region:
                # What the store says may be older than what the agent has done since.
                if agent.moves.ordered is None and not agent.moves.is_busy:
                    agent.order(run)
            elif run.state is RunState.ABORTING:
                self._abort(agent, run)

    def _abort(self, agent: Agent, run: Run) -> None:
        try:
            agent.abort(run)
        except Refused as refused:  # it has moved the epoch, or is over: it goes on
            self._log.info("a run is not taken back", run=run.name, why=str(refused))


def _is_own(run: Run) -> bool:
    """Whether the daemon moved the slot by itself."""
    return run.kind is Kind.FAILOVER and run.initiated_by == "agent" and run.is_past_no_return
