"""What is told of a run, from its records: what is new in one against the one before.

Told once whoever tells it: a run's event is known by its step, and two agents that report one make one event.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from . import facts
from .facts import Fact, Measured
from .runs import Kind, Run, RunState, StepState

_ENDED = {StepState.DONE: "DONE", StepState.FAILED: "FAILED", StepState.COMPENSATED: "COMPENSATED"}
_KINDS = {
    Kind.SWITCHOVER: "SWITCHOVER",
    Kind.FAILOVER: "FAILOVER",
    Kind.FAILBACK: "FAILBACK",
    Kind.GAME_DAY: "GAME_DAY",
    Kind.TAKEOVER: "TAKEOVER",
    Kind.DRILL: "DRILL_ISOLATED",
}  # fmt: skip - a table


def happened(before: Run | None, after: Run) -> Sequence[Fact]:
    """The facts, in order; `before` None: this is the first record of the run."""
    common: dict[str, Any] = {
        "run": after.name,
        "kind": _KINDS[after.kind],
        "plan_fingerprint": after.plan_fingerprint,
        "by": after.initiated_by,
        "from_primary": after.source,
        "to_primary": after.target,
    }  # fmt: skip - a table
    found: list[Fact] = []
    if before is None:
        found.append(facts.RunStarted(**common, step=f"0/{len(after.steps)}", reason=after.reason))
    found += _steps(before, after, common)
    if after.state.is_over and (before is None or not before.state.is_over):
        found += _end(after, common)
    return found


def _steps(before: Run | None, after: Run, common: Mapping[str, Any]) -> Sequence[Fact]:
    known = {step.phase: step.state for step in before.steps} if before is not None else {}
    return [
        facts.RunProgressed(
            **common,
            step=f"{n}/{len(after.steps)}",
            number=n,
            phase=step.phase,
            state=_ENDED[step.state],
            attempt=max(1, step.attempt),
            message=step.message,
        )
        for n, step in enumerate(after.steps, 1)
        if step.state in _ENDED and known.get(step.phase) is not step.state
    ]  # fmt: skip - one fact a step


def _end(run: Run, common: Mapping[str, Any]) -> Sequence[Fact]:
    last: dict[str, Any] = {"step": f"{len(run.steps)}/{len(run.steps)}", "message": run.message, "reason": run.reason}
    measured = _measured(run.measured)
    if run.state is RunState.ABORTED:
        return [facts.RunAborted(**common, **last)]
    found: list[Fact] = [facts.RunCompleted(**common, **last, state=run.state.name, measured=measured)]
    if run.kind is Kind.DRILL:
        return [*found, _drill(run, common, measured)]
    if run.is_past_no_return:
        ended = datetime.fromtimestamp(run.ended_at or run.updated_at, UTC)
        kind = facts.FailbackCompleted if run.kind is Kind.FAILBACK else facts.SwitchoverCompleted
        result = "SUCCEEDED" if run.state is RunState.SUCCEEDED else "FAILED"
        found.append(kind(**common, **last, ended_at=ended, result=result, measured=measured))
    return found


def _drill(run: Run, common: Mapping[str, Any], measured: Measured) -> Fact:
    told = {name: common[name] for name in ("run", "by", "from_primary", "to_primary")}
    ended = datetime.fromtimestamp(run.ended_at or run.updated_at, UTC)
    return facts.DrillCompleted(
        **told,
        kind="ISOLATED",
        passed=run.state is RunState.SUCCEEDED,
        ended_at=ended,
        message=run.message,
        measured=measured,
    )


def _measured(figures: Mapping[str, float]) -> Measured:
    rows = figures.get("rpo_rows")
    return Measured(
        rto=figures.get("rto"),
        rpo=figures.get("rpo"),
        rpo_rows=None if rows is None else int(rows),
        write_disruption=figures.get("write_disruption"),
    )  # fmt: skip - in the order of the fields
