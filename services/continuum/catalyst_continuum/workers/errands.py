"""Carries out what is still to be done in the register: a freeze, a thaw. Whoever asked for it does not wait.

Which replica does it is decided by a lease of the daemon's own database. Two that both do it for a moment do no harm: a
slot that is frozen is not frozen again, and what is written about a slot is decided under its lock.
"""

import asyncio
import secrets
from functools import partial

from catalyst_mesh import Lease as Turn
from catalyst_mesh import Leases, Work, get_logger
from catalyst_mesh.telemetry import reconciling

from catalyst_continuum.domain import lease as operations
from catalyst_continuum.domain import slots
from catalyst_continuum.domain.lease import Refusal
from catalyst_continuum.domain.record import Lease, State
from catalyst_continuum.domain.slots import Errand, Slot
from catalyst_continuum.store import Store

from .outcomes import Committed, Outcome, Refused
from .pauses import Pauses
from .registers import Registers

LEASE = "errands"
FIRST, MOST = 1.0, 8.0
"""Seconds before an errand that was not done is tried again: the first time, and at most."""
LEAST = 0.05
"""Seconds between two looks at what waits."""


class Errands:
    """One loop over the slots that wait."""

    def __init__(self, *, work: Work[Store], registers: Registers, leases: Leases) -> None:
        self._work = work
        self._registers = registers
        self._leases = leases
        self._pauses = Pauses(first=FIRST, most=MOST)
        self._log = get_logger("errands")

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`."""
        await self._leases.keep(LEASE, stop, partial(self._work_on, stop))

    async def _work_on(self, stop: asyncio.Event, turn: Turn) -> None:
        with self._work.bell.listening("slot") as bell:
            while not stop.is_set():
                turn.check()
                bell.clear()
                async with self._work.reading() as tx:
                    waiting = await tx.errands()
                self._pauses.only(map(_key, waiting))
                await asyncio.gather(*(self._guarded(slot) for slot in waiting if self._pauses.is_due(_key(slot))))
                soonest = self._pauses.soonest(map(_key, waiting))
                await self._work.bell.wait(stop, bell, None if soonest is None else max(LEAST, soonest))

    async def _guarded(self, slot: Slot) -> None:
        is_done = False
        try:
            with reconciling("errand"):
                is_done = await self.do(slot)
        except Exception as error:
            self._log.error("errand not done", slot=slot.key, exc_info=error)
        (self._pauses.succeeded if is_done else self._pauses.failed)(_key(slot))

    async def do(self, slot: Slot) -> bool:
        """Try once what a slot waits for; whether the register is as wished."""
        outcome = await self._registers.at(slot).register.change(slot.key, partial(_wish, slot.errand))
        known = outcome.lease if isinstance(outcome, Committed | Refused) else None
        done = _is_done(slot.errand, outcome)

        async def step(tx: Store) -> None:
            current = await tx.lock(slot.namespace, slot.name)
            if current is None or current.gone:
                return
            # Somebody may wish the opposite by now: what the register says is told, and the new errand stays.
            mine = done and current.errand is slot.errand
            decision = slots.noticed(current, known, tx.now, by="continuum", errand_done=mine)
            await tx.save(decision.state)
            await tx.noted(decision.state)
            tx.emit(*decision.events)

        await self._work.again(step)
        return done


def _key(slot: Slot) -> tuple[str, Errand]:
    """Who wishes the opposite of what was not done does not wait for it."""
    return slot.key, slot.errand


def _wish(errand: Errand, lease: Lease | None) -> Lease | Refusal:
    nonce = secrets.token_hex(4)
    return operations.freeze(lease, nonce) if errand is Errand.FREEZE else operations.thaw(lease, nonce)


def _is_done(errand: Errand, outcome: Outcome) -> bool:
    """Whether the register is as wished: by this change, or because it was so. What was never written is not frozen by
    anybody; it stays to be frozen as soon as it is."""
    if isinstance(outcome, Committed):
        return True
    if not isinstance(outcome, Refused):
        return False
    is_frozen = outcome.lease is not None and outcome.lease.state is State.FROZEN
    return is_frozen if errand is Errand.FREEZE else not is_frozen
