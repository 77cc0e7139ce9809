"""The promoter: what an agent asks of the demo application, over the ports of each region."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    import httpx

PROVIDER = "demo"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a region's process listens."""

    database: str
    gateway: str


@dataclass(frozen=True, slots=True)
class Configured:
    """What the configuration says, read."""

    regions: Mapping[str, Place]
    secret: str
    patience: float


def configured(config: Mapping[str, Any]) -> Configured:
    """Read the configuration and the token. Raises OSError where that cannot be read."""
    places = {region: Place(one["database"], one["gateway"]) for region, one in config["regions"].items()}
    secret = Path(config["token_file"]).read_text().strip()
    return Configured(places, secret, float(config.get("patience_seconds", 3.0)))


class DemoPromoter:
    """Follows `catalyst_sdk.continuum.Promoter`."""

    worst_case = 3.0

    def __init__(self, configured: Configured) -> None:
        self._line = Line(configured)

    def fencers(self) -> Sequence[Fencer]:
        """The database stops its own writers, asked by its region's agent or, where it can be reached, by another's."""
        return (DatabaseFencer(self._line, local=True), DatabaseFencer(self._line, local=False))

    async def observe(self, *, region: str) -> DatabaseView:
        """What the region's database says of itself."""
        began = boottime()
        try:
            told = await self._line.database(region, "GET", "view")
        except Temporary:
            return DatabaseView(region, age=boottime() - began)
        return DatabaseView(
            region,
            role=Role.PRIMARY if told["led"] else Role.REPLICA,
            writable=not told["closed"],
            ready=told["ready"],
            system_id=told["system_id"] or None,
            timeline=told["turns"][-1][0] if told["turns"] else None,
            received=f"{told['end']:x}",
            replayed=f"{told['end']:x}",
            committed_ms=told["committed_ms"],
            sync=frozenset(told["joined"]) if told["led"] else None,
            epoch=told["epoch"],
            age=boottime() - began,
        )

    async def demote(self, *, region: str, epoch: int, run: str) -> DemotionToken | Effect:
        """Take no write any more in this epoch; the last position."""
        told = await self._move(region, "demote", epoch=epoch, run=run)
        return told if isinstance(told, Effect) else DemotionToken(region, epoch, f"{told['position']:x}")

    async def promote(self, *, region: str, epoch: int, run: str, token: DemotionToken | None) -> Effect:
        """Make the region primary; with a token, only if it has everything that was written before."""
        wanted = int(token.lsn, 16) if token else 0
        told = await self._move(region, "promote", epoch=epoch, run=run, wanted=wanted)
        return told if isinstance(told, Effect) else Effect.DONE

    async def probe_write(self, *, region: str, epoch: int) -> WriteProbe:
        """One canary through the region's gateway, and back."""
        began, n = boottime(), secrets.randbits(62)
        why, acknowledged = "", None
        try:
            status, told = await self._line.gateway(region, "POST", "canaries", {"n": n})
            if status == 201 and told.get("epoch") == epoch:
                status, told = await self._line.gateway(region, "GET", f"canaries/{n}")
                acknowledged = True if status == 200 and told.get("n") == n else None
            elif status in (201, 503):
                acknowledged = False
                why = told.get("why") or f"it was taken in epoch {told.get('epoch')}"
            why = why or ("" if acknowledged else str(told.get("why", f"status {status}")))
        except Temporary as error:
            why = error.message
        return WriteProbe(acknowledged, boottime() - began, why)

    async def follow(self, *, region: str, primary: str, epoch: int, run: str, destroy: bool = False) -> FollowState:
        """One step nearer to following."""
        self._line.demand(primary)
        try:
            told = await self._move(region, "follow", epoch=epoch, run=run, primary=primary, destroy=destroy)
        except Permanent as refused:
            return FollowState(Follow.BLOCKED, refused.message)
        if told is Effect.STALE_EPOCH:
            return FollowState(Follow.BLOCKED, f"a newer epoch than {epoch} is known in {region}")
        if isinstance(told, Effect):
            raise Temporary(f"{region} does not answer", provider=PROVIDER)
        return FollowState(Follow(told["state"]), told["why"])

    async def set_sync(self, *, region: str, standbys: frozenset[str], epoch: int) -> Effect:
        """Wait for `standbys` before a write is acknowledged."""
        told = await self._move(region, "sync", epoch=epoch, standbys=sorted(standbys))
        return told if isinstance(told, Effect) else Effect.DONE

    async def close(self) -> None:
        """Close the connections."""
        await self._line.close()

    async def _move(self, region: str, call: str, **body: Any) -> Mapping[str, Any] | Effect:
        """What the database answers; STALE_EPOCH or UNKNOWN where it does not do it, or nobody knows."""
        try:
            return await self._line.database(region, "POST", call, body)
        except Stale:
            return Effect.STALE_EPOCH
        except Temporary:
            return Effect.UNKNOWN


