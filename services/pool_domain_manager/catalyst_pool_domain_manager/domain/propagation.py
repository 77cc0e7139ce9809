"""What the servers of a zone and of its parent answer, and what that means as a whole.

Invariants
  all of them    a zone is delegated when every server of the parent says so, and consistent when every one of its own does;
  no opinion     what a resolver says is shown and counts for nothing: it may have asked before the change;
  silence is no  a server that gives no answer keeps a zone from being either.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Role(StrEnum):
    """Where a server stands."""

    PARENT = "parent"
    CHILD = "child"
    RESOLVER = "resolver"


class Verdict(StrEnum):
    """What is to be thought of an answer."""

    OK = "ok"
    STALE = "stale"
    LAME = "lame"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    BOGUS = "bogus"
    MISSING_GLUE = "missing_glue"
    NS_MISMATCH = "ns_mismatch"
    NO_SUCH_ZONE = "no_such_zone"
    ERROR = "error"
    """It could not be asked: there is no way from here to an address of its kind."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one address of one server answered.

    serial      None where no SOA was shown
    ttl         seconds for which the longest-lived of its answers may be kept
    rrset_hash  the same for equal record sets, in whatever order they came; empty without an answer
    """

    role: Role
    server: str
    address: str
    verdict: Verdict
    transport: str = "udp"
    rcode: str = ""
    aa: bool = False
    serial: int | None = None
    ttl: int = 0
    rrset_hash: str = ""
    rtt_ms: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """What a check found.

    consensus_serial  0 where the servers of the zone do not agree
    horizon           when the last older answer can have left the caches, if nothing changes from now on
    """

    delegated: bool
    consistent: bool
    consensus_serial: int
    horizon: datetime
    asked: int
    ok: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the last whole check of a zone came to. `uid`: of that life of the zone."""

    zone: str
    uid: str
    delegated: bool
    consistent: bool
    serial: int
    at: datetime
    version: int = 1


@dataclass(frozen=True, slots=True)
class Progressed:
    """The outcome of a check is another one than before. `version` is the zone's."""

    zone: str
    owner: str
    version: int
    summary: Summary
    serial: int
    revision: int


def progressed(known: Outcome | None, zone: str, uid: str, found: Summary, now: datetime) -> Outcome | None:
    """The outcome where it is another one than before, of this life of the zone; None: nothing is to be told."""
    is_known = known is not None and known.uid == uid
    seen = (found.delegated, found.consistent, found.consensus_serial)
    if known is not None and is_known and (known.delegated, known.consistent, known.serial) == seen:
        return None
    return Outcome(zone, uid, *seen, now, known.version + 1 if known else 1)


def summarise(seen: Sequence[Observation], wanted_serial: int, now: datetime) -> Summary:
    """What the answers mean together."""
    gating = [one for one in seen if one.role is not Role.RESOLVER]
    parents = _judged(one for one in gating if one.role is Role.PARENT)
    children = _judged(one for one in gating if one.role is Role.CHILD)
    serials = {one.serial for one in children}
    agreed = next(iter(serials)) if len(serials) == 1 else None
    return Summary(
        delegated=bool(parents) and all(one.verdict is Verdict.OK for one in parents),
        consistent=bool(children) and all(is_arrived(one.serial, wanted_serial) for one in children),
        consensus_serial=agreed or 0,
        horizon=now + timedelta(seconds=max((one.ttl for one in seen), default=0)),
        asked=len(gating),
        ok=sum(one.verdict is Verdict.OK for one in gating),
    )


def is_arrived(serial: int | None, wanted: int) -> bool:
    """Whether a serial is the wanted one or a later one, on the circle of RFC 1982."""
    return serial is not None and (serial - wanted) % 2**32 < 2**31


def _judged(seen: Iterable[Observation]) -> list[Observation]:
    """Addresses that count: one that there is no way to does not, where its server was heard at another one."""
    rows = list(seen)
    heard = {one.server for one in rows if one.verdict is not Verdict.ERROR}
    return [one for one in rows if one.verdict is not Verdict.ERROR or one.server not in heard]
