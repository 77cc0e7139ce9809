"""What follows from a failed run when nobody does anything: by the failure policy of its spec, and by what it costs.

Invariants
  people first   a run that somebody retries, resumes or cancels is nobody's business here any more;
  told twice     before paid resources are taken away, their owner is told at half and at nine tenths of the time;
  nothing paid   a failed run that has nothing outside waits for ever.

A run that waits for what only somebody outside can change, stock, a limit, a credential, or that a failed step has paused, costs
as much as a failed one, and is treated as one.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

WARNINGS = (0.5, 0.9)
LONGEST_PAUSE = timedelta(hours=1)


BLOCKING = frozenset({"CAPACITY", "QUOTA", "AUTH"})
"""Reasons of failures that a step waits out: with an offer that is sold again, a higher limit, a new version."""


class Deed(StrEnum):
    """What is due."""

    RETRY = "retry"
    COMPENSATE = "compensate"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Failed:
    """A run that failed and may go on."""

    run: str
    step: str
    reaction: str
    """retry, pause or compensate: the policy of the phase in which it failed."""
    failed_at: datetime
    paid_until: datetime | None
    """When what it made is taken away; None where it has made nothing."""
    warned: float = 0.0
    retries: int = 0
    waits: bool = False
    """Whether it only waits; then nothing but its cost is anybody's business here."""

    def plain(self) -> dict[str, Any]:
        """As it is kept."""
        moments = {key: value and value.isoformat() for key, value in
                   (("failed_at", self.failed_at), ("paid_until", self.paid_until))}  # fmt: skip
        return {**asdict(self), **moments}


def read(kept: Mapping[str, Any]) -> Failed:
    """What was kept."""
    until = kept["paid_until"]
    moments = {
        "failed_at": datetime.fromisoformat(kept["failed_at"]),
        "paid_until": datetime.fromisoformat(until) if until else None,
    }
    return Failed(**{**kept, **moments})


def due(failed: Failed, now: datetime, pause: timedelta) -> Deed | None:
    """What has to be done now; `pause` is the first rest before a retry, which doubles."""
    if failed.reaction == "compensate" or (failed.paid_until and now >= failed.paid_until):
        return Deed.COMPENSATE
    if failed.reaction == "retry" and now >= failed.failed_at + min(pause * 2**failed.retries, LONGEST_PAUSE):
        return Deed.RETRY
    return Deed.WARN if share(failed, now) > failed.warned else None


def share(failed: Failed, now: datetime) -> float:
    """The last warning whose time has come, as a part of the time that paid resources are kept."""
    if failed.paid_until is None:
        return 0.0
    gone = (now - failed.failed_at) / (failed.paid_until - failed.failed_at)
    return max((mark for mark in WARNINGS if gone >= mark), default=0.0)


def warned(failed: Failed, now: datetime) -> Failed:
    """After the owner was told."""
    return replace(failed, warned=share(failed, now))
