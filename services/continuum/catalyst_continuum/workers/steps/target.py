"""The phases of the region that gains: after the claim it promotes, proves a write, leads the names, and gets a standby.

Order: fence, epoch, promote, a verified write, then the names.
"""

import asyncio

from catalyst_sdk.continuum import DatabaseView, DemotionToken, Effect, Role, SyncMode, Verdict

from catalyst_continuum.domain import order
from catalyst_continuum.workers.standing import AuthorityOver

from .scene import Scene
from .step import Step, nothing

FENCE_WITHIN = 5.0
"""Seconds for which the old holder's writers are tried to be stopped from here."""
REPROTECT_WITHIN = 600.0
"""Seconds that a run waits for a standby."""


async def observed(scene: Scene) -> DatabaseView:
    """The database here, asked now."""
    await scene.sight.look_at_database()
    return scene.sight.database() or DatabaseView(scene.region)


async def _has_fenced(scene: Scene) -> bool:
    return "fence" in scene.attempted


async def _fence(scene: Scene) -> None:
    """Beside the promotion, which does not wait for a region that may not even answer."""
    scene.attempted |= {"fence"}
    scene.beside(scene.fence_remote(min(scene.duty.profile.fence, FENCE_WITHIN)))


async def _is_primary(scene: Scene) -> bool:
    view = await observed(scene)
    is_ours = view.role is Role.PRIMARY and view.epoch == scene.epoch and view.ready is not False
    return is_ours and view.writable is not False and scene.standing.proof is None


async def _promote(scene: Scene) -> None:
    told = await scene.effect(
        "promote",
        lambda: scene.hands.promoter.promote(
            region=scene.region, epoch=scene.epoch, run=scene.run.id, token=_token(scene)
        ),
    )
    scene.sight.forget_database()
    if told is Effect.STALE_EPOCH:
        scene.refused("promote")
    else:
        # Also where the promotion is not known: in an epoch that was fenced here before, it cannot end with the fence up.
        await scene.unfence()


def _token(scene: Scene) -> DemotionToken | None:
    """What the old primary left, if it was asked by this very run."""
    kept = scene.memory.read(scene.duty.slot)
    return DemotionToken(*kept.token) if kept.token is not None and kept.run == scene.run.id else None


async def _has_canary(scene: Scene) -> bool:
    return scene.standing.canary is True


async def _write(scene: Scene) -> None:
    probe = await scene.effect(
        "canary", lambda: scene.hands.promoter.probe_write(region=scene.region, epoch=scene.epoch)
    )
    scene.standing.canary = probe.acknowledged
    if probe.acknowledged is not True:
        scene.standing.why = f"the canary was not acknowledged: {probe.why}"
        await _promote(scene)


async def _has_names(scene: Scene) -> bool:
    return "names" in scene.attempted


async def _flip(scene: Scene) -> None:
    await scene.effect("undrain", lambda: scene.hands.traffic.undrain(region=scene.region, epoch=scene.epoch))
    plan = scene.hands.traffic.plan(holder=scene.region)
    told = await scene.effect("names", lambda: scene.hands.traffic.apply(plan, epoch=scene.epoch, run=scene.run.id))
    if told is Effect.DONE:
        scene.attempted |= {"names"}
    elif told is Effect.STALE_EPOCH:
        scene.refused("names")


async def _has_converged(scene: Scene) -> bool:
    return "verified" in scene.attempted


async def _verify(scene: Scene) -> None:
    plan = scene.hands.traffic.plan(holder=scene.region)
    found = await scene.hands.traffic.verify(plan, epoch=scene.epoch)
    scene.flaws = tuple(f"{one.name}: {one.found}" for one in found if one.verdict in (Verdict.BLOCK, Verdict.UNKNOWN))
    if scene.flaws:
        await asyncio.sleep(scene.duty.profile.look)
    else:
        scene.attempted |= {"verified"}


async def _is_announced(scene: Scene) -> bool:
    return "announced" in scene.attempted


async def _announce(scene: Scene) -> None:
    scene.attempted |= {"announced"}
    scene.tell("switchover.completed" if scene.run.kind.is_planned else "failover.completed", why=scene.run.reason)


