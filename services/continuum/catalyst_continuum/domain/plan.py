"""What a run would do: its steps, what stands in its way, and a fingerprint that people approve.

Invariants
  no effect   a plan is computed from facts alone, and computing it changes nothing anywhere;
  bound       equal facts give the same fingerprint, byte for byte; a fact that changes what the run would do, or whether it
              may, gives another one. What only moves with time (ages, figures of a lag that stays within its goal) does not.

An approval names the fingerprint: what has drifted since was not approved.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from catalyst_sdk.continuum import TrafficPlan, Verdict

from .checks import Check, Facts, blockers, judged
from .runs import RegionInvalid
from .timing import Costs, Profile

AGING = frozenset({"drill-age"})
"""Checks that tell how long ago something was, and stop no run: a rehearsal that ends meanwhile changes nothing of a plan."""


class Purpose(StrEnum):
    """What a run is for."""

    SWITCHOVER = "switchover"
    FAILOVER = "failover"
    FAILBACK = "failback"
    DRILL_ISOLATED = "drill-isolated"
    GAME_DAY = "game-day"

    @property
    def is_planned(self) -> bool:
        """Whether the region that gives takes part."""
        return self is not Purpose.FAILOVER


class Executor(StrEnum):
    """Which of the two regions does a step."""

    SOURCE = "source"
    TARGET = "target"


@dataclass(frozen=True, slots=True)
class Times:
    """What the estimates are made of, in seconds.

    drain      requests in flight may take
    approval   a run waits for people
    usual_ttl  lifetime of the names' records before it is lowered; 0: no names
    """

    profile: Profile
    costs: Costs = field(default_factory=Costs)
    drain: float = 10.0
    approval: float = 900.0
    usual_ttl: float = 10.0


@dataclass(frozen=True, slots=True)
class Step:
    """One phase as it would be.

    needs   names of checks that it leans on
    """

    phase: str
    executor: Executor
    duration: float
    budget: float
    note: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step of a plan. `ready`: it could begin as things are."""

    number: int
    phase: str
    region: str
    ready: bool
    duration: float
    budget: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The report of a dry run; times in seconds.

    disruption      estimated time without writes, drain excluded
    loss            estimated time of lost writes; None: nobody can say. The same in bytes of log
    """

    purpose: Purpose
    source: str
    target: str
    epoch: int
    steps: tuple[PlannedStep, ...]
    checks: tuple[Check, ...]
    warnings: tuple[str, ...]
    blockers: tuple[str, ...]
    disruption: float
    loss: float | None
    loss_bytes: int | None
    approvals: int
    fingerprint: str


def destination(
    purpose: Purpose, members: Sequence[str], promotable: Sequence[str], holder: str, asked: str = ""
) -> str:
    """Region that a run leads to. Raises RegionInvalid.

    members     the preferred region first, then the standbys in order of preference
    promotable  those of them that may become primary
    asked       by the caller; empty: the first fit one, for a failback the preferred one
    """
    if asked and asked not in members:
        raise RegionInvalid(region=asked, why="it is none of the slot's regions")
    if asked and asked == holder:
        raise RegionInvalid(region=asked, why="it holds the slot")
    if asked:
        return asked
    if purpose is Purpose.FAILBACK:
        if members[0] == holder:
            raise RegionInvalid(region=holder, why="it is the preferred region, and holds the slot")
        return members[0]
    fit = [region for region in members if region != holder and region in promotable]
    if not fit:
        raise RegionInvalid(region="every other region", why="none may become primary")
    return fit[0]


def plan(
    purpose: Purpose,
    facts: Facts,
    times: Times,
    *,
    generation: int = 0,
    approvals: int = 0,
    names: TrafficPlan | None = None,
) -> Plan:
    """The plan of a run.

    generation  number of the wish that it is planned by
    approvals   that the run needs
    names       where the names would lead to; None: there are none
    """
    planned = purpose.is_planned
    checks = tuple(judged(facts, planned=planned))
    stopping = {check.name for check in blockers(checks, planned=planned)}
    steps = tuple(
        PlannedStep(
            number, step.phase, facts.source if step.executor is Executor.SOURCE else facts.target,
            stopping.isdisjoint(step.needs), step.duration, step.budget, (step.note,),
        )
        for number, step in enumerate(steps_of(purpose, times, has_names=names is not None), start=1)
    )  # fmt: skip
    return Plan(
        purpose, facts.source, facts.target, facts.epoch or 0, steps, checks,
        warnings=tuple(_said(check) for check in checks if check.found.verdict is Verdict.WARN),
        blockers=tuple(_said(check) for check in checks if check.name in stopping),
        disruption=_disruption(purpose, steps, times), loss=_lost(facts, planned=planned),
        loss_bytes=0 if planned else facts.loss_bytes, approvals=approvals,
        fingerprint=_fingerprint(purpose, facts, steps, checks, generation, approvals, names),
    )  # fmt: skip


def steps_of(purpose: Purpose, times: Times, *, has_names: bool = True) -> Sequence[Step]:
    """The steps of a run in order (continuum specification, sections 5.2 and 5.3)."""
    if purpose is Purpose.FAILOVER:
        return _unplanned(times, has_names=has_names)
    if purpose is Purpose.DRILL_ISOLATED:
        return _isolated(times)
    return _planned(times, has_names=has_names)


_WITNESS = ("epoch-readable", "witness-quorum", "witness-sound", "not-suspended")
_READY = ("target-promotable", "target-ready", "system-identifier", "timeline", "desired-state")
_NAMES = ("zone-writable", "epoch-marks", "target-addresses")


def _planned(t: Times, *, has_names: bool) -> Sequence[Step]:
    f, c, s, g = t.profile.fence, t.costs, Executor.SOURCE, Executor.TARGET
    asking = 2 * t.profile.op
    return (
        Step("Precheck", s, 1, 10, "every check again, against what is true then"),
        Step("Approve", s, 0, t.approval, "waits for approvals, which are bound to this plan", ("approval",)),
        Step("Prepare", s, t.usual_ttl + 1, 60, "lifetime of records to 5 s, the old one waited for; the target warmed up",
             ("target-agent", "capacity", *(("zone-writable", "record-ttl") if has_names else ()))),
        Step("Announce", s, 0, 0, "an event"),
        Step("Drain", s, t.drain, max(10, t.drain), f"new writes get 503, those in flight have {t.drain:.0f} s"),
        Step("FenceSource", s, f, f, "the source stops writing; from here on no write is taken", ("lease-holder",)),
        Step("Handoff", s, asking, 30, "the target's replay reaches the last position, then the slot is offered to it",
             (*_WITNESS, "lag")),
        Step("Accept", g, asking, asking, "the epoch rises: there is no way back", _WITNESS),
        Step("Promote", g, c.promote, c.promote, "the target's copy becomes primary", (*_READY, "data-loss-guard")),
        Step("VerifyWrite", g, 1, c.verify, "a write by the path of writers, read back"),
        Step("FlipTraffic", g, 1, c.dns_write, "names and gateways lead to the target", _NAMES if has_names else ()),
        Step("VerifyTraffic", g, c.dns_ttl, c.dns_ttl + 10, "each authority, resolvers, a request by the public name"),
        Step("Reprotect", g, 60, 600, "the source follows, and is synchronous again", ("reverse-sync",)),
        Step("Complete", g, 1, 5, "measurements, history, usual lifetime of records"),
    )  # fmt: skip


def _unplanned(t: Times, *, has_names: bool) -> Sequence[Step]:
    f, c, g = t.profile.fence, t.costs, Executor.TARGET
    silence, asking = t.profile.ttl / (1 - t.profile.drift) + t.profile.look, 2 * t.profile.op
    return (
        Step("Suspect", g, silence / 2, silence, "nothing is done while the holder may come back"),
        Step("Confirm", g, silence / 2, silence, "the record by a majority, and the critical checks again", _WITNESS),
        Step("Claim", g, asking, asking, "the epoch rises: there is no way back", (*_WITNESS, "lease-holder", "data-loss-guard")),
        Step("FenceRemote", g, 0, min(f, 5), "the old primary is stopped where it can be reached; holds up nothing"),
        Step("Promote", g, c.promote, c.promote, "the target's copy becomes primary", _READY),
        Step("VerifyWrite", g, 1, c.verify, "a write by the path of writers, read back"),
        Step("FlipTraffic", g, 1, c.dns_write, "names and gateways lead to the target", _NAMES if has_names else ()),
        Step("VerifyTraffic", g, c.dns_ttl, c.dns_ttl + 10, "each authority, resolvers, a request by the public name"),
        Step("Announce", g, 0, 0, "an event"),
        Step("Reprotect", g, 60, 600, "the old primary follows when it is back", ("reverse-sync",)),
        Step("Done", g, 1, 5, "measurements, history"),
    )  # fmt: skip


def _isolated(t: Times) -> Sequence[Step]:
    c, g = t.costs, Executor.TARGET
    return (
        Step("Precheck", g, 1, 10, "every check again, against what is true then"),
        Step("Clone", g, 60, 600, "a copy of the standby, in a place of its own", ("target-ready", "capacity")),
        Step("Promote", g, c.promote, c.promote, "the copy becomes primary; register and names are not touched"),
        Step("VerifyWrite", g, 1, c.verify, "a write to the copy, read back"),
        Step("CleanUp", g, 10, 60, "the copy is given up"),
    )


_STILL = {
    Purpose.FAILOVER: ("Suspect", "FlipTraffic"),
    Purpose.DRILL_ISOLATED: None,
}
"""First and last step in which no write is taken; of a failover it begins with the death of the holder."""


def _disruption(purpose: Purpose, steps: Sequence[PlannedStep], times: Times) -> float:
    bounds = _STILL.get(purpose, ("FenceSource", "FlipTraffic"))
    if bounds is None:
        return 0.0
    phases = [step.phase for step in steps]
    return sum(step.duration for step in steps[phases.index(bounds[0]) : phases.index(bounds[1]) + 1])


def _lost(facts: Facts, *, planned: bool) -> float | None:
    """A planned move waits for the last position, and loses nothing."""
    if planned or (facts.keeps_all is not None and facts.target in facts.keeps_all) or not facts.databases:
        return 0.0
    return facts.loss


def _said(check: Check) -> str:
    step = f"; {check.found.next_step}" if check.found.next_step else ""
    return f"{check.name}: {check.found.message}{step}"


def _fingerprint(
    purpose: Purpose,
    facts: Facts,
    steps: Sequence[PlannedStep],
    checks: Sequence[Check],
    generation: int,
    approvals: int,
    names: TrafficPlan | None,
) -> str:
    stable: Mapping[str, Any] = {
        "purpose": purpose, "source": facts.source, "target": facts.target, "epoch": facts.epoch,
        "generation": generation, "approvals": approvals, "accepts_loss": facts.accepts_loss,
        "steps": [[step.phase, step.region, step.ready, step.duration, step.budget] for step in steps],
        "checks": [[check.name, check.critical, check.found.verdict] for check in checks if check.name not in AGING],
        "cells": {name: answers and name not in facts.quarantined for name, answers in sorted(facts.cells.items())},
        "databases": {
            region: view and [view.role, view.writable, view.ready, view.system_id, view.timeline]
            for region, view in sorted(facts.databases.items())
        },
        "keeps_all": None if facts.keeps_all is None else sorted(facts.keeps_all),
        "versions": facts.versions,
        "fronts": None if facts.fronts is None else dict(sorted(facts.fronts.items())),
        "needs": dict(sorted(facts.needs.items())),
        "authorities": _authorities(facts),
        "names": names and [names.holder, names.ttl, {name: list(some) for name, some in sorted(names.addresses.items())}],
    }  # fmt: skip
    text = json.dumps(stable, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _authorities(facts: Facts) -> list[list[Any]]:
    rows = facts.traffic.authorities if facts.traffic else ()
    return sorted(
        [one.authority, one.name, one.epoch or 0, list(one.addresses), one.ttl or 0, one.answers] for one in rows
    )
