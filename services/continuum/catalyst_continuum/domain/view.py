"""What an agent has before it when it decides: facts, each of which may be unknown (None), and never wishes."""

from dataclasses import dataclass
from enum import StrEnum

from .authority import Authority, Watch
from .lease import Fence
from .record import Lease
from .timing import FAST, Profile


class State(StrEnum):
    """Where an agent stands with its slot."""

    BOOTING = "booting"
    CLAIMING = "claiming"
    PROMOTING = "promoting"
    LEADING = "leading"
    YIELDING = "yielding"
    FENCING = "fencing"
    FENCED = "fenced"
    FOLLOWING = "following"
    ELIGIBLE = "eligible"
    SUSPECTING = "suspecting"


class Mode(StrEnum):
    """Who decides about a failover."""

    AUTOMATIC = "automatic"
    SEMI_AUTOMATIC = "semi-automatic"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """An epoch that people gave a region without a majority of cells.

    seq   number of the record that it saw last
    met   of the one that the cells show since they answer again; a holder that lives moves it. None: they do not yet
    """

    epoch: int
    seq: int
    met: int | None = None

    def is_still(self, lease: Lease) -> bool:
        """Whether nothing shows that the holder of the epoch before lives."""
        return lease.epoch + 1 == self.epoch and (self.met is None or lease.seq in (self.seq, self.met))


class Claim(StrEnum):
    """What became of an acquire, an accept, a steal, a bootstrap."""

    COMMITTED = "committed"
    LOST = "lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the resource asks of this agent.

    place      of this region in the order of preference, 0 the most preferred standby
    fence      F, and `promote`: seconds that the two may take
    """

    region: str
    mode: Mode = Mode.AUTOMATIC
    place: int = 0
    suspended: bool = False
    profile: Profile = FAST
    poll: float = 0.5
    promote: float = 10.0
    is_primary: bool = False
    """Whether this region is the preferred one."""


@dataclass(frozen=True, slots=True)
class View:
    """One look at everything.

    epoch           in which this region acts or acted; 0: in none
    readable, sound whether a majority of cells answered; whether it may be believed (no corrupt record, clash, amnesia)
    remembered      whether an agent or a disk knows that the slot was written once
    sent_at         when the last renewal was sent, by the clock since the start of the machine; None: none in this life
    all_hold_off    every other promotable region promises not to steal, and the promises still run
    promised_until  until when this region itself promised that to the holder
    writable        whether the database here takes writes
    failing         database or application fail for longer than the threshold, and restarts here are spent
    verified_at     when the holder's epoch was last seen to take writes
    standby_ready   ready, replay known, same system, promotable
    checks_pass     of those that must pass before a failover (marked in section 5.1)
    canary          whether a write went through the real path since the promotion
    run_is_mine     the record names a run whose phase is this region's, and nobody carries it
    busy            a run is carried here, by a task of its own
    reprotects      all that is left of it is to wait for a standby
    """

    state: State
    lease: Lease | None = None
    readable: bool = True
    sound: bool = True
    remembered: bool | None = None
    epoch: int = 0
    authority: Authority | None = None
    sent_at: float | None = None
    all_hold_off: bool = False
    promised_until: float = 0.0
    clock_usable: bool = True
    writable: bool | None = None
    was_primary: bool | None = None
    failing: bool | None = None
    target: str = ""
    failover_allowed: bool | None = None
    run_is_mine: bool = False
    busy: bool = False
    reprotects: bool = False
    planned_run: bool = False
    sync_observed: str | None = None
    fence: Fence | None = None
    fence_began: float | None = None
    watch: Watch | None = None
    verified_at: float | None = None
    standby_ready: bool | None = None
    replayed: str | None = None
    checks_pass: bool | None = None
    approved: bool | None = None
    forced: bool = False
    """Two persons agreed that the slot is taken although its holder renews."""
    unwitnessed: bool = False
    """They agreed, too, that it is taken without a majority of cells."""
    holder_writes: bool | None = None
    """Whether the holder's agent says that its database takes writes."""
    unconfirmed: Unconfirmed | None = None
    """What was taken so, until the cells confirm it."""
    claim: Claim | None = None
    canary: bool | None = None
    promote_began: float | None = None
    database_sound: bool | None = None
