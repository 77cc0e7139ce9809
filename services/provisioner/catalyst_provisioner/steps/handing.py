"""Steps of a hand-off: claims that only look, one manager for another, claims that manage; and the way back."""

from typing import Any

from catalyst_mesh.journal import Context

from ..domain import claims
from ..domain.conditions import is_silent
from ..store import Store
from .making import Making
from .tools import Tools

HANDED_OFF = "handed_off"
"""Fact of a Sovereign: the clusters that Crossplane keeps."""


class Handing:
    """Who keeps the resources of a cluster, one after the other and never two at once."""

    def __init__(self, tools: Tools, making: Making) -> None:
        self._t = tools
        self._making = making

    async def observe(self, ctx: Context) -> Any:
        """Commit the tree with claims that change nothing."""
        everything = [cluster["name"] for cluster in ctx.input["clusters"]]
        return await self._making.rendered(ctx, looking=ctx.input.get("handing", everything))

    async def settle(self, ctx: Context) -> Any:
        """Commit the tree with the claims of those that Crossplane keeps now."""
        return await self._making.rendered(ctx)

    async def give(self, ctx: Context, cluster: str) -> Any:
        """Make Crossplane the manager, once the cluster has seen every claim equal what is there."""
        names = await self._seen(ctx, cluster)
        await self._move(ctx, cluster, names, claims.CROSSPLANE)
        return {"claims": len(names)}

    async def take_back(self, ctx: Context, cluster: str) -> Any:
        """Make the plugin the manager again, once Crossplane only looks."""
        names = await self._seen(ctx, cluster)
        await self._move(ctx, cluster, names, "")
        return {"claims": len(names)}

    async def _seen(self, ctx: Context, cluster: str) -> list[str]:
        """Names of the claims, as soon as the cluster shows all of them looking and without difference."""
        row = await self._t.cluster(ctx, cluster)
        async with self._t.work.reading() as tx:
            held = [e.row for e in await tx.entries(row.sovereign, cluster)]
        names = [claims.name_of(r) for r in held if claims.claimed(r.kind) and r.id]
        told = () if is_silent(row.heartbeat_at, ctx.now()) else (row.inventory or {}).get("claims", ())
        if left := claims.waiting(names, told, observe_only=True):
            await ctx.log(f"{cluster}: {len(left)} of {len(names)} claims are not seen yet", level="DEBUG")
            await ctx.again(self._t.look_again)
        return names

    async def _move(self, ctx: Context, cluster: str, names: list[str], manager: str) -> None:
        sovereign = ctx.input["sovereign"]

        async def step(tx: Store) -> None:
            await ctx.guard(tx.sql)
            await tx.give(sovereign, cluster, names, manager)
            seen = await tx.facts(sovereign)
            kept = set(seen[HANDED_OFF][0]) if HANDED_OFF in seen else set()
            kept = kept | {cluster} if manager else kept - {cluster}
            if kept:
                await tx.observe(sovereign, HANDED_OFF, sorted(kept))
            else:
                await tx.unobserve(sovereign, HANDED_OFF)

        await self._t.work.again(step)
        await ctx.emit("cluster.handed_off" if manager else "cluster.taken_back", f"{cluster}: {len(names)} resources")
