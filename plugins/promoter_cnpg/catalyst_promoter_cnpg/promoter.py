"""The promoter: desired state of Clusters, by what CloudNativePG documents for a distributed topology.

Who is primary stands in `spec.replica.primary` of each Cluster. A demotion yields `status.demotionToken`; a promotion takes it in
the same patch that makes the Cluster primary. Without a token it is a failover, after which the old side has to be made anew.
Fencing is the annotation `cnpg.io/fencedInstances`. Epochs are annotations below `dr.openova.io/`.
"""

import asyncio
import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from catalyst_sdk import Permanent, PluginFailure, Temporary
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
from catalyst_sdk.epochs import StaleEpoch

from . import sql
from .clusters import ALL, FENCE, PREFIX, PROVIDER, Cluster, Clusters, Patch, Place, kept

BEFORE = f"{PREFIX}token-before"
"""Annotation with the mark of the demotion token that stood there before a demotion was asked for."""
LOOK = 0.25
"""Seconds between two looks at what became of a wish."""


def configured(config: Mapping[str, Any]) -> tuple[dict[str, Place], float]:
    """Read the configuration."""
    places = {
        region: Place(
            region,
            one["api"],
            Path(one["token_file"]),
            Path(one["ca_file"]) if one.get("ca_file") else None,
            one["namespace"],
            one["cluster"],
            one.get("database", ""),
        )
        for region, one in config["regions"].items()
    }  # fmt: skip - a line each
    return places, float(config.get("patience_seconds", 5.0))


