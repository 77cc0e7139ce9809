"""ZoneService: plans of zones, from the wish to the operation that carries them out."""

from catalyst.pooldomain.v1 import resources_pb2, service_pb2
from catalyst_mesh import Context, InvalidRequest, Page, caller
from catalyst_sdk import Decision, Violation
from catalyst_sdk.dns import Change
from google.longrunning import operations_pb2

from catalyst_pool_domain_manager.domain import guards, imports, plans, refusals
from catalyst_pool_domain_manager.domain.changes import Finding, World, digest
from catalyst_pool_domain_manager.domain.hosting import Zone
from catalyst_pool_domain_manager.domain.plans import Plan, PlanNotFound, State
from catalyst_pool_domain_manager.store import Store
from catalyst_pool_domain_manager.workers.applying import APPLY, new_id
from catalyst_pool_domain_manager.workers.worlds import thresholds_of, world_of

from .operations import started
from .plan_messages import from_change, from_key, to_plan
from .zone_life import ZoneLife, ZoneTools
from .zone_views import governed, viewed


class ZonePlans(ZoneLife):
    """A plan is computed from what is there, shown, and applied by its hash as long as its base stands."""

    async def PlanZone(self, request: service_pb2.PlanZoneRequest, context: Context) -> resources_pb2.Plan:
        me, name = caller(context), request.parent
        if bool(request.changes) == bool(_import_of(request)):
            raise InvalidRequest((Violation("changes", "give changes or an import, and not both", "oneof"),))
        async with self._work.reading() as tx:
            zone = (await governed(tx, name, me)).kept
            limits = await thresholds_of(tx, zone)
        world = await world_of(self._work, self._tools.backends, zone.domain)
        wanted, found = await self._wanted(request, world)
        steps, safety = plans.compute(
            world, wanted, thresholds=limits, take_over=request.take_over, findings=found,
            confirmed={from_key(key, zone.origin) for key in request.confirmed_removals},
        )  # fmt: skip

        async def step(tx: Store) -> Decision[Plan]:
            await governed(tx, name, me)
            return Decision(plans.made(world, steps, safety, id=new_id(tx.now), actor=me.subject, now=tx.now))

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=lambda plan: to_plan(plan, plan.created_at))

    async def GetPlan(self, request: service_pb2.GetPlanRequest, context: Context) -> resources_pb2.Plan:
        async with self._work.reading() as tx:
            return to_plan(await _seen(tx, request.name), tx.now)

    async def ListPlans(self, request: service_pb2.ListPlansRequest, context: Context) -> service_pb2.ListPlansResponse:
        page = Page.of(request.page_size, request.page_token, "plans", request.parent, most=500)
        async with self._work.reading() as tx:
            view = await viewed(tx, request.parent, caller(context))
            cut = page.cut(await tx.plans_before(view.domain, page.after, page.size + 1), lambda plan: plan.id)
            rows = [to_plan(plan, tx.now) for plan in cut.rows]
        return service_pb2.ListPlansResponse(plans=rows, next_page_token=cut.next_page_token)

    async def ApplyPlan(self, request: service_pb2.ApplyPlanRequest, context: Context) -> operations_pb2.Operation:
        me, force = caller(context), frozenset(request.force)
        if unknown := sorted(force - frozenset(guards.RULES)):
            fault = Violation("force", f"{', '.join(unknown)}: known are {', '.join(guards.RULES)}", "force")
            raise InvalidRequest((fault,))
        async with self._work.reading() as tx:
            zone, plan, now = await _governed(tx, request.name), await _seen(tx, request.name), tx.now
        if plan.kind != plans.ZONE_PLAN:
            raise plans.PlanStale(name=plan.name, why="it is a plan of the delegation, which is applied there")
        # One that is under way already is left to the transaction: a retry with the same request id gets its answer.
        if plan.state is State.OPEN:
            plans.demand_applicable(plan, request.hash, force, now)
            await self._demand_unmoved(plan)

        async def step(tx: Store) -> Decision[Plan]:
            await _governed(tx, request.name)
            fresh = await _seen(tx, request.name)
            plans.demand_applicable(fresh, request.hash, force, tx.now)
            return Decision(fresh if request.validate_only else await begun(tx, self._tools, zone, fresh, me.subject))

        if request.validate_only:
            return await self._work.rehearse(step, answer=lambda _: operations_pb2.Operation())
        answer = await self._work.run(step, answer=lambda plan: started(plan.run, zone.name, plan.applied_at))
        self._tools.engine.wake()
        return answer

    async def RevertPlan(self, request: service_pb2.RevertPlanRequest, context: Context) -> resources_pb2.Plan:
        me = caller(context)
        async with self._work.reading() as tx:
            zone, plan = await _governed(tx, request.name), await _seen(tx, request.name)
            limits = await thresholds_of(tx, zone)
        if plan.state is not State.APPLIED or plan.kind != plans.ZONE_PLAN:
            raise plans.PlanNotApplied(name=plan.name, state=str(plan.state))
        world = await world_of(self._work, self._tools.backends, zone.domain)
        wanted = [step.change for step in plans.reversed_steps(plan)]
        steps, safety = plans.compute(world, wanted, thresholds=limits, reverting=True)

        async def step(tx: Store) -> Decision[Plan]:
            await _governed(tx, request.name)
            return Decision(
                plans.made(world, steps, safety, id=new_id(tx.now), actor=me.subject, now=tx.now, reverts=plan.name)
            )

        return await self._work.run(step, answer=lambda made: to_plan(made, made.created_at))

    async def _wanted(
        self, request: service_pb2.PlanZoneRequest, world: World
    ) -> tuple[tuple[Change, ...], tuple[Finding, ...]]:
        """The changes of the wish, or those that an import means. Raises ImportNotFound, ImportPartial."""
        if request.changes:
            return tuple(from_change(change, world.zone.origin) for change in request.changes), ()
        source = _import_of(request)
        _, domain, _, id = source.split("/")
        async with self._work.reading() as tx:
            found = await tx.zone_import(domain, id) if domain == world.zone.domain else None
        if found is None:
            raise imports.ImportNotFound(name=source)
        if found.completeness is imports.Completeness.PARTIAL and not request.accept_partial:
            raise plans.ImportPartial(name=found.name)
        return plans.joined(world, found.record_sets)

    async def _demand_unmoved(self, plan: Plan) -> None:
        world = await world_of(self._work, self._tools.backends, plan.zone)
        if digest(world) != plan.base.etag:
            raise plans.PlanStale(name=plan.name, why="the zone was changed since it was made")