class DatabaseFencer:
    """Stops a region's writers in its database: rung 1. It needs the region's process alone."""

    level = 1
    worst_case = 2.0

    def __init__(self, line: "Line", *, local: bool) -> None:
        self._line = line
        self.local = local

    async def fence(self, *, region: str, epoch: int, run: str, budget: float) -> FenceProof | None:
        """Stop writers of this epoch and of older ones."""
        try:
            told = await self._line.database(region, "POST", "fence", {"epoch": epoch, "run": run}, patience=budget)
        except Temporary:
            return None
        evidence = f"{region}: {told['closed'] or 'a newer epoch writes'}; its log ends at {told['end']:x}"
        return FenceProof(self.level, boottime(), evidence)

    async def unfence(self, *, region: str, epoch: int, run: str) -> Effect:
        """Let the region write again."""
        try:
            await self._line.database(region, "POST", "unfence", {"epoch": epoch, "run": run})
        except Stale:
            return Effect.STALE_EPOCH
        except Temporary:
            return Effect.UNKNOWN
        return Effect.DONE

    async def observe(self, *, region: str) -> FenceView:
        """Whether the fence is up."""
        began = boottime()
        try:
            told = await self._line.database(region, "GET", "view")
        except Temporary:
            return FenceView(None, age=boottime() - began)
        return FenceView(bool(told["fenced"]), told["fenced"] or None, boottime() - began)


class Stale(Exception):
    """A newer epoch is known there."""


class Line:
    """HTTP to the processes of all regions."""

    def __init__(self, configured: Configured) -> None:
        self._c = configured
        self._made: httpx.AsyncClient | None = None

    def demand(self, region: str) -> Place:
        """Where a region listens. Raises Permanent for a region that is not configured."""
        if region not in self._c.regions:
            raise Permanent("REGION_UNKNOWN", f"{region} is no region of this database", provider=PROVIDER)
        return self._c.regions[region]

    async def database(
        self, region: str, method: str, path: str, body: Mapping[str, Any] | None = None, patience: float | None = None
    ) -> Mapping[str, Any]:
        """The answer of a region's database. Raises Stale, Permanent with its reason, or Temporary: nobody knows."""
        status, told = await self._ask(method, f"http://{self.demand(region).database}/{path}", body, patience)
        if status == 200:
            return told
        why = f"{region}: {told.get('why', f'status {status}')}"
        if status == 409:
            raise Stale(why)
        if status == 412:
            raise Permanent(told["reason"], why, provider=PROVIDER)
        if status == 401:
            raise Permanent(
                "CREDENTIALS_REJECTED", why, provider=PROVIDER, user_action="let all regions share one token"
            )
        raise Temporary(why, provider=PROVIDER, provider_code=str(status))

    async def gateway(
        self, region: str, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> tuple[int, Mapping[str, Any]]:
        """Status and answer of a region's gateway. Raises Temporary where there is none."""
        return await self._ask(method, f"http://{self.demand(region).gateway}/{path}", body)

    async def close(self) -> None:
        """Close the connections."""
        if self._made is not None:
            await self._made.aclose()

    async def _ask(
        self, method: str, url: str, body: Mapping[str, Any] | None, patience: float | None = None
    ) -> tuple[int, Mapping[str, Any]]:
        import httpx  # a daemon that loads this plugin and does not use it is 8 MiB smaller

        if self._made is None:
            headers = {"Authorization": f"Bearer {self._c.secret}"}
            # A connection for each question: one that was kept may lead to a process that is no more.
            single = httpx.Limits(max_keepalive_connections=0)
            self._made = httpx.AsyncClient(headers=headers, trust_env=False, limits=single)
        patience = min(patience or self._c.patience, self._c.patience)
        try:
            answer = await self._made.request(method, url, json=body, timeout=patience)
            told = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Temporary(f"{url} does not answer: {type(error).__name__}", provider=PROVIDER) from error
        return answer.status_code, told if isinstance(told, dict) else {}