class CnpgPromoter:
    """Follows `catalyst_sdk.continuum.Promoter`."""

    worst_case = 30.0

    def __init__(self, places: Mapping[str, Place], patience: float) -> None:
        self._clusters = Clusters(places, patience)
        self._patience = patience

    def fencers(self) -> Sequence[Fencer]:
        """The operator stops the instances, asked by the region's agent or, where the API answers, by another's."""
        return (CnpgFencer(self._clusters, local=True), CnpgFencer(self._clusters, local=False))

    async def observe(self, *, region: str) -> DatabaseView:
        """What the Cluster says, and the database where its address is known."""
        began, place = boottime(), self._clusters.place(region)
        try:
            cluster = await self._clusters.read(region)
            found = await sql.facts(place.database, self._patience) if place.database and cluster.ready else None
        except Temporary:
            return DatabaseView(region, age=boottime() - began)
        stopped = cluster.is_fenced and cluster.ready == 0
        primary = cluster.is_primary if found is None else not found.standby
        return DatabaseView(
            region,
            role=Role.STOPPED if stopped else Role.PRIMARY if primary else Role.REPLICA,
            writable=False if stopped or not primary else cluster.ready > 0,
            ready=cluster.ready > 0,
            system_id=cluster.status.get("systemID") or None,
            timeline=cluster.status.get("timelineID") or None,
            received=found.received if found else None,
            replayed=found.replayed if found else None,
            committed_ms=found.committed_ms if found else None,
            sync=await self._synchronous(found) if found and primary else None,
            epoch=cluster.epochs.highest,
            age=boottime() - began,
        )

    async def demote(self, *, region: str, epoch: int, run: str) -> DemotionToken | Effect:
        """Have the Cluster be a replica of another one; the operator's token is the proof, and comes when all is archived."""
        # Which of the others it will follow is said later, by `follow`; that it is none of itself demotes it.
        other = next((r for r in self._clusters.regions if r != region), "")
        if not other:
            raise Permanent("NO_OTHER_REGION", f"there is no region beside {region}", provider=PROVIDER)

        def decide(seen: Cluster) -> Patch | None:
            now = seen.epochs.heard(epoch)
            if now.demoted == epoch:
                return None
            if not now.led or not seen.is_primary:
                raise Permanent("NOT_PRIMARY", f"{region} has nothing to give up", provider=PROVIDER)
            patch = kept(now.gave_up(epoch, ""), **{BEFORE: _mark(seen)})
            return patch | {
                "spec": {"replica": {"primary": self._clusters.place(other).cluster, "promotionToken": None}}
            }

        try:
            cluster = await self._clusters.change(region, decide)
        except StaleEpoch:
            return Effect.STALE_EPOCH
        except Temporary:
            return Effect.UNKNOWN
        token = cluster.status.get("demotionToken") or ""
        if not token or _mark(cluster) == cluster.annotations.get(BEFORE):
            return Effect.UNKNOWN  # not demoted yet
        return DemotionToken(region, epoch, position(token), token)

    async def promote(self, *, region: str, epoch: int, run: str, token: DemotionToken | None) -> Effect:
        """Have the Cluster be the primary; DONE when the operator says that it is, and stays so."""
        opaque = token.opaque if token else None

        def decide(seen: Cluster) -> Patch | None:
            now = seen.epochs.promoted(epoch)
            if seen.epochs.led == epoch and seen.is_primary:
                return None
            # No synchronous standby yet: the first write must not hang on one that is not there.
            spec: Patch = {
                "replica": {"primary": seen.name, "promotionToken": opaque},
                "postgresql": {"synchronous": None},
            }
            # A fence of an older epoch stopped its writers, not this one.
            lifted = {FENCE: None} if seen.is_fenced and now.fenced < epoch else {}
            return kept(now, **lifted) | {"spec": spec}

        try:
            cluster = await self._clusters.change(region, decide)
        except StaleEpoch:
            return Effect.STALE_EPOCH
        except Temporary:
            return Effect.UNKNOWN
        taken = opaque is None or cluster.status.get("lastPromotionToken") == opaque
        return Effect.DONE if taken and cluster.is_primary and cluster.is_settled and cluster.ready else Effect.UNKNOWN

    async def probe_write(self, *, region: str, epoch: int) -> WriteProbe:
        """A canary through the read-write service, while the Cluster leads in this epoch."""
        began, place = boottime(), self._clusters.place(region)
        if not place.database:
            return WriteProbe(None, 0.0, f"no address of the database in {region} is configured")
        try:
            epochs = (await self._clusters.read(region)).epochs
            if not epochs.may_write or epochs.led != epoch:
                return WriteProbe(False, boottime() - began, f"{region} does not lead in epoch {epoch}")
            taken = await sql.canary(place.database, epoch, self._patience)
        except Temporary as error:
            return WriteProbe(None, boottime() - began, error.message)
        return WriteProbe(taken, boottime() - began, "" if taken else f"{region} is a standby")

    async def follow(self, *, region: str, primary: str, epoch: int, run: str, destroy: bool = False) -> FollowState:
        """Have the Cluster replicate from `primary`'s. What parted from its history is made anew by people, or by their Git."""
        source = self._clusters.place(primary)

        def decide(seen: Cluster) -> Patch | None:
            if seen.epochs.led == epoch or primary == region:
                raise Permanent("IS_PRIMARY", f"{region} itself is the primary of epoch {epoch}", provider=PROVIDER)
            now = seen.epochs.followed(epoch)
            replica = seen.spec.get("replica") or {}
            if now == seen.epochs and replica.get("primary") == source.cluster and not seen.is_fenced:
                return None
            # A replica writes nothing, and a fenced one could not follow.
            spec = {"replica": {"primary": source.cluster, "source": source.cluster, "promotionToken": None}}
            return kept(now, **{FENCE: None}) | {"spec": spec}

        try:
            cluster = await self._clusters.change(region, decide)
        except StaleEpoch as stale:
            return FollowState(Follow.BLOCKED, f"{region}: {stale}")
        except Permanent as refused:
            return FollowState(Follow.BLOCKED, refused.message)
        return await self._followed(region, primary, cluster)

    async def set_sync(self, *, region: str, standbys: frozenset[str], epoch: int) -> Effect:
        """Have every commit wait for the designated primaries of all `standbys`."""
        try:
            names = [await self._standby_name(standby) for standby in sorted(standbys)]
            wished = (
                {
                    "method": "first",
                    "number": len(names),
                    "maxStandbyNamesFromCluster": 0,
                    "standbyNamesPre": names,
                    "dataDurability": "required",
                }
                if names
                else None
            )  # fmt: skip - two a line

            def decide(seen: Cluster) -> Patch | None:
                now = seen.epochs.heard(epoch)
                if now.led != epoch or not seen.is_primary:
                    raise Permanent("NOT_PRIMARY", f"{region} is not the primary of epoch {epoch}", provider=PROVIDER)
                if (seen.spec.get("postgresql") or {}).get("synchronous") == wished:
                    return None
                return {"spec": {"postgresql": {"synchronous": wished}}}

            await self._clusters.change(region, decide)
        except StaleEpoch:
            return Effect.STALE_EPOCH
        except Temporary:
            return Effect.UNKNOWN
        return Effect.DONE

    async def close(self) -> None:
        """Close the connections."""
        await self._clusters.close()

    async def _followed(self, region: str, primary: str, cluster: Cluster) -> FollowState:
        place = self._clusters.place(region)
        if not (cluster.is_settled and cluster.ready):
            return FollowState(Follow.CATCHING_UP, str(cluster.status.get("phase") or "the operator has not acted yet"))
        if not place.database:
            return FollowState(
                Follow.CATCHING_UP, f"no address of the database in {region} is configured: nobody can say"
            )
        theirs = await self._clusters.read(primary)
        found = await sql.facts(place.database, self._patience)
        if found.standby and found.streams and cluster.status.get("timelineID") == theirs.status.get("timelineID"):
            return FollowState(Follow.FOLLOWING)
        return FollowState(Follow.CATCHING_UP, f"{region} does not stream from {primary} yet")

    async def _standby_name(self, region: str) -> str:
        """How a standby region calls itself to its primary: by the name of its designated primary's instance."""
        name = (await self._clusters.read(region)).status.get("currentPrimary")
        if not name:
            raise Temporary(f"{region} has no designated primary yet", provider=PROVIDER)
        return str(name)

    async def _synchronous(self, found: sql.Facts) -> frozenset[str]:
        """Regions whose designated primary streams synchronously."""
        named = {}
        for region in self._clusters.regions:
            try:
                named[await self._standby_name(region)] = region
            except PluginFailure:
                continue  # a region that does not say who it is is not known to have anything
        return frozenset(named[name] for name in found.sync if name in named)


