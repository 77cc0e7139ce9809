"""What is looked at before a slot moves (continuum specification, section 5.1): pure rows over facts.

Invariants
  I18 UnknownIsNotZero  a fact that is missing is UNKNOWN, whatever the goal is, and UNKNOWN never passes;
  planned is strict     a planned run is blocked by any row that blocks or is unknown;
  failover is lean      a failover is blocked by critical rows alone: what cannot be seen of a dead region holds up nobody.

A row that has no object, such as one about a database where none moves, is not in the list.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from catalyst_sdk.continuum import DatabaseView, Role, TrafficView, Verdict

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
    """

    rpo: float = 5.0
    max_lag: float = PLANNED_LAG
    fence: float = 5.0
    ttl: int | None = None
    drill_age: float = 30 * 86_400.0


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
    blackout            window in which nothing planned is begun; empty: none is open
    needs               slots that must be at the target before, with their holders
    rules               the user's own rules: whether each lets the run pass
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
    blackout: str = ""
    needs: Mapping[str, str | None] = field(default_factory=dict)
    rules: Mapping[str, bool | None] = field(default_factory=dict)
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


@dataclass(frozen=True, slots=True)
class Check:
    """A row and what it found. `critical`: it counts in a failover too."""

    name: str
    critical: bool
    found: Found

    def blocks(self, *, planned: bool) -> bool:
        """Whether a run must not begin."""
        return (planned or self.critical) and self.found.verdict in (Verdict.BLOCK, Verdict.UNKNOWN)


Look = Callable[[Facts, bool], Found]


@dataclass(frozen=True, slots=True)
class Row:
    """`concerns`: whether there is anything to look at."""

    name: str
    look: Look
    critical: bool = False
    concerns: Callable[[Facts], bool] = lambda facts: True


def judged(facts: Facts, *, planned: bool) -> Sequence[Check]:
    """All checks, in the order of the table."""
    return tuple(Check(row.name, row.critical, row.look(facts, planned)) for row in ROWS if row.concerns(facts))


def blockers(checks: Sequence[Check], *, planned: bool) -> Sequence[Check]:
    """Those that stand in the way."""
    return tuple(check for check in checks if check.blocks(planned=planned))


def passes(facts: Facts, *, planned: bool) -> bool:
    """Whether nothing stands in the way."""
    return not blockers(judged(facts, planned=planned), planned=planned)


def _pass(message: str) -> Found:
    return Found(Verdict.PASS, message)


def _warn(message: str, next_step: str = "") -> Found:
    return Found(Verdict.WARN, message, next_step)


def _block(message: str, next_step: str = "") -> Found:
    return Found(Verdict.BLOCK, message, next_step)


def _unknown(message: str, next_step: str = "") -> Found:
    return Found(Verdict.UNKNOWN, message, next_step)


def _is(value: bool | None, yes: str, no: str, unknown: str, next_step: str = "") -> Found:
    if value is None:
        return _unknown(unknown, next_step)
    return _pass(yes) if value else _block(no, next_step)


def _holder(f: Facts, planned: bool) -> Found:
    if f.holder is None:
        return _unknown("no majority of cells tells who holds the slot", "bring cells back")
    if f.holder != f.source:
        return _block(f"{f.holder or 'nobody'} holds the slot, not {f.source}", "plan anew from the holder")
    return _pass(f"{f.source} holds the slot")


def _epoch(f: Facts, planned: bool) -> Found:
    return _unknown("the epoch cannot be read") if f.epoch is None else _pass(f"epoch {f.epoch}")


def _quorum(f: Facts, planned: bool) -> Found:
    down = sorted(name for name, answers in f.cells.items() if not answers)
    up = len(f.cells) - len(down)
    if up < f.majority:
        return _block(f"{up} of {len(f.cells)} cells answer, {f.majority} are needed", "bring cells back")
    if down:
        return _warn(
            f"{', '.join(down)} of {len(f.cells)} cells do not answer", "bring them back: one more may be too many"
        )
    return _pass(f"all {up} cells answer")


def _sound(f: Facts, planned: bool) -> Found:
    shut = sorted(f.quarantined & f.cells.keys())
    left, names = len(f.cells) - len(shut), ", ".join(shut)
    if left < f.majority:
        return _block(f"{names} are in quarantine: {left} of {len(f.cells)} cells are left", "admit them again")
    return _warn(f"{names} is in quarantine", "admit it again") if names else _pass("no cell is in quarantine")


