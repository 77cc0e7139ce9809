"""What is looked at before a slot moves, and what a look finds: data alone.

I18 UnknownIsNotZero: a fact that is missing is None, and a look at it finds UNKNOWN, which never passes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from catalyst_sdk.continuum import DatabaseView, TrafficView, Verdict

LARGEST_OFFSET = 60.0
"""Seconds by which a clock may be off before it is worth a word; signed updates end at 300."""
PLANNED_LAG = 1.0
"""Seconds of lag at which a planned move may begin."""
BACKUP_AGE = 86_400.0


@dataclass(frozen=True, slots=True)
class Goals:
    """What the slot wants. Seconds.

    max_lag        at which a planned run may begin
    fence          F
    ttl            lifetime of the names' records; None: no names
    drill_age      at which a drill is too old
    stable_for     for which the target must have had every write, before a failback; None: it is none
    """

    rpo: float = 5.0
    max_lag: float = PLANNED_LAG
    fence: float = 5.0
    ttl: int | None = None
    drill_age: float = 30 * 86_400.0
    stable_for: float | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known before a move; None in a field: nobody could say.

    holder, epoch       by a majority of cells
    cells, quarantined  by name whether each answers; those that nobody believes. `majority` of them is needed
    versions            of the two daemons, this one's and the target's; None for the second: it does not answer
    databases           by region, what each said of itself; none at all: no database moves
    same_history        the target's timeline is in the source's history
    lag                 of the target, in seconds
    keeps_all           regions that have every acknowledged write by the record
    loss                seconds of writes that would be lost at worst if the source never came back
    reverses            the source could follow the target synchronously
    cluster             of CloudNativePG, where that moves the database
    traffic             what each authority answers; names only
    writable            by authority, whether it takes an update of the zone
    fronts              of the target's addresses, whether each answers; None: nothing is configured by which to ask them
    orchestrated        something places the workloads and owns their desired state: it is asked for
    capacity            room in the target
    run                 one that is not over; empty: none
    flaps               why the target may not take the slot by itself; empty: it may
    suspended, frozen   by the wish, by the record
    approvals           how many are missing
    reverted_by         owner of the desired state that would take a change back; empty: nobody
    clocks, offset      how many clocks of others can be asked; by how much this one is off against them, in seconds
    drill_age           seconds since the last one
    stable              seconds for which the target has had every write without a break
    blackout            window in which nothing planned is begun; empty: none is open
    needs               slots that must be at the target before, with their holders
    rules               the user's own rules: whether each lets the run pass
    said                of some of them, why
    """

    source: str
    target: str
    holder: str | None = None
    epoch: int | None = None
    cells: Mapping[str, bool] = field(default_factory=dict)
    quarantined: frozenset[str] = frozenset()
    versions: tuple[str, str | None] = ("", None)
    promotable: bool = True
    databases: Mapping[str, DatabaseView | None] = field(default_factory=dict)
    same_history: bool | None = None
    lag: float | None = None
    keeps_all: frozenset[str] | None = None
    loss: float | None = None
    loss_bytes: int | None = None
    accepts_loss: bool = False
    reverses: bool | None = None
    cluster: "ClusterFacts | None" = None
    traffic: TrafficView | None = None
    writable: Mapping[str, bool | None] = field(default_factory=dict)
    fronts: Mapping[str, bool | None] | None = field(default_factory=dict)
    orchestrated: bool = False
    capacity: bool | None = None
    run: str = ""
    flaps: str = ""
    suspended: bool = False
    frozen: bool | None = None
    approvals: int = 0
    reverted_by: str | None = None
    clocks: int = 0
    offset: float | None = None
    drill_age: float | None = None
    stable: float | None = None
    blackout: str = ""
    needs: Mapping[str, str | None] = field(default_factory=dict)
    rules: Mapping[str, bool | None] = field(default_factory=dict)
    said: Mapping[str, str] = field(default_factory=dict)
    goals: Goals = Goals()

    @property
    def majority(self) -> int:
        """Cells that must answer."""
        return len(self.cells) // 2 + 1

    @property
    def standby(self) -> DatabaseView | None:
        """The target's database."""
        return self.databases.get(self.target)

    @property
    def primary(self) -> DatabaseView | None:
        """The source's database."""
        return self.databases.get(self.source)


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What CloudNativePG's objects say. `switchover_delay`, `backup_age` in seconds."""

    switchover_delay: float | None = None
    roles_equal: bool | None = None
    backup_age: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a row found, in a sentence with the figures, and what to do about it."""

    verdict: Verdict
    message: str
    next_step: str = ""


Look = Callable[[Facts, bool], Found]
"""A look at facts, for a planned run or for another one."""


def passed(message: str) -> Found:
    """Nothing stands in the way."""
    return Found(Verdict.PASS, message)


def warned(message: str, next_step: str = "") -> Found:
    """People should know."""
    return Found(Verdict.WARN, message, next_step)


def blocked(message: str, next_step: str = "") -> Found:
    """A run must not begin."""
    return Found(Verdict.BLOCK, message, next_step)


def unknown(message: str, next_step: str = "") -> Found:
    """Nobody can say."""
    return Found(Verdict.UNKNOWN, message, next_step)


def either(value: bool | None, yes: str, no: str, silent: str, next_step: str = "") -> Found:
    """By a fact that is so, is not, or is not known."""
    if value is None:
        return unknown(silent, next_step)
    return passed(yes) if value else blocked(no, next_step)
