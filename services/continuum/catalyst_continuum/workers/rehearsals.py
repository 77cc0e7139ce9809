"""Every half hour, in whichever region holds a slot, a planned move is rehearsed without any effect: what would stand in its way
is known, and measured, before anybody needs it.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from catalyst_mesh import Work, get_logger
from catalyst_mesh.waits import rest
from catalyst_sdk import Refused

from catalyst_continuum.domain.plan import Plan, Purpose
from catalyst_continuum.domain.slots import Slot
from catalyst_continuum.domain.spec import Spec
from catalyst_continuum.store import Store

EVERY = 1800.0
"""Seconds from one rehearsal of a slot to the next."""


class Plans(Protocol):
    """What makes plans: `workers.planner.Planner`."""

    async def plan(self, slot: Slot, spec: Spec, purpose: Purpose) -> Plan:
        """The plan of a run as things are. Raises RegionInvalid."""
        ...


class Rehearsals:
    """One loop over the slots that this region holds.

    held   slots that are held here, `<namespace>/<name>`, with what is wished for each
    """

    def __init__(
        self, work: Work[Store], plans: Plans, held: Callable[[], Sequence[tuple[str, Spec]]], every: float = EVERY
    ) -> None:
        self._work = work
        self._plans = plans
        self._held = held
        self._every = every
        self._log = get_logger("rehearsals")

    async def run(self, stop: asyncio.Event) -> None:
        """Rehearse until `stop`."""
        while not stop.is_set():
            await rest(stop, self._every)
            for slot, spec in self._held() if not stop.is_set() else ():
                try:
                    await self._rehearse(slot, spec)
                except Exception as error:
                    self._log.error("not rehearsed", slot=slot, exc_info=error)

    async def _rehearse(self, key: str, spec: Spec) -> None:
        async with self._work.reading() as tx:
            slot = await tx.get(*key.split("/", 1))
        if slot is None or slot.gone:
            return
        try:
            made = await self._plans.plan(slot, spec, Purpose.SWITCHOVER)
        except Refused as refused:  # there is nowhere to go
            self._log.info("no move to rehearse", slot=key, why=str(refused))
            return
        if made.blockers:
            self._log.warning("a move would be blocked", slot=key, blockers=list(made.blockers))
