"""What is said of a slot: conditions with their reasons, its phase, and the row that people read.

Invariants
  I18 UnknownIsNotZero   what was not observed is Unknown, and neither good nor bad; a lag that nobody knows is no lag of zero;
  since                  the moment of a condition moves only when its status does, whatever is said about it meanwhile.

The facts are one region's; each of them may be missing (None).
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from .record import State as Written
from .spec import Spec, SyncMode
from .view import Mode

NEVER = datetime.min.replace(tzinfo=UTC)
CLOCK_OFFSET = 60.0
"""Seconds between our time of day and the cells' above which ClockOk falls."""


class Truth(StrEnum):
    """Status of a condition."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


class Shown(StrEnum):
    """Where a slot stands."""

    PENDING = "pending"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    SWITCHING_OVER = "switching-over"
    FAILED_OVER = "failed-over"
    FAILED = "failed"
    SUSPENDED = "suspended"
    AWAITING_APPROVAL = "awaiting-approval"
    FENCED = "fenced"


@dataclass(frozen=True, slots=True)
class Facts:
    """What one region knows. Seconds; by region where a mapping; None, or no entry: unknown.

    record, holder, epoch, seq   of the register as a majority last told it; `epoch` 0: never written
    silent          whether the holder has been silent for as long as it promised
    cells, cells_up, cells_needed   how many there are, answered, and are a majority; None: not asked yet
    witness_fault   UnsafeWitness, IdentityClash, AmnesiacCell or Misconfigured; empty: none
    authority       seconds left; `span` when it is renewed
    standbys        whether each standby could be reached; `absent_for` since when not; `gone`: its keeper says so
    lags, gaps      seconds and bytes that each standby has not replayed
    sync            standbys that have every acknowledged write
    traffic         epoch that each authority answers with; -1: it does not answer
    writable        whether each region's database takes writes
    unconfirmed     whether this region took the slot without a majority of cells, and these have not confirmed it yet
    barred          why no automatic failover: AntiFlap, DataLossRisk, NotPromotable, NoApproval; empty: nothing does
    run_kind, run_waits   of the run under way: `planned` or `unplanned`, and whether it waits for approval; empty: none
    run_phase, run_spent  its phase in hand, and for how many times its budget that lasts already
    last_failed     whether the last run ended badly, and nobody has acknowledged it
    rejoin          attempts of the repair under way, and `rejoin_bounded` where they ran out
    drill_age       since the last drill that passed
    clock_offset    of our time of day against the cells'
    clock_drift     of our clock's rate against other regions', in millionths
    waiting         commits that wait for a synchronous standby, where this region is the primary
    missed          bytes of log that the holder before had told of and this region did not have when it took over
    latency, usual_latency   of an answer by the public name, now and before
    """

    region: str
    record: str | None = None
    holder: str = ""
    epoch: int = 0
    seq: int = 0
    silent: bool | None = None
    cells: int | None = None
    cells_up: int | None = None
    cells_needed: int | None = None
    witness_fault: str = ""
    authority: float | None = None
    span: float | None = None
    standbys: Mapping[str, bool | None] = field(default_factory=dict)
    absent_for: Mapping[str, float] = field(default_factory=dict)
    gone: Sequence[str] = ()
    lags: Mapping[str, float | None] = field(default_factory=dict)
    gaps: Mapping[str, int | None] = field(default_factory=dict)
    sync: Sequence[str] | None = None
    traffic: Mapping[str, int] | None = None
    writable: Mapping[str, bool | None] = field(default_factory=dict)
    unconfirmed: bool = False
    fenced: bool | None = None
    barred: str | None = None
    run_kind: str = ""
    run_waits: bool = False
    run_phase: str = ""
    run_spent: float | None = None
    last_failed: bool | None = None
    rejoin: int | None = None
    rejoin_bounded: bool = False
    drill_age: float | None = None
    clock_offset: float | None = None
    clock_drift: float | None = None
    latency: float | None = None
    usual_latency: float | None = None
    waiting: int | None = None
    missed: int | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that holds, does not, or is not known."""

    type: str
    status: Truth
    reason: str
    message: str = ""
    since: datetime = NEVER


Look = Callable[[Facts, Spec], tuple[Truth, str, str]]


def conditions(facts: Facts, spec: Spec) -> tuple[Condition, ...]:
    """Every condition, `Ready` first. Those about standbys are left out where there is none."""
    found = [
        Condition(name, *look(facts, spec))
        for name, look in _LOOKS.items()
        if spec.has_standby or name in _WITHOUT_STANDBY
    ]
    return (_ready(found), *found)