def _agent(f: Facts, planned: bool) -> Found:
    mine, theirs = f.versions
    if theirs is None:
        return _unknown(f"the agent of {f.target} does not answer", "see whether it runs, and is let through")
    if mine != theirs:
        return _block(f"version {theirs} runs in {f.target}, {mine} here", "finish the update")
    return _pass(f"the agent of {f.target} answers, version {theirs}")


def _promotable(f: Facts, planned: bool) -> Found:
    return _is(f.promotable, f"{f.target} may become primary", f"{f.target} is marked as not promotable", "")


def _ready(f: Facts, planned: bool) -> Found:
    view = f.standby
    if view is None or view.ready is None:
        return _unknown(f"nobody says whether the database in {f.target} is ready")
    if view.role is Role.STOPPED or not view.ready:
        return _block(f"the database in {f.target} is {view.role or 'there'} and not ready", "bring the standby back")
    if view.replayed is None or (view.role is Role.REPLICA and view.received is None):
        return _unknown(f"{f.target} does not say what it received and replayed")
    return _pass(f"{f.target} is ready, replayed up to {view.replayed}")


def _system(f: Facts, planned: bool) -> Found:
    """The source's may be known from before: a copy never changes whose copy it is."""
    theirs = f.standby.system_id if f.standby else None
    mine = f.primary.system_id if f.primary else None
    if theirs is None or mine is None:
        return _unknown("the two databases do not both say whose copies they are")
    if theirs != mine:
        return _block(f"{f.target} is a copy of {theirs}, not of {mine}", "clone the standby anew")
    return _pass(f"both are copies of {mine}")


def _history(f: Facts, planned: bool) -> Found:
    return _is(
        f.same_history,
        "the target's timeline is in the source's history",
        "the target's timeline left the source's history",
        "the timelines cannot be compared",
        "rewind or clone the standby",
    )


def _lag(f: Facts, planned: bool) -> Found:
    goal = f.goals.max_lag if planned else f.goals.rpo
    if f.lag is None:
        return _unknown(f"the lag of {f.target} is not known")
    if f.lag > goal:
        return _block(f"{f.target} lags by {f.lag:.1f} s, the limit is {goal:.1f} s", "wait, or lighten the load")
    return _pass(f"{f.target} lags by {f.lag:.1f} s of {goal:.1f} s")


def _loss(f: Facts, planned: bool) -> Found:
    if f.keeps_all is not None and f.target in f.keeps_all:
        return _pass(f"{f.target} has every acknowledged write")
    if planned and f.lag is not None and f.lag <= f.goals.rpo:
        return _pass(f"{f.target} is waited for until it has the last write")
    if f.accepts_loss:
        return _warn(
            "loss was accepted by name" if f.loss is None else f"a loss of {f.loss:.1f} s was accepted by name"
        )
    if f.loss is None:
        return _unknown(f"nobody can say what {f.target} would lose", "accept the loss by name, or wait for the holder")
    if f.loss > f.goals.rpo:
        return _block(
            f"{f.loss:.1f} s of writes would be lost, the goal is {f.goals.rpo:.1f} s", "accept the loss by name"
        )
    return _pass(f"at most {f.loss:.1f} s of writes of {f.goals.rpo:.1f} s would be lost")


def _reverse(f: Facts, planned: bool) -> Found:
    return _is(
        f.reverses,
        f"{f.source} can follow {f.target}",
        f"{f.source} could not follow {f.target} afterwards",
        f"nobody says whether {f.source} could follow {f.target} afterwards",
    )


def _delay(f: Facts, planned: bool) -> Found:
    delay, limit = f.cluster.switchover_delay if f.cluster else None, f.goals.fence - 1
    if delay is None:
        return _unknown("the cluster's switchoverDelay cannot be read")
    if delay > limit:
        return _block(
            f"switchoverDelay is {delay:.0f} s, a fence has {limit:.0f} s",
            f"set switchoverDelay to {limit:.0f} or less",
        )
    return _pass(f"switchoverDelay {delay:.0f} s fits into the fence")


def _roles(f: Facts, planned: bool) -> Found:
    equal = f.cluster.roles_equal if f.cluster else None
    return _is(equal, "roles and secrets are equal", "roles or secrets differ", "roles and secrets cannot be compared")


def _backups(f: Facts, planned: bool) -> Found:
    age = f.cluster.backup_age if f.cluster else None
    if age is None:
        return _unknown("no backup is known", "make one")
    hours = f"the last backup is {age / 3600:.0f} h old"
    return _block(hours, "make one") if age > BACKUP_AGE else _pass(hours)


