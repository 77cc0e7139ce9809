"""Brings a slot back from a game day: the region that gained it plans the way back, waits until nothing stands in it, and opens
the run, which the agent here begins. One is called off where an alarm rings before its writers are stopped.
What became of it is kept as the slot's last drill.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from catalyst_mesh import Work, get_logger
from catalyst_mesh.waits import rest
from catalyst_sdk import Refused

from catalyst_continuum.domain import drills, game_days, runs, status
from catalyst_continuum.domain.drills import Drill
from catalyst_continuum.domain.plan import Plan, Purpose
from catalyst_continuum.domain.runs import Run, RunState
from catalyst_continuum.domain.slots import Slot
from catalyst_continuum.domain.spec import Spec
from catalyst_continuum.store import Store

from .moves import new_id

LOOK = 5.0
"""Seconds from one look at the slots to the next."""


class Plans(Protocol):
    """What makes plans: `workers.planner.Planner`."""

    async def plan(self, slot: Slot, spec: Spec, purpose: Purpose, *, to_region: str = "") -> Plan:
        """The plan of a run as things are. Raises RegionInvalid."""
        ...


class GameDays:
    """One loop over the slots that have an agent here.

    acted   slots that an agent acts for here, `<namespace>/<name>`, with what is wished for each; not while it starts
    """

    def __init__(
        self, region: str, work: Work[Store], plans: Plans, acted: Callable[[], Sequence[tuple[str, Spec]]], *,
        look: float = LOOK,
    ) -> None:  # fmt: skip
        self._region = region
        self._work = work
        self._plans = plans
        self._acted = acted
        self._look = look
        self._log = get_logger("game-days")

    async def run(self, stop: asyncio.Event) -> None:
        """Bring slots back until `stop`."""
        while not stop.is_set():
            await rest(stop, self._look)
            for slot, spec in self._acted() if not stop.is_set() else ():
                try:
                    await self._bring_back(slot, spec)
                except Refused as refused:  # nobody can go there any more, or another run was begun
                    self._log.info("no way back from a game day yet", slot=slot, why=str(refused))
                except Exception as error:
                    self._log.error("no way back from a game day", slot=slot, exc_info=error)

    async def _bring_back(self, key: str, spec: Spec) -> None:
        namespace, _, name = key.partition("/")
        async with self._work.reading() as tx:
            slot, recent = await tx.get(namespace, name), await tx.runs_of(key, limit=1)
            told = await tx.observed(namespace, name)
        if slot is None or slot.gone:
            return
        found = status.read(told[self._region][0])[1] if self._region in told else ()
        if why := game_days.alarm(recent, self._region, found):
            await self._work.again(partial(self._call_off, key, recent[0].id, why))
        if (drill := game_days.ended(recent, self._region, drills.last(slot))) is not None:
            await self._work.again(partial(self._keep, key, drill))
        if (there := game_days.due(recent, self._region)) is None or slot.suspended:
            return
        plan = await self._plans.plan(slot, spec, Purpose.SWITCHOVER, to_region=there.source)
        if plan.blockers:
            self._log.info("the way back from a game day is blocked", slot=key, blockers=list(plan.blockers))
            await self._work.again(partial(self._give_up, key, there, plan))
        else:
            await self._work.again(partial(self._open, key, there, plan))

    async def _call_off(self, key: str, run: str, why: str, tx: Store) -> None:
        kept = await tx.run(key, run, lock=True)
        if kept is not None and kept.state is RunState.RUNNING and not kept.is_past_no_return:
            await tx.put_run(runs.aborting(kept, tx.now.timestamp(), f"called off by an alarm: {why}"))

    async def _open(self, key: str, there: Run, plan: Plan, tx: Store) -> None:
        await tx.lock(*key.split("/", 1))
        # Whatever was begun since comes first.
        if game_days.due(await tx.runs_of(key, limit=1), self._region) == there and not await tx.open_runs(key):
            await tx.put_run(game_days.way_back(there, plan, new_id(), tx.now))

    async def _give_up(self, key: str, there: Run, plan: Plan, tx: Store) -> None:
        slot = await tx.lock(*key.split("/", 1))
        drill = game_days.given_up(there, plan.blockers, tx.now, drills.last(slot)) if slot is not None else None
        if drill is not None:
            await self._keep(key, drill, tx)

    async def _keep(self, key: str, drill: Drill, tx: Store) -> None:
        slot = await tx.lock(*key.split("/", 1))
        if slot is None or slot.gone:
            return
        decision = drills.drilled(slot, drill, tx.now)
        await tx.save(decision.state)
        tx.emit(*decision.events)