def carried(before: Sequence[Condition], fresh: Sequence[Condition], now: datetime) -> tuple[Condition, ...]:
    """Fresh conditions with their moments: of before where the status is the same, else now."""
    known = {one.type: one for one in before}
    return tuple(_carried(known.get(one.type), one, now) for one in fresh)


def phase(facts: Facts, spec: Spec, found: Sequence[Condition], *, frozen: bool = False) -> Shown:
    """Where the slot stands; the first that is so."""
    if frozen or facts.record == Written.FROZEN:
        return Shown.SUSPENDED
    if facts.run_kind:
        return Shown.AWAITING_APPROVAL if facts.run_waits else Shown.SWITCHING_OVER
    if facts.last_failed:
        return Shown.FAILED
    if facts.record is None or not facts.epoch:
        return Shown.PENDING
    if facts.fenced and facts.holder in ("", facts.region):
        return Shown.FENCED
    if facts.holder and facts.holder != spec.primary:
        return Shown.FAILED_OVER
    return Shown.HEALTHY if found and found[0].status is Truth.TRUE else Shown.DEGRADED


def row(name: str, facts: Facts, spec: Spec, found: Sequence[Condition], shown: Shown, age: float) -> dict[str, str]:
    """The columns that people read."""
    lag = worst_lag(facts, spec)
    return {
        "Name": name, "Application": spec.application, "Primary": facts.holder or "unknown",
        "Lease": facts.record or "unknown", "Lag": "unknown" if lag is None else f"{lag:.1f}s",
        "RTO": f"{spec.rto:g}s", "RPO": f"{spec.rpo:g}s", "Phase": shown.value, "Age": f"{age:.0f}s",
        "Epoch": str(facts.epoch or "unknown"), "Ready": found[0].status.value if found else Truth.UNKNOWN.value,
    }  # fmt: skip


def worst_lag(facts: Facts, spec: Spec) -> float | None:
    """The largest lag of the regions that follow; None where one is unknown."""
    known = [facts.lags.get(region) for region in _followers(facts, spec)]
    return None if not known or None in known else max(lag for lag in known if lag is not None)


def _followers(facts: Facts, spec: Spec) -> list[str]:
    return [region for region in spec.members if region != (facts.holder or spec.primary)]


def _carried(before: Condition | None, fresh: Condition, now: datetime) -> Condition:
    if before is None:
        return replace(fresh, since=now)
    if fresh.type == "StandbyAvailable" and fresh.status is Truth.UNKNOWN:
        return replace(before, message=fresh.message)  # what could not be looked at is as it was seen last
    return replace(fresh, since=before.since if before.status is fresh.status else now)


def _ready(found: Sequence[Condition]) -> Condition:
    """All but `Fenced`, which tells where this region stands, and the manual mode, which is wished."""
    counted = [one for one in found if one.type != "Fenced" and one.reason != "ManualMode"]
    for status, reason in ((Truth.FALSE, "NotAllHold"), (Truth.UNKNOWN, "NotAllKnown")):
        if names := [one.type for one in counted if one.status is status]:
            return Condition("Ready", status, reason, ", ".join(names))
    return Condition("Ready", Truth.TRUE, "AllHold")


def _witness(facts: Facts, spec: Spec) -> tuple[Truth, str, str]:
    if facts.witness_fault:
        return Truth.FALSE, facts.witness_fault, "the cells must not be believed as they are"
    if facts.cells is None or facts.cells_up is None or facts.cells_needed is None:
        return Truth.UNKNOWN, "NotAsked", "no cell was asked yet"
    told = f"{facts.cells_up} of {facts.cells} cells answer"
    if facts.cells_up < facts.cells_needed:
        return Truth.FALSE, "QuorumLost", f"{told}, {facts.cells_needed} are needed"
    # With a minority down all goes on: an alert tells of it, after an hour.
    return Truth.TRUE, "MinorityDown" if facts.cells_up < facts.cells else "QuorumReachable", told


def _lease(facts: Facts, spec: Spec) -> tuple[Truth, str, str]:
    if facts.record is None:
        return Truth.UNKNOWN, "Unknown", "no majority tells"
    if facts.record == Written.FREE:
        return Truth.FALSE, "Free", "nobody holds the slot"
    if facts.record == Written.HANDOFF:
        return Truth.FALSE, "Handoff", f"{facts.holder} gives it away"
    if facts.silent:
        return Truth.FALSE, "Expired", f"{facts.holder} has been silent for as long as it promised"
    reason = "HeldBySelf" if facts.holder == facts.region else "HeldByOther"
    return Truth.TRUE, reason, f"{facts.holder} holds it in epoch {facts.epoch}"


