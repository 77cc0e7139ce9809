"""Keeps the slots of this region: bootstraps, renews, gives back.

Authority is counted from the moment at which a committed renewal was sent, on a clock that counts suspension, and never from
an answer's arrival. A slot without a standby has no writers to fence here; its lease says which region may act as primary.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from catalyst_mesh import Lease as Turn
from catalyst_mesh import Leases, Work, get_logger
from catalyst_mesh.telemetry import Backlog, reconciling
from catalyst_mesh.waits import rest
from catalyst_sdk import Decision

from catalyst_continuum.clock import boottime
from catalyst_continuum.domain import lease as operations
from catalyst_continuum.domain import slots
from catalyst_continuum.domain.lease import Me
from catalyst_continuum.domain.record import Lease
from catalyst_continuum.domain.slots import Phase, Slot
from catalyst_continuum.domain.timing import Profile
from catalyst_continuum.store import Store

from .outcomes import Committed, Outcome, Refused, Unknown
from .pauses import Pauses
from .registers import Registers

LEASE = "slots"


@dataclass(frozen=True, slots=True)
class Held:
    """What this replica knows of a lease: until when it gives authority, and when that was seen (`boottime`)."""

    until: float
    seen_at: float


class Keeper:
    """One loop over all slots; which replica runs it is decided by a lease of the daemon's own database.

    Two replicas that both run it for a moment do no harm: they propose under names of their own for the same region, and
    what they write about a slot is decided under its lock.
    """

    def __init__(
        self, *, work: Work[Store], registers: Registers, leases: Leases, profile: Profile,
        clock: Callable[[], float] = boottime,
    ) -> None:  # fmt: skip
        self._work = work
        self._registers = registers
        self._leases = leases
        self._profile = profile
        self._clock = clock
        self._log = get_logger("keeper")
        self._backlog = Backlog("slot")
        self._held: dict[str, Held] = {}
        # Never rarer than renewals are due: a holder whose cells come back must be in time.
        self._pauses = Pauses(first=profile.renew / 4, most=profile.renew, clock=clock)

    async def run(self, stop: asyncio.Event) -> None:
        """Look after every slot once in each renewal interval, new ones sooner."""
        await self._leases.keep(LEASE, stop, partial(self._work_on, stop))

    async def _work_on(self, stop: asyncio.Event, turn: Turn) -> None:
        self._held.clear()  # another replica may have had its turn since
        while not stop.is_set():
            turn.check()
            async with self._work.reading() as tx:
                kept = await tx.kept()
            self._pauses.only(slot.key for slot in kept)
            due = [slot for slot in kept if self._is_due(slot)]
            self._backlog.see(slot.key for slot in due)
            await asyncio.gather(*(self._guarded(slot) for slot in due))
            await rest(stop, self._profile.renew / 4)

    def _is_due(self, slot: Slot) -> bool:
        held = self._held.get(slot.key)
        wants = held is None or slot.phase is Phase.LEAVING or self._clock() - held.seen_at >= self._profile.renew
        return wants and self._pauses.is_due(slot.key)

    async def _guarded(self, slot: Slot) -> None:
        is_done = False
        try:
            with reconciling("slot"):
                is_done = await (self._give_back(slot) if slot.phase is Phase.LEAVING else self._keep(slot))
        except Exception as error:
            self._log.error("slot not kept", slot=slot.key, exc_info=error)
        (self._pauses.succeeded if is_done else self._pauses.failed)(slot.key)

    async def _keep(self, slot: Slot) -> bool:
        outcome = await self._registers.at(slot).register.change(slot.key, partial(self._wish, slot))
        if isinstance(outcome, Committed) and outcome.lease is not None:
            held = Held(outcome.sent_at + self._profile.authority, self._clock())
            self._held[slot.key] = held
            await self._hold(slot, outcome.lease, held)
            return True
        await self._decide(slot, lambda s, tx: slots.falter(s, _why(outcome), tx.now))
        return False

    async def _hold(self, slot: Slot, lease: Lease, held: Held) -> None:
        async def step(tx: Store) -> None:
            current = await self._current(tx, slot)
            if current is None:
                return
            decision = slots.hold(current, lease.epoch, lease.seq, tx.now)
            if decision.state is not None:
                await tx.save(decision.state)
                tx.emit(*decision.events)
            # For whoever asks another replica: what is left of the authority, counted on.
            await tx.renewed(slot, lease.seq, tx.now + timedelta(seconds=held.until - self._clock()))

        await self._work.again(step)

    def _wish(self, slot: Slot, lease: Lease | None) -> Lease | operations.Refusal:
        return operations.keep(lease, self._me(slot), known=slot.epoch)

    async def _give_back(self, slot: Slot) -> bool:
        def wish(lease: Lease | None) -> Lease | operations.Refusal:
            return operations.release(lease, self._me(slot), lease.epoch if lease else 0, operations.NO_WRITERS)

        outcome = await self._registers.at(slot).register.change(slot.key, wish)
        mine = isinstance(outcome, Refused) and outcome.lease is not None and outcome.lease.holder == slot.region
        if isinstance(outcome, Unknown) or mine:
            return False  # asked again at a later turn
        self._held.pop(slot.key, None)
        await self._decide(slot, lambda s, tx: slots.forget(s, tx.now))
        return True

    async def _decide(self, slot: Slot, decide: Callable[[Slot, Store], Decision[Slot | None]]) -> None:
        async def step(tx: Store) -> None:
            current = await self._current(tx, slot)
            if current is None:
                return
            decision = decide(current, tx)
            if decision.state is not None:
                await tx.save(decision.state)
                tx.emit(*decision.events)

        await self._work.again(step)

    async def _current(self, tx: Store, slot: Slot) -> Slot | None:
        """The slot under its lock; None where it is another wish by now: one that was asked to leave meanwhile is not
        made healthy again."""
        current = await tx.lock(slot.namespace, slot.name)
        if current is None or current.gone or (current.phase is Phase.LEAVING) != (slot.phase is Phase.LEAVING):
            return None
        return current

    def _me(self, slot: Slot) -> Me:
        return Me(slot.region, int(self._profile.ttl * 1000), secrets.token_hex(4))


def _why(outcome: Outcome) -> str:
    if isinstance(outcome, Unknown | Refused):
        return outcome.why
    return "the register holds no record"
