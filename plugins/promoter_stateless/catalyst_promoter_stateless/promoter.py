"""The promoter of what keeps nothing: there is no copy to be made, no position to be reached, and nothing that could be lost.

What is left of a move is the epoch, which is kept on disk as for any other, and the traffic, which the daemon leads. So the fence
here is rung 0 alone: it proves that nothing is kept, and together with a closed gateway that no writer is left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.continuum import (
    DatabaseView,
    DemotionToken,
    Effect,
    FenceProof,
    Fencer,
    FenceView,
    Follow,
    FollowState,
    Role,
    WriteProbe,
)
from catalyst_sdk.deadman import boottime
from catalyst_sdk.epochs import EpochFile, Epochs, StaleEpoch

PROVIDER = "stateless"
NOTHING = "0"
"""Every log position."""


@dataclass(frozen=True, slots=True)
class Configured:
    """What the configuration says, read. `probes`: by region, empty where the application is not asked."""

    here: str
    probes: Mapping[str, str]
    patience: float


def configured(config: Mapping[str, Any]) -> Configured:
    """Read the configuration. Raises Permanent where `here` is none of the regions."""
    probes = {region: one.get("probe", "") for region, one in config["regions"].items()}
    if config["here"] not in probes:
        raise Permanent("REGION_UNKNOWN", f"{config['here']} is no region of this application", provider=PROVIDER)
    return Configured(config["here"], probes, float(config.get("patience_seconds", 2.0)))


class StatelessPromoter:
    """Follows `catalyst_sdk.continuum.Promoter`, for the daemon's own region; of others it knows nothing."""

    worst_case = 3.0

    def __init__(self, configured: Configured, folder: Path) -> None:
        self._c = configured
        self._epochs = EpochFile(folder / "epochs.json")

    def fencers(self) -> Sequence[Fencer]:
        """One, which proves that nothing is kept."""
        return (NothingKept(self._c.here, self._epochs),)

    async def observe(self, *, region: str) -> DatabaseView:
        """What is known of epochs here; all regions have all there is."""
        if self._known(region) != self._c.here:
            return DatabaseView(region)
        epochs = self._epochs.read()
        others = frozenset(self._c.probes) - {region}
        return DatabaseView(
            region,
            role=Role.PRIMARY if epochs.led else Role.REPLICA,
            writable=epochs.may_write,
            ready=True,
            system_id=PROVIDER,
            timeline=1,
            received=NOTHING,
            replayed=NOTHING,
            sync=others if epochs.led else None,
            epoch=epochs.highest,
        )  # fmt: skip - several a line

    async def demote(self, *, region: str, epoch: int, run: str) -> DemotionToken | Effect:
        """Lead no more in this epoch."""
        epochs = self._of(region)
        try:
            if not epochs.heard(epoch).led and epochs.demoted != epoch:
                raise Permanent("NOT_PRIMARY", f"{region} has nothing to give up", provider=PROVIDER)
            self._epochs.keep(epochs.gave_up(epoch, NOTHING))
        except StaleEpoch:
            return Effect.STALE_EPOCH
        return DemotionToken(region, epoch, NOTHING)

    async def promote(self, *, region: str, epoch: int, run: str, token: DemotionToken | None) -> Effect:
        """Lead in this epoch."""
        try:
            self._epochs.keep(self._of(region).promoted(epoch))
        except StaleEpoch:
            return Effect.STALE_EPOCH
        return Effect.DONE

    async def probe_write(self, *, region: str, epoch: int) -> WriteProbe:
        """Whether this region leads in the epoch, and the application is well."""
        import httpx  # a daemon that loads this plugin and does not use it is 8 MiB smaller

        began, epochs = boottime(), self._of(region)
        if not epochs.may_write or epochs.led != epoch:
            return WriteProbe(False, boottime() - began, f"{region} does not lead in epoch {epoch}")
        if not (url := self._c.probes[region]):
            return WriteProbe(True, boottime() - began)
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=self._c.patience) as http:
                status = (await http.get(url)).status_code
        except httpx.HTTPError as error:
            return WriteProbe(None, boottime() - began, f"{url} does not answer: {type(error).__name__}")
        return WriteProbe(
            200 <= status < 300, boottime() - began, "" if status < 300 else f"{url} answers with {status}"
        )

    async def follow(self, *, region: str, primary: str, epoch: int, run: str, destroy: bool = False) -> FollowState:
        """There is nothing to be copied."""
        self._known(primary)
        epochs = self._of(region)
        if primary == region or epochs.led == epoch:
            return FollowState(Follow.BLOCKED, f"{region} itself leads in epoch {epoch}")
        try:
            self._epochs.keep(epochs.followed(epoch))
        except StaleEpoch as stale:
            return FollowState(Follow.BLOCKED, f"{region}: {stale}")
        return FollowState(Follow.FOLLOWING)

    async def set_sync(self, *, region: str, standbys: frozenset[str], epoch: int) -> Effect:
        """Nothing has to be waited for."""
        epochs = self._of(region)
        try:
            epochs.heard(epoch)
        except StaleEpoch:
            return Effect.STALE_EPOCH
        if epochs.led != epoch:
            raise Permanent("NOT_PRIMARY", f"{region} does not lead in epoch {epoch}", provider=PROVIDER)
        return Effect.DONE

    def _known(self, region: str) -> str:
        if region not in self._c.probes:
            raise Permanent("REGION_UNKNOWN", f"{region} is no region of this application", provider=PROVIDER)
        return region

    def _of(self, region: str) -> Epochs:
        if self._known(region) != self._c.here:
            raise Temporary(f"what {region} does is known there", provider=PROVIDER)
        return self._epochs.read()


class NothingKept:
    """Rung 0: this region leads no more in the epoch, and had nothing of its own to lose."""

    level = 0
    local = True
    worst_case = 1.0

    def __init__(self, here: str, epochs: EpochFile) -> None:
        self._here = here
        self._epochs = epochs

    async def fence(self, *, region: str, epoch: int, run: str, budget: float) -> FenceProof | None:
        """Take no leadership of this epoch, or an older one, for granted any more."""
        if region != self._here:
            return None
        self._epochs.keep(self._epochs.read().fence(epoch))
        return FenceProof(self.level, boottime(), f"{region} keeps nothing")

    async def unfence(self, *, region: str, epoch: int, run: str) -> Effect:
        """Lead again."""
        if region != self._here:
            return Effect.UNKNOWN
        try:
            self._epochs.keep(self._epochs.read().unfence(epoch))
        except StaleEpoch:
            return Effect.STALE_EPOCH
        return Effect.DONE

    async def observe(self, *, region: str) -> FenceView:
        """Whether the fence is up."""
        if region != self._here:
            return FenceView(None)
        epochs = self._epochs.read()
        return FenceView(bool(epochs.fenced), epochs.fenced or None)
