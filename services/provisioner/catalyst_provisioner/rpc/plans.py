"""PlanService: plans are made from what is read, and applied by their hash."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from catalyst.billing.v1.resources_pb2 import Order
from catalyst.provisioner.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page, Work, caller
from catalyst_mesh.journal import Engine, RunInProgress
from catalyst_sdk import Code, Decision, Refused
from google.longrunning import operations_pb2

from ..domain import facts, graphs, immutables, plans, rules, sovereigns
from ..domain.locks import Lock
from ..domain.reference import Reference
from ..domain.sovereigns import Sovereign
from ..domain.wishes import Cluster, Document
from ..peers import Orders, SaidNo
from ..planning import Planner, numbered
from ..steps.tools import lock_of
from ..store import PlanRow, Store
from ..store.plans import LIFE
from . import filters, views
from .filters import NotServed
from .names import Name, PlanNotFound, locked, sees_all, visible
from .operations import operation

OFFERS_LIFE = timedelta(minutes=15)
PAID = (Order.STATE_PAID, Order.STATE_FULFILLING)


class PlanHashMismatch(Refused):
    code, reason = Code.ABORTED, "PLAN_HASH_MISMATCH"
    message = "the plan's hash is {hash}, not {given}; read it and agree to it anew"


class PlanStale(Refused):
    code, reason, message = Code.ABORTED, "PLAN_STALE", "what {plan} was made from has moved: {changed}; plan again"


class PlanNotApplicable(Refused):
    reason, message = "PLAN_NOT_APPLICABLE", "{plan} has findings that stand against it: {findings}"


class OrderUnpaid(Refused):
    reason, message = "ORDER_UNPAID", "{order} does not pay for {sovereign}: {why}"


class OrderNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "ORDER_NOT_FOUND", "there is no order {order}"


class PlanService(service_pb2_grpc.PlanServiceServicer):
    """Plans."""

    def __init__(
        self, work: Work[Store], planner: Planner, engine: Engine, orders: Orders, *, require_paid_order: bool
    ) -> None:
        self._work = work
        self._planner = planner
        self._engine = engine
        self._orders = orders
        self._require_paid_order = require_paid_order

    async def CreatePlan(self, request: service_pb2.CreatePlanRequest, context: Context) -> resources_pb2.Plan:
        name = Name.of(request.parent)
        intent = resources_pb2.Plan.Intent.Name(request.intent)
        async with self._work.reading() as tx:
            held = await visible(tx, name.sovereign, request.parent)
        sovereigns.demand_alive(held)
        body = await self._body(held, intent, request)

        async def step(tx: Store) -> Decision[Any]:
            now_held = await locked(tx, name.sovereign, request.parent)
            sovereigns.demand_etag(now_held, request.etag)
            row = _row(now_held, body, caller(context).subject, tx.now)
            if request.validate_only:
                return Decision(replace(row, id=""))
            await tx.keep_plan(row)
            after = now_held.told(tx.now, last_plan=row.name)
            await tx.save(after)
            told = body | {"name": row.name, "expire_time": row.expires_at}
            return Decision(row, (facts.PlanCreated(after, told, caller(context).subject),))

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=_answer)

    async def GetPlan(self, request: service_pb2.GetPlanRequest, context: Context) -> resources_pb2.Plan:
        async with self._work.reading() as tx:
            row = await _plan(tx, Name.of(request.name), request.name)
            return views.plan(row, tx.now)

    async def ListPlans(self, request: service_pb2.ListPlansRequest, context: Context) -> service_pb2.ListPlansResponse:
        filters.none(request.filter)
        page = Page.of(request.page_size, request.page_token, request.parent, request.filter, caller(context).subject)
        name = Name.of(request.parent)
        async with self._work.reading() as tx:
            if name.sovereign != "-":
                await visible(tx, name.sovereign, request.parent)
            everything = "" if sees_all(caller(context)) else "\0"
            wanted = everything if name.sovereign == "-" else name.sovereign
            cut = page.cut(await tx.plans_before(wanted, page.after, page.size + 1), lambda row: row.id)
            rows = [views.plan(row, tx.now) for row in cut.rows]
        return service_pb2.ListPlansResponse(plans=rows, next_page_token=cut.next_page_token)

    async def ApplyPlan(self, request: service_pb2.ApplyPlanRequest, context: Context) -> operations_pb2.Operation:
        name, actor = Name.of(request.name), caller(context).subject
        if request.supersede_run:
            raise NotServed(capability="supersede_run")
        async with self._work.reading() as tx:
            row = await _plan(tx, name, request.name)
            held = await visible(tx, name.sovereign, request.name)
            revision = await tx.ledger_revision(held.id)
            now = tx.now
        # One that was applied already is left to the transaction: a retry with the same request id gets its answer.
        if row.state != "applied":
            demand_hash(row, request.hash)
            await self._demand_idle(held)
            demand_applicable(row, held, request.hash, revision, now)
            await self._demand_unmoved(row, now)
            await self._demand_paid(held, row, request.order)

        async def step(tx: Store) -> Decision[Any]:
            fresh, plan = await locked(tx, name.sovereign, request.name), await _plan(tx, name, request.name)
            sovereigns.demand_etag(fresh, request.etag)
            demand_applicable(plan, fresh, request.hash, await tx.ledger_revision(fresh.id), tx.now)
            if request.validate_only:
                return Decision(operations_pb2.Operation())
            return await self._begun(tx, fresh, plan, request.order, actor)

        if request.validate_only:
            return await self._work.rehearse(step, answer=lambda made: made)
        answer = await self._work.run(step, answer=lambda made: made)
        self._engine.wake()
        return answer

    async def _begun(
        self, tx: Store, held: Sovereign, plan: PlanRow, order: str, actor: str
    ) -> Decision[operations_pb2.Operation]:
        kind = graphs.DESTROY if plan.intent == plans.DESTROY else graphs.PROVISION
        scope = await self._prepared(tx, held, plan, kind)
        try:
            run = await self._engine.start_in(
                tx.sql, kind, subject=held.name, key=f"{held.uid}/{plan.id}", input=scope | {"actor": actor}, by=actor
            )
        except RunInProgress as busy:
            raise RunInProgress(subject=held.name, run=f"{held.name}/runs/{busy.run}") from busy
        closed = _closed(held, kind, tx.now)
        about = plan.body | {"name": plan.name}
        decided = sovereigns.apply(
            closed.state, about, run=f"{held.name}/runs/{run.id}", steps=run.progress.total, order=order, actor=actor,
            now=tx.now,
        )  # fmt: skip
        await tx.save(decided.state)
        await tx.applied(held.id, plan.id, decided.state.last_run)
        return Decision(operation(run, plan.name, tx.now), (*closed.events, *decided.events))

    async def _prepared(self, tx: Store, held: Sovereign, plan: PlanRow, kind: str) -> dict[str, Any]:
        """Write down what is wished from now on; the input of the run."""
        spec, options = plan.body["spec"], plan.body.get("options", {})
        moved = int(kind == graphs.PROVISION and spec != held.spec)
        scope: dict[str, Any] = {
            "sovereign": held.id,
            "uid": held.uid,
            "plan": plan.id,
            "intent": plan.intent,
            "hash": plan.hash,
            "generation": held.generation + moved,
            "keep": list(options.get("keep", ())),
        }  # fmt: skip - reads as a table
        if kind == graphs.DESTROY:
            return scope | {"clusters": [{"name": row.name} for row in await tx.clusters(held.id)]}
        wish, lock = self._planner.wish(spec), lock_of(plan)
        numbers = numbered(wish, {row.name: row for row in await tx.clusters(held.id)})
        for cluster in wish.clusters:
            await _wished(tx, held.id, cluster, numbers[cluster.name], lock)
        await tx.unobserve(held.id, "probed")
        return scope | plans.scope(wish, lock)

    async def _body(self, held: Sovereign, intent: str, request: service_pb2.CreatePlanRequest) -> dict[str, Any]:
        options = views.document(request.options)
        if intent == plans.DESTROY:
            body = await self._planner.destroy(held, options.get("keep", ()))
        elif intent == plans.APPLY:
            document: Document = held.spec
            if request.HasField("spec"):
                document = self._planner.checked(views.document(request.spec))
                _demand_same_identity(held, document, self._planner.reference)
            body = await self._planner.apply(held, document)
        else:
            raise NotServed(capability=f"a plan of {intent.removeprefix('INTENT_')}")
        return body | ({"options": options} if options else {})

    async def _demand_idle(self, held: Sovereign) -> None:
        live = await self._engine.list(subject=held.name, live=True, size=1)
        if live.runs:
            raise RunInProgress(subject=held.name, run=f"{held.name}/runs/{live.runs[0].id}")

    async def _demand_unmoved(self, row: PlanRow, now: datetime) -> None:
        if row.intent == plans.DESTROY:
            return
        changed = []
        if await self._planner.lock_digest(row.body["spec"]) != row.body["inputs"].get("lock_digest"):
            changed.append("lock_digest")
        if now - row.created_at > OFFERS_LIFE:
            changed += await self._planner.moved_offers(row.body)
        if changed:
            raise PlanStale(plan=row.name, changed=", ".join(changed))

    async def _demand_paid(self, held: Sovereign, row: PlanRow, order: str) -> None:
        if not self._require_paid_order or row.intent != plans.APPLY or held.activated_at:
            return
        order = order or held.order
        if not order:
            raise OrderUnpaid(
                order="(none)", sovereign=held.name, state="", why="an order is required; name a paid one"
            )
        try:
            found = await self._orders.get(order)
        except SaidNo as no:
            if no.said.code == "NOT_FOUND":
                raise OrderNotFound(order=order) from no
            raise OrderUnpaid(order=order, sovereign=held.name, state="", why=no.said.message) from no
        state = Order.State.Name(found.state).removeprefix("STATE_")
        if found.selection.sovereign != held.name:
            why = f"it was made for {found.selection.sovereign or 'no Sovereign'}"
            raise OrderUnpaid(order=order, sovereign=held.name, state=state, why=why)
        if found.state not in PAID:
            raise OrderUnpaid(order=order, sovereign=held.name, state=state, why=f"it is {state}")


def demand_hash(row: PlanRow, hash: str) -> None:
    """Whether the plan that was agreed to is this one."""
    if hash != row.hash:
        raise PlanHashMismatch(hash=row.hash, given=hash)


def demand_applicable(row: PlanRow, held: Sovereign, hash: str, revision: int, now: datetime) -> None:
    """Whether the plan that was agreed to is this one, still fits, and has nothing against it."""
    demand_hash(row, hash)
    if not row.body["applicable"]:
        errors = sorted({f["code"] for f in row.body["findings"] if f["severity"] == "SEVERITY_ERROR"})
        raise PlanNotApplicable(plan=row.name, findings=", ".join(errors))
    inputs = row.body["inputs"]
    moved = {
        "applied": row.state == "applied",
        "expired": row.expires_at <= now,
        "generation": int(inputs["generation"]) != held.generation,
        "ledger_revision": int(inputs["ledger_revision"]) != revision,
    }
    if any(moved.values()):
        raise PlanStale(plan=row.name, changed=", ".join(name for name, has in moved.items() if has))


def _closed(held: Sovereign, kind: str, now: datetime) -> Decision[Sovereign]:
    """A creation that failed and is now taken away has failed for good; whoever paid for it is told so."""
    failed = held.state is sovereigns.State.FAILED and held.activated_at is None
    if kind != graphs.DESTROY or not failed or not held.last_run:
        return Decision(held)
    after = held.told(now)
    fact = facts.RunFailed(
        after, held.last_run, held.last_plan, plans.APPLY, held.order, True, "", {"reason": "DESTROYED"}
    )
    return Decision(after, (fact,))


async def _wished(tx: Store, sovereign: str, cluster: Cluster, number: int, lock: Lock) -> None:
    spec = {
        "building_block": cluster.block,
        "hosts": list(cluster.hosts),
        "env_type": cluster.env_type,
        "location_code": cluster.location_code,
        "nodes": cluster.nodes,
    }
    await tx.wish_cluster(
        sovereign, cluster.name,
        number=number, provider=cluster.provider, region=cluster.region, credential=cluster.credential, spec=spec,
    )  # fmt: skip
    await tx.wish_components(sovereign, cluster.name, lock)


def _demand_same_identity(held: Sovereign, document: Document, reference: Reference) -> None:
    if wrong := immutables.violations(held.spec, document, reference):
        raise rules.SpecInvalid(wrong)


async def _plan(tx: Store, name: Name, full: str) -> PlanRow:
    held = await visible(tx, name.sovereign, full)
    row = await tx.plan(held.id, name.id)
    if row is None:
        raise PlanNotFound(name=full)
    return row


def _row(held: Sovereign, body: Mapping[str, Any], requester: str, now: datetime) -> PlanRow:
    id = f"plan-{int(now.timestamp() * 1000):012x}{secrets.token_hex(4)}"
    return PlanRow(id, held.id, body["intent"], body["hash"], dict(body), "active", "", requester, now, now, now + LIFE)


def _answer(row: PlanRow) -> resources_pb2.Plan:
    if row.id:
        return views.plan(row, row.created_at)
    return views.plan_body(row.body)
