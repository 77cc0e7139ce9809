"""What this region has in the register, and until when that lets it act.

Authority is given only by a record that this process proposed itself and knows to be committed, and counts from before its
first message was sent. Whatever else says that this region holds the slot leads to a renewal first.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace

from catalyst_continuum.domain import lease as operations
from catalyst_continuum.domain.authority import Authority, granted
from catalyst_continuum.domain.duty import Duty
from catalyst_continuum.domain.lease import Fence, Me, Refusal
from catalyst_continuum.domain.record import Lease
from catalyst_continuum.domain.view import Claim, Unconfirmed

from .memory import Memory
from .observe import Sight
from .outcomes import Committed, Outcome, Refused
from .register import Register
from .standing import Clock, Standing, Trace

Claiming = Callable[[Lease | None, Me], Lease | Refusal]
Renewed = Callable[[str, float], None]
"""Hears what became of a renewal, and how many seconds after its sending that was known."""


class Rights:
    """Renewals, claims, offers, marks: every change of the record that an agent makes."""

    def __init__(
        self, duty: Duty, *, register: Register, sight: Sight, standing: Standing, memory: Memory, clock: Clock,
        trace: Trace, told: Callable[[Authority | None], None], renewed: Renewed = lambda result, seconds: None,
    ) -> None:  # fmt: skip
        self.duty = duty
        self._register = register
        self._sight = sight
        self._standing = standing
        self._memory = memory
        self._clock = clock
        self._trace = trace
        self._told = told
        self._renewed = renewed

    async def renew(self, by: Register | None = None) -> bool:
        """Promise again; whether it is known to be committed. A refusal that names another holder ends the authority now.

        by   the same register by another way, as through a peer
        """
        me, epoch, facts = self._me(), self._standing.epoch, self._sight.facts(self.duty)
        sent = self._clock().boot
        outcome = await self._change(lambda lease: operations.renew(lease, me, epoch, facts), by)
        self._renewed(type(outcome).__name__.lower(), self._clock().boot - sent)
        if isinstance(outcome, Committed) and outcome.lease is not None:
            self._grant(outcome.lease, outcome.sent_at)
            return True
        if isinstance(outcome, Refused):
            self._refused(outcome.lease)
        return False

    async def claim(self, operation: Claiming, what: str) -> None:
        """Ask for the slot, once. What became of it stands in `claim`, UNKNOWN until it is known."""
        me = self._me()
        self._standing.offering = False
        self._standing.claim, self._standing.claimed = Claim.UNKNOWN, (me.nonce, self._clock().boot)
        self._trace("claim", epoch=self._standing.epoch, effect=f"{what} before-effect")
        outcome = await self._change(lambda lease: operation(lease, me))
        self._trace("claim", epoch=self._standing.epoch, effect=f"{what} after-effect")
        if isinstance(outcome, Committed) and outcome.lease is not None:
            self._won(outcome.lease, outcome.sent_at)
        elif isinstance(outcome, Refused):
            self._standing.claim = Claim.LOST

    async def force(self, lease: Lease, operation: Claiming) -> None:
        """Ask for the slot of a holder that renews. Nothing is done in the new epoch before its longest promise is over.

        That this is so is on disk before it is asked for: a life to come waits as well.
        """
        wait = max(self.duty.profile.ttl, lease.ttl_ms / 1000)
        kept = self._memory.read(self.duty.slot)
        self._memory.keep(self.duty.slot, replace(kept, forced=(lease.epoch + 1, wait)))
        await self.claim(operation, "force")

    def assume(self, lease: Lease) -> None:
        """Act in the epoch after the record's without a majority of cells, as people decided. That it is so is on disk first."""
        self._standing.unconfirmed = taken = Unconfirmed(lease.epoch + 1, lease.seq)
        self._standing.epoch, self._standing.claim = taken.epoch, Claim.COMMITTED
        kept = self._memory.read(self.duty.slot)
        self._memory.keep(self.duty.slot, replace(kept, unconfirmed=(taken.epoch, taken.seq)))
        self._prolong(taken)

    def prolong(self) -> None:
        """Go on without a majority of cells, until these say who is right; what has ended meanwhile stays ended."""
        standing, now, lease = self._standing, self._clock(), self._sight.lease
        taken = standing.unconfirmed
        if taken is None:
            return
        if self._sight.is_readable and lease is not None:
            taken = standing.unconfirmed = replace(taken, met=lease.seq if taken.met is None else taken.met)
            if not taken.is_still(lease):
                return
        if standing.may(now) and (standing.sent_at is None or now.boot - standing.sent_at >= self.duty.profile.renew):
            self._prolong(taken)

    async def confirm(self) -> None:
        """Have the cells say that it is ours: they do where the record has not moved."""
        me, seen = self._me(), self._sight.lease
        if seen is None:
            return
        outcome = await self._change(lambda lease: operations.steal(lease, me, epoch=seen.epoch, seq=seen.seq))
        if isinstance(outcome, Committed) and outcome.lease is not None:
            self._grant(outcome.lease, outcome.sent_at)

    def void(self) -> None:
        """What people gave without a majority of cells needs no confirmation: it has it, or another holder was right."""
        self._standing.unconfirmed = None
        kept = self._memory.read(self.duty.slot)
        if kept.unconfirmed != (0, 0):
            self._memory.keep(self.duty.slot, replace(kept, unconfirmed=(0, 0)))

    def _prolong(self, taken: Unconfirmed) -> None:
        sent = self._standing.sent_at = self._clock().boot
        kept = self._memory.read(self.duty.slot)
        self._memory.keep(
            self.duty.slot, replace(kept, epoch=max(kept.epoch, taken.epoch), held=taken.epoch, sent_at=sent)
        )
        self.extend(Authority(taken.epoch, sent + self.duty.profile.authority))

    async def take_up(self) -> None:
        """Renew what the register says is ours, as if it were a claim: nothing is done before that is committed."""
        epoch = self._standing.epoch
        if self._memory.read(self.duty.slot).gave == epoch:
            await self.claim(lambda lease, me: operations.begin_anew(lease, me, epoch), "begin anew")
        else:
            await self.claim(lambda lease, me: operations.renew(lease, me, epoch), "take up")

    async def settle(self) -> None:
        """Make a claim of unknown outcome known: once the record is written again under a higher number, it is in it or dead."""
        outcome = await self._change(_as_it_is)
        if not isinstance(outcome, Committed | Refused):
            return
        lease, claimed = outcome.lease, self._standing.claimed
        if isinstance(outcome, Committed) and lease is not None and claimed is not None and lease.nonce == claimed[0]:
            self._won(lease, claimed[1])
        else:
            self._standing.claim = Claim.LOST

    async def hand_off(self, to: str, lsn: str, run: str, proof: Fence) -> bool:
        """Offer the slot to `to`; whether that is known to stand. Nothing is done in this epoch any more from here on."""
        self._standing.offering = True
        self.drop("the slot is offered")
        me, epoch = self._me(), self._standing.epoch
        self._trace("offered", epoch=epoch, effect=to)
        outcome = await self._change(
            lambda lease: operations.handoff(lease, me, epoch, to=to, lsn=lsn, run=run, proof=proof)
        )
        return self._sight.offers_to(to) or isinstance(outcome, Committed)

    async def mark(self, run: str, phase: str) -> bool:
        """Write into the record how far a run is; whether that is known to stand."""
        me, epoch = self._me(), self._standing.epoch
        outcome = await self._change(lambda lease: operations.annotate(lease, me, epoch, run=run, phase=phase))
        if isinstance(outcome, Refused):
            self._refused(outcome.lease)
        return isinstance(outcome, Committed)

    async def name_sync(self, sync: frozenset[str]) -> bool:
        """Have the record name the regions that have every acknowledged write; whether it is known to."""
        self._sight.named = self.duty.bits(sync)
        return await self.renew()

    def extend(self, authority: Authority) -> None:
        """Go on without a majority of cells: all peers promised."""
        self._standing.authority = authority
        self._trace("authority", epoch=authority.epoch, deadline=authority.until)
        self._told(authority)

    def drop(self, why: str) -> None:
        """There is no authority any more."""
        if self._standing.authority is not None:
            self._trace("ended", epoch=self._standing.authority.epoch, effect=why)
            kept = self._memory.read(self.duty.slot)
            self._memory.keep(self.duty.slot, replace(kept, sent_at=None))
        self._standing.authority = self._standing.sent_at = None
        self._told(None)

    async def _change(
        self, operation: Callable[[Lease | None], Lease | Refusal], by: Register | None = None
    ) -> Outcome:
        return await self._sight.ask((by or self._register).change(self.duty.slot, operation), directly=by is None)

    def _grant(self, lease: Lease, sent_at: float) -> None:
        standing, now = self._standing, self._clock()
        if standing.offering:
            standing.sent_at = sent_at
            return
        if standing.succeeds[0] == lease.epoch and now.boot < standing.succeeds[1]:
            standing.epoch, standing.sent_at = lease.epoch, max(sent_at, standing.sent_at or sent_at)
            return  # the holder before may still act: this region's authority begins with the first renewal after that
        if standing.unconfirmed is not None and lease.epoch >= standing.unconfirmed.epoch:
            self.void()
            standing.trouble.pop("split-brain", None)
        authority = granted(lease, replace(now, boot=sent_at), now, self.duty.profile)
        # An older renewal that is heard late takes nothing away.
        if (
            standing.authority is not None
            and standing.authority.epoch == authority.epoch
            and standing.authority.until > authority.until
        ):
            authority = standing.authority
        standing.epoch, standing.authority = lease.epoch, authority
        standing.sent_at = max(sent_at, standing.sent_at or sent_at)
        kept = self._memory.read(self.duty.slot)
        self._memory.keep(
            self.duty.slot,
            replace(kept, epoch=max(kept.epoch, lease.epoch), held=lease.epoch, sent_at=standing.sent_at),
        )
        self._trace("authority", epoch=lease.epoch, seq=lease.seq, deadline=authority.until)
        self._told(authority)

    def _won(self, lease: Lease, sent_at: float) -> None:
        self._standing.sent_at = self._standing.authority = self._sight.named = None
        epoch, wait = self._memory.read(self.duty.slot).forced
        if epoch == lease.epoch != self._standing.succeeds[0]:
            # It is committed by now: whatever the holder before was promised, it was promised earlier.
            self._standing.succeeds = epoch, self._clock().boot + wait
        self._grant(lease, sent_at)
        self._standing.claim = Claim.COMMITTED

    def _refused(self, lease: Lease | None) -> None:
        """What the refusal was made upon is committed: if it names another holder or epoch, ours is over this instant."""
        standing = self._standing
        if lease is None or (lease.holder == self.duty.region and lease.epoch == standing.epoch):
            return
        self.drop(f"the register says epoch {lease.epoch} of {lease.holder or 'nobody'}")
        if standing.claim is Claim.COMMITTED:
            standing.claim = Claim.LOST

    def _me(self) -> Me:
        return Me(self.duty.region, int(self.duty.profile.ttl * 1000), secrets.token_hex(4))


def _as_it_is(lease: Lease | None) -> Lease | Refusal:
    return lease if lease is not None else Refusal("nothing was ever written")


def stealing(epoch: int, seq: int, run: str, phase: str) -> Claiming:
    """A steal that only a record which did not move allows."""

    def steal(lease: Lease | None, me: Me) -> Lease | Refusal:
        return operations.steal(lease, me, epoch=epoch, seq=seq, run=run, phase=phase)

    return steal


def forcing(epoch: int, run: str, phase: str) -> Claiming:
    """A claim that a living holder does not defeat, as long as the epoch is the one that people saw."""

    def force(lease: Lease | None, me: Me) -> Lease | Refusal:
        return operations.force(lease, me, epoch=epoch, run=run, phase=phase)

    return force


def accepting(replayed: str, phase: str) -> Claiming:
    """Taking what is offered, with the log replayed so far."""

    def accept(lease: Lease | None, me: Me) -> Lease | Refusal:
        return operations.accept(lease, me, replayed=replayed, phase=phase)

    return accept
