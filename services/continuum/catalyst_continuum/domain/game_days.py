"""Game days: a slot is moved as if it had to be, and comes back by itself.

Invariants
  back once       the way back is a switchover, and is followed by nothing;
  by who holds    the region that gained begins it, as soon as nothing stands in its way;
  called off      an alarm ends it as long as its writers have not been stopped; from then on the shortest way to somebody who
                  writes is to go on;
  not for ever    what stands in the way for longer than `PATIENCE` ends the game day, and people bring the slot back.

Whoever agreed to the game day agreed to its way back.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from .drills import Drill
from .plan import Plan
from .runs import Kind, Run, RunState, StepState, moment, opened
from .spec import DrillKind
from .status import Condition, Truth

PATIENCE = 3600.0
"""Seconds for which the way back is waited for."""
BACK = "game day, back from "
ALARMS = ("WitnessReady", "SinglePrimary", "StandbyAvailable", "ReplicationWithinRPO", "TrafficConverged")
"""Conditions that a game day must not begin to break: somebody is called for each of them."""


def due(runs: Sequence[Run], region: str) -> Run | None:
    """The game day that `region` has to end by a way back; None: there is none. `runs` of the slot, the newest first."""
    latest = runs[0] if runs else None
    if latest is None or latest.kind is not Kind.GAME_DAY or latest.state is not RunState.SUCCEEDED:
        return None
    return latest if latest.target == region != latest.source else None


def alarm(runs: Sequence[Run], region: str, found: Sequence[Condition]) -> str:
    """Why the game day under way is called off by the region that gives; empty: it is not. `found` there, as last told."""
    latest = runs[0] if runs else None
    if latest is None or latest.kind is not Kind.GAME_DAY or latest.source != region:
        return ""
    if latest.state is not RunState.RUNNING or _stops_writers(latest):
        return ""
    rung = [one for one in found if one.type in ALARMS and one.status is Truth.FALSE]
    return "; ".join(
        f"{one.type}: {one.message or one.reason}" for one in rung if one.since >= moment(latest.created_at)
    )


def _stops_writers(run: Run) -> bool:
    return any(step.phase == "FenceSource" and step.state is not StepState.PENDING for step in run.steps)


def way_back(there: Run, plan: Plan, id: str, now: datetime) -> Run:
    """The run that brings the slot back."""
    back = Run(
        id, there.slot, Kind.SWITCHOVER, plan.source, plan.target, plan.epoch, plan.epoch, reason=f"{BACK}{there.id}",
        initiated_by=there.initiated_by, plan_fingerprint=plan.fingerprint,
    )  # fmt: skip
    return opened(back, now.timestamp())


def ended(runs: Sequence[Run], region: str, last: Drill | None) -> Drill | None:
    """What is to be kept of a game day that is over; None: nothing, or it is kept already. `last` drill that is kept."""
    latest = runs[0] if runs else None
    if latest is None or latest.source != region or not latest.reason.startswith(BACK) or not latest.state.is_over:
        return None
    at = moment(latest.ended_at or latest.updated_at)
    if last is not None and last.kind is DrillKind.GAME_DAY and last.ended_at >= at:
        return None
    passed = latest.state is RunState.SUCCEEDED
    return Drill(
        DrillKind.GAME_DAY, at, passed, latest.measured.get("write_disruption"),
        "" if passed else latest.message or latest.state.value,
    )  # fmt: skip


def given_up(there: Run, blockers: Sequence[str], now: datetime, last: Drill | None) -> Drill | None:
    """A game day whose way back was blocked for too long; None: it is not, or that is kept already."""
    if now.timestamp() - (there.ended_at or there.updated_at) < PATIENCE:
        return None
    if last is not None and last.kind is DrillKind.GAME_DAY and last.ended_at >= moment(there.ended_at or 0.0):
        return None
    return replace(Drill(DrillKind.GAME_DAY, now, passed=False), why=f"the way back is blocked: {'; '.join(blockers)}")
