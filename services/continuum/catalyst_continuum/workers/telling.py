"""What agents tell, brought into the store: under the slot's lock, in order, in its chain. No agent waits for it.

While the store is away what was told waits here, in order. What waits when the process dies is lost to the audit, and to
nothing else: who holds a slot stands in the register.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from catalyst_mesh import Work, get_logger
from catalyst_mesh.waits import rest, rung

from catalyst_continuum.domain import accounts, facts, slots
from catalyst_continuum.domain.facts import Fact
from catalyst_continuum.domain.runs import Run
from catalyst_continuum.metrics import ContinuumMetrics
from catalyst_continuum.store import Store

from .steps.scene import Tell

MOST = 10_000
"""Facts that wait at most; the oldest go first, and the log says so."""
PAUSE = 1.0
"""Seconds before a store that was away is tried again."""


@dataclass(frozen=True, slots=True)
class _Letter:
    slot: str
    what: tuple[Fact, ...]


class Telling:
    """One queue of a region's daemon."""

    def __init__(self, *, work: Work[Store], region: str, metrics: ContinuumMetrics) -> None:
        self._work = work
        self._region = region
        self._metrics = metrics
        self._waiting: deque[_Letter] = deque()
        self._bell = asyncio.Event()
        self._runs: dict[str, Run] = {}
        self._log = get_logger("telling")

    def of(self, slot: str) -> Tell:
        """Where the agent of a slot tells what happened. What the register and the records of runs tell is told by those."""

        def tell(kind: str, *, why: str = "", evidence: Mapping[str, str] | None = None) -> None:
            if (fact := _fact(kind, why, evidence or {}, self._region)) is not None:
                self.put(slot, fact)

        return tell

    def book(self, slot: str) -> Callable[[Run], None]:
        """Where the agent of a slot puts the records of its runs."""

        def note(run: Run) -> None:
            self.put(slot, *accounts.happened(self._runs.get(run.name), run))
            self._runs[run.name] = run

        return note

    def put(self, slot: str, *what: Fact) -> None:
        """Tell these facts of a slot, as soon as the store takes them."""
        if not what:
            return
        self._waiting.append(_Letter(slot, what))
        if len(self._waiting) > MOST:
            lost = self._waiting.popleft()
            self._log.error("facts lost to the audit", slot=lost.slot, facts=[fact.subject for fact in lost.what])
        self._bell.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Bring what is told into the store until `stop`, and what waits then."""
        while not stop.is_set():
            self._bell.clear()
            await self._empty(stop)
            await rung(stop, self._bell, PAUSE)
        await self._empty(asyncio.Event())

    async def _empty(self, stop: asyncio.Event) -> None:
        while self._waiting and not stop.is_set():
            try:
                await self._keep(self._waiting[0])
            except Exception as error:  # the store is away: in order, so nothing is passed over
                self._log.error("not told", slot=self._waiting[0].slot, exc_info=error)
                await rest(stop, PAUSE)
                return
            self._waiting.popleft()

    async def _keep(self, letter: _Letter) -> None:
        namespace, _, name = letter.slot.partition("/")

        async def step(tx: Store) -> tuple[object, ...]:
            held = await tx.lock(namespace, name)
            if held is None or held.gone:
                return ()
            decision = slots.told(held, tx.now, *letter.what)
            await tx.save(decision.state)
            tx.emit(*decision.events)
            return decision.events

        for fact in await self._work.again(step):
            if isinstance(fact, Fact):
                self._metrics.told(fact)


def _fact(kind: str, why: str, evidence: Mapping[str, str], region: str) -> Fact | None:
    """The fact that an agent's word means; None: it is told by the register, or by the record of a run."""
    match kind:
        case "region.fenced":
            level = int(evidence.get("level", "1"))
            took = float(evidence.get("took", "0"))
            return facts.RegionFenced(region=region, level=level, took=took, reason=why, evidence=evidence)
        case "region.unfenced":
            return facts.RegionUnfenced(region=region, reason=why, evidence=evidence)
        case "rejoin.attempted":
            attempts = int(evidence.get("attempt", "1"))
            return facts.RejoinAttempted(target=region, attempts=attempts, message=why, evidence=evidence)
        case "splitbrain.suspected":
            return facts.SplitbrainSuspected(writable=(region,), reason=why, evidence=evidence)
        case "continuum.errored":
            return facts.ContinuumErrored(condition="Ready", reason=why, evidence=evidence)
        case "failsafe.entered":
            return facts.FailsafeEntered(promised_by=tuple(evidence), reason=why)
        case "failsafe.left":
            return facts.FailsafeLeft(recovered=evidence.get("recovered") == "true", reason=why)
        case _:
            return None
