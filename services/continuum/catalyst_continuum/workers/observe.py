"""What an agent sees: the record, the database here, what peers tell. Each fact has its age; an old one is no fact.

Looks are tasks of their own, so that a thing that does not answer delays nothing but the knowledge of itself.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from catalyst_sdk import PluginFailure
from catalyst_sdk.continuum import DatabaseView, DemotionToken, Promoter, Role, SyncMode

from catalyst_continuum.domain.authority import Watch, watched
from catalyst_continuum.domain.duty import Duty
from catalyst_continuum.domain.lease import Facts
from catalyst_continuum.domain.record import Lease
from catalyst_continuum.domain.record import State as Record

from .outcomes import Committed, Outcome, Refused
from .register import Register
from .standing import Clock


class Peer(Protocol):
    """The agent of another region, as this one can ask it. No answer is None, and never an exception."""

    async def hold_off(self, *, slot: str, region: str, epoch: int, seconds: float) -> bool | None:
        """Whether it promises not to claim `slot` at `epoch` for so long."""
        ...

    async def report(self, *, slot: str, view: DatabaseView, fresh: bool = False) -> DatabaseView | None:
        """Tell it what is seen here, and hear what it sees of its own; `fresh`: it looks before it answers."""
        ...

    async def deliver(self, *, slot: str, run: str, token: DemotionToken) -> bool:
        """Give it the token of a demotion; whether it is kept there."""
        ...


@dataclass(frozen=True, slots=True)
class Seen:
    """A database as it was seen, and when that answer came."""

    view: DatabaseView
    at: float


class Sight:
    """The facts of one slot."""

    def __init__(
        self, duty: Duty, *, register: Register, promoter: Promoter, peers: Mapping[str, Peer], clock: Clock
    ) -> None:
        self.duty = duty
        self.register = register
        self._promoter = promoter
        self._peers = peers
        self._clock = clock
        self.lease: Lease | None = None
        self.readable = False
        self._asked: dict[object, float] = {}
        self._answered = -1.0
        """When that question was sent which was sent last of those that have been answered."""
        self.watch: Watch | None = None
        self.moved_at: float | None = None
        """When the record was last seen to move, by this machine's clock."""
        self.named: str | None = None
        """What this holder has the record say of `y`; None: what it says already."""
        self.own: Seen | None = None
        self.has_looked = False
        self.reports: dict[str, Seen] = {}
        self._follows: dict[str, float] = {}
        self._named: dict[str, float] = {}

    @property
    def holder(self) -> str:
        """Who holds the slot, as far as is known."""
        return self.lease.holder if self.lease is not None else ""

    def heard(self, outcome: Outcome) -> None:
        """Take in what the register answered."""
        if not isinstance(outcome, Committed | Refused):
            self.readable = False
            return
        self.readable = True
        # A read that was overtaken shows an older record than is known to be committed: no news.
        if outcome.lease is None or (self.lease is not None and outcome.lease.seq < self.lease.seq):
            return
        now = self._clock()
        if self.lease is not None and outcome.lease.seq > self.lease.seq:
            self.moved_at = now.boot
        self.lease = outcome.lease
        self.watch = watched(self.watch, outcome.lease, now)
        named = self.duty.of_bits(outcome.lease.sync)
        self._named = {region: self._named.get(region, now.boot) for region in named}

    async def look(self) -> None:
        """Read the record."""
        await self.ask(self.register.read(self.duty.slot))

    async def ask(self, question: Awaitable[Outcome], *, directly: bool = True) -> Outcome:
        """Ask the register, and take in what it answers. One that is long in answering counts as silent meanwhile.

        directly   and not through a peer, which says nothing of the way from here
        """
        asked, sent = object(), self._clock().boot
        self._asked[asked] = sent
        try:
            outcome = await question
        finally:
            del self._asked[asked]
        self.heard(outcome)
        if directly:
            self._answered = max(self._answered, sent)
        return outcome

    @property
    def is_readable(self) -> bool:
        """Whether a majority of cells answers now."""
        late = self._clock().boot - 2 * self.duty.profile.op
        # One that was asked before the last that was answered says nothing new by its silence.
        return self.readable and not any(self._answered < at < late for at in self._asked.values())

    async def look_at_database(self) -> None:
        """Ask the database here."""
        self.has_looked, sent = True, self._clock().boot
        try:
            async with asyncio.timeout(self.duty.profile.renew):
                view = await self._promoter.observe(region=self.duty.region)
        except (PluginFailure, TimeoutError):
            return
        # Its age counts from the question: what it says may have been true just then and never after.
        self.own = Seen(view, sent)

    async def look_at_peers(self) -> None:
        """Exchange what is seen with the agents of the other regions, all at once."""
        mine = self.database() or DatabaseView(self.duty.region)
        await asyncio.gather(*(self._ask(region, peer, mine) for region, peer in self._peers.items()))

    async def look_at_peer(self, region: str) -> None:
        """Have the agent of one region look at its database now, and tell."""
        if (peer := self._peers.get(region)) is not None:
            await self._ask(region, peer, self.database() or DatabaseView(self.duty.region), fresh=True)

    async def _ask(self, region: str, peer: Peer, mine: DatabaseView, *, fresh: bool = False) -> None:
        sent = self._clock().boot
        told = await peer.report(slot=self.duty.slot, view=mine, fresh=fresh)
        if told is not None:
            self._heard_of(Seen(replace(told, region=region), sent))

    def told(self, view: DatabaseView) -> None:
        """A peer has told what it sees of its own."""
        if view.region in self.duty.others:
            self._heard_of(Seen(view, self._clock().boot - view.age))

    def _heard_of(self, seen: Seen) -> None:
        region, view = seen.view.region, seen.view
        if view.role is not Role.REPLICA or view.ready is not True:
            self._follows.pop(region, None)
        elif region not in self._follows or self.report(region) is None:
            self._follows[region] = seen.at  # for the first time, or after a silence in which nobody knows what was
        self.reports[region] = seen

    def stable(self, region: str) -> float | None:
        """Seconds for which a region was seen to follow without a break, and to have every write where that is asked for;
        None: it does not now, as far as is known."""
        since = [self._follows.get(region)] if region in self.duty.others else []
        if self.duty.sync is not SyncMode.ASYNC:
            since.append(self._named.get(region))
        known = [at for at in since if at is not None]
        if len(known) < len(since) or not known or (region in self.duty.others and self.report(region) is None):
            return None
        return max(0.0, self._clock().boot - max(known))

    def forget_database(self) -> None:
        """What was seen of the database here was true before something was done to it."""
        self.own = None

    def database(self) -> DatabaseView | None:
        """The database here; None: not known now."""
        return self._fresh(self.own)

    def report(self, region: str, within: float | None = None) -> DatabaseView | None:
        """The database of another region, as its agent told it; None: not known now."""
        # Peers are asked once in a renewal interval; one question that is lost makes nobody unknown.
        return self._fresh(self.reports.get(region), within if within is not None else 2.5 * self.duty.profile.renew)

    def offers_to(self, region: str) -> bool:
        """Whether the record offers the slot of this region to `region`."""
        lease = self.lease
        return (
            lease is not None
            and lease.state is Record.HANDOFF
            and (lease.holder, lease.next) == (self.duty.region, region)
        )

    def facts(self, duty: Duty) -> Facts | None:
        """What a renewal says of the database here; None: as it stands."""
        view, lease = self.database(), self.lease
        if lease is None:
            return None
        sync = self.named if self.named is not None else lease.sync
        if view is None or view.role is not Role.PRIMARY or view.replayed is None:
            return Facts(sync, lease.lsn, lease.commit_ms)
        committed = f"{view.committed_ms:x}" if view.committed_ms is not None else lease.commit_ms
        return Facts(sync, view.replayed.lower(), committed)

    def _fresh(self, seen: Seen | None, within: float | None = None) -> DatabaseView | None:
        if seen is None:
            return None
        age = self._clock().boot - seen.at
        limit = within if within is not None else max(self.duty.profile.renew, 3 * self.duty.profile.look)
        return replace(seen.view, age=age) if age <= limit else None
