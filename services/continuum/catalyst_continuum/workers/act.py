"""What an agent does in its region: fences, follows, reconciles, asks its peers to hold off."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from catalyst_sdk import PluginFailure
from catalyst_sdk.continuum import Follow, Role

from catalyst_continuum.domain import failsafe, reprotect
from catalyst_continuum.domain.authority import Authority
from catalyst_continuum.domain.duty import Duty
from catalyst_continuum.domain.reprotect import Repair
from catalyst_continuum.domain.runs import Kind, Run, mark_of

from .fencers.ladder import Ladder
from .memory import Memory
from .observe import Peer, Sight
from .rights import Rights
from .standing import Clock, Standing, Trace
from .steps import target
from .steps.scene import Hands, Scene, Tell

_PAGED = {"fence": ("Fenced", "BudgetSpent"), "promote": ("LeaseHeld", "PromotionLate")}
"""Condition and reason by what a person is called for."""


class Acts:
    """The effects of one slot in one region."""

    def __init__(
        self, duty: Duty, *, hands: Hands, rights: Rights, sight: Sight, standing: Standing, memory: Memory,
        clock: Clock, peers: Mapping[str, Peer], trace: Trace, tell: Tell,
    ) -> None:  # fmt: skip
        self.duty = duty
        self.hands = hands
        self.rights = rights
        self.sight = sight
        self.standing = standing
        self.memory = memory
        self.clock = clock
        self.peers = peers
        self.trace = trace
        self.tell = tell
        self.repair = Repair()
        self.followed = 0
        """Epoch whose holder this region follows; 0: none."""

    def begin_fence(self, why: str) -> None:
        """The right to act is over: from here on only the fence is under way."""
        standing = self.standing
        standing.fence_began, standing.proof, standing.promote_began, standing.canary = (
            self.clock().boot,
            None,
            None,
            None,
        )
        standing.failing_since = None
        kept = self.memory.read(self.duty.slot)
        self.memory.keep(self.duty.slot, replace(kept, open=0))
        self.sight.named = None
        self.rights.drop(why)
        self.sight.forget_database()
        self.followed = 0
        self.trace("fencing", epoch=self._fenced_epoch(), effect=why)

    async def fence(self) -> None:
        """Stop this region's writers by every fencer at once, until a proof reaches far enough."""
        epoch, budget = self._fenced_epoch(), self.duty.profile.fence
        ladder = Ladder(self.hands.all_fencers(local=True))
        proof = await ladder.fence(region=self.duty.region, epoch=epoch, run="", budget=budget)
        self.sight.forget_database()
        if proof.stops_writers:
            self.standing.proof = proof
            self.standing.trouble.pop("fence", None)
            self.trace("fenced", epoch=epoch, effect=proof.evidence)
            began = self.standing.fence_began
            took = self.clock().boot - began if began is not None else 0.0
            self.tell(
                "region.fenced",
                evidence={"proof": proof.evidence, "level": str(proof.level), "took": f"{took:.3f}"},
            )
        else:
            await asyncio.sleep(self.duty.profile.look / 2)

    def _fenced_epoch(self) -> int:
        """Whoever writes here writes in an epoch no newer than that of the record, or of this region's own."""
        lease = self.sight.lease
        newest = lease.epoch - 1 if lease is not None and lease.holder != self.duty.region else 0
        return max(1, self.standing.epoch, newest)

    def resume(self, proven: Authority | None) -> None:
        """Go on after a restart, within the authority of the life before."""
        kept = self.memory.read(self.duty.slot)
        assert proven is not None
        self.standing.epoch, self.standing.authority, self.standing.sent_at = proven.epoch, proven, kept.sent_at
        self.standing.canary = True
        self.trace("authority", epoch=proven.epoch, deadline=proven.until)
        if self.hands.dead_man is not None:
            self.hands.dead_man(proven)

    def begin_promotion(self) -> None:
        """The claim stands: what was known of the database is of the time before."""
        standing = self.standing
        standing.promote_began, standing.canary, standing.fence_began = self.clock().boot, None, None
        kept = self.memory.read(self.duty.slot)
        self.memory.keep(self.duty.slot, replace(kept, waited=standing.epoch))
        self.sight.forget_database()
        self.followed = 0
        self.tell("lease.acquired")

    def leads(self) -> None:
        """A write of this region has come through in its epoch: a restart may go on from there."""
        kept = self.memory.read(self.duty.slot)
        if (kept.led, kept.open) != (self.standing.epoch, self.standing.epoch):
            self.memory.keep(self.duty.slot, replace(kept, led=self.standing.epoch, open=self.standing.epoch))

    def note_loss(self) -> None:
        """Another region holds what this one led: unless that was planned, it does not come back by itself for a while."""
        lease, kept = self.sight.lease, self.memory.read(self.duty.slot)
        if self.standing.unconfirmed is not None:
            return  # the record is older than what is so
        if lease is None or lease.holder not in self.duty.others or not kept.led or kept.lost == kept.led:
            return
        mark = mark_of(lease.phase)
        planned = mark is not None and mark.kind.is_planned
        lost_at = kept.lost_at if planned else self.clock().wall
        self.memory.keep(self.duty.slot, replace(kept, lost=kept.led, lost_at=lost_at))

    def remember_system(self, system_id: str) -> None:
        """The holder's database is this one: a copy of another must not take over from it."""
        kept = self.memory.read(self.duty.slot)
        if kept.system_id != system_id:
            self.memory.keep(self.duty.slot, replace(kept, system_id=system_id))

    async def seek_promises(self) -> None:
        """Ask every other region that may take over to hold off, and go on where all of them promise."""
        authority, duty = self.standing.authority, self.duty
        if authority is None or not duty.failsafe or self.standing.offering:
            return
        sent = self.clock()
        answers = await asyncio.gather(*(self._promise(region, authority.epoch) for region in duty.rivals))
        agreed = failsafe.extended(authority, dict(zip(duty.rivals, answers, strict=True)), sent, duty.profile)
        current = self.standing.authority
        if agreed is None or current is None or current.epoch != agreed.epoch or current.until >= agreed.until:
            return
        if current.allows(self.clock()):  # one that has ended meanwhile stays ended: the fence has begun
            self.rights.extend(agreed)
            self._note_failsafe(sent.boot)

    def _note_failsafe(self, since: float) -> None:
        if self.standing.failsafe_since is None:
            self.standing.failsafe_since = since
            self.tell("failsafe.entered", evidence={"promised_by": ",".join(self.duty.rivals)})

    def note_end_of_failsafe(self) -> None:
        """The cells have taken a renewal again, or the authority is over."""
        standing = self.standing
        if standing.failsafe_since is None:
            return
        recovered = standing.sent_at is not None and standing.sent_at > standing.failsafe_since
        if recovered or standing.authority is None:
            standing.failsafe_since = None
            self.tell("failsafe.left", evidence={"recovered": "yes" if recovered else "no"})

    async def _promise(self, region: str, epoch: int) -> bool | None:
        peer = self.peers.get(region)
        if peer is None:
            return None
        profile = self.duty.profile
        try:
            async with asyncio.timeout(profile.op):
                return await peer.hold_off(
                    slot=self.duty.slot, region=self.duty.region, epoch=epoch, seconds=profile.ttl
                )
        except TimeoutError:
            return None

    async def follow(self) -> None:
        """One step nearer to following the holder; its own copy is given up only where every guard says so."""
        lease, duty = self.sight.lease, self.duty
        if lease is None or not lease.holder or lease.holder == duty.region or not self.is_verified():
            await asyncio.sleep(duty.profile.look / 2)
            return
        now = self.clock()
        allowed = reprotect.may_destroy(
            self.repair, fenced=self.standing.proof is not None, own=self.sight.database(),
            primary=self.sight.report(lease.holder, reprotect.VERIFIED_WITHIN), epoch=lease.epoch, now=now.boot,
        )  # fmt: skip
        if allowed:
            self.repair = self.repair.tried(lease.epoch, now.boot)
            self.tell("rejoin.attempted", evidence={"attempt": str(self.repair.attempts)})
        self.trace("follow", epoch=lease.epoch, effect=lease.holder)
        try:
            found = await self.hands.promoter.follow(
                region=duty.region, primary=lease.holder, epoch=lease.epoch, run=lease.run, destroy=allowed
            )
        except PluginFailure as failure:
            self.say("rejoin", str(failure))
            return
        self.sight.forget_database()
        if found.state is Follow.FOLLOWING:
            self.followed = lease.epoch
            self.standing.trouble.pop("rejoin", None)
        elif found.state is Follow.BLOCKED:
            self.say("rejoin", found.why)
            if self.standing.proof is None:
                # Who was started anew as a standby was never fenced, and only behind a fence may a copy be given up.
                await self.fence()
            await asyncio.sleep(duty.profile.look)

    def is_verified(self) -> bool:
        """Whether the holder is known to take writes in its epoch: the record says so, and has moved lately."""
        return self.verified_at() is not None

    def verified_at(self) -> float | None:
        """When that was last seen; None: it was not."""
        lease = self.sight.lease
        if lease is None or not lease.holder or lease.holder == self.duty.region:
            return None
        mark = mark_of(lease.phase)
        told = self.sight.report(lease.holder)
        if told is not None and told.writable is True and told.epoch == lease.epoch:
            return self.clock().boot
        return self.sight.moved_at if mark is None or mark.is_verified else None

    async def reconcile(self) -> None:
        """Keep names, gateway and synchronous standby as the record has them."""
        scene = self.scene(self._own_run())
        seen = await self.hands.traffic.observe()
        if not seen.is_at(self.standing.epoch) and seen.authorities:
            plan = self.hands.traffic.plan(holder=self.duty.region)
            await scene.effect("names", lambda: self.hands.traffic.apply(plan, epoch=self.standing.epoch, run=""))
        await target.bring_in_order(scene)

    async def look_at_health(self) -> None:
        """Whether the database here takes writes, by two signals: what it says of itself, and a write."""
        view, standing, now = self.sight.database(), self.standing, self.clock().boot
        is_well = view is not None and view.role is Role.PRIMARY and view.writable is True
        if is_well:
            standing.failing_since = None
            return
        if not standing.may(self.clock()):
            return
        probe = await self.hands.promoter.probe_write(region=self.duty.region, epoch=standing.epoch)
        if probe.acknowledged is True:
            standing.failing_since = None
        elif standing.failing_since is None:
            standing.failing_since = now

    def page(self, what: str, why: str) -> None:
        """Say something that a person must see, once."""
        if self.standing.trouble.get(what) != why:
            self.standing.trouble[what] = why
            self.trace("page", epoch=self.standing.epoch, effect=f"{what}: {why}")
            if what == "split-brain":
                self.tell("splitbrain.suspected", why=why)
            else:
                condition, reason = _PAGED[what]
                self.tell("continuum.errored", why=why, evidence={"condition": condition, "reason": reason})

    def say(self, what: str, why: str) -> None:
        """Say why something does not go on, for the status."""
        self.standing.trouble[what] = why

    def scene(self, run: Run) -> Scene:
        """What the steps of `run` act with."""
        return Scene(
            self.duty, self.hands, self.rights, self.sight, self.standing, self.memory, self.clock, self.peers, self.trace,
            self.tell, self.precheck, run,
        )  # fmt: skip

    async def precheck(self, run: Run) -> list[str]:
        """What stands in the way of a planned run, from what this agent sees itself."""
        await self.sight.look_at_peers()
        lease, found = self.sight.lease, list[str]()
        if lease is None or lease.holder != self.duty.region or lease.epoch != run.start_epoch:
            return [f"the slot is not this region's in epoch {run.start_epoch} any more"]
        if self.duty.suspended:
            found.append("the slot is suspended")
        if not self.duty.may_lead(run.target):
            found.append(f"{run.target} may not hold the slot")
        view = self.sight.report(run.target)
        if view is None:
            found.append(f"the agent of {run.target} does not answer")
        elif view.role is not Role.REPLICA or view.ready is not True or view.replayed is None:
            found.append(f"the database of {run.target} does not follow, or is not ready")
        return found

    def _own_run(self) -> Run:
        region, epoch = self.duty.region, self.standing.epoch
        return Run("", self.duty.slot, Kind.FAILOVER, region, region, epoch, epoch)
