"""RunService, over the journal: one projection of its facts."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from catalyst.provisioner.v1 import resources_pb2 as contract
from catalyst.provisioner.v1 import service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page, Work, caller, stamp
from catalyst_mesh.journal import CancelMode, Engine, EventView, RunView, StepState, StepView
from catalyst_mesh.journal import RunNotFound as NoSuchRun
from catalyst_sdk import Code, Refused
from google.protobuf import symbol_database
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct
from sqlalchemy import select

from ..domain import graphs
from ..failures import step_error
from ..store import Store, metadata
from ..streams import Curfew
from .names import SEES_OWN, Name, RunNotFound, StepNotFound, sees_all, visible

OUTBOX = metadata.tables["outbox"]
LOOK = 0.3
"""Seconds between two looks at a Sovereign's own events."""
BUSY = {StepState.RUNNING, StepState.WAITING, StepState.IN_DOUBT, StepState.UNDOING}
DONE = {StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED, StepState.UNDONE, StepState.UNDO_FAILED}


class EtagMismatch(Refused):
    code, reason, message = Code.ABORTED, "ETAG_MISMATCH", "{name} has changed since it was read; its etag is {etag}"


class FromSeqInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "FROM_SEQ_INVALID", "from_seq is {from_seq}; events count from 1"


def run_state(run: RunView) -> Any:
    """The contract's word for a run's state."""
    return contract.Run.State.Value(f"STATE_{run.state.upper()}")


def sovereign_of(run: RunView) -> str:
    """Id of the Sovereign that a run is about."""
    return run.subject.removeprefix("sovereigns/")


class RunViews:
    """How runs and steps look to callers."""

    def __init__(self, work: Work[Store], engine: Engine) -> None:
        self._work = work
        self._engine = engine

    async def run(self, run: RunView) -> contract.Run:
        """The resource."""
        steps = await self._engine.steps(run.id)
        async with self._work.reading() as tx:
            held = await tx.sovereign(sovereign_of(run))
            short = run.state.startswith(("failed", "cancelled"))
            entries = await tx.entries(sovereign_of(run)) if short else []
        name = f"{run.subject}/runs/{run.id}"
        provision = run.kind == graphs.PROVISION
        waiting = next((s for s in steps if s.state is StepState.WAITING), None)
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
            steps=_counts(steps),
            groups=_groups(steps),
            error=step_error(run.failure),
            waiting_for=_waiting_for(waiting) if run.state == "waiting" and waiting else run.paused_because,
            wake_time=stamp(run.wake_at) if run.state == "waiting" else None,
            degraded=run.degraded,
            final=run.state.startswith("cancelled"),
            leftovers=[
                contract.Leftover(
                    provider=e.provider,
                    region=e.region,
                    kind=e.kind,
                    id=e.resource_id,
                    resource_name=e.name,
                    reason="not deleted yet",
                )
                for e in entries
            ],
        )  # fmt: skip - reads as a table
        if held and held.report and run.kind == graphs.DESTROY and held.last_run == name and run.state == "succeeded":
            made.report.CopyFrom(ParseDict(dict(held.report), contract.DestroyReport()))
        return made

    async def metadata(self, run: RunView) -> contract.RunMetadata:
        """What an operation tells of a run."""
        steps = await self._engine.steps(run.id)
        counts = _counts(steps)
        waiting = next((s for s in steps if s.state is StepState.WAITING), None)
        return contract.RunMetadata(
            run=f"{run.subject}/runs/{run.id}",
            plan=f"{run.subject}/plans/{run.input['plan']}",
            state=run_state(run),
            steps=counts,
            current_steps=[s.name for s in steps if s.state in BUSY],
            progress_percent=100 * counts.finished // max(1, counts.total),
            waiting_for=_waiting_for(waiting) if waiting else "",
            update_time=stamp(run.finished_at or run.started_at or run.created_at),
        )  # fmt: skip - reads as a table


def etag(run: RunView) -> str:
    """Changes with each transition."""
    return f'"{run.seq}"'


