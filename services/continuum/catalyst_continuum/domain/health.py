"""How a slot fares after a move: four looks, of which each may find nothing out. What is not known is not healthy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .status import Condition, Facts, Truth

SLOWER = 2.0
"""How many times as long as usual an answer may take."""
GRACE = 0.05
"""Seconds more that are no finding: of a few milliseconds twice is nothing."""


class Result(StrEnum):
    """What a look found."""

    PASS = "pass"  # noqa: S105 - a verdict
    BLOCK = "block"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One look, with a sentence for people."""

    result: Result
    message: str


def looks(facts: Facts | None, found: Sequence[Condition], unsent: int, *, has_standby: bool) -> Mapping[str, Finding]:
    """The four: replicas_healthy, dns_probes, latency_normal, audit_posted.

    facts    what the region knows; None: nothing
    unsent   events of the slot that no stream has yet
    """
    known = {one.type: one for one in found}
    replicas = ("StandbyAvailable", "ReplicationWithinRPO", "DataLossGuard") if has_standby else ()
    return {
        "replicas_healthy": _all(known, replicas, "no replica belongs to the slot"),
        "dns_probes": _all(known, ("TrafficConverged",) if has_standby else (), "no name follows the slot"),
        "latency_normal": _latency(facts),
        "audit_posted": Finding(Result.BLOCK, f"{unsent} events wait to be told")
        if unsent
        else Finding(Result.PASS, "all told"),
    }


def is_healthy(found: Mapping[str, Finding]) -> bool:
    """Whether all four hold."""
    return all(one.result is Result.PASS for one in found.values())


def _all(known: Mapping[str, Condition], names: Sequence[str], otherwise: str) -> Finding:
    if not names:
        return Finding(Result.PASS, otherwise)
    if any(name not in known for name in names):
        return Finding(Result.UNKNOWN, "not looked at yet")
    told = "; ".join(f"{name}: {known[name].reason} {known[name].message}".strip() for name in names)
    states = {known[name].status for name in names}
    if Truth.FALSE in states:
        return Finding(Result.BLOCK, told)
    return Finding(Result.UNKNOWN if Truth.UNKNOWN in states else Result.PASS, told)


def _latency(facts: Facts | None) -> Finding:
    if facts is None or facts.latency is None or facts.usual_latency is None:
        return Finding(Result.UNKNOWN, "the public name was not asked, or not for long enough")
    told = f"{facts.latency * 1000:.0f} ms, usually {facts.usual_latency * 1000:.0f} ms"
    is_slow = facts.latency > SLOWER * facts.usual_latency + GRACE
    return Finding(Result.BLOCK if is_slow else Result.PASS, told)
