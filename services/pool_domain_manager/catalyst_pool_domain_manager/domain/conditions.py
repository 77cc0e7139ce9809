"""Conditions: what was observed, since when, and for which generation of the wish."""

from dataclasses import dataclass, replace
from datetime import datetime

ZONE_READY = "ZoneReady"
RECORDS_PUBLISHED = "RecordsPublished"
SIGNED = "Signed"
PARENT_CLEAN = "ParentClean"
DELEGATED = "Delegated"
DS_PUBLISHED = "DsPublished"
PROPAGATED = "Propagated"
BACKEND_READY = "BackendReady"
OWNER_PRESENT = "OwnerPresent"
OLD_SERVERS_ANSWER, RESOLVERS_AGREE = "OldServersAnswer", "ResolversAgree"
"""Of a move, while it is watched."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One fact. `status` is True, False or Unknown; unknown is never taken for either."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    generation: int = 0
    since: datetime | None = None


def true(kind: str, reason: str = "Observed") -> Condition:
    """It holds."""
    return Condition(kind, "True", reason)


def false(kind: str, reason: str, message: str) -> Condition:
    """It does not hold."""
    return Condition(kind, "False", reason, message)


def unknown(kind: str, reason: str, message: str) -> Condition:
    """It could not be observed."""
    return Condition(kind, "Unknown", reason, message)


def settle(
    known: tuple[Condition, ...], found: tuple[Condition, ...], generation: int, now: datetime
) -> tuple[Condition, ...]:
    """`known` with what was `found`; `since` moves only when the status does."""
    merged = {c.type: c for c in known}
    for c in found:
        before = merged.get(c.type)
        since = before.since if before and before.status == c.status else now
        merged[c.type] = replace(c, generation=generation, since=since)
    return tuple(merged.values())