def _standby(facts: Facts, spec: Spec) -> tuple[Truth, str, str]:
    followers = _followers(facts, spec)
    if gone := [region for region in followers if region in facts.gone]:
        return Truth.FALSE, "StandbyGone", f"gone: {', '.join(gone)}"
    seen = {region: facts.standbys.get(region) for region in followers}
    if any(seen.values()):
        return (
            Truth.TRUE,
            "StandbyReachable",
            f"reachable: {', '.join(region for region, there in seen.items() if there)}",
        )
    away = [region for region, there in seen.items() if there is False]
    long = [region for region in away if facts.absent_for.get(region, 0.0) >= spec.standby_grace]
    if long and len(long) == len(seen):
        return Truth.FALSE, "StandbyUnreachable", f"away for more than {spec.standby_grace:g} s: {', '.join(long)}"
    return Truth.UNKNOWN, "Unknown", "no standby was seen, none for long enough"


def _replication(facts: Facts, spec: Spec) -> tuple[Truth, str, str]:
    lag = worst_lag(facts, spec)
    if lag is None:
        return Truth.UNKNOWN, "Unknown", "the lag of a standby is not known"
    if lag > spec.rpo:
        return Truth.FALSE, "LagExceeded", f"{lag:.1f} s, the goal is {spec.rpo:g} s"
    return Truth.TRUE, "Ok", f"{lag:.1f} s"


def _loss(facts: Facts, spec: Spec) -> tuple[Truth, str, str]:
    if facts.sync is None:
        return Truth.UNKNOWN, "Unknown", "nobody could say which standby is synchronous"
    if facts.sync:
        return Truth.TRUE, "SyncStandbyCurrent", f"synchronous: {', '.join(sorted(facts.sync))}"
    lag = worst_lag(facts, spec)
    if spec.sync_mode is SyncMode.REQUIRED or lag is None:
        return Truth.FALSE, "AsyncWindow", "no standby is synchronous: a failover may lose writes"
    status = Truth.TRUE if lag <= spec.rpo else Truth.FALSE
    return status, "AsyncWindow", f"a failover may lose {lag:.1f} s of writes, {spec.rpo:g} s are allowed"


def _traffic(facts: Facts, spec: Spec) -> tuple[Truth, str, str]:
    if spec.names is None:
        return Truth.TRUE, "AllAuthoritative", "no names follow the slot"
    if not facts.traffic or not facts.epoch:
        return Truth.UNKNOWN, "Unverified", "no authority was asked yet"
    silent = sorted(name for name, epoch in facts.traffic.items() if epoch < 0)
    stale = sorted(name for name, epoch in facts.traffic.items() if 0 <= epoch < facts.epoch)
    if stale:
        return Truth.FALSE, "StaleServers", f"older than epoch {facts.epoch}: {', '.join(stale)}"
    if silent:
        return Truth.UNKNOWN, "Unverified", f"no answer from {', '.join(silent)}"
    return Truth.TRUE, "AllAuthoritative", f"{len(facts.traffic)} answer in epoch {facts.epoch}"


def _single(facts: Facts, spec: Spec) -> tuple[Truth, str, str]:
    writable = sorted(region for region, writes in facts.writable.items() if writes)
    if facts.unconfirmed:
        return Truth.FALSE, "SplitBrainSuspected", "taken without a majority of cells, which have not confirmed it"
    if len(writable) > 1:
        return Truth.FALSE, "SplitBrainSuspected", f"take writes: {', '.join(writable)}"
    if any(facts.writable.get(region) is None for region in spec.members):
        return Truth.UNKNOWN, "Unknown", "not every region could be seen"
    return Truth.TRUE, "Ok", f"takes writes: {', '.join(writable) or 'none'}"


def _fenced(facts: Facts, spec: Spec) -> tuple[Truth, str, str]:
    if facts.fenced is None:
        return Truth.UNKNOWN, "Unknown", ""
    return (Truth.TRUE, "Fenced", "") if facts.fenced else (Truth.FALSE, "NotFenced", "")


