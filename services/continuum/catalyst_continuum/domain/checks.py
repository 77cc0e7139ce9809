"""What is looked at before a slot moves (continuum specification, section 5.1): pure rows over facts.

Invariants
  planned is strict     a planned run is blocked by any row that blocks or is unknown;
  failover is lean      a failover is blocked by critical rows alone: what cannot be seen of a dead region holds up nobody.

A row that has no object, such as one about a database where none moves, is not in the list.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from catalyst_sdk.continuum import Verdict

from . import check_around as around
from . import check_databases as databases
from . import check_names as names
from . import check_right as right
from .check_facts import ClusterFacts, Facts, Found, Goals, Look

__all__ = ["ROWS", "Check", "ClusterFacts", "Facts", "Found", "Goals", "Look", "Row", "blockers", "judged", "passes"]


@dataclass(frozen=True, slots=True)
class Check:
    """A row and what it found. `critical`: it counts in a failover too."""

    name: str
    critical: bool
    found: Found

    def blocks(self, *, planned: bool) -> bool:
        """Whether a run must not begin."""
        return (planned or self.critical) and self.found.verdict in (Verdict.BLOCK, Verdict.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Row:
    """`concerns`: whether there is anything to look at."""

    name: str
    look: Look
    critical: bool = False
    concerns: Callable[[Facts], bool] = lambda facts: True


def judged(facts: Facts, *, planned: bool) -> Sequence[Check]:
    """All checks, in the order of the table."""
    return tuple(Check(row.name, row.critical, row.look(facts, planned)) for row in ROWS if row.concerns(facts))


def blockers(checks: Sequence[Check], *, planned: bool) -> Sequence[Check]:
    """Those that stand in the way."""
    return tuple(check for check in checks if check.blocks(planned=planned))


def passes(facts: Facts, *, planned: bool) -> bool:
    """Whether nothing stands in the way."""
    return not blockers(judged(facts, planned=planned), planned=planned)


def _has_database(f: Facts) -> bool:
    return bool(f.databases)


def _has_cluster(f: Facts) -> bool:
    return f.cluster is not None


def _has_names(f: Facts) -> bool:
    return f.goals.ttl is not None


def _is_orchestrated(f: Facts) -> bool:
    return f.orchestrated


ROWS = (
    Row("lease-holder", right.holder, critical=True),
    Row("epoch-readable", right.epoch, critical=True),
    Row("witness-quorum", right.quorum, critical=True),
    Row("witness-sound", right.sound, critical=True),
    Row("target-agent", right.agent),
    Row("target-promotable", right.promotable, critical=True),
    Row("target-ready", databases.ready, critical=True, concerns=_has_database),
    Row("system-identifier", databases.system, critical=True, concerns=_has_database),
    Row("timeline", databases.history, concerns=_has_database),
    Row("lag", databases.lag, concerns=_has_database),
    Row("data-loss-guard", databases.loss, critical=True, concerns=_has_database),
    Row("reverse-sync", databases.reverse, concerns=_has_database),
    Row("stable", databases.stable, concerns=lambda facts: facts.goals.stable_for is not None),
    Row("switchover-delay", databases.delay, concerns=_has_cluster),
    Row("roles-and-secrets", databases.roles, concerns=_has_cluster),
    Row("backups", databases.backups, concerns=_has_cluster),
    Row("zone-writable", names.zone, concerns=_has_names),
    Row("epoch-marks", names.marks, concerns=_has_names),
    Row("record-ttl", names.ttl, concerns=_has_names),
    Row("target-addresses", names.fronts, concerns=_has_names),
    Row("capacity", around.capacity, concerns=_is_orchestrated),
    Row("no-other-run", right.run),
    Row("anti-flap", right.flaps),
    Row("not-suspended", right.suspended, critical=True),
    Row("approval", right.approval),
    Row("desired-state", around.owner, concerns=_is_orchestrated),
    Row("clock", right.clock, concerns=lambda facts: facts.clocks > 0),
    Row("drill-age", around.drill),
    Row("never-zero", databases.never_zero, critical=True),
    Row("never-two", databases.never_two, critical=True, concerns=_has_database),
    Row("blackout", around.blackout),
    Row("needs-first", around.needs, concerns=lambda facts: bool(facts.needs)),
    Row("own-rules", around.rules, concerns=lambda facts: bool(facts.rules)),
)
"""Every check; those that are critical are marked with a star in the specification, or are safety rules that hold always."""
