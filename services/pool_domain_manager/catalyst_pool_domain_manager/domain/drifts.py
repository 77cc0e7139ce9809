"""Drift: one difference between the wish and the world, open until it is gone.

Invariants
  one record   a difference that is seen again is the open one, however often and by whichever replica it is seen;
  ours alone   only what the wish names is put right; what somebody else keeps is told and never touched.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from catalyst_sdk import Code, Refused
from catalyst_sdk.dns import RecordSet
from catalyst_sdk.dns_rules import Key

from .conditions import RECORDS_PUBLISHED, SIGNED, ZONE_READY, Condition, false, true
from .record_sets import same

BACKEND = "backend"
"""Where a difference was seen that is no server's."""
DRIFTED = "Drifted"


class Kind(StrEnum):
    MISSING = "missing"
    EXTRA = "extra"
    CHANGED = "changed"
    FOREIGN = "foreign"
    STALE_SERVER = "stale_server"
    LAME = "lame"
    UNSIGNED = "unsigned"
    BOGUS = "bogus"
    DS_MISMATCH = "ds_mismatch"
    NS_MISMATCH = "ns_mismatch"


class State(StrEnum):
    OPEN = "open"
    REPAIRING = "repairing"
    REPAIRED = "repaired"
    ACCEPTED = "accepted"
    CLOSED = "closed"


REPAIRABLE = frozenset({Kind.MISSING, Kind.CHANGED})
"""What a write of ours puts right."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A difference as it was just seen. Without `name`, of the zone as a whole."""

    kind: Kind
    server: str = BACKEND
    name: str = ""
    type: str = ""
    wished: RecordSet | None = None
    observed: RecordSet | None = None
    cause: str = ""

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes it the same one when it is seen again."""
        return str(self.kind), self.server, self.name, self.type


@dataclass(frozen=True, slots=True)
class Drift:
    """One record. `number` 0: not stored yet."""

    number: int
    zone: str
    owner: str
    sight: Sight
    state: State
    opened_at: datetime
    closed_at: datetime | None = None
    plan: str = ""
    version: int = 1

    @property
    def name(self) -> str:
        """Resource name."""
        return f"zones/{self.zone}/drifts/d{self.number}"

    @property
    def key(self) -> Key:
        """Name and type of the set."""
        return self.sight.name, self.sight.type


@dataclass(frozen=True, slots=True)
class Drifted:
    """A difference was seen for the first time. `version` is the zone's."""

    drift: Drift
    version: int


@dataclass(frozen=True, slots=True)
class Repaired:
    """It was put right by a plan."""

    drift: Drift
    version: int
    serial: int
    revision: int


class DriftNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "DRIFT_NOT_FOUND", "there is no {name}"


def compare(
    desired: Mapping[Key, RecordSet], found: Mapping[Key, RecordSet], *, foreign: Collection[Key] = ()
) -> tuple[Sight, ...]:
    """What a backend has otherwise than wished, by name and type.

    found    without marks, and without what others keep by right, such as the cuts of a pool's names
    foreign  sets that carry somebody else's mark
    """
    seen = []
    for key in sorted(desired.keys() | found.keys()):
        wished, observed = desired.get(key), found.get(key)
        if key in foreign:
            is_mark = key[1] == "TXT" and wished is None
            if not is_mark and observed is not None:
                cause = "a mark of somebody else stands on a set of ours" if wished else "somebody else keeps it"
                seen.append(Sight(Kind.FOREIGN, BACKEND, *key, wished, observed, cause))
        elif observed is None:
            seen.append(Sight(Kind.MISSING, BACKEND, *key, wished, None))
        elif wished is None:
            seen.append(Sight(Kind.EXTRA, BACKEND, *key, None, observed))
        elif not same(wished, observed):
            seen.append(Sight(Kind.CHANGED, BACKEND, *key, wished, observed))
    return tuple(seen)


def settle(
    zone: str, owner: str, known: Sequence[Drift], seen: Iterable[Sight], now: datetime
) -> tuple[tuple[Drift, ...], tuple[Drift, ...]]:
    """New records, and known ones that changed: gone, or seen with another content. What is as it was is in neither."""
    open_ones = {d.sight.identity: d for d in known if d.closed_at is None}
    new, moved, again = [], [], set()
    for sight in {s.identity: s for s in seen}.values():
        d = open_ones.get(sight.identity)
        if d is None:
            new.append(Drift(0, zone, owner, sight, State.OPEN, now))
            continue
        again.add(sight.identity)
        if (d.sight.wished, d.sight.observed) != (sight.wished, sight.observed):
            moved.append(replace(d, sight=sight, version=d.version + 1))
    gone = [d for identity, d in open_ones.items() if identity not in again]
    moved += [closed(d, State.REPAIRED if d.state is State.REPAIRING else State.CLOSED, now) for d in gone]
    return tuple(new), tuple(moved)


def closed(d: Drift, state: State, now: datetime, plan: str = "") -> Drift:
    """It is over."""
    return replace(d, state=state, closed_at=now, plan=plan or d.plan, version=d.version + 1)


def repairing(d: Drift, plan: str) -> Drift:
    """A plan is to put it right."""
    return replace(d, state=State.REPAIRING, plan=plan, version=d.version + 1)


def reopened(d: Drift) -> Drift:
    """The plan that was to put it right came to nothing."""
    return replace(d, state=State.OPEN, version=d.version + 1)


def conditions(drifts: Iterable[Drift | Sight], *, signed: bool) -> tuple[Condition, ...]:
    """What open differences mean for a zone. What others keep beside ours is no fault of it."""
    sights = [d.sight if isinstance(d, Drift) else d for d in drifts]
    faults = [s for s in sights if s.kind is not Kind.FOREIGN]
    first = faults[0] if faults else None
    told = [
        Condition(DRIFTED, "True", _word(first), _sentence(first, len(faults)))
        if first
        else Condition(DRIFTED, "False", "AsWished")
    ]
    told.append(_fallen(ZONE_READY, faults, Kind.LAME, Kind.STALE_SERVER))
    told.append(_fallen(RECORDS_PUBLISHED, faults, Kind.MISSING, Kind.CHANGED))
    if signed:
        told.append(_fallen(SIGNED, faults, Kind.BOGUS, Kind.UNSIGNED))
    return tuple(told)


def _fallen(kind: str, faults: Sequence[Sight], *kinds: Kind) -> Condition:
    hit = [s for s in faults if s.kind in kinds]
    return false(kind, _word(hit[0]), _sentence(hit[0], len(hit))) if hit else true(kind)


def _word(s: Sight) -> str:
    return "".join(part.capitalize() for part in str(s.kind).split("_"))


def _sentence(s: Sight, count: int) -> str:
    what = f"{s.name} {s.type}".strip() or "the zone"
    return f"{s.server}: {what} is {s.kind}{f', {s.cause}' if s.cause else ''} ({count} in all)"
