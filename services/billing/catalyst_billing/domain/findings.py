"""Findings: something that a person must look at. Never a posting."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256


class Severity(StrEnum):
    """How urgent it is."""

    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Finding:
    """One row per reason and subject; seen again, only `last_seen_at` moves."""

    reason: str
    subject: str
    message: str
    severity: Severity
    account: str
    created_at: datetime
    last_seen_at: datetime
    version: int = 1

    @property
    def id(self) -> str:
        return f"f-{sha256(f'{self.reason} {self.subject}'.encode()).hexdigest()[:24]}"

    @property
    def name(self) -> str:
        return f"findings/{self.id}"


@dataclass(frozen=True, slots=True)
class Opened:
    finding: Finding


def warn(reason: str, subject: str, message: str, *, account: str, now: datetime) -> Finding:
    """To be looked at this week."""
    return Finding(reason, subject, message, Severity.WARNING, account, now, now)


def stuck(subject: str, error: BaseException, *, account: str, now: datetime) -> Finding:
    """Something that is due fails by a fault of ours; it is tried again and again, and holds up nothing else."""
    return alarm("TURN_FAILED", subject, f"its turn ended with {type(error).__name__}", account=account, now=now)


def alarm(reason: str, subject: str, message: str, *, account: str, now: datetime) -> Finding:
    """Money is wrong or at risk."""
    return Finding(reason, subject, message, Severity.CRITICAL, account, now, now)
