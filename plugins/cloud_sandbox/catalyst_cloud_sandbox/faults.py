"""Faults that somebody asked for: rows that are matched at each call of the simulated cloud and used up by it.

Those of components are met by the clusters, each by itself: a component meets one as often as `times` says, or as long as it
is there. The same seeds and the same calls give the same outcomes.
"""

import hashlib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from .store import Transaction

EFFECTS = (
    "capacity", "quota", "rate_limit", "auth", "server_error", "partition", "slow", "lost_reply", "crash_after_create",
    "eventual", "orphan", "tamper",
)  # fmt: skip
"""slow: the call takes `delay` longer. lost_reply: done, but the caller hears of a broken connection. partition: the call
does not arrive. crash_after_create: done, and the calling process is killed (SIGKILL). eventual: what was made is seen
only after `delay`. orphan: beside what was made a volume appears that nobody here has asked for, as a cluster's own
controllers make it. tamper: what was made is changed by somebody else at once."""
COMPONENT_EFFECTS = ("fail_install", "chart_pull", "stuck", "slow_install", "flap", "degrade", "fail_probe")
"""fail_install, chart_pull: a try fails. stuck: a try hangs until its timeout. slow_install: a try takes `delay` longer.
flap: what was ready is installed once more. degrade, fail_probe: what was ready is not healthy, or does not serve, as
long as the fault is there."""
LASTING = ("degrade", "fail_probe")
INSTALL, COMPONENT = "install", "component"


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
    """Seconds, for `slow`, `slow_install` and `eventual`, and as the pause that `rate_limit` asks for."""
    probability: float = 1.0
    """Part of the calls that it meets, of those that it matches."""
    seed: int = 0
    """Which part that is."""
    nth: int = 0
    """Only this one of the calls that it matches, counted from 1; 0: each."""
    matched: int = 0
    """Calls that it has matched so far."""
    id: int = 0

    def matches(self, call: Call) -> bool:
        """Whether the call is one of those meant."""
        return (
            self.operation in ("", call.operation)
            and self.kind in ("", call.kind)
            and self.region in ("", call.region)
            and (not self.name or fnmatchcase(call.name, self.name))
        )

    def falls(self, number: int) -> bool:
        """Whether it meets the matching call of that number."""
        if self.nth:
            return number == self.nth
        digest = hashlib.sha256(f"{self.seed}/{number}".encode()).digest()
        return int.from_bytes(digest[:4]) / 2**32 < self.probability


def listed(tx: Transaction) -> list[Fault]:
    """All faults in the order in which they were added."""
    return [_fault(dict(row)) for row in tx.db.execute("SELECT * FROM faults ORDER BY id")]


def add(tx: Transaction, fault: Fault) -> int:
    """Keep a fault; its id is the answer."""
    if fault.effect in COMPONENT_EFFECTS:
        operation, kind = INSTALL, COMPONENT
    else:
        operation, kind = fault.operation, fault.kind
    cursor = tx.db.execute(
        "INSERT INTO faults (operation, kind, region, name, effect, times, delay, probability, seed, nth) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            operation, kind, fault.region, fault.name, fault.effect, fault.times, fault.delay, fault.probability,
            fault.seed, fault.nth,
        ),
    )  # fmt: skip
    return cursor.lastrowid or 0


def clear(tx: Transaction) -> int:
    """Forget all faults; answers how many there were."""
    return tx.db.execute("DELETE FROM faults").rowcount


def take(tx: Transaction, call: Call) -> Fault | None:
    """The first fault that meets the call, used up once; all that match it count it."""
    met = None
    for fault in listed(tx):
        if not fault.matches(call):
            continue
        number = fault.matched + 1
        tx.db.execute("UPDATE faults SET matched = ? WHERE id = ?", (number, fault.id))
        if met is None and fault.falls(number):
            met = fault
    if met and met.times > 0:
        tx.db.execute("UPDATE faults SET times = times - 1 WHERE id = ?", (met.id,))
        tx.db.execute("DELETE FROM faults WHERE times = 0")
    return met


def of_components(tx: Transaction, region: str) -> list[dict[str, Any]]:
    """What components of a cluster in that region meet, as their cluster is told."""
    return [
        {"id": str(fault.id), "effect": fault.effect, "name": fault.name, "times": fault.times, "delay": fault.delay}
        for fault in listed(tx)
        if fault.operation == INSTALL and fault.region in ("", region)
    ]


def _fault(row: dict[str, Any]) -> Fault:
    return Fault(**row)