def _import_of(request: service_pb2.PlanZoneRequest) -> str:
    """The field is a word of Python's own."""
    return str(getattr(request, "import"))


async def begun(tx: Store, tools: ZoneTools, zone: Zone, plan: Plan, actor: str) -> Plan:
    """The plan with the run that carries it out, begun in this transaction. Raises RunInProgress."""
    about = {"zone": zone.domain, "plan": plan.id}
    run = await tools.engine.start_in(
        tx.sql, APPLY, subject=zone.name, key=f"{zone.uid}/{plan.id}", input=about, by=actor
    )
    return plans.begun(plan, run.id, tx.now)


async def _seen(tx: Store, name: str) -> Plan:
    """The plan, where the caller may know of it. Raises PlanNotFound."""
    _, domain, _, id = name.split("/")
    try:
        await viewed(tx, f"zones/{domain}", caller())
    except refusals.ZoneNotFound as absent:
        raise PlanNotFound(name=name) from absent
    plan = await tx.plan(domain, id)
    if plan is None:
        raise PlanNotFound(name=name)
    return plan


async def _governed(tx: Store, name: str) -> Zone:
    """The zone of a plan, where the caller may change it. Raises PlanNotFound, RoleDenied."""
    try:
        return (await governed(tx, f"zones/{name.split('/')[1]}", caller())).kept
    except refusals.ZoneNotFound as absent:
        raise PlanNotFound(name=name) from absent
