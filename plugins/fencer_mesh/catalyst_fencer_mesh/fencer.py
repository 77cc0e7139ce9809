"""The mesh as a fencer: other clusters are led to a region's endpoints no more.

Invariants
  I3 EffectMonotone  epochs are annotations of the Service, and change in one patch with what they say of the mesh; an older
                     epoch than the one that stands there changes nothing;
  as it was          lifting a fence gives the Service back what it had, and touches nothing where no fence was up.

Rung 4, with the names: a global Service is a name that leads to endpoints of several clusters (Cilium, "Load-balancing & Service
Discovery": `service.cilium.io/shared: "false"` has remote clusters use none of this one's). It is not rung 3, which together with
rung 0 would count for stopped writers: whoever is inside the region's own cluster, or comes by its gateway, goes on.
"""

from collections.abc import Mapping

from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.continuum import Effect, FenceProof, FenceView
from catalyst_sdk.deadman import boottime
from catalyst_sdk.epochs import Epochs, StaleEpoch

from .services import PROVIDER, Annotations, Services

GLOBAL, SHARED = "service.cilium.io/global", "service.cilium.io/shared"
HIGHEST, FENCED = "dr.openova.io/mesh-epoch", "dr.openova.io/mesh-epoch-fenced"
BEFORE = "dr.openova.io/mesh-shared-before"
"""What SHARED was before the fence; absent: it was not there."""


class MeshFencer:
    """Follows `catalyst_sdk.continuum.Fencer`."""

    level = 4
    local = True

    def __init__(self, services: Services) -> None:
        self._services = services
        self.worst_case = (
            2 * services.patience
        )  # it is read and patched; somebody who is quicker costs more, and then nothing is proved

    async def fence(self, *, region: str, epoch: int, run: str, budget: float) -> FenceProof | None:
        """Share the region's endpoints with no other cluster."""

        def decide(seen: Mapping[str, str]) -> Annotations | None:
            before = _epochs(seen)
            now = before.fence(epoch)
            if epoch < before.highest or (now == before and seen.get(SHARED) == "false"):
                return None
            kept = seen.get(BEFORE) if before.fenced else seen.get(SHARED)
            return {**_kept(now), SHARED: "false", BEFORE: kept}

        try:
            stands = await self._services.change(region, decide)
        except Temporary:
            return None
        if not _is_up(stands):
            return None
        return FenceProof(self.level, boottime(), f"{region}: its endpoints are shared with no other cluster")

    async def unfence(self, *, region: str, epoch: int, run: str) -> Effect:
        """Share them as before."""

        def decide(seen: Mapping[str, str]) -> Annotations | None:
            before = _epochs(seen)
            now = before.unfence(epoch)
            if now == before:
                return None
            return {**_kept(now), SHARED: seen.get(BEFORE), BEFORE: None} if before.fenced else _kept(now)

        try:
            await self._services.change(region, decide)
        except StaleEpoch:
            return Effect.STALE_EPOCH
        except Temporary:
            return Effect.UNKNOWN
        return Effect.DONE

    async def observe(self, *, region: str) -> FenceView:
        """Whether they are shared with nobody, by a fence."""
        began = boottime()
        try:
            seen = await self._services.read(region)
        except Temporary:
            return FenceView(None, age=boottime() - began)
        return FenceView(_is_up(seen), _epochs(seen).fenced or None, boottime() - began)


def _epochs(seen: Mapping[str, str]) -> Epochs:
    """What is kept of epochs. Raises Permanent for what nobody of ours wrote, and for a Service that the mesh does not lead."""
    if seen.get(GLOBAL) != "true":
        action = f'annotate the Service with {GLOBAL}: "true", or take it out of the configuration'
        raise Permanent("SERVICE_NOT_GLOBAL", "no other cluster uses it", provider=PROVIDER, user_action=action)
    found = {key: seen.get(key, "0") for key in (HIGHEST, FENCED)}
    for key, text in found.items():
        if not (text.isascii() and text.isdigit()):
            action = f"take the annotation {key} away once no fence is meant to be up"
            raise Permanent("ANNOTATION_INVALID", f"{key} is {text!r}, no epoch", provider=PROVIDER, user_action=action)
    return Epochs(highest=int(found[HIGHEST]), fenced=int(found[FENCED]))


def _kept(now: Epochs) -> dict[str, str | None]:
    return {HIGHEST: str(now.highest), FENCED: str(now.fenced)}


def _is_up(seen: Mapping[str, str]) -> bool:
    return _epochs(seen).fenced > 0 and seen.get(SHARED) == "false"
