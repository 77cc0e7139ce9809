"""How runs, steps and their events look to callers: one projection of the journal's facts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from catalyst.provisioner.v1 import resources_pb2 as contract
from catalyst_mesh import Work, span, stamp
from catalyst_mesh.journal import Engine, EventView, LogLine, RunView, StepState, StepView
from google.protobuf import symbol_database
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

from ..chronicle import FAILED_RUN, left_by, superseding
from ..domain import costs, estimates, gates, graphs, patience
from ..domain.estimates import Timed
from ..failures import step_error
from ..history import History
from ..store import ComponentLine, Entry, Store

BUSY = {StepState.RUNNING, StepState.WAITING, StepState.IN_DOUBT, StepState.UNDOING}
DONE = {StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED, StepState.UNDONE, StepState.UNDO_FAILED}

HELP = {
    "CAPACITY": "plan with another size or region and apply it in place of this run, or retry the step",
    "QUOTA": "have the limit raised, or retry the step",
    "AUTH": "add a version to the credential, or retry the step",
}
"""What helps a step that waits for somebody outside, by the class of its failure."""

Usual = Mapping[str, timedelta]
"""Usual length of a step by its key."""


def length_of(usual: Usual, name: str, cluster: str) -> Duration | None:
    """How long a step usually takes."""
    found = usual.get(estimates.key_of(name, cluster))
    return None if found is None else span(found)


def run_state(run: RunView) -> Any:
    """The contract's word for a run's state."""
    return contract.Run.State.Value(f"STATE_{run.state.upper()}")


def sovereign_of(run: RunView) -> str:
    """Id of the Sovereign that a run is about."""
    return run.subject.removeprefix("sovereigns/")


class RunViews:
    """How runs and steps look to callers."""

    def __init__(self, work: Work[Store], engine: Engine, history: History) -> None:
        self._work = work
        self._engine = engine
        self._history = history

    async def usual(self, run: RunView) -> Usual:
        """How long each step of such a run usually takes."""
        return await self._history.usual(run.kind)

    async def run(self, run: RunView) -> contract.Run:
        """The resource."""
        async with self._work.reading() as tx:
            return await self._run(run, await self._engine.steps(run.id), tx, await self.usual(run))

    async def run_in(self, tx: Store, run: RunView) -> contract.Run:
        """As `run`, as it stands in a transaction that may have changed it."""
        return await self._run(run, await self._engine.steps(run.id, sql=tx.sql), tx, {})

    async def _run(self, run: RunView, steps: Sequence[StepView], tx: Store, usual: Usual) -> contract.Run:
        held, seen = await tx.sovereign(sovereign_of(run)), await tx.facts(sovereign_of(run))
        short = run.state.startswith(("failed", "cancelled"))
        entries = left_by(run, await tx.entries(sovereign_of(run))) if short else []
        name = f"{run.subject}/runs/{run.id}"
        provision, heir = run.kind == graphs.PROVISION, superseding(seen, run.id)
        resting = [s for s in steps if s.state is StepState.WAITING]
        # What a person has to do comes before what only takes its time.
        waiting = next((s for s in resting if s.signal or s.name == "delegation"), resting[0] if resting else None)
        made = contract.Run(
            name=name,
            uid=run.id,
            etag=etag(run),
            version=run.seq,
            create_time=stamp(run.created_at),
            update_time=stamp(run.finished_at or run.started_at or run.created_at),
            start_time=stamp(run.started_at),
            end_time=stamp(run.finished_at),
            state=run_state(run),
            plan=f"{run.subject}/plans/{run.input['plan']}",
            intent=contract.Plan.Intent.Value(run.input["intent"]),
            order=held.order if held and provision else "",
            requester=run.started_by,
            steps=counts_of(steps),
            groups=groups_of(steps),
            error=step_error(run.failure),
            waiting_for=_waiting(waiting, seen) if run.state == "waiting" and waiting else run.paused_because,
            wake_time=stamp(run.wake_at) if run.state == "waiting" else None,
            gates=gates_of(run, steps),
            estimate_time=stamp(_estimate(run, steps, usual, tx.now)),
            paid_expire_time=stamp(_paid_until(seen, run)),
            degraded=run.degraded,
            final=run.state.startswith("cancelled") and not heir,
            supersedes=_named(run, run.input.get("supersedes", "")),
            superseded_by=_named(run, heir),
            leftovers=[leftover_of(entry) for entry in entries],
        )  # fmt: skip - reads as a table
        if held and held.report and run.kind == graphs.DESTROY and held.last_run == name and run.state == "succeeded":
            made.report.CopyFrom(ParseDict(dict(held.report), contract.DestroyReport()))
        return made

    async def metadata(self, run: RunView) -> contract.RunMetadata:
        """What an operation tells of a run."""
        steps = await self._engine.steps(run.id)
        counts = counts_of(steps)
        waiting = next((s for s in steps if s.state is StepState.WAITING), None)
        return contract.RunMetadata(
            run=f"{run.subject}/runs/{run.id}",
            plan=f"{run.subject}/plans/{run.input['plan']}",
            state=run_state(run),
            steps=counts,
            current_steps=[s.name for s in steps if s.state in BUSY],
            progress_percent=100 * counts.finished // max(1, counts.total),
            waiting_for=waiting_for(waiting) if waiting else "",
            update_time=stamp(run.finished_at or run.started_at or run.created_at),
        )  # fmt: skip - reads as a table


def etag(run: RunView) -> str:
    """Changes with each transition."""
    return f'"{run.seq}"'


def by_start(step: StepView) -> tuple[bool, float, int]:
    """Those not begun last, else the newest first."""
    return (step.started_at is None, -step.started_at.timestamp() if step.started_at else 0.0, step.position)


def gates_of(run: RunView, steps: Sequence[StepView]) -> list[contract.Gate]:
    """The gates of a run with what became of each."""
    rows = {step.name: step for step in steps}
    return [gate_of(gate, rows[gate["step"]]) for gate in run.input.get("gates", ()) if gate["step"] in rows]


def gate_of(gate: Mapping[str, Any], row: StepView) -> contract.Gate:
    """One gate; what was said stands in the output of the step that it opened, or in its failure."""
    refused = row.state is StepState.FAILED and (row.failure or {}).get("reason") == gates.REJECTED
    said = row.failure["metadata"] if refused else row.output or {}
    states = {StepState.WAITING: "OPEN", StepState.SUCCEEDED: "APPROVED", StepState.FAILED: "REJECTED"}
    return ParseDict(
        {**gate, "state": f"STATE_{states.get(row.state, 'PENDING')}"}
        | ({"decided_by": said["by"], "comment": said["comment"], "decide_time": said["at"]} if said else {}),
        contract.Gate(),
    )


def _estimate(run: RunView, steps: Sequence[StepView], usual: Usual, now: datetime) -> datetime | None:
    if not run.state.going or not usual:
        return None
    timed = [
        Timed(
            step.name,
            estimates.key_of(step.name, step.cluster),
            step.needs,
            step.state in DONE,
            step.started_at,
            step.name.startswith(gates.PREFIX),
        )
        for step in steps
    ]  # fmt: skip - in the order of the fields
    return estimates.end(timed, usual, now)


def step_of(parent: str, row: StepView, run: RunView, usual: Usual) -> contract.Step:
    made = contract.Step(
        name=f"{parent}/steps/{row.name}",
        etag=step_etag(row),
        phase=row.phase,
        state=contract.Step.State.Value(f"STATE_{row.state.upper()}"),
        needs=row.needs,
        cluster=row.cluster,
        component=row.component,
        attempt=row.attempt,
        start_time=stamp(row.started_at),
        end_time=stamp(row.finished_at),
        wake_time=stamp(row.wake_at),
        waiting_for=waiting_for(row) if row.state is StepState.WAITING else "",
        error=step_error(row.failure),
        undoable=row.undoable,
        skippable=row.skippable,
        optional=row.optional,
        skip_reason=row.reason,
        blocked_by=row.blocked_by,
        usual_duration=length_of(usual, row.name, row.cluster),
    )  # fmt: skip - reads as a table
    for gate in run.input.get("gates", ()):
        if gate["step"] == row.name:
            made.gate.CopyFrom(gate_of(gate, row))
    if isinstance(row.output, dict):
        made.outputs.CopyFrom(ParseDict(row.output, Struct()))
    return made


def step_etag(row: StepView) -> str:
    return f'"{row.attempt}.{row.tries}.{row.state}"'


def waiting_for(step: StepView) -> str:
    if step.signal.startswith(gates.PREFIX):
        return f"{step.name} waits for a person's word"
    if step.signal:
        return f"{step.name} waits for {step.signal}"
    if step.waits == "retry" and step.failure and step.failure.get("reason") in HELP:
        return f"{step.name}: {step.failure['message']}; {HELP[step.failure['reason']]}"
    return f"{step.name} rests before its next try" if step.waits == "retry" else f"{step.name} is not done yet"


def _named(run: RunView, id: str) -> str:
    return f"{run.subject}/runs/{id}" if id else ""


def _paid_until(seen: Mapping[str, Any], run: RunView) -> datetime | None:
    kept = patience.read(seen[FAILED_RUN][0]) if FAILED_RUN in seen else None
    return kept.paid_until if kept and kept.run == run.id else None


def leftover_of(entry: Entry) -> contract.Leftover:
    """What is still there, and what it costs as long as it is."""
    price = entry.row.price
    return contract.Leftover(
        provider=entry.provider, region=entry.region, kind=entry.kind, id=entry.resource_id, resource_name=entry.name,
        reason="not deleted yet", price=ParseDict(costs.price(price), contract.Price()) if price else None,
    )  # fmt: skip


def _waiting(step: StepView, seen: Mapping[str, Any]) -> str:
    """What a run waits for; of a delegation also what somebody has to enter, and where."""
    if step.name != "delegation" or "delegation_wanted" not in seen:
        return waiting_for(step)
    wanted = seen["delegation_wanted"][0]
    ds = f" and DS {'; '.join(wanted['ds'])}" if wanted["ds"] else ""
    return f"the parent of {wanted['domain']} has to show NS {', '.join(wanted['ns'])}{ds}"


def counts_of(steps: Sequence[StepView]) -> contract.StepCounts:
    def count(states: set[StepState]) -> int:
        return sum(step.state in states for step in steps)

    return contract.StepCounts(
        total=len(steps), finished=count(DONE), succeeded=count({StepState.SUCCEEDED}),
        failed=count({StepState.FAILED, StepState.UNDO_FAILED}), running=count(BUSY),
        pending=count({StepState.PENDING, StepState.READY}),
    )  # fmt: skip


def groups_of(steps: Sequence[StepView]) -> list[contract.StepGroup]:
    phases = dict.fromkeys(step.phase for step in steps)
    return [
        contract.StepGroup(id=phase, counts=counts_of([step for step in steps if step.phase == phase]))
        for phase in phases
    ]


def event_of(parent: str, event: EventView, steps: Mapping[str, StepView]) -> contract.RunEvent:
    step = steps.get(event.step)
    return contract.RunEvent(
        seq=event.seq,
        time=stamp(event.at),
        run=parent,
        step=event.step,
        attempt=event.attempt,
        cluster=step.cluster if step else "",
        component=step.component if step else "",
        level=level_of(event.level),
        code=event.code,
        message=event.message,
        data=ParseDict(dict(event.data), Struct()),
    )  # fmt: skip - reads as a table


def line_of(line: LogLine, counted: Counter[tuple[str, int]]) -> contract.LogLine:
    """One line; `counted` holds how many lines of its try came before, and is counted on."""
    counted[line.step, line.attempt] += 1
    return contract.LogLine(
        seq=line.number, number=counted[line.step, line.attempt], time=stamp(line.at), level=level_of(line.level),
        text=line.text, step=line.step, attempt=line.attempt,
    )  # fmt: skip


def component_line(line: ComponentLine) -> contract.LogLine:
    """A line of a component's log."""
    return contract.LogLine(
        seq=line.number, number=line.number, time=stamp(line.at), level=level_of(line.level), text=line.text,
        component=line.component, cluster=line.cluster, truncated=line.truncated,
    )  # fmt: skip


def sovereign_event(row: Mapping[str, Any]) -> contract.RunEvent:
    message = symbol_database.Default().GetSymbol(row["schema"]).FromString(row["body"])
    data = ParseDict(MessageToDict(message, preserving_proto_field_name=True), Struct())
    code = ".".join(row["subject"].split(".")[-2:])
    return contract.RunEvent(
        seq=row["version"], time=stamp(row["created_at"]), run=getattr(message, "run", ""), level=level_of("info"),
        code=code, data=data, trace_id=row["traceparent"].split("-")[1] if row["traceparent"] else "",
    )  # fmt: skip


def level_of(word: str) -> Any:
    return contract.RunEvent.Level.Value(f"LEVEL_{word.upper()}")
