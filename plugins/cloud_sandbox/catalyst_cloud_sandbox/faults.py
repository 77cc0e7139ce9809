"""Faults that somebody asked for: rows that are matched at each call of the simulated cloud and used up by it."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from .store import Transaction

EFFECTS = ("capacity", "quota", "rate_limit", "server_error", "slow", "lost_reply", "crash_after_create")
"""slow: the call takes `delay` longer. lost_reply: done, but the caller hears of a broken connection.
crash_after_create: done, and the calling process is killed (SIGKILL)."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call as faults see it."""

    operation: str
    """create, update, delete, list or power."""
    kind: str = ""
    region: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Empty fields match everything; `name` may hold `*` and `?`."""

    effect: str
    operation: str = "create"
    kind: str = ""
    region: str = ""
    name: str = ""
    times: int = 1
    """How many more calls it meets; -1: all."""
    delay: float = 1.0
    """Seconds, for `slow` and as the pause that `rate_limit` asks for."""
    id: int = 0

    def meets(self, call: Call) -> bool:
        """Whether the call is one of those meant."""
        return (
            self.operation in ("", call.operation)
            and self.kind in ("", call.kind)
            and self.region in ("", call.region)
            and (not self.name or fnmatchcase(call.name, self.name))
        )


def listed(tx: Transaction) -> list[Fault]:
    """All faults in the order in which they were added."""
    return [_fault(dict(row)) for row in tx.db.execute("SELECT * FROM faults ORDER BY id")]


def add(tx: Transaction, fault: Fault) -> int:
    """Keep a fault; its id is the answer."""
    cursor = tx.db.execute(
        "INSERT INTO faults (operation, kind, region, name, effect, times, delay) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (fault.operation, fault.kind, fault.region, fault.name, fault.effect, fault.times, fault.delay),
    )
    return cursor.lastrowid or 0


def clear(tx: Transaction) -> int:
    """Forget all faults; answers how many there were."""
    return tx.db.execute("DELETE FROM faults").rowcount


def take(tx: Transaction, call: Call) -> Fault | None:
    """The first fault that meets the call, used up once."""
    found = next((fault for fault in listed(tx) if fault.meets(call)), None)
    if found and found.times > 0:
        tx.db.execute("UPDATE faults SET times = times - 1 WHERE id = ?", (found.id,))
        tx.db.execute("DELETE FROM faults WHERE times = 0")
    return found


def _fault(row: dict[str, Any]) -> Fault:
    return Fault(**row)
