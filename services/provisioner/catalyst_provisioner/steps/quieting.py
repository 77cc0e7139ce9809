"""What a cluster is asked for before it is taken away: to reconcile nothing, and to let go of what it made at its cloud.

A cluster that cannot be reached, or does not answer, holds nothing up: what it leaves is found by its labels.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from catalyst.provisioner.v1.resources_pb2 import AgentCommand
from catalyst_mesh.journal import Context

from ..domain.conditions import is_silent
from ..store import ClusterRow
from .ordering import Drain, Ordering
from .tools import Tools

QUIET_PATIENCE = timedelta(seconds=20)
"""How long an agent that reports is waited for before its cluster goes without its word."""
DRAIN_PATIENCE = timedelta(seconds=90)
"""How long what the cluster made is waited for; then it is named, and its finalizers go if somebody consented."""
ROUND = timedelta(seconds=10)
"""Time between two questions about what is left."""
Reconcile = AgentCommand.Reconcile
STOPS: Mapping[str, AgentCommand] = {
    "suspend": AgentCommand(reconcile=Reconcile(action=Reconcile.ACTION_SUSPEND)),
    "autoscalers": AgentCommand(drain=Drain(scope=Drain.SCOPE_AUTOSCALERS)),
}


class Quieting:
    """Orders to clusters that go."""

    def __init__(self, tools: Tools) -> None:
        self._t = tools
        self._orders = Ordering(tools)

    async def quiet(self, ctx: Context, rows: Sequence[ClusterRow]) -> dict[str, Any]:
        """Ask all of them, wait as long as it makes sense, and tell who was not reached and what is left in whom."""
        reachable = [row for row in rows if row.heartbeat_at and not is_silent(row.heartbeat_at, ctx.now())]
        waited = await self._orders.since(ctx, "quiet")
        told = {row.name: await self._left(ctx, row, waited) for row in reachable}
        silent = {name for name, left in told.items() if left is None}
        left = {name: sorted(found) for name, found in told.items() if found}
        if (silent and waited < QUIET_PATIENCE) or (left and waited < DRAIN_PATIENCE):
            await ctx.again(self._t.look_again)
        for name, objects in left.items():
            await self._released(ctx, name, objects)
        unreachable = sorted({row.name for row in rows} - told.keys() | silent)
        if unreachable:
            await ctx.emit("agent.unreachable", f"not stopped: {', '.join(unreachable)}", level="warn")
        return {"stopped": sorted(told.keys() - silent), "unreachable": unreachable, "left": left}

    async def _left(self, ctx: Context, row: ClusterRow, waited: timedelta) -> Sequence[str] | None:
        """What the cluster still has at its cloud; None: it has not said yet."""
        for key, command in STOPS.items():
            if await self._orders.end(ctx, row.name, f"{key}.{row.name}", command) is None:
                return None
        keep = [name for name in ctx.input.get("keep", ()) if name.count("/") == 2]
        command = AgentCommand(drain=Drain(scope=Drain.SCOPE_CLOUD_RESOURCES, keep=keep))
        number = int(waited / ROUND)
        for asked in (number, number - 1):
            end = await self._orders.end(ctx, row.name, f"drain.{row.name}.{asked}", command) if asked >= 0 else None
            if end is not None:
                return end.remaining
        return None

    async def _released(self, ctx: Context, cluster: str, objects: Sequence[str]) -> None:
        """Name what did not go; by consent its finalizers are removed."""
        if not ctx.input.get("remove_finalizers"):
            text = f"{cluster} still has {', '.join(objects[:20])}"
            await ctx.emit("drain.left", text, level="warn", data={"cluster": cluster, "objects": ", ".join(objects)})
            return
        command = AgentCommand(reconcile=Reconcile(action=Reconcile.ACTION_REMOVE_FINALIZERS, objects=objects))
        end = await self._orders.end(ctx, cluster, f"finalizers.{cluster}", command)
        if end is None and await self._orders.since(ctx, f"finalizers.{cluster}") < QUIET_PATIENCE:
            await ctx.again(self._t.look_again)
        await ctx.emit("finalizers.removed", f"{cluster}: of {', '.join(objects[:20])}", level="warn")
