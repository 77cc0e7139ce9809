"""Every half hour, in each region that takes part in a slot, a planned move is rehearsed without any effect: what would stand in
its way is known, and measured, before anybody needs it.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from catalyst_mesh import Work, get_logger
from catalyst_mesh.waits import rest
from catalyst_sdk import Refused

from catalyst_continuum.clock import boottime
from catalyst_continuum.domain import drills
from catalyst_continuum.domain.drills import Drill
from catalyst_continuum.domain.plan import Plan, Purpose
from catalyst_continuum.domain.slots import Slot
from catalyst_continuum.domain.spec import DrillKind, Spec
from catalyst_continuum.store import Store

EVERY = 1800.0
"""Seconds from one rehearsal of a slot to the next."""
AGAIN = 30.0
"""The same after one that did not pass, or could not be made: what was not known a moment ago may be known now. Each time
twice as long, up to `EVERY`."""
LOOK = 2.0
"""Seconds from one look at the slots to the next."""


class Plans(Protocol):
    """What makes plans: `workers.planner.Planner`."""

    async def plan(self, slot: Slot, spec: Spec, purpose: Purpose) -> Plan:
        """The plan of a run as things are. Raises RegionInvalid."""
        ...


class Rehearsals:
    """One loop over the slots that have an agent here.

    acted   slots that an agent acts for here, `<namespace>/<name>`, with what is wished for each; not while it starts
    """

    def __init__(
        self, work: Work[Store], plans: Plans, acted: Callable[[], Sequence[tuple[str, Spec]]], *,
        every: float = EVERY, again: float = AGAIN, look: float = LOOK, clock: Callable[[], float] = boottime,
    ) -> None:  # fmt: skip
        self._work = work
        self._plans = plans
        self._acted = acted
        self._every = every
        self._again = again
        self._look = look
        self._clock = clock
        self._due: dict[str, float] = {}
        self._pause: dict[str, float] = {}
        self._log = get_logger("rehearsals")

    async def run(self, stop: asyncio.Event) -> None:
        """Rehearse until `stop`."""
        while not stop.is_set():
            await rest(stop, self._look)
            for slot, spec in self._acted() if not stop.is_set() else ():
                if self._clock() >= self._due.get(slot, 0.0):
                    passed = await self._guarded(slot, spec)
                    self._pause[slot] = self._every if passed else self._longer(slot)
                    self._due[slot] = self._clock() + self._pause[slot]

    def _longer(self, slot: str) -> float:
        before = self._pause.get(slot, self._every)
        return self._again if before >= self._every else min(self._every, 2 * before)

    async def _guarded(self, slot: str, spec: Spec) -> bool:
        try:
            return await self._rehearse(slot, spec)
        except Exception as error:
            self._log.error("not rehearsed", slot=slot, exc_info=error)
            return False

    async def _rehearse(self, key: str, spec: Spec) -> bool:
        async with self._work.reading() as tx:
            slot = await tx.get(*key.split("/", 1))
        if slot is None or slot.gone:
            return False
        try:
            made = await self._plans.plan(slot, spec, Purpose.SWITCHOVER)
        except Refused as refused:  # there is nowhere to go
            self._log.info("no move to rehearse", slot=key, why=str(refused))
            return False
        if made.blockers:
            self._log.warning("a move would be blocked", slot=key, blockers=list(made.blockers))
        await self._keep(key, made)
        return not made.blockers

    async def _keep(self, key: str, made: Plan) -> None:
        async def step(tx: Store) -> None:
            slot = await tx.lock(*key.split("/", 1))
            if slot is None or slot.gone:
                return
            drill = Drill(DrillKind.DRY_RUN, tx.now, not made.blockers, made.disruption, "; ".join(made.blockers))
            decision = drills.drilled(slot, drill, tx.now)
            if decision.events:
                await tx.save(decision.state)
                tx.emit(*decision.events)
            else:
                await tx.noted(decision.state)

        await self._work.again(step)
