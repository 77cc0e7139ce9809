"""Conditions of an object: what is observed, and since when it is so."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Observed:
    """One observation; `status` None: unknown."""

    type: str
    status: bool | None
    reason: str
    message: str = ""


_WORDS = {True: "True", False: "False", None: "Unknown"}


def conditions(
    observed: Iterable[Observed], before: Sequence[Mapping[str, Any]], generation: int, now: datetime
) -> list[dict[str, Any]]:
    """As `status.conditions`; the time of a condition moves only when its status does."""
    known = {one["type"]: one for one in before}
    return [_condition(one, known.get(one.type, {}), generation, now) for one in observed]


def _condition(one: Observed, before: Mapping[str, Any], generation: int, now: datetime) -> dict[str, Any]:
    status = _WORDS[one.status]
    since = before.get("lastTransitionTime") if before.get("status") == status else None
    return {
        "type": one.type,
        "status": status,
        "reason": one.reason,
        **({"message": one.message} if one.message else {}),  # an empty text comes out of an apply of 1.20 as null
        "lastTransitionTime": since or now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "observedGeneration": generation,
    }  # fmt: skip - a document
