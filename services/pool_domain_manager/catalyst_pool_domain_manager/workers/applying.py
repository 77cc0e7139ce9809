"""Applying a plan, as a run on the journal: wished → written → served.

Each step may be entered again by whoever takes the run over. The first one wishes once, because the plan says under which
number it has wished; the other two only look.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from catalyst_mesh import Work
from catalyst_mesh.journal import Context, Kind, RunView, Step, StepFailed
from catalyst_sdk import Refused
from sqlalchemy.ext.asyncio import AsyncConnection

from catalyst_pool_domain_manager.domain import drifts, hosting, plans
from catalyst_pool_domain_manager.domain.changes import World, digest
from catalyst_pool_domain_manager.domain.hosting import State, Zone
from catalyst_pool_domain_manager.domain.plans import Plan
from catalyst_pool_domain_manager.domain.record_sets import Wish
from catalyst_pool_domain_manager.store import Store

from .backends import Backends
from .worlds import thresholds_of, world_of

APPLY = "zone-apply"
LOOK_AGAIN = timedelta(milliseconds=200)
LONGEST = timedelta(hours=1)
"""Time that a change gets until every server has it."""


@dataclass
class Applying:
    """The steps of a run that applies a plan."""

    work: Work[Store]
    backends: Backends

    @property
    def kind(self) -> Kind:
        """For the engine."""
        return Kind(APPLY, self._graph, settled=self._settled)

    def _graph(self, _input: Mapping[str, Any]) -> Iterable[Step]:
        yield Step("wish", self._wish, timeout=LONGEST)
        yield Step("written", self._written, needs=("wish",), timeout=LONGEST)
        yield Step("served", self._served, needs=("written",), timeout=LONGEST)

    async def _wish(self, ctx: Context) -> Any:
        """The base stands: the changes become the wish."""
        domain, id = ctx.input["zone"], ctx.input["plan"]
        async with self.work.reading() as tx:
            plan = _there(await tx.plan(domain, id))
        if "revision" in plan.extra:
            return {"revision": plan.extra["revision"]}
        world = await world_of(self.work, self.backends, domain)
        if digest(world) != plan.base.etag:
            raise StepFailed("PLAN_STALE", f"{plan.name}: the zone was changed since it was planned; plan again")
        async with self.work.transaction() as tx:
            await ctx.guard(tx.sql)
            plan, zone = _there(await tx.plan(domain, id)), await tx.zone(domain, lock=True)
            if zone is None or zone.state is State.DELETING:
                raise StepFailed("ZONE_NOT_FOUND", f"zones/{domain} is on its way out")
            after = hosting.wish(zone, tx.now)
            await tx.wish_sets(domain, _wishes(plan, after))
            await tx.save_plan(plans.wished(plan, after.revision))
            await tx.save_zone(after)
        return {"revision": after.revision}

    async def _written(self, ctx: Context) -> Any:
        """The backend holds it, read back."""
        zone = await self._zone(ctx)
        if zone.state is State.FAILED:
            why = next((c for c in zone.conditions if c.status == "False"), None)
            raise StepFailed(why.reason if why else "ZONE_FAILED", why.message if why else "the zone failed")
        if zone.written < ctx.output_of("wish")["revision"]:
            await ctx.again(LOOK_AGAIN)
        return {"serial": zone.serial}

    async def _served(self, ctx: Context) -> Any:
        """Every polled server answers it."""
        zone = await self._zone(ctx)
        if zone.state not in (State.ACTIVE, State.DEGRADED) or zone.written < zone.revision:
            await ctx.again(LOOK_AGAIN)
        world = await world_of(self.work, self.backends, zone.domain)
        async with self.work.transaction() as tx:
            await ctx.guard(tx.sql)
            plan = _there(await tx.plan(zone.domain, ctx.input["plan"]))
            if plan.state is plans.State.APPLYING:
                reverse = await _reverse(tx, world, plan)
                await tx.save_plan(plans.applied(plan, reverse))
                await _tell_repaired(tx, plan)
        return {"plan": plan.name}

    async def _zone(self, ctx: Context) -> Zone:
        async with self.work.reading() as tx:
            zone = await tx.zone(ctx.input["zone"])
        if zone is None:
            raise StepFailed("ZONE_NOT_FOUND", f"zones/{ctx.input['zone']} is gone")
        return zone

    async def _settled(self, sql: AsyncConnection, run: RunView) -> None:
        """A run that did not end well leaves a plan that failed."""
        tx = Store(sql, run.finished_at or run.created_at, has_row_locks=self.work.db.has_row_locks)
        plan = await tx.plan(run.input["zone"], run.input["plan"])
        if plan is not None and plan.state is plans.State.APPLYING:
            await tx.save_plan(plans.ended(plan, plans.State.FAILED))
            for number in plan.extra.get("drifts", ()):
                d = await tx.drift(plan.zone, number)
                if d is not None and d.state is drifts.State.REPAIRING:
                    await tx.save_drift(drifts.reopened(d))


async def _reverse(tx: Store, world: World, plan: Plan) -> str:
    """Store the plan that takes this one back from what is there now, with what guards say of it; its name."""
    wanted = [step.change for step in plans.reversed_steps(plan)]
    try:
        limits = await thresholds_of(tx, world.zone)
        steps, safety = plans.compute(world, wanted, thresholds=limits, reverting=True)
        made = plans.made(
            world, steps, safety, id=new_id(tx.now), actor=plan.created_by, now=tx.now, reverts=plan.name
        )  # fmt: skip
    except Refused:  # somebody has taken a part of it over meanwhile: there is nothing of ours to take back
        return ""
    await tx.save_plan(made)
    return made.name


async def _tell_repaired(tx: Store, plan: Plan) -> None:
    """The differences that the plan was made for are gone by our write."""
    numbers = plan.extra.get("drifts", ())
    zone = await tx.zone(plan.zone, lock=True) if numbers else None
    for number in numbers:
        d = await tx.drift(plan.zone, number)
        if zone is None or d is None or d.closed_at is not None:
            continue
        zone = hosting.told(zone, tx.now)
        over = drifts.closed(d, drifts.State.REPAIRED, tx.now, plan.name)
        await tx.save_drift(over)
        tx.emit(drifts.Repaired(over, zone.version, zone.serial, zone.written))
    if zone is not None:
        await tx.save_zone(zone)


def new_id(now: Any) -> str:
    """An id that sorts by the moment of its making."""
    return f"{int(now.timestamp() * 1000):012x}-{uuid4().hex[:12]}"


def _there(plan: Plan | None) -> Plan:
    if plan is None:
        raise StepFailed("PLAN_NOT_FOUND", "the plan is gone")
    return plan


def _wishes(plan: Plan, zone: Zone) -> tuple[Wish, ...]:
    found = []
    for step in plan.changes:
        ttl, records = (step.after.ttl, step.after.records) if step.after else (0, ())
        found.append(Wish(*step.key, ttl, records, zone.owner, zone.revision))
    return tuple(found)
