"""The agent of one region in one slot: looks, decides by the table, acts.

Every look and every effect is a task of its own: a slow one delays neither the renewal nor the fence. The loop itself never
waits for anything but the next moment at which something is due.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from catalyst_mesh import get_logger
from catalyst_sdk.continuum import DatabaseView, DemotionToken

from catalyst_continuum.domain import failsafe
from catalyst_continuum.domain import lease as operations
from catalyst_continuum.domain.actions import Action, Decision
from catalyst_continuum.domain.antiflap import USUAL, Bounds, Move
from catalyst_continuum.domain.authority import Authority
from catalyst_continuum.domain.decide import decide
from catalyst_continuum.domain.duty import Duty
from catalyst_continuum.domain.runs import Run
from catalyst_continuum.domain.view import Claim, State, Unconfirmed, View

from .act import Acts
from .chores import Chores
from .memory import Memory
from .moves import CLAIMED, Moves
from .observe import Peer, Sight
from .outlook import Outlook
from .register import Register
from .rights import Renewed, Rights, accepting, forcing, stealing
from .standing import Clock, Standing, Trace
from .steps.carry import Book
from .steps.scene import Hands, Tell

_CLAIMS = (Action.BOOTSTRAP, Action.ACQUIRE, Action.RECALL, Action.UNFENCE, Action.ACCEPT, Action.STEAL, Action.FORCE)
MOST_ROWS = 6
"""Rows in one look, where one leads to a state in which another matches at once."""


class Agent:
    """One region's part in one slot.

    register  shared by the agents of a process; everything else is this slot's
    moves     of the slot until now, for anti-flap; and when a person last acknowledged them (wall clock)
    relays    the register through each peer, under proposers of their own
    renewed   hears of renewals, for the metrics
    precheck  what stands in the way of a planned run
    """

    def __init__(
        self, duty: Duty, *, register: Register, hands: Hands, peers: Mapping[str, Peer], memory: Memory, clock: Clock,
        trace: Trace, tell: Tell, book: Book, moves: Callable[[], tuple[Sequence[Move], float]],
        bounds: Bounds = USUAL, relays: Sequence[Register] = (), renewed: Renewed = lambda result, seconds: None,
    ) -> None:  # fmt: skip
        self._clock = clock
        self._memory = memory
        self._trace = trace
        self._tell = tell
        self._log = get_logger("agent")
        self._bell = asyncio.Event()
        self._relays = relays
        self._chores = Chores(self._bell, self._log)
        self.standing = Standing(started_at=clock().boot)
        self.sight = Sight(duty, register=register, promoter=hands.promoter, peers=peers, clock=clock)
        self.rights = Rights(
            duty, register=register, sight=self.sight, standing=self.standing, memory=memory, clock=clock, trace=trace,
            told=hands.dead_man or _nobody, renewed=renewed,
        )  # fmt: skip
        self.acts = Acts(
            duty, hands=hands, rights=self.rights, sight=self.sight, standing=self.standing, memory=memory, clock=clock,
            peers=peers, trace=trace, tell=tell,
        )  # fmt: skip
        self.moves = Moves(self.acts, book=book, chores=self._chores)
        self._outlook = Outlook(self.acts, self.moves, moves, bounds)
        """What is made of all that for the table."""
        self._looked: dict[str, float] = {}
        self.duty = duty
        self.view: View | None = None
        self.row = ""

    def update(self, duty: Duty) -> None:
        """The resource has changed."""
        self.duty = self.sight.duty = self.rights.duty = self.acts.duty = duty
        self._bell.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Do this region's part until `stop`. The slot is kept then: a daemon that is replaced is no failover."""
        kept = self._memory.read(self.duty.slot)
        if kept.unconfirmed != (0, 0):
            self.standing.unconfirmed = Unconfirmed(*kept.unconfirmed)
        self._outlook.proven = (
            Authority(kept.open, kept.sent_at + self.duty.profile.authority)
            if kept.sent_at is not None and kept.held == kept.open
            else None
        )
        self._chores.start("stop", stop.wait)  # its end rings the bell, as every one's does
        try:
            await self.sight.look_at_database()  # the record is looked for meanwhile, and may take long to be silent
            while not stop.is_set():
                self._bell.clear()
                self._tick()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pause()):
                        await self._bell.wait()
        finally:
            await self._chores.end()

    def order(self, run: Run) -> None:
        """Carry this run out: it is planned, checked and approved, and this region is to begin it."""
        self.moves.ordered = run
        self._bell.set()

    def abort(self, run: Run) -> None:
        """Take this run back, which says why. Raises PastNoReturn, RunNotWaiting."""
        self.moves.abort(run)
        self._bell.set()

    def hold_off(self, *, region: str, epoch: int, seconds: float) -> bool:
        """What a holder without cells is answered: whether this region promises not to claim its slot for so long."""
        lease, standing, now = self.sight.lease, self.standing, self._clock()
        if lease is None or lease.holder != region or lease.epoch != epoch or self._is_claiming():
            return False
        if self.moves.takes_unwitnessed or standing.unconfirmed is not None:
            return False
        peer = failsafe.Peer(lease.epoch, self._is_claiming(), standing.started_at, standing.promise)
        promised = failsafe.hold_off(peer, epoch=epoch, seconds=seconds, now=now)
        if promised is None:
            return False
        standing.promise = promised.promise
        self._trace("promised", epoch=epoch, deadline=promised.promise.until if promised.promise else None)
        return True

    async def look_again(self) -> None:
        """Look now, as a peer asks for what is so at this moment, and take what is there to be taken."""
        looks = [self.sight.look_at_database()]
        if self._reads:
            looks.append(self.sight.look())
        try:
            await asyncio.gather(*looks)
        finally:
            self._bell.set()

    def report(self, view: DatabaseView) -> DatabaseView:
        """Take what a peer sees of its own database, and tell what is seen here."""
        self.sight.told(view)
        mine = self.sight.database() or DatabaseView(self.duty.region)
        known = max(mine.epoch or 0, self._memory.read(self.duty.slot).epoch)
        acts_after = max(0.0, self._outlook.promised_until(self.sight.lease) - self._clock().boot)
        return replace(mine, epoch=known or None, acts_after=acts_after)

    def take_token(self, run: str, token: DemotionToken) -> None:
        """Keep what a demoted primary left, for the promotion of the same run."""
        kept = self._memory.read(self.duty.slot)
        self._memory.keep(
            self.duty.slot, replace(kept, run=run, token=(token.region, token.epoch, token.lsn, token.opaque))
        )

    @property
    def is_starting(self) -> bool:
        """Whether it does not know yet where it stands."""
        return self.standing.state in (State.BOOTING, State.CLAIMING, State.PROMOTING)

    def may_write(self) -> bool:
        """Whether this region has authority at this instant."""
        return self.standing.may(self._clock())

    def _is_claiming(self) -> bool:
        claim = self.standing.claim
        return claim is Claim.UNKNOWN or (self.standing.state is State.CLAIMING and claim is not Claim.LOST)

    def _tick(self) -> None:
        self._look()
        self.rights.prolong()
        self.moves.look(self.sight.lease)
        self.acts.note_loss()
        self.acts.note_end_of_failsafe()
        for _ in range(MOST_ROWS):
            now = self._clock()
            view = self.view = self._outlook.view(now)
            told = decide(view, self.duty.wish(self.sight.holder), now)
            before = self.standing.state
            self._do(told)
            if self.standing.state is before:
                break
            self._trace("state", epoch=self.standing.epoch, effect=f"{before} {told.row} {self.standing.state}")
            if told.row == "19a":
                self._tell("database.qualified")
            elif told.row in ("25b", "25d") and view.lease is not None and view.lease.holder in self.duty.others:
                self._tell("lease.collided", why=f"epoch {view.lease.epoch} is {view.lease.holder}'s")
        self._follow_anew()

    def _look(self) -> None:
        """Begin the looks that are due. A holder reads the record by renewing it."""
        profile = self.duty.profile
        if self._reads:
            self._every("look", profile.look, self.sight.look)
        self._every("database", profile.look, self.sight.look_at_database)
        self._every("peers", profile.renew, self.sight.look_at_peers)
        if self.standing.state is State.LEADING:
            self._every("health", profile.look, self.acts.look_at_health)

    @property
    def _reads(self) -> bool:
        """Whether it reads the record; whoever renews it hears it by that."""
        return self.standing.unconfirmed is not None or self.standing.state not in (State.LEADING, State.PROMOTING)

    def _every(self, name: str, seconds: float, work: Callable[[], object]) -> None:
        if self._is_due(name, seconds) and self._chores.start(name, work):
            self._looked[name] = self._clock().boot

    def _is_due(self, name: str, seconds: float) -> bool:
        return self._clock().boot - self._looked.get(name, -seconds) >= seconds * 0.99

    def _pause(self) -> float:
        """Until the next look, or until the authority or somebody's silence is over, whichever is first."""
        now, standing, ends = self._clock(), self.standing, [self.duty.profile.look]
        if standing.authority is not None:
            ends.append(standing.authority.remaining(now))
        if standing.sent_at is not None and now.boot < standing.sent_at + self.duty.profile.renew:
            ends.append(standing.sent_at + self.duty.profile.renew - now.boot)
        watch = self.sight.watch
        if watch is not None and standing.state in (State.ELIGIBLE, State.SUSPECTING):
            left = watch.ttl - watch.silence(now)
            ends += [left] if left > 0 else []
        return max(0.005, min(ends))

    def _do(self, told: Decision) -> None:
        self.row = told.row
        if told.state is State.LEADING and self.standing.state is not State.LEADING:
            self.acts.leads()
        self.standing.state = told.state
        action, acts = told.action, self.acts
        if action in (Action.SELF_FENCE, Action.SUSPECT_SPLIT_BRAIN):
            self._fence(told)
        elif action is Action.NEXT_RUNG:
            acts.page("fence", "no proof that the writers are stopped within the budget")
        elif action is Action.RENEW:
            self._every("right", self.duty.profile.look / 4, self.rights.renew)
        elif action is Action.SEEK_WITNESSES:
            self._every("right", self.duty.profile.look / 4, self.rights.renew)
            # Both at once: neither may wait for the other, and either is enough.
            self._every("relay", self.duty.profile.look, self._relay)
            self._every("hold-off", self.duty.profile.look / 4, acts.seek_promises)
        elif action is Action.CONFIRM:
            self._every("right", self.duty.profile.look / 4, self.rights.confirm)
        elif action is Action.TAKE_UNWITNESSED:
            self._take_unwitnessed()
        elif action is Action.RESUME:
            acts.resume(self._outlook.proven)
        elif action in (Action.HAND_OFF, Action.RUN_STEP, Action.PROMOTE):
            self._move(action)
        elif action is Action.FOLLOW_ORDER or action is Action.RECONCILE:
            if not self.moves.is_busy:
                self._every("reconcile", self.duty.profile.look, acts.reconcile)
        elif action in (Action.FOLLOW, Action.SAY):
            self._follow(told)
        elif action is Action.AWAIT_APPROVAL:
            acts.say("approval", "AwaitingApproval")
        elif action is Action.RETRY:
            acts.page("promote", "the promotion takes longer than its budget")
        else:
            self._claim(action)
        if self.standing.state is State.FENCING:
            self._chores.start("fence", acts.fence)

    async def _relay(self) -> None:
        for relay in self._relays:
            if await self.rights.renew(relay):
                return

    def _fence(self, told: Decision) -> None:
        self._chores.cancel("run", "reconcile", "follow", "hold-off", "relay")
        if told.action is Action.SUSPECT_SPLIT_BRAIN:
            self.rights.void()
        self.acts.begin_fence(f"row {told.row}: {told.action}")
        if told.action is Action.SUSPECT_SPLIT_BRAIN:
            self.acts.page("split-brain", "the register names another holder, and the database here takes writes")

    def _take_unwitnessed(self) -> None:
        lease = self.sight.lease
        assert lease is not None, "nobody takes over from a holder that was never seen"
        self._chores.cancel("follow")
        self.moves.take_unwitnessed(lease)
        self.rights.assume(lease)
        self.acts.page(
            "split-brain", "taken without a majority of cells: until they confirm it there may be two primaries"
        )

    def _move(self, action: Action) -> None:
        if action is Action.PROMOTE:
            self.acts.begin_promotion()
        if action is Action.HAND_OFF:
            self.moves.hand_over(self._outlook.target())
        elif action is Action.PROMOTE or self._is_due("run", self.duty.profile.look):
            self._looked["run"] = self._clock().boot
            self.moves.go_on()

    def _follow_anew(self) -> None:
        """A standby that is fit follows anew where its holder has gone on in a new epoch."""
        lease = self.sight.lease
        if self.standing.state is State.ELIGIBLE and lease is not None and self.acts.followed != lease.epoch:
            self._every("follow", self.duty.profile.look, self.acts.follow)

    def _follow(self, told: Decision) -> None:
        if self.standing.state in (State.FOLLOWING, State.FENCED):
            self._every("follow", self.duty.profile.look, self.acts.follow)

    def _claim(self, action: Action) -> None:
        rights, lease, watch, view = self.rights, self.sight.lease, self.sight.watch, self.sight.database()
        if action in _CLAIMS:
            # What became of an older claim says nothing about this one, which may not even begin now.
            self.standing.claim = self.standing.claimed = None
            self._chores.cancel("follow")
        if action is Action.BOOTSTRAP:
            self._chores.start("right", lambda: rights.claim(operations.bootstrap, "bootstrap"))
        elif action is Action.ACQUIRE:
            self._chores.start("right", lambda: rights.claim(operations.acquire, "acquire"))
        elif action is Action.RECALL:
            self._chores.start("right", lambda: rights.claim(operations.recall, "recall"))
        elif action is Action.UNFENCE:
            self._chores.start("right", rights.take_up)
        elif action is Action.ACCEPT and lease is not None and view is not None and view.replayed is not None:
            accept = accepting(view.replayed, self.moves.meet(lease))
            self._chores.start("right", lambda: rights.claim(accept, "accept"))
        elif action is Action.STEAL and lease is not None and watch is not None:
            steal = stealing(watch.epoch, watch.seq, self.moves.fail_over(lease), str(CLAIMED))
            self._chores.start("right", lambda: rights.claim(steal, "steal"))
        elif action is Action.FORCE and lease is not None:
            force = forcing(lease.epoch, self.moves.fail_over(lease), str(CLAIMED))
            self._chores.start("right", lambda: rights.force(lease, force))
        elif action is Action.READ_AGAIN and self.standing.claim is not Claim.COMMITTED:
            self._every("right", self.duty.profile.look / 4, rights.settle)


def _nobody(_: Authority | None) -> None:
    return None
