"""Steps that take a Sovereign away: quiet it, delete by the ledger, sweep, look twice, and give the name back last."""

import asyncio
from collections.abc import Awaitable, Collection, Sequence
from typing import Any, TypeVar

from catalyst_mesh.journal import Context, StepFailed
from catalyst_sdk import SecretRef
from catalyst_sdk.cloud import Discovered, LedgerRow

from .. import granting
from ..domain.naming import CLUSTER_LABEL, sweep_labels
from ..store import ClusterRow, Store
from .ordering import Ordering
from .publishing import Publishing
from .quieting import Quieting
from .tools import Tools, patiently

T = TypeVar("T")
NUMBER = "number"
"""Note of the step that takes a cluster away: which one it was."""


class Removing:
    """Steps of a destruction."""

    def __init__(self, tools: Tools) -> None:
        self._t = tools
        self._orders = Ordering(tools)
        self._quieting = Quieting(tools)
        self._publishing = Publishing(tools)

    async def quiesce(self, ctx: Context) -> Any:
        """Stop reconciliation in every cluster that can be reached, and have what it made at its cloud go."""
        return await self._quieting.quiet(ctx, await self._clusters(ctx))

    async def remove(self, ctx: Context, cluster: str) -> Any:
        """Delete what the ledger lists of a cluster, last made first."""
        row = await self._t.cluster(ctx, cluster)
        before = len(await self._rows(ctx, cluster))
        async with self._t.at_cloud(row.provider) as plugin:
            destroying = plugin.destroy(work=self._t.workspace(ctx, row), keep=tuple(ctx.input["keep"]))
            await patiently(self._t, destroying)
        left = await self._rows(ctx, cluster)
        if not any(entry.kind == "server" for entry in left):
            await self._t.work.again(lambda tx: tx.forget_life(row.sovereign, cluster))
        return {"deleted": before - len(left)}

    async def is_removed(self, ctx: Context, cluster: str) -> Any:
        """Evidence: the ledger lists nothing of it any more."""
        left = [row for row in await self._rows(ctx, cluster) if row.name not in ctx.input["keep"]]
        return None if left else {"deleted": 0}

    async def leave(self, ctx: Context, cluster: str) -> Any:
        """Take one cluster away from a Sovereign that stays: by the ledger, by a look at its labels, then its record."""
        async with self._t.work.reading() as tx:
            row = await tx.cluster(ctx.input["sovereign"], cluster)
        if row is None:
            return {"deleted": 0}

        async def number() -> int:
            return row.number

        await ctx.once(NUMBER, number)  # its ranges are its own for life, also if this is taken back
        before = len(await self._rows(ctx, cluster))
        await self.cleared(ctx, row)

        async def forget(tx: Store) -> None:
            held = await tx.lock(row.sovereign)
            if held is not None:
                await tx.save(await granting.end_all(tx, held, cluster))
            await tx.drop_cluster(row.sovereign, cluster)

        await self._t.work.again(forget)
        return {"deleted": before}

    async def cleared(
        self, ctx: Context, row: ClusterRow, keep: Collection[str] = (), *, undoing: bool = False
    ) -> None:
        """Take everything of a cluster away: what it lets go of itself, what the ledger lists, what its labels still show."""
        await self._quieting.quiet(ctx, [row])
        plugin, sovereign = self._t.planner.clouds.get(row.provider), await self._t.sovereign(ctx)
        labels = {**sweep_labels(sovereign.uid), CLUSTER_LABEL: row.name}

        async def answered(call: Awaitable[T]) -> T:
            # An undo waits for no credential: it ends, and what it could not delete is named.
            return await (call if undoing else patiently(self._t, call))

        async def shown() -> list[Discovered]:
            looking = plugin.discover(labels=labels, credential=SecretRef(row.credential))
            return [one for one in await answered(looking) if one.id not in keep]

        known = {entry.id for entry in await self._rows(ctx, row.name)}
        for found in await shown():
            if found.id not in known:
                await self._import(ctx, row, found)
        async with self._t.at_cloud(row.provider):
            await answered(plugin.destroy(work=self._t.workspace(ctx, row, undoing=undoing), keep=tuple(keep)))
        if left := await shown():
            if undoing:
                await self._demand_time(ctx, row, left)
            await ctx.again(self._t.look_again)

    async def _demand_time(self, ctx: Context, row: ClusterRow, left: Sequence[Discovered]) -> None:
        """An undo has no deadline of its own: what is made anew as fast as it is deleted becomes a person's question."""
        # A second cancel finds its step at another end, and waits as long again.
        if await self._orders.since(ctx, f"cleared.{ctx.step.finished_at}") < self._t.undo_patience:
            return
        for found in left:
            await self._import(ctx, row, found)
        names = ", ".join(f"{one.kind} {one.name} ({one.id})" for one in left[:20])
        action = "see what keeps it or makes it anew, then cancel once more, or destroy"
        raise StepFailed("STILL_THERE", f"{row.name} still has {names}", user_action=action)

    async def sweep(self, ctx: Context) -> Any:
        """Look into every region of every credential; what is ours and still there is imported and deleted."""
        found = await self._left(ctx)
        for row, resource in found:
            await self._import(ctx, row, resource)
        for name in sorted({row.name for row, _ in found}):
            await self.remove(ctx, name)
        return {"found": len(found)}

    async def verify(self, ctx: Context) -> Any:
        """Find nothing, twice, some time apart; what turns up is swept away and the looking begins anew."""
        for look in ("first", "second"):
            if await self._left(ctx):
                await self.sweep(ctx)
                await self._t.work.again(lambda tx: tx.unobserve(ctx.input["sovereign"], "sweep.first", "sweep.second"))
                await ctx.again(self._t.look_again)
            seen = await self._seen(ctx, f"sweep.{look}")
            if look == "first":
                await ctx.until(seen + self._t.destroy_pause)
        return {"empty": 2}

    async def remove_tree(self, ctx: Context) -> Any:
        """Remove the tree of every cluster."""
        await self._publishing.withdrawn(ctx)
        await asyncio.to_thread(self._t.repositories.remove, ctx.input["sovereign"])
        await self._t.work.again(lambda tx: tx.unobserve(ctx.input["sovereign"], "tree"))
        return {}

    async def shred(self, ctx: Context) -> Any:
        """Destroy enrolment tokens and all that they gave."""
        id = ctx.input["sovereign"]

        async def step(tx: Store) -> int:
            for row in await tx.clusters(id):
                await tx.change_cluster(id, row.name, plugin_state=None, git_password=None)
            held = await tx.lock(id)
            if held is not None:
                await tx.save(await granting.end_all(tx, held))
            await tx.drop_components(id)
            await tx.unobserve(id, "name_held", "dns_ready", "probed", "delegated", "delegation_wanted")
            return await tx.shred_enrolments(id)

        return {"tokens": await self._t.work.again(step)}

    async def _left(self, ctx: Context) -> list[tuple[ClusterRow, Discovered]]:
        rows, keep = await self._clusters(ctx), set(ctx.input["keep"])
        sovereign = await self._t.sovereign(ctx)
        found: dict[str, tuple[ClusterRow, Discovered]] = {}
        for row in rows:
            plugin = self._t.planner.clouds.get(row.provider)
            labels = sweep_labels(sovereign.uid)
            looking = plugin.discover(labels=labels, credential=SecretRef(row.credential))
            for resource in await patiently(self._t, looking):
                if resource.name not in keep and resource.id not in keep:
                    owner = next((r for r in rows if r.name == resource.labels.get(CLUSTER_LABEL)), row)
                    found[f"{row.provider}/{resource.id}"] = (owner, resource)
        return list(found.values())

    async def _import(self, ctx: Context, row: ClusterRow, found: Discovered) -> None:
        entry = LedgerRow(found.kind, found.name, found.region, dict(found.labels), found.id, found.price)

        async def step(tx: Store) -> None:
            await tx.intend(
                row.sovereign, row.name, entry,
                provider=row.provider, credential=row.credential, run=ctx.run_id, leftover=True,
            )  # fmt: skip
            await tx.created(row.sovereign, kind=found.kind, name=found.name, id=found.id, run=ctx.run_id)

        await self._t.work.again(step)
        data = {
            "provider": row.provider, "region": found.region, "kind": found.kind, "id": found.id,
            "resource_name": found.name, "reason": "found by its labels, and listed nowhere",
        }  # fmt: skip
        await ctx.emit("leftover.found", f"{found.kind} {found.name} was still there", level="warn", data=data)

    async def _seen(self, ctx: Context, fact: str) -> Any:
        async def step(tx: Store) -> Any:
            await tx.observe(ctx.input["sovereign"], fact, ctx.run_id)
            return (await tx.facts(ctx.input["sovereign"]))[fact][1]

        return await self._t.work.again(step)

    async def _rows(self, ctx: Context, cluster: str) -> list[LedgerRow]:
        async with self._t.work.reading() as tx:
            return [entry.row for entry in await tx.entries(ctx.input["sovereign"], cluster)]

    async def _clusters(self, ctx: Context) -> list[ClusterRow]:
        async with self._t.work.reading() as tx:
            return await tx.clusters(ctx.input["sovereign"])
