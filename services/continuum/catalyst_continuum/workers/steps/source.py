"""The phases of the region that gives, in a planned move or when it yields: it stops its writers, then offers the slot.

Up to the offer everything is taken back when the run is aborted; what was offered is only recalled, in a new epoch.
"""

import asyncio
from dataclasses import replace

from catalyst_sdk.continuum import DemotionToken, FenceProof

from catalyst_continuum.domain.lease import Fence, position

from .scene import Scene
from .step import Step, nothing

HANDOFF_WITHIN = 30.0
"""Seconds in which the region that gains has to have the whole log. They are looked at by the clock: a try may be short."""


class Blocked(Exception):
    """The run cannot go on; it is taken back."""


async def _is_checked(scene: Scene) -> bool:
    return "checked" in scene.attempted


async def _check(scene: Scene) -> None:
    blockers = await scene.precheck(scene.run)
    if blockers:
        raise Blocked("; ".join(blockers))
    scene.attempted |= {"checked"}


async def _is_approved(scene: Scene) -> bool:
    return True  # a run is given to an agent only once it is approved


async def _has_short_answers(scene: Scene) -> bool:
    return scene.waited_until is not None and scene.clock().boot >= scene.waited_until


async def _shorten(scene: Scene) -> None:
    """Shorten the answers' lifetime, and wait until none of the old ones is kept anywhere. The database makes ready meanwhile.

    The region that gains may have promised not to, and waits for the end of that: better here, where writes go on, than
    after the offer.
    """
    duty = scene.duty
    await scene.effect(
        "ttl", lambda: scene.hands.traffic.set_ttl(ttl=duty.low_ttl, epoch=scene.epoch, run=scene.run.id)
    )
    patience = max(duty.ttl if duty.ttl > duty.low_ttl else 0, await _acts_after(scene))
    until = scene.clock().boot + patience
    if (prepare := getattr(scene.hands.promoter, "prepare", None)) is not None:
        await prepare(region=scene.region, epoch=scene.epoch)
    await asyncio.sleep(max(0.0, until - scene.clock().boot))
    scene.waited_until = scene.clock().boot


async def _acts_after(scene: Scene) -> float:
    """Seconds until the region that gains would act on a grant; one that does not say so is not waited for."""
    await scene.sight.look_at_peer(scene.run.target)
    view = scene.sight.report(scene.run.target)
    return view.acts_after if view is not None else 0.0


async def _lengthen(scene: Scene) -> None:
    await scene.effect(
        "ttl", lambda: scene.hands.traffic.set_ttl(ttl=scene.duty.ttl, epoch=scene.epoch, run=scene.run.id)
    )


async def _is_announced(scene: Scene) -> bool:
    return "announced" in scene.attempted


async def _announce(scene: Scene) -> None:
    scene.attempted |= {"announced"}
    scene.tell("run.started", why=scene.run.reason)


async def _is_drained(scene: Scene) -> bool:
    return "drained" in scene.attempted


async def _drain(scene: Scene) -> None:
    await scene.effect(
        "drain",
        lambda: scene.hands.traffic.drain(region=scene.region, epoch=scene.epoch, budget=scene.duty.drain),
    )
    scene.attempted |= {"drained"}


async def _undrain(scene: Scene) -> None:
    await scene.effect("undrain", lambda: scene.hands.traffic.undrain(region=scene.region, epoch=scene.epoch))


async def _is_fenced(scene: Scene) -> bool:
    return scene.proof is not None and scene.token is not None


async def _fence(scene: Scene) -> None:
    """Stop the writers and learn how far the log goes. What would open them again is a promotion, after a renewal."""
    scene.sight.forget_database()
    # Known before it is so: whoever takes the slot up again, in whichever life, needs a new epoch for it.
    kept = scene.memory.read(scene.duty.slot)
    scene.memory.keep(scene.duty.slot, replace(kept, gave=scene.epoch))
    token = await scene.hands.promoter.demote(region=scene.region, epoch=scene.epoch, run=scene.run.id)
    scene.sight.forget_database()
    if not isinstance(token, DemotionToken):
        return
    scene.token = token
    scene.proof = Fence((FenceProof(1, scene.clock().boot, f"demoted at {token.lsn}"),))
    scene.standing.proof = scene.proof
    scene.trace("fenced", epoch=scene.epoch, effect=scene.proof.evidence)


async def _is_offered(scene: Scene) -> bool:
    return scene.sight.offers_to(scene.run.target)


async def _offer(scene: Scene) -> None:
    target, token, proof, now = scene.run.target, scene.token, scene.proof, scene.clock().boot
    assert token is not None
    assert proof is not None
    peer = scene.peers.get(target)
    if peer is None:
        raise Blocked(f"the agent of {target} is not known here")
    scene.offering_since = scene.offering_since or now
    if now - scene.offering_since > HANDOFF_WITHIN:
        raise Blocked(f"{target} has not said within {HANDOFF_WITHIN:g} s that it has the whole log")
    await scene.sight.look_at_peer(target)
    view = scene.sight.report(target)
    if view is None or view.replayed is None or position(view.replayed) < position(token.lsn):
        if now - scene.offering_since > scene.duty.profile.look:
            # Whoever has not all of the log gets it from the database that gave up, which is asked once more for that.
            await scene.hands.promoter.demote(region=scene.region, epoch=scene.epoch, run=scene.run.id)
        return
    if not await peer.deliver(slot=scene.duty.slot, run=scene.run.id, token=token):
        return
    if await scene.rights.hand_off(target, token.lsn, scene.run.id, proof):
        await scene.sight.look_at_peer(target)  # which has it see the offer now, and not at its next look
    else:
        await scene.sight.look()


PRECHECK = Step("Precheck", _is_checked, _check, lambda s: 10.0, attempts=1)
APPROVE = Step("Approve", _is_approved, nothing, lambda s: 900.0, attempts=1)
PREPARE = Step("Prepare", _has_short_answers, _shorten, lambda s: 60.0, _lengthen, attempts=2)
ANNOUNCE = Step("Announce", _is_announced, _announce, lambda s: 1.0, attempts=1)
DRAIN = Step("Drain", _is_drained, _drain, lambda s: s.duty.drain + 2.0, _undrain, attempts=1)
FENCE_SOURCE = Step("FenceSource", _is_fenced, _fence, lambda s: s.duty.profile.fence, attempts=2, in_haste=True)
HANDOFF = Step("Handoff", _is_offered, _offer, lambda s: HANDOFF_WITHIN, attempts=1_000, names=False)
