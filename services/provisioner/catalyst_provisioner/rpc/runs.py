"""RunService, over the journal: one projection of its facts."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from catalyst.provisioner.v1 import resources_pb2 as contract
from catalyst.provisioner.v1 import service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page, Work, caller, stamp
from catalyst_mesh.journal import CancelMode, Engine, LogLine, RunView, StepState, StepView
from catalyst_mesh.journal import RunNotFound as NoSuchRun
from catalyst_mesh.streams import Curfew
from catalyst_sdk import Code, Decision, Refused
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..chronicle import superseding
from ..domain import gates, graphs
from ..store import Store, metadata
from . import filters
from .names import (
    READS_LOGS,
    SEES_OWN,
    ComponentNotFound,
    Name,
    RunNotFound,
    RunTerminal,
    StepNotFound,
    sees_all,
    visible,
)
from .run_views import (
    RunViews,
    by_start,
    component_line,
    counts_of,
    etag,
    event_of,
    groups_of,
    line_of,
    sovereign_event,
    sovereign_of,
    step_etag,
    step_of,
)

TOLD = metadata.tables["told"]
SIGNALS = metadata.tables["journal_signal"]
LINES = metadata.tables["journal_log"]
RunRequest: TypeAlias = service_pb2.PauseRunRequest | service_pb2.ResumeRunRequest | service_pb2.CancelRunRequest
StepRequest: TypeAlias = service_pb2.RetryStepRequest | service_pb2.SkipStepRequest
GateRequest: TypeAlias = service_pb2.ApproveGateRequest | service_pb2.RejectGateRequest
SHOWN = (graphs.PROVISION, graphs.DESTROY, graphs.HAND_OFF)
"""Kinds that are runs of a Sovereign; others only look, and are operations."""
LOOK = 0.3
"""Seconds between two looks at a Sovereign's own events."""


class EtagMismatch(Refused):
    code, reason, message = Code.ABORTED, "ETAG_MISMATCH", "{name} has changed since it was read; its etag is {etag}"


class FromSeqInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "FROM_SEQ_INVALID", "from_seq is {from_seq}; events count from 1"
    field = "from_seq"


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
        filter = filters.parse(request.filter, contract.Run, filters.RUNS)
        page = Page.of(request.page_size, request.page_token, request.parent, request.filter, who.subject)
        subject = "" if request.parent == "sovereigns/-" else request.parent
        if subject:
            async with self._work.reading() as tx:
                await visible(tx, Name.of(subject).sovereign, subject)
        shown, token = await filters.filled(
            page, filter, fetch=lambda after: self._seen(subject, after or "", page.size + 1), show=self._views.run,
            key=lambda run: run.id,
        )  # fmt: skip
        return service_pb2.ListRunsResponse(runs=shown, next_page_token=token)

    async def ListSteps(self, request: service_pb2.ListStepsRequest, context: Context) -> service_pb2.ListStepsResponse:
        run = await self._run(request.parent)
        filter = filters.parse(request.filter, contract.Step, filters.STEPS)
        page = Page.of(request.page_size, request.page_token, request.parent, request.filter)
        steps = await self._engine.steps(run.id)
        usual, first = await self._views.usual(run), int(page.after or 0)
        shown = [step_of(request.parent, row, run, usual) for row in sorted(steps, key=by_start)]
        rows = [step for step in shown if filter.takes(step)]
        cut = page.cut(list(enumerate(rows[first : first + page.size + 1], first + 1)), lambda row: row[0])
        return service_pb2.ListStepsResponse(
            steps=[step for _, step in cut.rows], next_page_token=cut.next_page_token,
            counts=counts_of(steps), groups=groups_of(steps),
        )  # fmt: skip

    async def GetStep(self, request: service_pb2.GetStepRequest, context: Context) -> contract.Step:
        name = Name.of(request.name)
        run = await self._run(request.name.rpartition("/steps/")[0])
        steps = {step.name: step for step in await self._engine.steps(run.id)}
        if name.sub not in steps:
            raise StepNotFound(name=request.name)
        return step_of(request.name.rpartition("/steps/")[0], steps[name.sub], run, await self._views.usual(run))

    async def PauseRun(self, request: service_pb2.PauseRunRequest, context: Context) -> contract.Run:
        return await self._asked(request, partial(self._engine.pause, reason=request.reason))

    async def ResumeRun(self, request: service_pb2.ResumeRunRequest, context: Context) -> contract.Run:
        return await self._asked(request, self._engine.resume)

    async def CancelRun(self, request: service_pb2.CancelRunRequest, context: Context) -> contract.Run:
        compensate = request.mode == service_pb2.CancelRunRequest.MODE_COMPENSATE
        mode = CancelMode.COMPENSATE if compensate else CancelMode.FINISH_STEP
        return await self._asked(request, partial(self._engine.cancel, mode=mode))

    async def RetryStep(self, request: service_pb2.RetryStepRequest, context: Context) -> contract.Step:
        return await self._asked_of_step(request, self._engine.retry)

    async def SkipStep(self, request: service_pb2.SkipStepRequest, context: Context) -> contract.Step:
        return await self._asked_of_step(request, partial(self._engine.skip, reason=request.reason))

    async def ApproveGate(self, request: service_pb2.ApproveGateRequest, context: Context) -> contract.Step:
        return await self._answered(request, approved=True)

    async def RejectGate(self, request: service_pb2.RejectGateRequest, context: Context) -> contract.Step:
        return await self._answered(request, approved=False)

    async def _answered(self, request: GateRequest, *, approved: bool) -> contract.Step:
        """Whether this person may say so, and the word itself, in one transaction: of two words the first counts."""
        parent, _, step_id = request.name.rpartition("/steps/")
        who = caller()

        async def step(tx: Store) -> Decision[contract.Step]:
            run = await self._visible(tx, parent)
            held = await self._step(run.id, step_id, request.name, sql=tx.sql)
            if request.etag not in ("", step_etag(held)):
                raise EtagMismatch(name=request.name, etag=step_etag(held))
            gate = await _open_gate(tx, run, held, request.name)
            demand = gates.demand_approver if approved else gates.demand_refuser
            sovereign = await tx.sovereign(sovereign_of(run))
            holds = who.has_role(*gate["roles"], org=sovereign.organization if sovereign else None)
            demand(gate, subject=who.subject, requester=run.started_by, holds_role=holds)
            word = {"approved": approved, "by": who.subject, "comment": request.comment, "at": f"{tx.now:%FT%T.%fZ}"}
            await self._engine.signal(run.id, held.name, word, by=who.subject, sql=tx.sql)
            return Decision(step_of(parent, held, run, {}))

        answer = await self._work.run(step, answer=lambda made: made)
        self._engine.wake()
        return answer

    async def _asked(self, request: RunRequest, command: Callable[..., Awaitable[RunView]]) -> contract.Run:
        """Etag, command and kept answer in one transaction: of two with one etag the second is refused."""
        by = caller().subject

        async def step(tx: Store) -> Decision[contract.Run]:
            run = await self._visible(tx, request.name)
            if request.etag not in ("", etag(run)):
                raise EtagMismatch(name=request.name, etag=etag(run))
            return Decision(await self._views.run_in(tx, await command(run.id, by=by, sql=tx.sql)))

        answer = await self._work.run(step, answer=lambda made: made)
        self._engine.wake()
        return answer

    async def _asked_of_step(self, request: StepRequest, command: Callable[..., Awaitable[RunView]]) -> contract.Step:
        parent, _, step_id = request.name.rpartition("/steps/")
        by = caller().subject

        async def step(tx: Store) -> Decision[contract.Step]:
            run = await self._visible(tx, parent)
            held = await self._step(run.id, step_id, request.name, sql=tx.sql)
            if request.etag not in ("", step_etag(held)):
                raise EtagMismatch(name=request.name, etag=step_etag(held))
            if heir := superseding(await tx.facts(sovereign_of(run)), run.id):
                raise RunTerminal(run=parent, state=f"superseded by {run.subject}/runs/{heir}")
            await command(run.id, step=step_id, by=by, sql=tx.sql)
            return Decision(step_of(parent, await self._step(run.id, step_id, request.name, sql=tx.sql), run, {}))

        answer = await self._work.run(step, answer=lambda made: made)
        self._engine.wake()
        return answer

    async def ListEvents(
        self, request: service_pb2.ListEventsRequest, context: Context
    ) -> service_pb2.ListEventsResponse:
        first = _first(request.from_seq)
        page = Page.of(request.page_size, request.page_token, request.parent, request.level, first)
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
        if "/components/" in request.parent:
            return await self._component_lines(request)
        run = await self._logged(request.parent)
        scope = request.parent, request.step, request.attempt, request.from_seq
        page = Page.of(request.page_size or 500, request.page_token, *scope, most=5000)
        after = int(page.after) if page.after is not None else max(0, _first(request.from_seq) - 1)
        lines = await self._engine.logs(
            run.id, step=request.step, attempt=request.attempt, after=after, size=page.size + 1
        )
        cut = page.cut(lines, lambda line: line.number)
        counted = await self._counted(run.id, cut.rows)
        last = cut.rows[-1].number if cut.rows else after
        return service_pb2.ListLogsResponse(
            lines=[line_of(line, counted) for line in cut.rows], next_page_token=cut.next_page_token, last_seq=last
        )

    async def WatchLogs(
        self, request: service_pb2.WatchLogsRequest, context: Context
    ) -> AsyncIterator[contract.LogLine]:
        if "/components/" in request.parent:
            async for told in self._curfew.bounded(self._component_watch(request)):
                yield told
            return
        run = await self._logged(request.parent)
        after = _first(request.from_seq) - 1
        lines = self._engine.watch_logs(run.id, step=request.step, attempt=request.attempt, after=after)
        counted: Counter[tuple[str, int]] = Counter()
        async for line in self._curfew.bounded(lines):
            if (line.step, line.attempt) not in counted:
                counted += await self._counted(run.id, [line])
            yield line_of(line, counted)

    async def _component_lines(self, request: service_pb2.ListLogsRequest) -> service_pb2.ListLogsResponse:
        where = await self._component(request.parent)
        page = Page.of(
            request.page_size or 500, request.page_token, request.parent, request.step, request.attempt, request.from_seq,
            most=5000,
        )  # fmt: skip
        after = int(page.after) if page.after is not None else max(0, _first(request.from_seq) - 1)
        async with self._work.reading() as tx:
            lines = await tx.component_lines(*where, after=after, limit=page.size + 1)
        cut = page.cut(lines, lambda line: line.number)
        return service_pb2.ListLogsResponse(
            lines=[component_line(line) for line in cut.rows], next_page_token=cut.next_page_token,
            last_seq=cut.rows[-1].number if cut.rows else after,
        )  # fmt: skip

    async def _component_watch(self, request: service_pb2.WatchLogsRequest) -> AsyncIterator[contract.LogLine]:
        where, after = await self._component(request.parent), _first(request.from_seq) - 1
        while True:
            async with self._work.reading() as tx:
                lines = await tx.component_lines(*where, after=after, limit=500)
            for line in lines:
                yield component_line(line)
                after = line.number
            if not lines:
                await asyncio.sleep(LOOK)

    async def _component(self, name: str) -> tuple[str, str, str]:
        """Sovereign, cluster and component, where the caller may read the log. Raises ComponentNotFound."""
        parts = Name.of(name)
        async with self._work.reading() as tx:
            held = await visible(tx, parts.sovereign, name)
            known = {row.name for row in await tx.components(held.id, parts.id)}
        if parts.sub not in known:
            raise ComponentNotFound(name=name)
        caller().require(*READS_LOGS, org=held.organization, resource=name)
        return held.id, parts.id, parts.sub

    async def _logged(self, parent: str) -> RunView:
        """The run whose log is asked for, where the caller may read it."""
        run = await self._run(parent)
        await self._demand_logs(run, parent)
        return run

    async def _counted(self, run: str, lines: Sequence[LogLine]) -> Counter[tuple[str, int]]:
        """How many lines of the same try stand before the first of these, by step and attempt."""
        firsts: dict[tuple[str, int], int] = {}
        for line in lines:
            firsts.setdefault((line.step, line.attempt), line.number)
        found: Counter[tuple[str, int]] = Counter()
        async with self._work.reading() as tx:
            for (step, attempt), number in firsts.items():
                mine = (LINES.c.run_id == run) & (LINES.c.step == step) & (LINES.c.attempt == attempt)
                query = select(func.count()).where(mine & (LINES.c.number < number))
                found[step, attempt] = (await tx.sql.execute(query)).scalar_one()
        return found

    async def _events(self, parent: str, first: int, *, follow: bool = False) -> AsyncIterator[contract.RunEvent]:
        if Name.of(parent).id:
            run = await self._run(parent)
            steps = {step.name: step for step in await self._engine.steps(run.id)}
            async for event in self._engine.events(run.id, first, follow=follow):
                yield event_of(parent, event, steps)
            return
        async with self._work.reading() as tx:
            await visible(tx, Name.of(parent).sovereign, parent)
        while True:
            rows = await self._told(parent, first)
            for row in rows:
                yield sovereign_event(row)
                first = row["version"] + 1
            if not follow and not rows:
                return
            if not rows:
                await asyncio.sleep(LOOK)

    async def _told(self, sovereign: str, first: int) -> Sequence[Mapping[str, Any]]:
        query = select(TOLD).where((TOLD.c.aggregate == sovereign) & (TOLD.c.version >= first))
        async with self._work.reading() as tx:
            rows = await tx.sql.execute(query.order_by(TOLD.c.version).limit(500))
            return [dict(row) for row in rows.mappings()]

    async def _run(self, name: str) -> RunView:
        async with self._work.reading() as tx:
            return await self._visible(tx, name, keep=False)

    async def _demand_logs(self, run: RunView, name: str) -> None:
        """Who may see a run may not read its logs for a role that counts elsewhere. Raises RoleDenied."""
        async with self._work.reading() as tx:
            held = await tx.sovereign(sovereign_of(run))
        caller().require(*READS_LOGS, org=held.organization if held else None, resource=name)

    async def _visible(self, tx: Store, name: str, *, keep: bool = True) -> RunView:
        """The run, where the caller may see it; with `keep`, kept for this transaction."""
        parts = Name.of(name)
        await visible(tx, parts.sovereign, name)
        try:
            run = await self._engine.status(parts.id, sql=tx.sql if keep else None)
        except NoSuchRun as error:
            raise RunNotFound(name=name) from error
        if sovereign_of(run) != parts.sovereign:
            raise RunNotFound(name=name)
        return run

    async def _step(self, run: str, step: str, name: str, *, sql: AsyncConnection) -> StepView:
        steps = {row.name: row for row in await self._engine.steps(run, sql=sql)}
        if step not in steps:
            raise StepNotFound(name=name)
        return steps[step]

    async def _seen(self, subject: str, after: str, most: int) -> list[RunView]:
        """As many runs as a page needs, those left out that the caller may not see."""
        rows: list[RunView] = []
        while True:
            found = await self._engine.list(subject=subject, size=most, after=after)
            rows += [run for run in found.runs if run.kind in SHOWN and (subject or await self._may_see(run))]
            if len(rows) >= most or len(found.runs) < most:
                return rows[:most]
            after = found.runs[-1].id

    async def _may_see(self, run: RunView) -> bool:
        if sees_all(caller()):
            return True
        async with self._work.reading() as tx:
            held = await tx.sovereign(sovereign_of(run))
        return held is not None and caller().has_role(*SEES_OWN, org=held.organization)


async def _open_gate(tx: Store, run: RunView, held: StepView, name: str) -> Mapping[str, Any]:
    """The gate at which a step waits for its first word. Raises GateNotOpen, RunTerminal."""
    found: Mapping[str, Any] | None = next((g for g in run.input.get("gates", ()) if g["step"] == held.name), None)
    if found is None:
        raise gates.GateNotOpen(step=name, why="it has no gate")
    if run.state.ended or run.state == "cancelling":
        raise RunTerminal(run=f"{run.subject}/runs/{run.id}", state=run.state)
    said = select(SIGNALS.c.seq).where((SIGNALS.c.run_id == run.id) & (SIGNALS.c.name == held.name))
    if held.state is not StepState.WAITING or (await tx.sql.execute(said)).first():
        raise gates.GateNotOpen(step=name, why=f"it is {held.state}, or was answered")
    return found


def _first(from_seq: int) -> int:
    if from_seq < 0:
        raise FromSeqInvalid(from_seq=from_seq)
    return from_seq or 1