async def is_protected(scene: Scene) -> bool:
    """Whether a standby has every acknowledged write, and the record says so."""
    wanted = wanted_sync(scene)
    lease = scene.sight.lease
    if scene.duty.sync is SyncMode.ASYNC:
        return True
    return bool(wanted) and lease is not None and scene.duty.of_bits(lease.sync) == wanted


def wanted_sync(scene: Scene) -> frozenset[str]:
    """The first standby in order of preference that follows, or the one that is synchronous already.

    One that is not heard of stays: without it the database takes no write, and to let it go is a person's decision.
    """
    lease = scene.sight.lease
    if scene.duty.sync is SyncMode.ASYNC or lease is None:
        return frozenset()
    named = scene.duty.of_bits(lease.sync) - {scene.region}
    if scene.duty.sync is SyncMode.REQUIRED and named:
        return named
    for region in sorted(scene.duty.rivals, key=lambda region: region not in named):
        view = scene.sight.report(region)
        follows = view is not None and view.role is Role.REPLICA and view.epoch in (None, scene.epoch)
        if view is not None and follows and view.ready is True:
            return frozenset({region})
    return frozenset()


async def bring_in_order(scene: Scene) -> None:
    """One step nearer to a standby that has every write."""
    view, lease = await observed(scene), scene.sight.lease
    if lease is None or lease.holder != scene.region or view.role is not Role.PRIMARY:
        return
    named = scene.duty.of_bits(lease.sync)
    step = order.next_step(named, view.sync, wanted_sync(scene))
    if isinstance(step, order.MakeSync):
        await scene.effect(
            "sync",
            lambda: scene.hands.promoter.set_sync(region=scene.region, standbys=step.regions, epoch=scene.epoch),
        )
        scene.sight.forget_database()
    elif isinstance(step, order.Name):
        await scene.rights.name_sync(step.regions)


async def _has_reprotected(scene: Scene) -> bool:
    """Whether a standby is there again, or was waited for long enough: from then on whoever reconciles brings it back."""
    if await is_protected(scene):
        return True
    if scene.reprotecting_since is None or scene.clock().boot - scene.reprotecting_since < REPROTECT_WITHIN:
        return False
    scene.flaws = (*scene.flaws, f"Reprotect: no standby has every write after {REPROTECT_WITHIN:g} s")
    return True


async def _reprotect(scene: Scene) -> None:
    scene.reprotecting_since = scene.reprotecting_since or scene.clock().boot
    await scene.sight.look_at_peers()
    view = await observed(scene)
    if view.role not in (None, Role.PRIMARY):
        # It was started anew meanwhile, as what comes back is: the run begins again where it promotes.
        raise AuthorityOver("the database is no primary any more")
    await bring_in_order(scene)
    await asyncio.sleep(scene.duty.profile.look)


async def _is_complete(scene: Scene) -> bool:
    return "complete" in scene.attempted


async def _complete(scene: Scene) -> None:
    scene.attempted |= {"complete"}
    await scene.effect(
        "ttl", lambda: scene.hands.traffic.set_ttl(ttl=scene.duty.ttl, epoch=scene.epoch, run=scene.run.id)
    )


async def _is_accepted(scene: Scene) -> bool:
    return True  # the table accepts; a run is carried here only after that


ACCEPT = Step("Accept", _is_accepted, nothing, lambda s: 2 * s.duty.profile.op, in_haste=True)
FENCE_REMOTE = Step("FenceRemote", _has_fenced, _fence, lambda s: FENCE_WITHIN, in_haste=True)
PROMOTE = Step("Promote", _is_primary, _promote, lambda s: s.duty.promote, in_haste=True)
VERIFY_WRITE = Step("VerifyWrite", _has_canary, _write, lambda s: 3.0 + s.duty.promote, in_haste=True)
FLIP_TRAFFIC = Step("FlipTraffic", _has_names, _flip, lambda s: 2.0, in_haste=True)
VERIFY_TRAFFIC = Step("VerifyTraffic", _has_converged, _verify, lambda s: s.duty.ttl + 10.0, attempts=10, gives_up=True)
ANNOUNCE = Step("Announce", _is_announced, _announce, lambda s: 1.0)
REPROTECT = Step("Reprotect", _has_reprotected, _reprotect, lambda s: REPROTECT_WITHIN)
COMPLETE = Step("Complete", _is_complete, _complete, lambda s: 5.0, attempts=3, gives_up=True)