class RunService(service_pb2_grpc.RunServiceServicer):
    """Runs, steps, events."""

    def __init__(self, work: Work[Store], engine: Engine, shown: RunViews, curfew: Curfew) -> None:
        self._work = work
        self._engine = engine
        self._views = shown
        self._curfew = curfew

    async def GetRun(self, request: service_pb2.GetRunRequest, context: Context) -> contract.Run:
        return await self._views.run(await self._run(request.name))

    async def ListRuns(self, request: service_pb2.ListRunsRequest, context: Context) -> service_pb2.ListRunsResponse:
        who = caller(context)
        page = Page.of(request.page_size, request.page_token, request.parent, request.filter, who.subject)
        subject = "" if request.parent == "sovereigns/-" else request.parent
        if subject:
            async with self._work.reading() as tx:
                await visible(tx, Name.of(subject).sovereign, subject)
        found = await self._engine.list(subject=subject, size=page.size + 1, after=page.after or "")
        rows = [run for run in found.runs if subject or await self._may_see(run)]
        cut = page.cut(rows, lambda run: run.id)
        shown = [await self._views.run(run) for run in cut.rows]
        return service_pb2.ListRunsResponse(runs=shown, next_page_token=cut.next_page_token)

    async def ListSteps(self, request: service_pb2.ListStepsRequest, context: Context) -> service_pb2.ListStepsResponse:
        run = await self._run(request.parent)
        page = Page.of(request.page_size, request.page_token, request.parent, request.filter)
        steps = await self._engine.steps(run.id)
        rows = sorted(steps, key=_by_start)
        rows = rows[int(page.after or 0) :][: page.size + 1]
        first = int(page.after or 0)
        cut = page.cut(list(enumerate(rows, first + 1)), lambda row: row[0])
        return service_pb2.ListStepsResponse(
            steps=[_step(request.parent, row) for _, row in cut.rows], next_page_token=cut.next_page_token,
            counts=_counts(steps), groups=_groups(steps),
        )  # fmt: skip

    async def GetStep(self, request: service_pb2.GetStepRequest, context: Context) -> contract.Step:
        name = Name.of(request.name)
        run = await self._run(request.name.rpartition("/steps/")[0])
        steps = {step.name: step for step in await self._engine.steps(run.id)}
        if name.sub not in steps:
            raise StepNotFound(name=request.name)
        return _step(request.name.rpartition("/steps/")[0], steps[name.sub])

    async def PauseRun(self, request: service_pb2.PauseRunRequest, context: Context) -> contract.Run:
        run = await self._current(request.name, request.etag)
        await self._engine.pause(run.id, reason=request.reason, by=caller(context).subject)
        return await self._views.run(await self._engine.status(run.id))

    async def ResumeRun(self, request: service_pb2.ResumeRunRequest, context: Context) -> contract.Run:
        run = await self._current(request.name, request.etag)
        await self._engine.resume(run.id, by=caller(context).subject)
        return await self._views.run(await self._engine.status(run.id))

    async def CancelRun(self, request: service_pb2.CancelRunRequest, context: Context) -> contract.Run:
        run = await self._current(request.name, request.etag)
        compensate = request.mode == service_pb2.CancelRunRequest.MODE_COMPENSATE
        mode = CancelMode.COMPENSATE if compensate else CancelMode.FINISH_STEP
        await self._engine.cancel(run.id, mode, by=caller(context).subject)
        return await self._views.run(await self._engine.status(run.id))

    async def RetryStep(self, request: service_pb2.RetryStepRequest, context: Context) -> contract.Step:
        parent, step = await self._step_of(request.name, request.etag)
        run = await self._engine.retry(parent.id, step, by=caller(context).subject)
        return await self._shown(run, step)

    async def SkipStep(self, request: service_pb2.SkipStepRequest, context: Context) -> contract.Step:
        parent, step = await self._step_of(request.name, request.etag)
        run = await self._engine.skip(parent.id, step, request.reason, by=caller(context).subject)
        return await self._shown(run, step)

    async def ListEvents(
        self, request: service_pb2.ListEventsRequest, context: Context
    ) -> service_pb2.ListEventsResponse:
        first = _first(request.from_seq)
        page = Page.of(request.page_size, request.page_token, request.parent, request.level)
        first = int(page.after) + 1 if page.after is not None else first
        events = [event async for event in self._events(request.parent, first)]
        last = events[-1].seq if events else first - 1
        wanted = [event for event in events if event.level >= request.level]
        cut = page.cut(wanted, lambda event: event.seq)
        return service_pb2.ListEventsResponse(events=cut.rows, next_page_token=cut.next_page_token, last_seq=last)

    async def WatchEvents(
        self, request: service_pb2.WatchEventsRequest, context: Context
    ) -> AsyncIterator[contract.RunEvent]:
        events = self._events(request.parent, _first(request.from_seq), follow=True)
        async for event in self._curfew.bounded(events):
            if event.level >= request.level:
                yield event
        if Name.of(request.parent).id:
            run = await self._run(request.parent)
            data = ParseDict({"state": run.state.upper()}, Struct())
            yield contract.RunEvent(seq=0, code="done", run=request.parent, data=data, time=stamp(run.finished_at))

    async def ListLogs(self, request: service_pb2.ListLogsRequest, context: Context) -> service_pb2.ListLogsResponse:
        run = await self._run(request.parent)
        page = Page.of(request.page_size or 500, request.page_token, request.parent, request.step, most=5000)
        after = int(page.after) if page.after is not None else max(0, _first(request.from_seq) - 1)
        lines = await self._engine.logs(run.id, step=request.step, after=after, size=page.size + 1)
        cut = page.cut(lines, lambda line: line.number)
        shown = [
            contract.LogLine(
                seq=line.number, number=line.number, time=stamp(line.at), level=_level(line.level), text=line.text,
                step=line.step, attempt=line.attempt,
            )
            for line in cut.rows
        ]  # fmt: skip
        last = cut.rows[-1].number if cut.rows else after
        return service_pb2.ListLogsResponse(lines=shown, next_page_token=cut.next_page_token, last_seq=last)

    async def _events(self, parent: str, first: int, *, follow: bool = False) -> AsyncIterator[contract.RunEvent]:
        if Name.of(parent).id:
            run = await self._run(parent)
            steps = {step.name: step for step in await self._engine.steps(run.id)}
            async for event in self._engine.events(run.id, first, follow=follow):
                yield _event(parent, event, steps)
            return
        async with self._work.reading() as tx:
            await visible(tx, Name.of(parent).sovereign, parent)
        while True:
            rows = await self._told(parent, first)
            for row in rows:
                yield _sovereign_event(row)
                first = row["version"] + 1
            if not follow and not rows:
                return
            if not rows:
                await asyncio.sleep(LOOK)

    async def _told(self, sovereign: str, first: int) -> Sequence[Mapping[str, Any]]:
        query = select(OUTBOX).where((OUTBOX.c.aggregate == sovereign) & (OUTBOX.c.version >= first))
        async with self._work.reading() as tx:
            rows = await tx.sql.execute(query.order_by(OUTBOX.c.version).limit(500))
            return [dict(row) for row in rows.mappings()]

    async def _run(self, name: str) -> RunView:
        parts = Name.of(name)
        async with self._work.reading() as tx:
            await visible(tx, parts.sovereign, name)
        try:
            run = await self._engine.status(parts.id)
        except NoSuchRun as error:
            raise RunNotFound(name=name) from error
        if sovereign_of(run) != parts.sovereign:
            raise RunNotFound(name=name)
        return run

    async def _current(self, name: str, wanted: str) -> RunView:
        run = await self._run(name)
        if wanted and wanted != etag(run):
            raise EtagMismatch(name=name, etag=etag(run))
        return run

    async def _step_of(self, name: str, wanted: str) -> tuple[RunView, str]:
        parent, _, step = name.rpartition("/steps/")
        run = await self._run(parent)
        steps = {row.name: row for row in await self._engine.steps(run.id)}
        if step not in steps:
            raise StepNotFound(name=name)
        if wanted and wanted != _step_etag(steps[step]):
            raise EtagMismatch(name=name, etag=_step_etag(steps[step]))
        return run, step

    async def _shown(self, run: RunView, step: str) -> contract.Step:
        steps = {row.name: row for row in await self._engine.steps(run.id)}
        return _step(f"{run.subject}/runs/{run.id}", steps[step])

    async def _may_see(self, run: RunView) -> bool:
        if sees_all(caller()):
            return True
        async with self._work.reading() as tx:
            held = await tx.sovereign(sovereign_of(run))
        return held is not None and caller().has_role(*SEES_OWN, org=held.organization)


