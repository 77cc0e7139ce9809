"""PlanService: plans are made from what is read, and applied by their hash."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from catalyst.billing.v1.resources_pb2 import Order
from catalyst.provisioner.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page, Work, caller
from catalyst_mesh.journal import CancelMode, Engine, RunInProgress, RunView, new_id
from catalyst_mesh.journal import RunNotFound as NoSuchRun
from catalyst_sdk import Code, Decision, Refused, Violation
from google.longrunning import operations_pb2
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from .. import reopening, wishing
from ..chronicle import SUPERSEDED, superseding
from ..domain import facts, graphs, immutables, plans, previews, rules, sovereigns, staleness, tending, upgrades
from ..domain.locks import Lock
from ..domain.plan_inputs import Wanted
from ..domain.reference import Reference
from ..domain.sovereign import Sovereign, State
from ..domain.staleness import Present
from ..domain.wishes import Cluster, Document
from ..history import History
from ..peers import Orders, SaidNo
from ..planning import Planner, numbered
from ..steps.tools import lock_of
from ..store import ClusterRow, PlanRow, Store
from ..store.plans import LIFE
from . import filters, views
from .filters import NotServed
from .names import Name, PlanNotFound, RunNotFound, RunTerminal, locked, sees_all, visible
from .operations import operation
from .run_views import length_of

EXPIRY, EXPIRED = "end-of-life", "expired"
"""Who asks where nobody does, and the fact of a Sovereign for which that was done."""
OFFERS_LIFE = timedelta(minutes=15)
CANCELLED = ("cancelled_clean", "cancelled_with_leftovers")
PAID = (Order.STATE_PAID, Order.STATE_FULFILLING)


class PlanHashMismatch(Refused):
    code, reason = Code.ABORTED, "PLAN_HASH_MISMATCH"
    message = "the plan's hash is {hash}, not {given}; read it and agree to it anew"


class PlanStale(Refused):
    code, reason, message = Code.ABORTED, "PLAN_STALE", "what {plan} was made from has moved: {changed}; plan again"


class PlanNotApplicable(Refused):
    reason, message = "PLAN_NOT_APPLICABLE", "{plan} has findings that stand against it: {findings}"


class BudgetExceeded(Refused):
    reason, message = "BUDGET_EXCEEDED", "{plan} costs more a month than the budget of its spec allows"


class PlansUnrelated(Refused):
    code, reason = Code.INVALID_ARGUMENT, "PLANS_UNRELATED"
    message = "{plan} and {other} are plans of two Sovereigns"
    field = "other"


class OrderUnpaid(Refused):
    reason, message = "ORDER_UNPAID", "{order} does not pay for {sovereign}: {why}"


class OrderNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "ORDER_NOT_FOUND", "there is no order {order}"


class PlanService(service_pb2_grpc.PlanServiceServicer):
    """Plans."""

    def __init__(
        self, work: Work[Store], planner: Planner, engine: Engine, orders: Orders, history: History, *, require_paid_order: bool,
        offers_life: timedelta = OFFERS_LIFE,
    ) -> None:  # fmt: skip
        self._work = work
        self._planner = planner
        self._engine = engine
        self._orders = orders
        self._require_paid_order = require_paid_order
        self._offers_life = offers_life
        self._history = history

    async def CreatePlan(self, request: service_pb2.CreatePlanRequest, context: Context) -> resources_pb2.Plan:
        intent = resources_pb2.Plan.Intent.Name(request.intent)
        held = await self._alive(request.parent)
        return await self._stored(request, await self._body(held, intent, request))

    async def PreviewChange(self, request: service_pb2.PreviewChangeRequest, context: Context) -> resources_pb2.Plan:
        held = await self._alive(request.parent)
        sovereigns.demand_active(held)
        clouds, reference = self._planner.clouds.clouds, self._planner.reference
        verb, kind = _word(request.Verb.Name(request.verb), "VERB_"), _word(request.Kind.Name(request.kind), "KIND_")
        fields = MessageToDict(request.spec)
        if kind == tending.KIND and verb in tending.VERBS:
            return await self._stored(request, await self._planner.tend(held, verb, request.target, fields))
        document = previews.changed(
            held.spec, clouds, reference, verb=verb, kind=kind, target=request.target, spec=fields
        )
        # As the contract reads it, so that a verb takes no field that a spec does not have.
        return await self._stored(request, await self._planner.apply(held, self._changed(held, _plain(document))))

    async def DiffPlans(self, request: service_pb2.DiffPlansRequest, context: Context) -> resources_pb2.PlanDiff:
        if Name.of(request.name).sovereign != Name.of(request.other).sovereign:
            raise PlansUnrelated(plan=request.name, other=request.other)
        async with self._work.reading() as tx:
            first = await _plan(tx, Name.of(request.name), request.name)
            second = await _plan(tx, Name.of(request.other), request.other)
        return views.plan_diff(first, second)

    async def _alive(self, parent: str) -> Sovereign:
        async with self._work.reading() as tx:
            held = await visible(tx, Name.of(parent).sovereign, parent)
        sovereigns.demand_alive(held)
        return held

    async def _stored(
        self, request: service_pb2.CreatePlanRequest | service_pb2.PreviewChangeRequest, body: Mapping[str, Any]
    ) -> resources_pb2.Plan:
        name = Name.of(request.parent)

        async def step(tx: Store) -> Decision[Any]:
            now_held = await locked(tx, name.sovereign, request.parent)
            sovereigns.demand_etag(now_held, request.etag)
            row = _row(now_held, body, caller().subject, tx.now)
            if request.validate_only:
                return Decision(replace(row, id=""))
            await tx.keep_plan(row)
            after = now_held.told(tx.now, last_plan=row.name)
            await tx.save(after)
            told = {**body, "name": row.name, "expire_time": row.expires_at}
            return Decision(row, (facts.PlanCreated(after, told, caller().subject),))

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await self._timed(await ask(step, answer=_answer))

    async def _timed(self, plan: resources_pb2.Plan) -> resources_pb2.Plan:
        """With how long each step usually takes, which is no part of what is agreed to."""
        usual = await self._history.usual(graphs.kind_of(resources_pb2.Plan.Intent.Name(plan.intent)))
        for step in plan.steps:
            if (length := length_of(usual, step.id, step.cluster)) is not None:
                step.usual_duration.CopyFrom(length)
        return plan

    async def GetPlan(self, request: service_pb2.GetPlanRequest, context: Context) -> resources_pb2.Plan:
        async with self._work.reading() as tx:
            row = await _plan(tx, Name.of(request.name), request.name)
            made = views.plan(row, tx.now)
        return await self._timed(made)

    async def ListPlans(self, request: service_pb2.ListPlansRequest, context: Context) -> service_pb2.ListPlansResponse:
        filter = filters.parse(request.filter, resources_pb2.Plan, filters.PLANS)
        page = Page.of(request.page_size, request.page_token, request.parent, request.filter, caller(context).subject)
        name = Name.of(request.parent)
        async with self._work.reading() as tx:
            if name.sovereign != "-":
                await visible(tx, name.sovereign, request.parent)
            everything = "" if sees_all(caller(context)) else "\0"
            wanted = everything if name.sovereign == "-" else name.sovereign

            async def show(row: PlanRow) -> resources_pb2.Plan:
                return views.plan(row, tx.now)

            rows, token = await filters.filled(
                page, filter, fetch=lambda after: tx.plans_before(wanted, after, page.size + 1), show=show,
                key=lambda row: row.id,
            )  # fmt: skip
        return service_pb2.ListPlansResponse(plans=rows, next_page_token=token)

    async def ApplyPlan(self, request: service_pb2.ApplyPlanRequest, context: Context) -> operations_pb2.Operation:
        name, actor = Name.of(request.name), caller(context).subject
        async with self._work.reading() as tx:
            row = await _plan(tx, name, request.name)
            held = await visible(tx, name.sovereign, request.name)
            revision = await tx.ledger_revision(held.id)
            now = tx.now
        # One that was applied already is left to the transaction: a retry with the same request id gets its answer.
        if row.state != "applied":
            demand_hash(row, request.hash)
            await self._demand_idle(held, but=request.supersede_run)
            demand_applicable(row)
            await self._demand_unmoved(row, held, revision, now)
            await self._demand_paid(held, row, request.order)
            if request.supersede_run and not request.validate_only:
                await self._supersede(held, request.supersede_run, actor)

        async def step(tx: Store) -> Decision[Any]:
            fresh, plan = await locked(tx, name.sovereign, request.name), await _plan(tx, name, request.name)
            sovereigns.demand_etag(fresh, request.etag)
            demand_hash(plan, request.hash)
            demand_applicable(plan)
            demand_fresh(plan, fresh, await tx.ledger_revision(fresh.id), tx.now)
            if request.validate_only:
                return Decision(operations_pb2.Operation())
            return await self._begun(tx, fresh, plan, request.order, actor, supersedes=request.supersede_run)

        if request.validate_only:
            return await self._work.rehearse(step, answer=lambda made: made)
        answer = await self._work.run(step, answer=lambda made: made)
        self._engine.wake()
        return answer

    async def end_life(self, held: Sovereign) -> None:
        """Propose the destruction of a Sovereign whose time is over, and begin it where its spec says so."""
        body = await self._planner.destroy(held, ())

        async def step(tx: Store) -> None:
            fresh = await tx.lock(held.id)
            if fresh is None or fresh.version != held.version:
                return  # something happened meanwhile; the next look decides anew
            row = _row(fresh, body, EXPIRY, tx.now)
            await tx.keep_plan(row)
            await tx.observe(fresh.id, EXPIRED, row.name)
            after = fresh.told(tx.now, last_plan=row.name)
            await tx.save(after)
            tx.emit(facts.PlanCreated(after, {**body, "name": row.name, "expire_time": row.expires_at}, EXPIRY))
            if fresh.spec.get("auto_destroy"):
                decided = await self._begun(tx, after, row, "", EXPIRY)
                tx.emit(*decided.events)

        await self._work.again(step)
        self._engine.wake()

    async def _begun(
        self, tx: Store, held: Sovereign, plan: PlanRow, order: str, actor: str, *, supersedes: str = ""
    ) -> Decision[operations_pb2.Operation]:
        kind = graphs.kind_of(plan.intent)
        await reopening.instead_of(tx, held.id, held.last_run.rpartition("/")[2])
        scope = await self._prepared(tx, held, plan, kind) | {"actor": actor}
        old = Name.of(supersedes).id if supersedes else ""
        id = superseding(await tx.facts(held.id), old) if old else ""
        scope |= {"supersedes": old} if old else {}
        try:
            run = await self._engine.start_in(
                tx.sql, kind, subject=held.name, key=f"{held.uid}/{plan.id}", input=scope, by=actor, id=id
            )
        except RunInProgress as busy:
            raise RunInProgress(subject=held.name, run=f"{held.name}/runs/{busy.run}") from busy
        closed = _closed(held, kind, tx.now)
        about = plan.body | {"name": plan.name}
        decided = sovereigns.apply(
            closed.state, about, run=f"{held.name}/runs/{run.id}", steps=run.progress.total, order=order, actor=actor,
            now=tx.now, supersedes=supersedes,
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
            "remove_finalizers": bool(options.get("remove_finalizers")),
            "settled": held.state is State.ACTIVE,
        }  # fmt: skip - reads as a table
        if kind == graphs.DESTROY:
            clusters = [row.name for row in await tx.clusters(held.id)]
            return scope | plans.leaving_scope(spec, clusters, plan.body["gates"])
        if kind == graphs.HAND_OFF:
            return {**scope, **plan.body["hand_off"]}
        wish, lock = self._planner.wish(spec), lock_of(plan)
        known = {row.name: row for row in await tx.clusters(held.id)}
        numbers = numbered(wish, known)
        for cluster in wish.clusters:
            adopted = plan.body.get("adopted", {}).get(cluster.name) or _adopted(known.get(cluster.name))
            await _wished(tx, held.id, cluster, numbers[cluster.name], lock, adopted)
        staying = {cluster.name for cluster in wish.clusters}
        wanted = Wanted(spec, wish, lock, {}, spec_applied=False, removed=tuple(n for n in known if n not in staying),
                        rising={name: (a, b) for name, (a, b) in plan.body["rising"].items()},
                        handing=tuple(plan.body.get("handing", ())), tended=tuple(plan.body.get("tended", ())))  # fmt: skip
        return scope | plans.scope(wanted, plan.body["gates"])

    async def _body(self, held: Sovereign, intent: str, request: service_pb2.CreatePlanRequest) -> dict[str, Any]:
        options = views.document(request.options)
        if intent == plans.DESTROY:
            body = await self._planner.destroy(held, options.get("keep", ()))
        elif intent == plans.APPLY:
            given = request.HasField("spec")
            document = self._changed(held, views.document(request.spec)) if given else held.spec
            body = await self._planner.apply(held, document)
        elif intent == plans.REPAIR:
            sovereigns.demand_active(held)
            body = await self._planner.apply(held, held.spec, intent=plans.REPAIR)
        elif intent == plans.ADOPT:
            given = request.HasField("spec")
            document = self._changed(held, views.document(request.spec)) if given else held.spec
            labels, ids = options.get("adopt_labels", {}), options.get("adopt_ids", ())
            if not labels:
                text = "are needed to find what is adopted; ids narrow them down"
                raise rules.SpecInvalid([Violation("options.adopt_labels", text, "required")])
            body = await self._planner.adopt(held, document, labels, ids)
        elif intent == plans.UPGRADE:
            sovereigns.demand_active(held)
            given = request.HasField("spec")
            document = views.document(request.spec) if given else held.spec
            newest = str(self._planner.reference.versions["k3s"])
            body = await self._planner.apply(
                held,
                self._changed(held, document if given else upgrades.raised(document, newest)),
                intent=plans.UPGRADE,
            )
        elif intent == plans.HAND_OFF:
            sovereigns.demand_active(held)
            clusters, back = options.get("clusters", ()), bool(options.get("roll_back"))
            body = await self._planner.hand_off(held, clusters, roll_back=back)
        else:
            raise NotServed(capability=f"a plan of {intent.removeprefix('INTENT_')}")
        return body | ({"options": options} if options else {})

    def _changed(self, held: Sovereign, document: Document) -> Document:
        """A wish that may take the place of the present one. Raises SpecInvalid."""
        checked = self._planner.checked(document)
        _demand_same_identity(held, checked, self._planner.reference)
        return checked

    async def _supersede(self, held: Sovereign, name: str, actor: str) -> None:
        """End a run that another one goes on from, and wait until it has; again and again it finds what it did before.

        From the moment of the cancel the heir's id is on record, so that nobody takes the end for a final one.
        """
        old = await self._ours(held, name)

        async def end(tx: Store) -> None:
            run = await self._engine.status(old.id, sql=tx.sql)
            known = superseding(await tx.facts(held.id), old.id)
            if known and await self._is_there(known):
                raise RunTerminal(run=name, state=f"superseded by {held.name}/runs/{known}")
            if run.kind != graphs.PROVISION or run.state == "succeeded" or (run.state in CANCELLED and not known):
                raise RunTerminal(run=name, state=run.state)
            if not known:
                await tx.observe(held.id, f"{SUPERSEDED}{old.id}", new_id(tx.now))
            if not run.state.ended and run.state != "cancelling":
                await self._engine.cancel(old.id, CancelMode.FINISH_STEP, by=actor, sql=tx.sql)

        await self._work.again(end)
        self._engine.wake()
        async for _ in self._engine.events(old.id, follow=True):
            pass

    async def _is_there(self, run: str) -> bool:
        try:
            return bool(await self._engine.status(run))
        except NoSuchRun:
            return False

    async def _ours(self, held: Sovereign, name: str) -> RunView:
        try:
            run = await self._engine.status(Name.of(name).id)
        except NoSuchRun as error:
            raise RunNotFound(name=name) from error
        if run.subject != held.name:
            raise RunNotFound(name=name)
        return run

    async def _demand_idle(self, held: Sovereign, *, but: str) -> None:
        live = await self._engine.list(subject=held.name, live=True, size=1)
        if live.runs and f"{held.name}/runs/{live.runs[0].id}" != but:
            raise RunInProgress(subject=held.name, run=f"{held.name}/runs/{live.runs[0].id}")

    async def _demand_unmoved(self, row: PlanRow, held: Sovereign, revision: int, now: datetime) -> None:
        present = await self._planner.present(row.body, held, revision, now)
        changed = staleness.moved(row.body, present, applied=row.state == "applied", expires_at=row.expires_at)
        if now - row.created_at > self._offers_life and await self._planner.offers_moved(row.body):
            changed.append("offers")
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


def demand_applicable(row: PlanRow) -> None:
    """Whether nothing stands against the plan. Raises BudgetExceeded, PlanNotApplicable."""
    errors = sorted({f["code"] for f in row.body["findings"] if f["severity"] == "SEVERITY_ERROR"})
    if errors == ["budget.exceeded"]:
        raise BudgetExceeded(plan=row.name)
    if not row.body["applicable"]:
        raise PlanNotApplicable(plan=row.name, findings=", ".join(errors))


def demand_fresh(row: PlanRow, held: Sovereign, revision: int, now: datetime) -> None:
    """Whether our own tables are still as the plan read them; peers were asked before. Raises PlanStale."""
    then = row.body["inputs"]
    asked = {key: then.get(key) or {} for key in ("module_digests", "versions")}
    present = Present(now, held.generation, revision, then.get("lock_digest", ""), **asked)
    changed = staleness.moved(row.body, present, applied=row.state == "applied", expires_at=row.expires_at)
    if changed:
        raise PlanStale(plan=row.name, changed=", ".join(changed))


def _closed(held: Sovereign, kind: str, now: datetime) -> Decision[Sovereign]:
    """A creation that failed and is now taken away has failed for good; whoever paid for it is told so."""
    failed = held.state is State.FAILED and held.activated_at is None
    if kind != graphs.DESTROY or not failed or not held.last_run:
        return Decision(held)
    after = held.told(now)
    fact = facts.RunFailed(
        after, held.last_run, held.last_plan, plans.APPLY, held.order, True, "", {"reason": "DESTROYED"}
    )
    return Decision(after, (fact,))


def _adopted(known: ClusterRow | None) -> Mapping[str, Any]:
    return known.spec.get("adopted", {}) if known else {}


async def _wished(
    tx: Store, sovereign: str, cluster: Cluster, number: int, lock: Lock, adopted: Mapping[str, Any]
) -> None:
    spec = {
        "building_block": cluster.block,
        "hosts": list(cluster.hosts),
        "env_type": cluster.env_type,
        "location_code": cluster.location_code,
        "nodes": cluster.nodes,
        **({"adopted": adopted} if adopted else {}),
    }
    await tx.wish_cluster(
        sovereign, cluster.name,
        number=number, provider=cluster.provider, region=cluster.region, credential=cluster.credential, spec=spec,
    )  # fmt: skip
    await wishing.components(tx, sovereign, cluster.name, lock)


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


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix)


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document as the contract reads it. Raises SpecInvalid for what no spec has."""
    try:
        return views.document(ParseDict(dict(document), resources_pb2.SovereignSpec()))
    except ParseError as error:
        raise rules.SpecInvalid([Violation("spec", str(error)[:300], "unknown")]) from error


def _answer(row: PlanRow) -> resources_pb2.Plan:
    if row.id:
        return views.plan(row, row.created_at)
    return views.plan_body(row.body)