def _zone(f: Facts, planned: bool) -> Found:
    refused = sorted(name for name, takes in f.writable.items() if takes is False)
    silent = sorted(name for name, takes in f.writable.items() if takes is None)
    if refused:
        return _block(f"{', '.join(refused)} refuses updates of the zone", "grant the key the zone's names")
    if silent or not f.writable:
        return _unknown(f"{', '.join(silent) or 'no authority'} does not say whether it takes updates")
    return _pass(f"{len(f.writable)} authorities take updates")


def _marks(f: Facts, planned: bool) -> Found:
    rows = f.traffic.authorities if f.traffic else ()
    silent = sorted({one.authority for one in rows if not one.answers})
    if not rows or silent:
        return _unknown(f"{', '.join(silent) or 'no authority'} does not answer for the names")
    off = sorted({f"{one.authority} {one.epoch}" for one in rows if one.epoch != f.epoch})
    if off:
        return _block(
            f"names are not in epoch {f.epoch}: {', '.join(off)}", "the holder brings them there; look at the servers"
        )
    return _pass(f"all names are in epoch {f.epoch} at every authority")


def _ttl(f: Facts, planned: bool) -> Found:
    goal = f.goals.ttl or 0
    lasting = [one.ttl for one in f.traffic.authorities if one.ttl is not None] if f.traffic else []
    if not lasting:
        return _unknown("the lifetime of the names' records is not known")
    if max(lasting) > goal:
        return _block(f"records live for {max(lasting)} s, {goal} s are configured", "the holder writes them anew")
    return _pass(f"records live for {max(lasting)} s")


def _fronts(f: Facts, planned: bool) -> Found:
    if f.fronts is None:
        return _warn(f"nobody can ask the addresses of {f.target}", "say how, in luaRecord.healthCheck")
    dead = sorted(address for address, answers in f.fronts.items() if answers is False)
    silent = sorted(address for address, answers in f.fronts.items() if answers is None)
    if dead:
        return _block(f"{', '.join(dead)} of {f.target} does not answer", "bring the gateway back")
    if silent or not f.fronts:
        return _unknown(f"nobody asked {', '.join(silent) or 'the addresses'} of {f.target}")
    return _pass(f"{len(f.fronts)} addresses of {f.target} answer")


def _capacity(f: Facts, planned: bool) -> Found:
    return _is(
        f.capacity,
        f"{f.target} has room",
        f"{f.target} has no room for the load",
        f"the room in {f.target} is not known",
    )


def _run(f: Facts, planned: bool) -> Found:
    return _block(f"the run {f.run} is not over", "wait for it or abort it") if f.run else _pass("no other run")


def _flaps(f: Facts, planned: bool) -> Found:
    return (
        _block(f.flaps, "acknowledge the last failovers") if f.flaps else _pass("no failover waits to be acknowledged")
    )


def _suspended(f: Facts, planned: bool) -> Found:
    if f.suspended or f.frozen:
        return _block("the slot is suspended", "resume it")
    return _is(
        None if f.frozen is None else True,
        "the slot is not suspended",
        "",
        "nobody tells whether the register is frozen",
    )


def _approval(f: Facts, planned: bool) -> Found:
    """Approvals come after the plan, and are bound to it: their absence makes a run wait, not fail."""
    return (
        _warn(f"{f.approvals} approvals are missing: the run waits for them")
        if f.approvals
        else _pass("no approval missing")
    )


def _owner(f: Facts, planned: bool) -> Found:
    if f.reverted_by is None:
        return _unknown("nobody says whether a change of the desired state would stay")
    if f.reverted_by:
        return _block(f"{f.reverted_by} would take the change back", "let it leave the fields that a move writes")
    return _pass("nobody would take the change back")


def _clock(f: Facts, planned: bool) -> Found:
    if f.offset is None:
        return _unknown(f"none of {f.clocks} other clocks tells the time")
    if abs(f.offset) > LARGEST_OFFSET:
        return _block(f"the clock is off by {f.offset:.0f} s, at 300 s no update is taken", "set the clock")
    return _pass(f"the clock is off by {f.offset:.1f} s")


def _drill(f: Facts, planned: bool) -> Found:
    if f.drill_age is None:
        return _warn("there was no drill yet", "rehearse")
    days = f"the last drill was {f.drill_age / 86400:.0f} days ago"
    return _warn(days, "rehearse") if f.drill_age > f.goals.drill_age else _pass(days)