def _failover(facts: Facts, spec: Spec) -> tuple[Truth, str, str]:
    if spec.suspend or facts.record == Written.FROZEN:
        return Truth.FALSE, "Suspended", "nobody claims while the register is frozen"
    if spec.mode is Mode.MANUAL:
        return Truth.FALSE, "ManualMode", "a person starts it"
    if facts.barred is None:
        return Truth.UNKNOWN, "Unknown", "not judged yet"
    return (Truth.FALSE, facts.barred, "") if facts.barred else (Truth.TRUE, "Ok", "")


def _rto(facts: Facts, spec: Spec) -> tuple[Truth, str, str]:
    told = f"at worst {spec.rto_worst:.1f} s, the goal is {spec.rto:g} s"
    return (Truth.TRUE, "Feasible", told) if spec.is_rto_feasible else (Truth.FALSE, "Infeasible", told)


def _last(facts: Facts, spec: Spec) -> tuple[Truth, str, str]:
    if facts.last_failed is None:
        return Truth.TRUE, "NoneYet", ""
    return (Truth.FALSE, "Failed", "the last run ended badly") if facts.last_failed else (Truth.TRUE, "Succeeded", "")


def _rejoin(facts: Facts, spec: Spec) -> tuple[Truth, str, str]:
    if facts.rejoin_bounded:
        return Truth.FALSE, "Bounded", f"gave up after {facts.rejoin or 0} attempts"
    if facts.rejoin:
        return Truth.FALSE, "UnderWay", f"attempt {facts.rejoin}"
    return Truth.TRUE, "NotNeeded", ""


def _drill(facts: Facts, spec: Spec) -> tuple[Truth, str, str]:
    if facts.drill_age is None:
        return Truth.UNKNOWN, "NeverDrilled", ""
    if facts.drill_age > spec.drill.max_age:
        return Truth.FALSE, "Overdue", f"the last one is {facts.drill_age / 86400:.0f} days old"
    return Truth.TRUE, "Current", ""


def _clock(facts: Facts, spec: Spec) -> tuple[Truth, str, str]:
    if facts.clock_offset is None:
        return Truth.UNKNOWN, "Unknown", "not compared with the cells yet"
    if abs(facts.clock_offset) > CLOCK_OFFSET:
        return Truth.FALSE, "Offset", f"{facts.clock_offset:.0f} s from the cells' time"
    if not spec.has_standby:
        return Truth.TRUE, "Ok", f"{facts.clock_offset:.1f} s from the cells' time"  # no other clock takes part
    if facts.clock_drift is None:
        return Truth.UNKNOWN, "Unknown", "its rate was not compared with another region's for long enough yet"
    limit = spec.profile.drift / 2 * 1_000_000
    if facts.clock_drift > limit:
        return (
            Truth.FALSE,
            "Drift",
            f"{facts.clock_drift:.0f} millionths off another region's, {limit:.0f} are tolerated",
        )
    return Truth.TRUE, "Ok", ""


_LOOKS: Mapping[str, Look] = {
    "WitnessReady": _witness,
    "LeaseHeld": _lease,
    "StandbyAvailable": _standby,
    "ReplicationWithinRPO": _replication,
    "DataLossGuard": _loss,
    "TrafficConverged": _traffic,
    "SinglePrimary": _single,
    "Fenced": _fenced,
    "FailoverAllowed": _failover,
    "RTOFeasible": _rto,
    "LastSwitchoverHealthy": _last,
    "RejoinRepair": _rejoin,
    "DrillCurrent": _drill,
    "ClockOk": _clock,
}
_WITHOUT_STANDBY = ("WitnessReady", "LeaseHeld", "Fenced")
"""What there is to say of a slot that is lease and fencing only."""


def write(facts: Facts, found: Sequence[Condition]) -> str:
    """Facts and conditions as text, to be kept for other replicas."""
    rows = [{**asdict(one), "since": one.since.isoformat()} for one in found]
    return json.dumps({"facts": asdict(facts), "conditions": rows}, sort_keys=True)


def read(text: str) -> tuple[Facts, tuple[Condition, ...]]:
    """What `write` wrote; what a later release said besides is passed over."""
    kept = json.loads(text)
    known = {name: value for name, value in kept["facts"].items() if name in Facts.__slots__}
    return Facts(**known), tuple(_read(kept["conditions"]))


def _read(rows: Sequence[Mapping[str, str]]) -> Iterator[Condition]:
    for one in rows:
        since = datetime.fromisoformat(one["since"])
        yield Condition(one["type"], Truth(one["status"]), one["reason"], one["message"], since)