def _first(from_seq: int) -> int:
    if from_seq < 0:
        raise FromSeqInvalid(from_seq=from_seq)
    return from_seq or 1


def _by_start(step: StepView) -> tuple[bool, float, int]:
    """Those not begun last, else the newest first."""
    return (step.started_at is None, -step.started_at.timestamp() if step.started_at else 0.0, step.position)


def _step(parent: str, row: StepView) -> contract.Step:
    made = contract.Step(
        name=f"{parent}/steps/{row.name}",
        etag=_step_etag(row),
        phase=row.phase,
        state=contract.Step.State.Value(f"STATE_{row.state.upper()}"),
        needs=row.needs,
        cluster=row.cluster,
        component=row.component,
        attempt=row.attempt,
        start_time=stamp(row.started_at),
        end_time=stamp(row.finished_at),
        wake_time=stamp(row.wake_at),
        waiting_for=_waiting_for(row) if row.state is StepState.WAITING else "",
        error=step_error(row.failure),
        undoable=row.undoable,
        skippable=row.skippable,
        optional=row.optional,
        skip_reason=row.reason,
        blocked_by=row.blocked_by,
    )  # fmt: skip - reads as a table
    if isinstance(row.output, dict):
        made.outputs.CopyFrom(ParseDict(row.output, Struct()))
    return made