def _never_zero(f: Facts, planned: bool) -> Found:
    """What is given up must be taken up: a target that cannot lead leaves the slot without anybody."""
    if f.standby is not None and f.standby.role is Role.STOPPED:
        return _block(f"{f.target} is stopped: nobody would be left", "bring it back")
    if f.fronts and all(answers is False for answers in f.fronts.values()):
        return _block(f"no address of {f.target} answers: nobody would be left", "bring its gateway back")
    return _pass(f"{f.target} is left")


def _never_two(f: Facts, planned: bool) -> Found:
    writing = sorted(region for region, view in f.databases.items() if view is not None and view.writable)
    if strangers := [region for region in writing if region != f.source]:
        return _block(f"{', '.join(strangers)} takes writes besides the holder", "fence it: there may be two primaries")
    return _pass("nobody but the holder takes writes")


def _blackout(f: Facts, planned: bool) -> Found:
    return (
        _block(f"the window {f.blackout} is open: nothing is moved in it", "wait")
        if f.blackout
        else _pass("no blackout")
    )


def _needs(f: Facts, planned: bool) -> Found:
    away = sorted(f"{slot} ({holder})" for slot, holder in f.needs.items() if holder not in (f.target, None))
    silent = sorted(slot for slot, holder in f.needs.items() if holder is None)
    if away:
        return _block(f"{', '.join(away)} must be in {f.target} first", "move it first")
    if silent:
        return _unknown(f"nobody tells where {', '.join(silent)} is")
    return _pass(f"{len(f.needs)} slots that this one needs are in {f.target}")


def _rules(f: Facts, planned: bool) -> Found:
    no = sorted(name for name, passes in f.rules.items() if passes is False)
    silent = sorted(name for name, passes in f.rules.items() if passes is None)
    if no:
        return _block(f"the rule {', '.join(no)} does not let it pass")
    return (
        _unknown(f"the rule {', '.join(silent)} could not be judged") if silent else _pass(f"{len(f.rules)} rules pass")
    )


def _has_database(f: Facts) -> bool:
    return bool(f.databases)


def _has_cluster(f: Facts) -> bool:
    return f.cluster is not None


def _has_names(f: Facts) -> bool:
    return f.goals.ttl is not None


def _is_orchestrated(f: Facts) -> bool:
    return f.orchestrated


ROWS = (
    Row("lease-holder", _holder, critical=True),
    Row("epoch-readable", _epoch, critical=True),
    Row("witness-quorum", _quorum, critical=True),
    Row("witness-sound", _sound, critical=True),
    Row("target-agent", _agent),
    Row("target-promotable", _promotable, critical=True),
    Row("target-ready", _ready, critical=True, concerns=_has_database),
    Row("system-identifier", _system, critical=True, concerns=_has_database),
    Row("timeline", _history, concerns=_has_database),
    Row("lag", _lag, concerns=_has_database),
    Row("data-loss-guard", _loss, critical=True, concerns=_has_database),
    Row("reverse-sync", _reverse, concerns=_has_database),
    Row("switchover-delay", _delay, concerns=_has_cluster),
    Row("roles-and-secrets", _roles, concerns=_has_cluster),
    Row("backups", _backups, concerns=_has_cluster),
    Row("zone-writable", _zone, concerns=_has_names),
    Row("epoch-marks", _marks, concerns=_has_names),
    Row("record-ttl", _ttl, concerns=_has_names),
    Row("target-addresses", _fronts, concerns=_has_names),
    Row("capacity", _capacity, concerns=_is_orchestrated),
    Row("no-other-run", _run),
    Row("anti-flap", _flaps),
    Row("not-suspended", _suspended, critical=True),
    Row("approval", _approval),
    Row("desired-state", _owner, concerns=_is_orchestrated),
    Row("clock", _clock, concerns=lambda facts: facts.clocks > 0),
    Row("drill-age", _drill),
    Row("never-zero", _never_zero, critical=True),
    Row("never-two", _never_two, critical=True, concerns=_has_database),
    Row("blackout", _blackout),
    Row("needs-first", _needs, concerns=lambda facts: bool(facts.needs)),
    Row("own-rules", _rules, concerns=lambda facts: bool(facts.rules)),
)
"""Every check; those that are critical are marked with a star in the specification, or are safety rules that hold always."""
