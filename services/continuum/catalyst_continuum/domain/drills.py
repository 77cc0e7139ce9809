"""Drills: what was rehearsed last, whether it would have gone well, and when that is told.

A dry run is rehearsed every half hour and told once a day, or when it ends otherwise than the last one did: a stream of equal
news hides the one that is none. A drill that moved the slot is told each time.
"""

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from catalyst_sdk import Decision

from . import facts
from .slots import Slot, told
from .spec import DrillKind

TOLD_EVERY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Drill:
    """One drill. `seconds` that a move took, or would take; `why` it did not pass; `told_at` when that was last told."""

    kind: DrillKind
    ended_at: datetime
    passed: bool
    seconds: float | None = None
    why: str = ""
    told_at: datetime | None = None


def last(slot: Slot) -> Drill | None:
    """The last drill of a slot; None: there was none."""
    if not slot.drill:
        return None
    row = json.loads(slot.drill)
    times = {name: datetime.fromisoformat(row[name]) if row[name] else None for name in ("ended_at", "told_at")}
    return Drill(**{**row, **times, "kind": DrillKind(row["kind"])})


def drilled(slot: Slot, drill: Drill, now: datetime) -> Decision[Slot]:
    """The slot after a drill; told where it is news."""
    before = last(slot)
    is_news = (
        before is None
        or drill.kind is not DrillKind.DRY_RUN
        or (before.kind, before.passed) != (drill.kind, drill.passed)
        or before.told_at is None
        or now - before.told_at >= TOLD_EVERY
    )
    kept = replace(drill, told_at=now if is_news or before is None else before.told_at)
    after = replace(
        slot, drill=json.dumps(asdict(kept), default=datetime.isoformat, sort_keys=True),
        drilled_at=drill.ended_at if drill.passed else slot.drilled_at,
    )  # fmt: skip
    if not is_news:
        return Decision(after)
    # What a dry run would take is an estimate, and is never told as measured.
    measured = facts.Measured() if drill.kind is DrillKind.DRY_RUN else facts.Measured(rto=drill.seconds)
    fact = facts.DrillCompleted(
        kind=drill.kind.name,
        passed=drill.passed,
        ended_at=drill.ended_at,
        measured=measured,
        message=drill.why,
        by="agent",
    )
    return told(after, now, fact)
