"""Between the store and the agents: what was wished and approved is given to an agent, what it does is written down and told.

Nothing waits for the store: what an agent tells stands on disk until it is written; what is noted of a run stands here, and what
is lost of that by a death the register still knows.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from catalyst_mesh import Work, get_logger
from catalyst_mesh.waits import rest, rung
from catalyst_sdk import Refused

from catalyst_continuum.domain import approvals, runs, slots, telling
from catalyst_continuum.domain.antiflap import Move
from catalyst_continuum.domain.facts import Fact
from catalyst_continuum.domain.runs import Kind, Run, RunState
from catalyst_continuum.store import Store

from .agent import Agent
from .spool import Spool, Told

REMEMBERED = 50
"""Runs of a slot that are looked at for how often it moved."""
_BEFORE = (RunState.PENDING, RunState.AWAITING_APPROVAL)
LOOK = 1.0
"""Seconds from one look at the wishes to the next, where nothing rings."""


class Logbook:
    """agents   of this daemon, by slot
    heard    hears each fact that was told, for the metrics
    spool    where what is to be told waits for the store"""

    def __init__(
        self, work: Work[Store], agents: Callable[[], Iterable[tuple[str, Agent]]],
        heard: Callable[[Fact], None] = lambda fact: None, spool: Spool | None = None,
    ) -> None:  # fmt: skip
        self._work = work
        self._agents = agents
        self._heard = heard
        self._noted: dict[str, Run] = {}
        self._spool = spool or Spool(None)
        self._history: dict[str, tuple[Sequence[Move], float]] = {}
        self._bell = asyncio.Event()
        self._log = get_logger("logbook")

    def book(self, run: Run) -> None:
        """Note how far a run is; the last word of each is written as soon as the store takes it."""
        self._noted[run.id] = run
        self._bell.set()

    def tell(self, slot: str, region: str, kind: str, why: str, evidence: Mapping[str, str]) -> None:
        """Tell what an agent did, as soon as the store takes it."""
        self._log.info(kind, slot=slot, region=region, why=why, **evidence)
        if telling.of_agent(kind, region, why, evidence) is not None:
            self._spool.put(Told(slot, region, kind, why, dict(evidence)))
            self._bell.set()

    def history(self, slot: str) -> tuple[Sequence[Move], float]:
        """Moves of a slot that this region knows, and when a person last said that they were seen (wall clock)."""
        return self._history.get(slot, ((), 0.0))

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
            self._count(await self._work.again(partial(self._put, run)))
            if self._noted.get(id) is run:
                del self._noted[id]
        while (waiting := self._spool.first()) is not None:
            number, told = waiting
            fact = telling.of_agent(told.kind, told.region, told.why, told.evidence)
            if fact is not None:  # else it is of another version, which had more to tell
                self._count(await self._work.again(partial(self._told, told.slot, [fact])))
            self._spool.taken(number)

    def _count(self, what: Sequence[object]) -> None:
        for fact in what:
            if isinstance(fact, Fact):
                self._heard(fact)

    async def _put(self, told: Run, tx: Store) -> Sequence[object]:
        kept = await tx.run(told.slot, told.id, lock=True)
        after = runs.merged(kept, told)
        if after is kept:
            return ()
        await tx.put_run(after)
        return await self._told(told.slot, list(telling.of_run(kept, after, tx.now)), tx)

    async def _told(self, slot: str, what: Sequence[Fact], tx: Store) -> Sequence[object]:
        namespace, _, name = slot.partition("/")
        held = await tx.lock(namespace, name) if what else None
        if held is None or held.gone:
            return ()
        decision = slots.told(held, tx.now, *what)
        await tx.save(decision.state)
        tx.emit(*decision.events)
        return decision.events

    async def _give_out(self, slot: str, agent: Agent) -> None:
        async with self._work.reading() as tx:
            open_runs, now = await tx.open_runs(slot), tx.now
            recent, held = await tx.runs_of(slot, limit=REMEMBERED), await tx.get(*slot.split("/", 1))
        seen_at = held.acknowledged_at.timestamp() if held is not None and held.acknowledged_at is not None else 0.0
        self._history[slot] = (
            [Move(run.ended_at or now.timestamp(), run.source, run.target) for run in recent if _is_own(run)], seen_at,
        )  # fmt: skip
        for run in open_runs:
            if run.kind is Kind.DRILL and run.state is not RunState.AWAITING_APPROVAL:
                continue  # it moves nothing: `workers.isolated` does it
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