def _step_etag(row: StepView) -> str:
    return f'"{row.attempt}.{row.tries}.{row.state}"'


def _waiting_for(step: StepView) -> str:
    if step.signal:
        return f"{step.name} waits for {step.signal}"
    return f"{step.name} rests before its next try" if step.waits == "retry" else f"{step.name} is not done yet"


def _counts(steps: Sequence[StepView]) -> contract.StepCounts:
    def count(states: set[StepState]) -> int:
        return sum(step.state in states for step in steps)

    return contract.StepCounts(
        total=len(steps), finished=count(DONE), succeeded=count({StepState.SUCCEEDED}),
        failed=count({StepState.FAILED, StepState.UNDO_FAILED}), running=count(BUSY),
        pending=count({StepState.PENDING, StepState.READY}),
    )  # fmt: skip


def _groups(steps: Sequence[StepView]) -> list[contract.StepGroup]:
    phases = dict.fromkeys(step.phase for step in steps)
    return [
        contract.StepGroup(id=phase, counts=_counts([step for step in steps if step.phase == phase]))
        for phase in phases
    ]


def _event(parent: str, event: EventView, steps: Mapping[str, StepView]) -> contract.RunEvent:
    step = steps.get(event.step)
    return contract.RunEvent(
        seq=event.seq,
        time=stamp(event.at),
        run=parent,
        step=event.step,
        attempt=event.attempt,
        cluster=step.cluster if step else "",
        component=step.component if step else "",
        level=_level(event.level),
        code=event.code,
        message=event.message,
        data=ParseDict(dict(event.data), Struct()),
    )  # fmt: skip - reads as a table


def _sovereign_event(row: Mapping[str, Any]) -> contract.RunEvent:
    message = symbol_database.Default().GetSymbol(row["schema"]).FromString(row["body"])
    data = ParseDict(MessageToDict(message, preserving_proto_field_name=True), Struct())
    code = ".".join(row["subject"].split(".")[-2:])
    return contract.RunEvent(
        seq=row["version"], time=stamp(row["created_at"]), run=getattr(message, "run", ""), level=_level("info"),
        code=code, data=data, trace_id=row["traceparent"].split("-")[1] if row["traceparent"] else "",
    )  # fmt: skip


def _level(word: str) -> Any:
    return contract.RunEvent.Level.Value(f"LEVEL_{word.upper()}")
