"""Moves records of slots to other cells, once a wish that names them was accepted; whoever asked for it does not wait.

Each region of a slot has this done for its own store, and they do not agree on it beforehand: what was done stands in the
registers. The holder's region begins, so that its agent is the first to follow, well within its authority; the others wait until
the old record is buried.
"""

import asyncio
import json
from functools import partial

from catalyst_mesh import Lease as Turn
from catalyst_mesh import Leases, Work, get_logger
from catalyst_mesh.telemetry import reconciling
from catalyst_sdk import Refused as NotPossible

from catalyst_continuum.domain import parsing, reconfigure, slots
from catalyst_continuum.domain.lease import Refusal
from catalyst_continuum.domain.reconfigure import Step
from catalyst_continuum.domain.slots import Slot
from catalyst_continuum.store import Store

from .outcomes import Committed
from .pauses import Pauses
from .reconfigure import Configuration, Reconfiguration
from .registers import Placed, Registers

LEASE = "relocations"
FIRST, MOST = 1.0, 2.0
"""Seconds from one look at a move to the next: the first time, and at most. A holder has to have followed its record well within
its authority."""
LEAST = 0.05
"""Seconds between two looks at what waits."""


class Relocations:
    """One loop over the slots that move.

    region   whose daemon this is; empty: a control plane's, which acts for regions that have none of their own
    """

    def __init__(self, region: str, *, work: Work[Store], registers: Registers, leases: Leases) -> None:
        self._region = region
        self._work = work
        self._registers = registers
        self._leases = leases
        self._pauses = Pauses(first=FIRST, most=MOST)
        self._log = get_logger("relocations")

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`."""
        await self._leases.keep(LEASE, stop, partial(self._work_on, stop))

    async def _work_on(self, stop: asyncio.Event, turn: Turn) -> None:
        with self._work.bell.listening("slot") as bell:
            while not stop.is_set():
                turn.check()
                bell.clear()
                async with self._work.reading() as tx:
                    waiting = await tx.relocating()
                keys = [slot.key for slot in waiting]
                self._pauses.only(keys)
                await asyncio.gather(*(self._guarded(slot) for slot in waiting if self._pauses.is_due(slot.key)))
                soonest = self._pauses.soonest(keys)
                await self._work.bell.wait(stop, bell, None if soonest is None else max(LEAST, soonest))

    async def _guarded(self, slot: Slot) -> None:
        try:
            with reconciling("relocation"):
                await self.do(slot)
        except NotPossible as refused:
            self._log.warning("slot not moved", slot=slot.key, why=str(refused))
        except Exception as error:
            self._log.error("slot not moved", slot=slot.key, exc_info=error)
        # One that has moved is not among those that wait any more.
        self._pauses.failed(slot.key)

    async def do(self, slot: Slot) -> None:
        """Bring one slot as far as it goes now."""
        old, new = self._registers.at(slot), self._registers.of(parsing.lease_client(slots.lease_wish(slot.document)))
        if not await self._may_begin(slot, old):
            return
        moved = Reconfiguration(
            slot.key,
            old=Configuration(old.configuration, old.register),
            new=Configuration(new.configuration, new.register),
            admit=partial(self._admit, slot),
            suspended=slot.suspended,
        )  # fmt: skip - one call
        outcome = await moved.run()
        if outcome is not Step.DONE:
            why = outcome.why if not isinstance(outcome, Step) else str(outcome)
            self._log.info("slot not moved yet", slot=slot.key, why=why)
        if isinstance(outcome, Refusal):
            await self._falter(slot, outcome.why)

    async def _may_begin(self, slot: Slot, old: Placed) -> bool:
        """Whether this region holds the slot, or nobody does, or whoever does has begun."""
        seen = await old.register.read(slot.key)
        if not isinstance(seen, Committed):
            return False
        lease = seen.lease
        return lease is None or self._region in ("", lease.holder) or not lease.holder or reconfigure.is_buried(lease)

    async def _admit(self, slot: Slot) -> None:
        async def step(tx: Store) -> None:
            current = await tx.lock(slot.namespace, slot.name)
            if current is None or (current.left_cells, current.document) != (slot.left_cells, slot.document):
                return  # it is wished otherwise by now, or admitted already
            decision = slots.settled(current, tx.now)
            await tx.save(decision.state)
            tx.emit(*decision.events)

        await self._work.again(step)
        self._log.warning("slot has moved to other cells", slot=slot.key, was=json.loads(slot.left_cells)["kind"])

    async def _falter(self, slot: Slot, why: str) -> None:
        async def step(tx: Store) -> None:
            current = await tx.lock(slot.namespace, slot.name)
            if current is not None and (decision := slots.stuck(current, why, tx.now)).events:
                await tx.save(decision.state)
                tx.emit(*decision.events)

        await self._work.again(step)
