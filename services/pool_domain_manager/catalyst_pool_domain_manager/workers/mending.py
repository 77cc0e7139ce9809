"""What becomes of what a sweep has seen: it is told once, and put right where the zone's policy says so."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from catalyst_mesh import Lease, LostRace, PluginUnavailable, Work, get_logger
from catalyst_mesh.journal import Engine
from catalyst_sdk import Refused
from catalyst_sdk.dns import Change

from catalyst_pool_domain_manager.domain import drifts, guards, heights, hosting, plans
from catalyst_pool_domain_manager.domain.allocations import Allocation
from catalyst_pool_domain_manager.domain.conditions import Condition
from catalyst_pool_domain_manager.domain.drifts import Drift, Sight
from catalyst_pool_domain_manager.domain.hosting import DriftPolicy, Zone
from catalyst_pool_domain_manager.store import Store

from .applying import APPLY, new_id
from .backends import Backends
from .fleet import Subject
from .late import Late
from .reconciler import ACTOR
from .worlds import thresholds_of, world_of


@dataclass
class Mending:
    """Writes down what is new, and begins what is to be done about it."""

    work: Work[Store]
    backends: Backends
    engine: Engine
    late: Late

    def __post_init__(self) -> None:
        self._log = get_logger("drift")

    async def note(self, s: Subject, seen: Sequence[Sight], lease: Lease) -> None:
        """Write what is new, told once; where the zone moved meanwhile, nothing."""
        async with self.work.transaction() as tx:
            await lease.guard(tx.sql)
            known = (await tx.open_drifts([s.domain]))[s.domain]
            new, moved = drifts.settle(s.domain, s.owner, known, seen, tx.now)
            await tx.save_drifts(moved)
            opened = [await tx.open_drift(d) for d in new]
            if s.zone is not None:
                await _note_kept(tx, s.zone, (*opened, *moved), drifts.conditions(seen, signed=s.signed))
            elif s.allocation is not None:
                await _note_child(tx, s.allocation, opened)
        await self.put_right(s, (*known, *opened))

    async def put_right(self, s: Subject, known: Sequence[Drift]) -> None:
        """Where the zone's policy is to repair, have it done, by as much as can be."""
        left = [d for d in known if d.state is drifts.State.OPEN]
        if s.zone is not None and s.zone.drift_policy is DriftPolicy.REPAIR and left:
            await self._repair(s.zone, left)
            await self._take_back(s.zone, left)

    async def _take_back(self, zone: Zone, wanted: Sequence[Drift]) -> None:
        """A change of ours that has landed at the parent after all was back goes back again; of others' nothing does."""
        for d in wanted:
            if d.sight.kind not in heights.KINDS:
                continue
            try:
                if await self.late.take_back(zone.domain, d.number, automatic=True, by=ACTOR):
                    return
            except Refused as refused:
                self._log.warning("change not taken back", zone=zone.domain, reason=refused.reason)

    async def _repair(self, zone: Zone, wanted: Sequence[Drift]) -> None:
        """What is ours and can be written is put right by a plan; a guard that speaks leaves it to a person."""
        ours = [
            d for d in wanted if d.sight.kind in drifts.REPAIRABLE and d.sight.server == drifts.BACKEND and d.sight.name
        ]
        if not ours:
            return
        try:
            await begin_repair(self.work, self.backends, self.engine, zone.domain, [d.number for d in ours], ACTOR)
        except (Refused, PluginUnavailable) as refused:
            self._log.warning("drift not repaired", zone=zone.domain, reason=getattr(refused, "reason", ""))


async def begin_repair(
    work: Work[Store], backends: Backends, engine: Engine, domain: str, numbers: Sequence[int], actor: str
) -> None:
    """Plan the wish anew for what drifted, and apply the plan. Raises what a guard refuses, RunInProgress."""
    world = await world_of(work, backends, domain)
    async with work.reading() as tx:
        found = [d for n in numbers if (d := await tx.drift(domain, n)) is not None]
        limits = await thresholds_of(tx, world.zone)
    wishes = {w.key: w for w in world.wishes}
    wanted = [w.set for d in found if (w := wishes.get(d.key)) is not None and w.records]
    changes = [Change(r.name, r.type, r.ttl, r.records) for r in wanted]
    steps, safety = plans.compute(world, changes, thresholds=limits)
    if spoke := [one for one in safety if one.refused]:
        raise guards.GuardRefused(world.zone.name, spoke)
    async with work.transaction() as tx:
        made = plans.made(world, steps, safety, id=new_id(tx.now), actor=actor, now=tx.now)
        made = replace(made, extra={"drifts": list(numbers)})
        plan = replace(made, hash=plans.hashed(made, world.zone.uid))
        run = await engine.start_in(
            tx.sql, APPLY, subject=world.zone.name, key=f"{world.zone.uid}/{plan.id}",
            input={"zone": domain, "plan": plan.id}, by=actor,
        )  # fmt: skip
        await tx.save_plan(plans.begun(plan, run.id, tx.now))
        for n in numbers:
            if (d := await tx.drift(domain, n)) is not None and d.state is drifts.State.OPEN:
                await tx.save_drift(drifts.repairing(d, plan.name))
    engine.wake()


async def _note_kept(tx: Store, before: Zone, moved: Sequence[Drift], found: tuple[Condition, ...]) -> None:
    zone = await tx.zone(before.domain, lock=True)
    if zone is None or zone.version != before.version:
        raise LostRace
    for d in moved:
        is_new = d.version == 1
        if is_new or d.state is drifts.State.REPAIRED:
            zone = hosting.told(zone, tx.now)
            fact = (
                drifts.Drifted(d, zone.version)
                if is_new
                else drifts.Repaired(d, zone.version, zone.serial, zone.written)
            )
            tx.emit(fact)
    await tx.save_zone(hosting.observed(zone, found, tx.now))


async def _note_child(tx: Store, before: Allocation, opened: Sequence[Drift]) -> None:
    """Tell under the numbers of the allocation's zone; what becomes of it is its reconciler's affair."""
    if not opened:
        return
    after = before
    for d in opened:
        after = replace(after, zone_version=after.zone_version + 1)
        tx.emit(drifts.Drifted(d, after.zone_version))
    await tx.progress(before, after)