class CnpgFencer:
    """Has the operator shut PostgreSQL down in all instances: rung 1. Proved when none is ready."""

    level = 1
    worst_case = 10.0

    def __init__(self, clusters: Clusters, *, local: bool) -> None:
        self._clusters = clusters
        self.local = local

    async def fence(self, *, region: str, epoch: int, run: str, budget: float) -> FenceProof | None:
        """Stop writers of this epoch and of older ones."""
        until = boottime() + budget

        def decide(seen: Cluster) -> Patch | None:
            now = seen.epochs.fence(epoch)
            if now.highest > epoch or (now == seen.epochs and seen.is_fenced):
                return None
            return kept(now, **{FENCE: ALL})

        try:
            cluster = await self._clusters.change(region, decide, budget)
            while cluster.epochs.highest == epoch and cluster.ready and boottime() + LOOK < until:
                await asyncio.sleep(LOOK)
                cluster = await self._clusters.read(region, until - boottime())
        except Temporary:
            return None
        if cluster.epochs.highest > epoch:
            # Whoever leads in a newer epoch is none of the writers that are to be stopped.
            newer = cluster.epochs.led > epoch or not cluster.is_primary
            return FenceProof(self.level, boottime(), f"{region}: a newer epoch is known") if newer else None
        if cluster.ready or not cluster.is_fenced:
            return None
        return FenceProof(self.level, boottime(), f"{region}: no instance of {cluster.metadata['name']} runs")

    async def unfence(self, *, region: str, epoch: int, run: str) -> Effect:
        """Let the instances run again."""

        def decide(seen: Cluster) -> Patch | None:
            now = seen.epochs.unfence(epoch)
            # A primary of an older epoch is no writer of this one: it stays stopped until it is promoted, or follows.
            wished = ALL if seen.is_primary and now.led != epoch else None
            return (
                None if now == seen.epochs and seen.annotations.get(FENCE) == wished else kept(now, **{FENCE: wished})
            )

        try:
            await self._clusters.change(region, decide)
        except StaleEpoch:
            return Effect.STALE_EPOCH
        except Temporary:
            return Effect.UNKNOWN
        return Effect.DONE

    async def observe(self, *, region: str) -> FenceView:
        """Whether the fence is up."""
        began = boottime()
        try:
            cluster = await self._clusters.read(region)
        except PluginFailure:
            return FenceView(None, age=boottime() - began)
        return FenceView(cluster.is_fenced, cluster.epochs.fenced or None, boottime() - began)


def _mark(cluster: Cluster) -> str:
    """By which a demotion token is known again; empty: there is none."""
    token = str(cluster.status.get("demotionToken") or "")
    return hashlib.sha256(token.encode()).hexdigest()[:32] if token else ""


def position(token: str) -> str:
    """The log position in a demotion token: base64 of JSON, as the operator's documentation shows. Raises Temporary."""
    try:
        return str(json.loads(base64.b64decode(token))["latestCheckpointREDOLocation"])
    except (ValueError, KeyError, TypeError) as error:
        raise Temporary("the demotion token cannot be read", provider=PROVIDER) from error
