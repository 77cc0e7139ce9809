"""A change that the registrar never answered for, and that has landed at the parent after all was taken back.

The zone's policy says what becomes of it: REPAIR takes it back again, at once; REPORT tells it as drift, and a person takes it
back by repairing that or keeps it by accepting it.
"""

from dataclasses import dataclass

from catalyst_mesh import Work
from catalyst_sdk import PluginFailure
from catalyst_sdk.registrar import Target

from catalyst_pool_domain_manager.domain import delegations, drifts, heights, refusals
from catalyst_pool_domain_manager.domain.delegations import Delegation
from catalyst_pool_domain_manager.domain.drifts import Sight
from catalyst_pool_domain_manager.domain.hosting import Zone
from catalyst_pool_domain_manager.kept.delegations import target_out
from catalyst_pool_domain_manager.store import Store

from .flips import Flipping
from .moving import own_ds
from .worlds import state_at


@dataclass(frozen=True, slots=True)
class Late:
    """Knows such a change, and has it taken back."""

    work: Work[Store]
    flipping: Flipping

    async def withdrawn(self, tx: Store, domain: str, sight: Sight) -> tuple[Delegation, Target] | None:
        """The delegation, and what was taken back of it, where that is what the parent shows again."""
        d = await tx.delegation(domain, lock=True)
        if d is None or d.snapshot is None:
            return None
        plan = await tx.plan(domain, d.snapshot.plan)
        if plan is None or not heights.is_late(d, target := target_out(plan.extra["after"]), sight):
            return None
        return d, target

    async def take_back(self, domain: str, number: int, *, automatic: bool, by: str) -> bool:
        """Begin the way back, if an open difference is such a change; whether it is one. Raises RunInProgress, WindowClosed."""

        async def step(tx: Store) -> bool:
            drift = await tx.drift(domain, number)
            if drift is None or drift.state is not drifts.State.OPEN:
                return False
            if (found := await self.withdrawn(tx, domain, drift.sight)) is None:
                return False
            d, target = found
            await tx.save_delegation(await self.flipping.go_back_again(tx, d, target, automatic=automatic, by=by))
            await tx.save_drift(drifts.repairing(drift, drift.plan))
            return True

        is_begun = await self.work.again(step)
        if is_begun and self.flipping.engine is not None:
            self.flipping.engine.wake()
        return is_begun

    async def demand_own_keys(self, zone: Zone) -> None:
        """Raises ForeignKey while a server of the parent shows a DS whose key the zone does not have: that cannot be kept.
        BackendUnavailable where nobody can say."""
        moving = self.flipping.moving
        state = await state_at(moving.backends, zone.backend, zone.origin)
        try:
            cut = await moving.cuts.look(zone.domain)
        except PluginFailure as failure:
            raise refusals.BackendUnavailable(backend=f"the parent of {zone.domain}", why=failure.message) from failure
        shown = {ds for seen in cut.seen if seen.records for ds in seen.records.ds}
        delegations.demand_own_keys(f"{zone.name}/delegation", sorted(shown), own_ds(state) if state else ())

    async def keep(self, tx: Store, domain: str, sight: Sight) -> bool:
        """Take it for the wish from now on, in this transaction, if it is such a change; whether it is one."""
        found = await self.withdrawn(tx, domain, sight)
        if found is None:
            return False
        d, target = found
        kept = Target(target.ns, (), target.glue, target.keys)
        decision = delegations.kept_after_all(d, kept, tx.now)
        await tx.save_delegation(decision.state)
        tx.emit(*decision.events)
        return True
