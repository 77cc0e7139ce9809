"""Contracts of what a move of a slot acts upon: databases, writers that must stop, names and other traffic.

A plugin of the kind `database_promoter` answers an object that is a `Promoter` and names its `Fencer`s; one of the kind `fencer`
answers one more, as of a firewall or of power. Traffic is steered by a `Traffic`, which the daemon has for DNS and for the names
that a plugin of the kind `traffic` leads (`TrafficDriver`).

What every one of them owes:
  epoch first       an effector keeps, durably and before it acts, the highest epoch that it was given, and acts upon no lower
                    one; it answers STALE_EPOCH and changes nothing;
  again is nothing  the same call, made again by another process after a death, ends where the first would have ended;
  values, no hope   an outcome that is not known is UNKNOWN, a fact that is not known is None; no exception but the four of
                    `catalyst_sdk.failures` leaves a call, and those mean UNKNOWN to the daemon;
  own clock         an age is counted from the send time of the question, on a clock that goes on while the machine sleeps.

Regions are names of host clusters. Epochs are positive and only grow. `run` is the id of the run that asks, for the
effector's own journal; it decides nothing. Times are seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

CAPABILITIES = frozenset({"fence", "sync", "rewind", "clone", "rehearse", "prepare"})
"""Words of a promoter's manifest: a fencer of rung 1; a primary that waits for standbys; a way back for a copy that parted from
its primary, without copying everything or with it; a promotion that is tried on a copy (`Rehearser`);
what a planned move does beforehand (`Preparer`)."""


FENCER_CAPABILITIES = frozenset({"remote"})
"""Words of a fencer's manifest: the agent of another region can ask it as well."""


class Effect(StrEnum):
    """What became of an effect."""

    DONE = "done"
    """It holds, and will hold after a power loss; also where it held before."""
    STALE_EPOCH = "stale-epoch"
    """A newer epoch was there; nothing was changed, and nothing ever will be by this epoch."""
    UNKNOWN = "unknown"
    """It may hold, now or later: observe, then ask again."""


class SyncMode(StrEnum):
    """When a primary acknowledges a write."""

    REQUIRED = "required"
    """When a standby has it; without one it blocks."""
    PREFERRED = "preferred"
    """When a standby has it, if there is one."""
    ASYNC = "async"
    """At once."""


class Role(StrEnum):
    """What a database takes itself for."""

    PRIMARY = "primary"
    REPLICA = "replica"
    STOPPED = "stopped"


