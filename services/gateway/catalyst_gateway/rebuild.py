"""Builds the model of things anew beside the one that is read, and puts it in its place.

Invariants
  beside      until the last moment readers read the old model and what happens is written to it;
  whole       the new one has every thing of the old one, told anew by the rules of today, and every event that is kept;
  one moment  the last events are told to it, and it takes the other's place, in one transaction that no event comes between;
  goes on     how far it has come stands beside it: whoever takes over goes on there; what was told twice changes nothing.
"""

import asyncio

from catalyst_mesh import Lease, LeaseLost, Leases, Work, get_logger
from catalyst_mesh.database import is_outage

from .shelves import Model
from .store import Store
from .tables import read_model
from .things import SCHEMA, retold

LEASE = "rebuild"
BITE = 500
"""Facts of one transaction; what is in memory at a time."""


class Rebuild:
    """Builds a model wherever one is wished, or where the one that is read was made by older rules."""

    def __init__(self, *, work: Work[Store], leases: Leases) -> None:
        self._work = work
        self._leases = leases
        self._log = get_logger("rebuild")

    async def run(self, stop: asyncio.Event) -> None:
        """Build what is to be built, until `stop`."""
        heard = self._work.bell.listener(read_model.name)
        while not stop.is_set():
            heard.clear()
            try:
                if await self._is_due():
                    await self._leases.attempt(LEASE, lambda lease: self._build(stop, lease))
            except LeaseLost:
                continue
            except Exception as error:
                if not is_outage(error):
                    raise
                self._log.debug("database away", error=repr(error))
            await self._work.bell.wait(stop, heard)

    async def _is_due(self) -> bool:
        async with self._work.reading() as tx:
            return await tx.building() is not None or (await tx.live()).schema < SCHEMA

    async def _build(self, stop: asyncio.Event, lease: Lease) -> None:
        is_left = True
        while is_left and not stop.is_set():
            is_left = await self._step(lease)

    async def _step(self, lease: Lease) -> bool:
        """The next bite; False once nothing is left to do."""

        async def step(tx: Store) -> bool:
            await lease.guard(tx.sql)
            model = await tx.building()
            if model is None:
                if (await tx.live()).schema >= SCHEMA:
                    return False
                await tx.wish_rebuild()
                return True
            if model.copied is not None:
                await self._copy(tx, model)
                return True
            return not await self._replay(tx, model)

        return await self._work.again(step)

    async def _copy(self, tx: Store, model: Model) -> None:
        facts = await tx.facts_after(model.copied or "", BITE)
        await tx.fold_all(model.id, [told for fact in facts for told in retold(fact)])
        await tx.reach(model.id, copied=facts[-1].key if len(facts) == BITE else None, replayed=0)

    async def _replay(self, tx: Store, model: Model) -> bool:
        """Tell the next events; True once the model has taken the other's place."""
        number, facts = await tx.facts_told_after(model.replayed, BITE)
        if number is None:
            await tx.take_turn()  # no event may come between the last look and the change of places
            number, facts = await tx.facts_told_after(model.replayed, BITE)
        await tx.fold_all(model.id, facts)
        if number is not None:
            await tx.reach(model.id, copied=None, replayed=number)
            return False
        await tx.swap(model.id)
        self._log.info("model rebuilt", model=model.id, schema=model.schema)
        return True
