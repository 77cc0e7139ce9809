"""Runs: started, approved, aborted, watched. What they do is the agents'; here stands who may have them do it, and when.

A run is begun by the agent of the region that executes its first phase: the holder's for a planned move, the gaining one's else.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from catalyst.continuum.v1 import resources_pb2, service_pb2
from catalyst_mesh import Caller, Context, OperationNotFound, Page, caller
from catalyst_sdk import Code, Decision, Refused, Violation
from google.longrunning import operations_pb2

from ..domain import approvals, runs, slots, telling
from ..domain.approvals import OFFICER, Person, PlanDrifted
from ..domain.plan import Plan, Purpose
from ..domain.record import State
from ..domain.runs import EpochMoved, Kind, Run, RunState
from ..domain.slots import ContinuumNotFound, Slot
from ..domain.spec import Spec
from ..store import Store
from ..workers.moves import new_id
from ..workers.outcomes import Committed
from . import specs, tellings
from .calls import organization
from .elsewhere import EXECUTING, UNKNOWN, AgentUnreachable, anywhere, was_handed_on
from .run_views import KINDS, message, metadata
from .witness import WitnessCalls

RUNS = "operations/continuum-run-"
HEARTBEAT = 15.0
LOOK = 1.0
"""Seconds between two questions at the region that executes the steps in hand."""
_OVER = (resources_pb2.Run.STATE_SUCCEEDED, resources_pb2.Run.STATE_ABORTED, resources_pb2.Run.STATE_FAILED)
_WITNESS_CHECKS = ("witness-quorum", "witness-sound", "epoch-readable")


class PlanBlocked(Refused):
    code, reason = Code.FAILED_PRECONDITION, "PLAN_BLOCKED"
    message = "{number} checks stand in the way of the run: {checks}"


class SlotSuspended(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "SUSPENDED", "{name} is suspended; resume it first"


class RunNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "RUN_NOT_FOUND", "there is no {name}"


class RunEtagMismatch(Refused):
    code, reason, message = Code.ABORTED, "ETAG_MISMATCH", "{name} has changed since it was read"


class ReasonMissing(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "REASON_MISSING", "whoever breaks the glass says why"
    field = "reason"


class WitnessAnswers(Refused):
    code, reason = Code.FAILED_PRECONDITION, "WITNESS_ANSWERS"
    message = "a majority of the cells answers: leave `unwitnessed` out, and the takeover is the register's"


class RecordUnseen(Refused):
    code, reason = Code.FAILED_PRECONDITION, "WITNESS_UNSAFE"
    message = (
        "the agent of {region} saw {seen} before the cells were silent: without them only a slot that another region holds is "
        "taken; bring a majority of the cells back, or admit new ones"
    )


class HolderWrites(Refused):
    code, reason = Code.FAILED_PRECONDITION, "HOLDER_WRITES"
    message = "the agent of {holder} answers, and its database takes writes: move the slot by a switchover"


class ForceRefused(Refused):
    code, reason = Code.INVALID_ARGUMENT, "FORCE_NOT_PLANNED"
    message = "a {kind} has its holder's help: only a failover is forced"
    field = "force"


class DrillUnsupported(Refused):
    code, reason = Code.FAILED_PRECONDITION, "DRILL_UNSUPPORTED"
    message = "the promoter {promoter} cannot try a promotion on a copy: rehearse by PlanRun, or by a game day"
    field = "kind"


class RunCalls(WitnessCalls):
    """StartRun to AbortRun, and ForceTakeover."""

    @anywhere
    async def StartRun(self, request: service_pb2.StartRunRequest, context: Context) -> operations_pb2.Operation:
        if request.force and KINDS[request.kind] is not Kind.FAILOVER:
            raise ForceRefused(kind=KINDS[request.kind].word)
        kind, who = KINDS[request.kind], caller(context)
        slot, spec = await self._movable(request.name)
        if kind is Kind.DRILL and not self._rehearses(spec):
            raise DrillUnsupported(promoter=spec.switchover.mechanism.value)
        if (region := await self._begins(slot, spec, kind, request.to_region, context)) is not None:
            return await self._elsewhere.at(region, "StartRun", request)
        plan = await self._plan(slot, spec, kind, request.to_region, request.accept_data_loss)
        self._must_fit(slot, plan, request.expected_epoch, request.plan_fingerprint)
        # Whoever cuts a living holder short is approved as one who breaks the glass.
        run = self._run(slot, spec, kind, plan, who, request.reason, forced=request.force)
        return await self._open(
            request.name, replace(run, accept_data_loss=request.accept_data_loss), request.validate_only
        )

    @anywhere
    async def ForceTakeover(
        self, request: service_pb2.ForceTakeoverRequest, context: Context
    ) -> operations_pb2.Operation:
        if not request.reason.strip():
            raise ReasonMissing()
        who, kind = caller(context), Kind.TAKEOVER
        slot, spec = await self._movable(request.name)
        if (region := await self._begins(slot, spec, kind, request.to_region, context)) is not None:
            return await self._elsewhere.at(region, "ForceTakeover", request)
        plan = await self._plan(slot, spec, kind, request.to_region, request.accept_data_loss)
        if slot.suspended:
            raise SlotSuspended(name=slot.resource)
        if request.unwitnessed:
            plan = await self._without_cells(slot, plan)
        if request.expected_epoch != plan.epoch and not (request.unwitnessed and request.expected_epoch == 0):
            raise EpochMoved(epoch=plan.epoch, expected=request.expected_epoch)
        run = self._run(slot, spec, kind, plan, who, request.reason, forced=True)
        run = replace(run, unwitnessed=request.unwitnessed)
        return await self._open(
            request.name, replace(run, accept_data_loss=request.accept_data_loss), request.validate_only
        )

    async def GetRun(self, request: service_pb2.GetRunRequest, context: Context) -> resources_pb2.Run:
        return await self._told(request.name, alone=was_handed_on(context))

    async def ListRuns(self, request: service_pb2.ListRunsRequest, context: Context) -> service_pb2.ListRunsResponse:
        page = Page.of(request.page_size, request.page_token, "runs", request.parent)
        before = (datetime.fromisoformat(page.after[0]), page.after[1]) if page.after else None
        others = None if was_handed_on(context) else await self._elsewhere.runs(request)
        async with self._work.reading() as tx:
            try:
                slot = await self._seen(tx, request.parent)
            except ContinuumNotFound:
                if others is None:
                    raise
                own: Sequence[Run] = ()
            else:
                own = await tx.runs_of(slot.key, before, page.size + 1)
        known = sorted(tellings.together((*map(message, own), *(others or ()))), key=_place, reverse=True)
        cut = page.cut(known[: page.size + 1], _place)
        return service_pb2.ListRunsResponse(runs=cut.rows, next_page_token=cut.next_page_token)

    async def WatchRun(
        self, request: service_pb2.WatchRunRequest, context: Context
    ) -> AsyncIterator[service_pb2.WatchRunResponse]:
        alone = was_handed_on(context)
        async for answer in self._curfew.bounded(self._changes(request.name, request.cursor, alone=alone)):
            yield answer

    @anywhere
    async def ApproveRun(self, request: service_pb2.ApproveRunRequest, context: Context) -> resources_pb2.Run:
        who = caller(context)

        async def step(tx: Store) -> Decision[Run]:
            run = await self._known(tx, request.name, etag=request.etag, lock=True)
            if run.state is not RunState.AWAITING_APPROVAL or run.need is None:
                raise runs.RunNotWaiting(run=run.name, state=run.state.value)
            given = approvals.approve(
                run.need, run.approvals, _person(who, run), run.initiated_by, seen=request.plan_fingerprint,
                plan=run.plan_fingerprint, now=tx.now, comment=request.comment,
            )  # fmt: skip
            missing = approvals.missing(run.need, (*run.approvals, given), run.plan_fingerprint)
            slot = await self._seen(tx, request.name.rpartition("/runs/")[0], lock=True)
            said = slots.told(slot, tx.now, telling.approved(run, given, missing))
            await tx.save(said.state)
            return Decision(runs.agreed(run, given, missing=missing, now=tx.now.timestamp()), said.events)

        return await self._work.run(step, answer=message)

    @anywhere
    async def AbortRun(self, request: service_pb2.AbortRunRequest, context: Context) -> resources_pb2.Run:
        why = request.reason or f"asked for by {caller(context).subject}"

        async def step(tx: Store) -> Decision[Run]:
            run = await self._known(tx, request.name, etag=request.etag)
            caller(context).require(
                "sovereign-admin", "org-admin", org=organization(run.slot.partition("/")[0]), resource=run.name
            )
            after = runs.aborting(run, tx.now.timestamp(), why)
            if run.state in (RunState.PENDING, RunState.AWAITING_APPROVAL):
                after = runs.over(after, RunState.ABORTED, tx.now.timestamp(), why)
            return Decision(after)

        answer: resources_pb2.Run = await self._work.run(step, answer=message)
        return answer

    async def operation(self, name: str) -> operations_pb2.Operation:
        """A run or a verification. Raises OperationNotFound."""
        if not name.startswith(RUNS):
            return await super().operation(name)
        async with self._work.reading() as tx:
            run = await tx.run_by_id(name.removeprefix(RUNS))
        if run is None:
            raise OperationNotFound(name=name)
        return _operation(run)

    async def _movable(self, name: str) -> tuple[Slot, Spec]:
        """The slot that a caller may move, and what is wished for it."""
        async with self._work.reading() as tx:
            slot = await self._seen(tx, name)
        caller().require("sovereign-admin", "org-admin", org=organization(slot.namespace), resource=slot.resource)
        return slot, specs.understood(slot, self._house, self._profile)

    async def _begins(self, slot: Slot, spec: Spec, kind: Kind, to: str, context: Context) -> str | None:
        """The other region that begins such a run, where it can be asked; None: it is begun here, or nowhere."""
        if was_handed_on(context, EXECUTING):
            return None
        source, target = await self._planner.ends(slot, spec, _purpose(kind), to)
        region = source if kind.is_planned else target
        return region if region != self._region and self._elsewhere.knows(region) else None

    async def _without_cells(self, slot: Slot, plan: Plan) -> Plan:
        """The plan from the record that the agent here saw last. Raises WitnessAnswers, RecordUnseen, HolderWrites."""
        agent = self._agents(slot.key)
        if agent is None:
            raise AgentUnreachable(region=plan.target)
        if isinstance(await agent.sight.register.glance(slot.key), Committed):
            raise WitnessAnswers()
        lease = agent.sight.lease
        if lease is None or lease.state is not State.HELD or lease.holder == self._region:
            seen = f"it {lease.state} by {lease.holder or 'nobody'}" if lease is not None else "no record"
            raise RecordUnseen(region=self._region, seen=seen)
        await agent.sight.look_at_peer(lease.holder)
        view = agent.sight.report(lease.holder)
        if view is not None and view.writable is True:
            raise HolderWrites(holder=lease.holder)
        return replace(plan, source=lease.holder, target=self._region, epoch=lease.epoch)

    async def _plan(self, slot: Slot, spec: Spec, kind: Kind, to: str, loss: bool) -> Plan:
        return await self._planner.plan(slot, spec, _purpose(kind), to_region=to, accepts_loss=loss)

    def _must_fit(self, slot: Slot, plan: Plan, epoch: int, fingerprint: str) -> None:
        """Whatever the caller saw is still so, and nothing stands in the way."""
        if slot.suspended:
            raise SlotSuspended(name=slot.resource)
        if epoch != plan.epoch:
            raise EpochMoved(epoch=plan.epoch, expected=epoch)
        if fingerprint and fingerprint != plan.fingerprint:
            raise PlanDrifted(now=plan.fingerprint, seen=fingerprint)
        if plan.blockers:
            said = (blocker.partition(": ") for blocker in plan.blockers)
            blocking = tuple(Violation(check, sentence, "check") for check, _, sentence in said)
            names = ", ".join(one.field for one in blocking)
            raise PlanBlocked(violations=blocking, number=len(blocking), checks=names)

    def _run(
        self, slot: Slot, spec: Spec, kind: Kind, plan: Plan, who: Caller, why: str, *, forced: bool = False
    ) -> Run:
        need = approvals.need(spec.approval, _approved_as(kind, forced=forced), slot.since)
        run = Run(
            new_id(), slot.key, kind, plan.source, plan.target, plan.epoch, plan.epoch, reason=why, initiated_by=who.subject,
            plan_fingerprint=plan.fingerprint, force=forced, need=need if need.is_any else None,
            state=RunState.AWAITING_APPROVAL if need.is_any else RunState.PENDING,
        )  # fmt: skip
        if self._agents(slot.key) is None or run.executor != self._region:
            raise AgentUnreachable(region=run.executor)
        return run

    async def _open(self, resource: str, run: Run, validate_only: bool) -> operations_pb2.Operation:
        """Store the wish for a run; the agent takes it up once it is approved."""

        async def step(tx: Store) -> Decision[Run]:
            slot = await self._seen(tx, resource, lock=True)
            runs.must_be_free(await tx.open_runs(slot.key))
            spec = specs.understood(slot, self._house, self._profile)
            kind = _approved_as(run.kind, forced=run.force)
            need = approvals.need(spec.approval, kind, tx.now) if run.need is not None else None
            opened = runs.opened(replace(run, need=need), tx.now.timestamp())
            said = slots.told(slot, tx.now, *telling.of_run(None, opened, tx.now))
            if said.events:
                await tx.save(said.state)
            return Decision(opened, said.events)

        ask = self._work.rehearse if validate_only else self._work.run
        return await ask(step, answer=_operation)

    async def _known(self, tx: Store, resource: str, *, etag: str = "", lock: bool = False) -> Run:
        """A run that the caller may see. Raises RunNotFound, RunEtagMismatch."""
        parent, _, id = resource.rpartition("/runs/")
        slot = await self._seen(tx, parent)
        run = await tx.run(slot.key, id, lock=lock)
        if run is None:
            raise RunNotFound(name=resource)
        if etag and etag != run.etag:
            raise RunEtagMismatch(name=resource)
        return run

    async def _told(self, resource: str, *, alone: bool) -> resources_pb2.Run:
        """A run with what other regions know of it, unless one of them asks. Raises RunNotFound, and what `_seen` does."""
        own: list[resources_pb2.Run] = []
        unknown: Refused | None = None
        try:
            async with self._work.reading() as tx:
                own.append(message(await self._known(tx, resource)))
        except Refused as refusal:
            if refusal.reason not in UNKNOWN:
                raise
            unknown = refusal
        if not alone and (unknown is not None or tellings.is_half(own[0])):
            own += await self._elsewhere.run_told(resource)
        if not own:
            raise unknown or RunNotFound(name=resource)
        return tellings.one(own)

    async def _changes(self, resource: str, cursor: str, *, alone: bool) -> AsyncIterator[service_pb2.WatchRunResponse]:
        clock, seen = asyncio.get_running_loop().time, cursor
        said = clock()
        with self._work.bell.listening("run") as rung:
            while True:
                rung.clear()
                run = await self._told(resource, alone=alone)
                place = _reached(run)
                if place != seen:
                    yield service_pb2.WatchRunResponse(run=run, cursor=place, reset=not _follows(seen, place))
                    seen, said = place, clock()
                elif clock() - said >= HEARTBEAT:
                    yield service_pb2.WatchRunResponse(cursor=place)
                    said = clock()
                if run.state in _OVER:
                    return
                is_elsewhere = not alone and any(step.executor != self._region for step in run.steps)
                await self._work.bell.wait(self._curfew.over, rung, LOOK if is_elsewhere else HEARTBEAT)


def _reached(run: resources_pb2.Run) -> str:
    """How far a run is, for a cursor: the version of who knows most of it, and its steps by all."""
    return f"{run.version}.{''.join(str(step.state) for step in run.steps)}"


def _follows(cursor: str, place: str) -> bool:
    """Whether the place may come after the cursor."""
    before, now = cursor.partition(".")[0], place.partition(".")[0]
    return not cursor or (before.isdigit() and int(before) <= int(now))


def _place(run: resources_pb2.Run) -> list[str]:
    """When it was made and its id, by which runs are in order."""
    return [run.create_time.ToDatetime(tzinfo=UTC).isoformat(), run.name.rpartition("/")[2]]


def _approved_as(kind: Kind, *, forced: bool) -> str:
    return Kind.TAKEOVER.word if forced else kind.word


def _purpose(kind: Kind) -> Purpose:
    if kind is Kind.DRILL:
        return Purpose.DRILL_ISOLATED
    return Purpose.FAILOVER if kind is Kind.TAKEOVER else Purpose(kind.word)


def _person(who: Caller, run: Run) -> Person:
    org = organization(run.slot.partition("/")[0])
    roles = ("org-admin", "org-developer", OFFICER, "sovereign-admin")
    return Person(who.subject, frozenset(role for role in roles if who.has_role(role) or who.has_role(role, org=org)))


def _operation(run: Run) -> operations_pb2.Operation:
    operation = operations_pb2.Operation(name=f"{RUNS}{run.id}", done=run.state.is_over)
    operation.metadata.Pack(metadata(run))
    if run.state.is_over:
        operation.response.Pack(message(run))
    return operation
