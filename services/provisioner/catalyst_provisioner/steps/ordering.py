"""What steps order of the agents of clusters, once over any number of deaths, and what became of it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from catalyst.provisioner.v1.resources_pb2 import AgentCommand
from catalyst_mesh.journal import Context

from ..store import CommandEnd
from .tools import Tools

NOT_ANSWERED = "not_answered"
"""How an agent ends a command for which its cluster's API was not there: another one, or a later one, may do better."""
TRIES = 5
Drain = AgentCommand.Drain


class Ordering:
    """Orders of one run."""

    def __init__(self, tools: Tools) -> None:
        self._t = tools

    async def end(
        self, ctx: Context, cluster: str, key: str, command: AgentCommand, *, server: str = ""
    ) -> CommandEnd | None:
        """What became of the order of this key, which is given at the first call; None: nothing yet.

        server   who is to do it; empty: any server of the control plane
        """
        found = None
        for number in range(TRIES):
            given = await self._given(ctx, cluster, f"order.{key}.{number}", command, server)
            async with self._t.work.reading() as tx:
                found = await tx.command_end(ctx.input["sovereign"], cluster, given)
            if found is None or found.code != NOT_ANSWERED:
                return found
        return found

    async def since(self, ctx: Context, key: str) -> timedelta:
        """How long ago this was asked for the first time."""

        async def now() -> float:
            return ctx.now().timestamp()

        return timedelta(seconds=ctx.now().timestamp() - float(await ctx.once(f"since.{key}", now)))

    async def _given(self, ctx: Context, cluster: str, key: str, command: AgentCommand, server: str) -> int:
        sovereign, body = ctx.input["sovereign"], command.SerializeToString()

        async def give() -> int:
            return await self._t.work.again(lambda tx: tx.command(sovereign, cluster, body, server=server))

        return int(await ctx.once(key, give))


def of_node(node: Mapping[str, Any], scope: Drain.Scope.ValueType, grace: timedelta | None = None) -> AgentCommand:
    """An order about one node of an inventory."""
    command = AgentCommand(drain=Drain(scope=scope, node=node["id"]))
    if grace is not None:
        command.drain.grace_period.FromTimedelta(grace)
    return command