class Verdict(StrEnum):
    """What a check says; what could not be looked at is UNKNOWN and never a pass."""

    PASS = "pass"  # noqa: S105 - a verdict
    WARN = "warn"
    BLOCK = "block"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check: `name` in lower case with dashes, what it found, and what to do about it."""

    name: str
    verdict: Verdict
    found: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseView:
    """What one region's database said of itself; None in a field: it did not say.

    writable     whether a write would be taken now, whatever its role
    system_id    the same in all copies of one database
    received, replayed   log positions, `high/low` in hex (PostgreSQL's LSN) or one number in hex
    committed_ms wall clock of the last replayed commit, for an estimate of loss only
    sync         regions that have each acknowledged write; seen from the primary
    epoch        highest epoch that this effector keeps
    age          seconds since the question was sent
    waiting      commits that wait for a synchronous standby; seen from the primary. Since 0.2
    acts_after   seconds until the region acts on a grant, as it may have promised to hold off; its agent's word. Since 0.2
    """

    region: str
    role: Role | None = None
    writable: bool | None = None
    ready: bool | None = None
    system_id: str | None = None
    timeline: int | None = None
    received: str | None = None
    replayed: str | None = None
    committed_ms: int | None = None
    sync: frozenset[str] | None = None
    epoch: int | None = None
    age: float = 0.0
    waiting: int | None = None
    acts_after: float = 0.0


@dataclass(frozen=True, slots=True)
class DemotionToken:
    """Proof that a primary stopped writing at `lsn`; whoever has it may be promoted without a new copy.

    opaque   what the database's own tools want to see, e.g. CloudNativePG's `promotionToken`
    """

    region: str
    epoch: int
    lsn: str
    opaque: str = ""


@dataclass(frozen=True, slots=True)
class WriteProbe:
    """One canary, written and read back by the path of real writers. `acknowledged` None: unknown."""

    acknowledged: bool | None
    took: float
    why: str = ""


class Follow(StrEnum):
    """How far a region is in following a primary."""

    FOLLOWING = "following"
    """Streaming from the primary, on its timeline."""
    CATCHING_UP = "catching-up"
    REWOUND = "rewound"
    CLONED = "cloned"
    BLOCKED = "blocked"
    """It needs a copy that must not be made yet; `why` says what is missing."""


@dataclass(frozen=True, slots=True)
class FollowState:
    """Where following stands after a call of `follow`."""

    state: Follow
    why: str = ""


@dataclass(frozen=True, slots=True)
class FenceProof:
    """What a fencer can show.

    level     rung of the ladder: 0 data, 1 database, 2 dead man, 3 traffic, 4 names, 5 power
    at        when it was seen, on the machine's clock since its start (CLOCK_BOOTTIME)
    evidence  for people, without secrets
    """

    level: int
    at: float
    evidence: str


@dataclass(frozen=True, slots=True)
class FenceView:
    """Whether a fence is up; None: not known."""

    fenced: bool | None
    epoch: int | None = None
    age: float = 0.0


@dataclass(frozen=True, slots=True)
class AuthorityView:
    """What one traffic authority answers for one name, asked directly. `epoch` None: no mark, or no answer."""

    authority: str
    name: str
    epoch: int | None
    addresses: tuple[str, ...] = ()
    ttl: int | None = None
    answers: bool = True
    age: float = 0.0


@dataclass(frozen=True, slots=True)
class TrafficView:
    """What all authorities of a slot answer."""

    authorities: tuple[AuthorityView, ...]

    def is_at(self, epoch: int) -> bool:
        """Whether every authority answers, and has every name in `epoch`."""
        return bool(self.authorities) and all(one.answers and one.epoch == epoch for one in self.authorities)


@dataclass(frozen=True, slots=True)
class TrafficPlan:
    """Which addresses each name is to have: byte-stable, the same for the same holder.

    holder      region that the names are to lead to
    addresses   by name, sorted; never empty
    ttl         seconds
    """

    holder: str
    addresses: Mapping[str, tuple[str, ...]]
    ttl: int


@dataclass(frozen=True, slots=True)
class DrainResult:
    """How a drain ended: requests still in flight (None: nobody could say), seconds it took."""

    in_flight: int | None
    took: float


class Fencer(Protocol):
    """Stops the writers of one region, and shows it. A promoter has its own (`fencers`); a plugin of the kind `fencer` is one.

    level       rung of the ladder that a proof of it reaches
    local       True: by the region's own agent, without any other region; False: by another region's agent, where it can reach it
    worst_case  seconds that `fence` takes at most; an input of safety, measured
    """

    level: int
    local: bool
    worst_case: float

    async def fence(self, *, region: str, epoch: int, run: str, budget: float) -> FenceProof | None:
        """Stop every writer of `region` that acts in `epoch` or an older one; None: not proved within `budget` seconds.

        It stays up over restarts of what it fences until `unfence` is called with this epoch or a newer one.
        """
        ...

    async def unfence(self, *, region: str, epoch: int, run: str) -> Effect:
        """Let `region` write again, in `epoch`."""
        ...

    async def observe(self, *, region: str) -> FenceView:
        """Whether the fence is up."""
        ...


class Promoter(Protocol):
    """Makes one region's copy of a database the primary, and others follow it.

    worst_case   seconds that `promote` takes at most; used when times are admitted
    """

    worst_case: float

    def fencers(self) -> Sequence[Fencer]:
        """The promoter's own fencers, the lowest rung first."""
        ...

    async def observe(self, *, region: str) -> DatabaseView:
        """What the region's database says of itself, at once; a database that is away is a view without facts."""
        ...

    async def demote(self, *, region: str, epoch: int, run: str) -> DemotionToken | Effect:
        """Stop writes for good in this epoch, and answer the final log position. Never DONE without a token.

        The same token at each call. One that comes again has the database give its log to standbys that have not all of it.
        """
        ...

    async def promote(self, *, region: str, epoch: int, run: str, token: DemotionToken | None) -> Effect:
        """Make `region` primary in `epoch`, with no synchronous standby yet; None: its primary is gone, no token exists."""
        ...

    async def probe_write(self, *, region: str, epoch: int) -> WriteProbe:
        """Write a canary with its epoch and read it back, by the path that writers use."""
        ...

    async def follow(self, *, region: str, primary: str, epoch: int, run: str, destroy: bool = False) -> FollowState:
        """Bring `region` one step nearer to following `primary`: follow, rewind, copy anew.

        destroy   whether its own copy may be given up; only the daemon knows when that is safe
        """
        ...

    async def set_sync(self, *, region: str, standbys: frozenset[str], epoch: int) -> Effect:
        """Make the primary in `region` wait for `standbys` (all of them) before it acknowledges a write."""
        ...


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a promotion came to that was tried on a copy.

    took   seconds, by `clone`, `promote`, `verify` and `clean`; of what was not reached, nothing
    why    it did not pass
    """

    passed: bool
    took: Mapping[str, float]
    why: str = ""


class Rehearser(Protocol):
    """What a promoter with the capability `rehearse` has besides."""

    async def rehearse(self, *, region: str, run: str) -> Rehearsed:
        """Copy the region's own standby aside, promote the copy, write to it, read that back, and give the copy up.

        Nothing else is touched, and nothing of it stays; what an earlier try left is given up first.
        """
        ...


class Preparer(Protocol):
    """What a promoter with the capability `prepare` has besides."""

    async def prepare(self, *, region: str, epoch: int) -> None:
        """Do before a planned move, while writes go on, what would make `demote` take long; nothing that has to be taken back."""
        ...


class SafetyCheck(Protocol):
    """A rule of the user's own, which a slot's wish names in `safetyRules[].plugin`."""

    async def judge(self, *, rule: str, view: Mapping[str, Any]) -> CheckResult:
        """Whether a move may begin: PASS or WARN let it, BLOCK does not, UNKNOWN says that nobody can tell. It changes nothing.

        rule   its name in the wish; the answer is shown under that, with `found` and `next_step` for people
        view   what is known of the slot, as expressions see it: what nobody knows is not there, and is never taken for good
        """
        ...


class Traffic(Protocol):
    """Leads names, and requests that still come the old way, to the holder."""

    async def observe(self) -> TrafficView:
        """What each authority answers, asked directly and never through a cache."""
        ...

    def plan(self, *, holder: str) -> TrafficPlan:
        """The names' addresses while `holder` holds the slot. Pure, byte-stable."""
        ...

    async def apply(self, plan: TrafficPlan, *, epoch: int, run: str) -> Effect:
        """Write the plan in `epoch` at every authority: mark and addresses in one conditional update of each.

        DONE only where all have it; one that is newer makes the whole STALE_EPOCH.
        """
        ...

    async def set_ttl(self, *, ttl: int, epoch: int, run: str) -> Effect:
        """Lower or restore the lifetime of the names' records, addresses unchanged."""
        ...

    async def drain(self, *, region: str, epoch: int, budget: float) -> DrainResult:
        """Lead new writes away from `region` (503 with Retry-After) and wait for those in flight."""
        ...

    async def undrain(self, *, region: str, epoch: int) -> Effect:
        """Let writes reach `region` again."""
        ...

    async def verify(self, plan: TrafficPlan, *, epoch: int) -> Sequence[CheckResult]:
        """Each authority, the vantage resolvers, and a request by the public name."""
        ...


class TrafficDriver(Protocol):
    """Leads names to the holder where they are no records of ordinary name servers: a load balancer, a provider's API.

    Whoever keeps the names keeps the epoch beside each of them, and changes both in one step or not at all: by a version or an
    etag of what was read, a transaction, a condition. A slot's gateway drains, and the daemon looks at what clients see.
    """

    async def observe(self, *, names: Sequence[str]) -> TrafficView:
        """What each authority answers for each of `names`, never from a cache; one that is away is a row without an answer."""
        ...

    async def apply(self, plan: TrafficPlan, *, epoch: int, run: str) -> Effect:
        """Give each name of `plan` its addresses and lifetime, in `epoch`.

        DONE only where every authority has it, also where it had it before. A newer epoch at one name, or the same one of
        another holder, makes the whole STALE_EPOCH. The same holder may change the lifetime within its epoch.
        """
        ...
