"""Steps that change nodes of a cluster which goes on: another version of k3s, work on one node, and servers that are to go."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from catalyst.provisioner.v1.resources_pb2 import AgentCommand
from catalyst_mesh.journal import Context, StepFailed
from catalyst_sdk.cloud import Action, Binary, Change

from ..domain import rolling, tending
from ..domain.conditions import is_silent
from ..domain.rolling import Node
from ..domain.tending import Deed
from ..reopening import CLOSED
from ..store import ClusterRow, CommandEnd, PlanRow
from .ordering import Drain, Ordering, of_node
from .tools import Tools

GRACE = timedelta(minutes=5)
"""How long budgets of disruption are obeyed before pods are deleted."""
PATIENCE = GRACE + timedelta(minutes=3)
"""How long an agent is waited for that was told to empty a node, before its server goes all the same."""
FORGOTTEN = "forgotten."
"""With the names of a cluster and a node: fact of a Sovereign, the run that had the cluster forget the node."""
SCOPES = {
    tending.CORDON: Drain.SCOPE_CORDON,
    tending.UNCORDON: Drain.SCOPE_UNCORDON,
    tending.DRAIN: Drain.SCOPE_NODE,
}  # fmt: skip - pairs


class Rolling:
    """Changes of single nodes."""

    def __init__(self, tools: Tools) -> None:
        self._t = tools
        self._orders = Ordering(tools)

    async def k3s(self, ctx: Context, cluster: str) -> Any:
        """Have every node run the wished version, one after the other, and see that it does."""
        _, _, wish = await self._t.wish(ctx)
        wanted = next(c for c in wish.clusters if c.name == cluster)
        row = await self._t.cluster(ctx, cluster)
        binaries = self._t.planner.clouds.binaries(row.provider, wanted.k3s)
        if binaries is not None:
            await self.advance(ctx, row, wanted.k3s, binaries)
        beat = _beat(ctx, row)
        # What no cloud's servers fetch, the cluster raises by itself: its version stands in its tree.
        if beat.get("k3s_version") != wanted.k3s or int(beat.get("ready_nodes", 0)) < wanted.nodes:
            await ctx.again(self._t.look_again)
        return {"k3s": wanted.k3s}

    async def tend(self, ctx: Context, cluster: str, step: str) -> Any:
        """Do what is asked of a node, and see that the cluster shows it."""
        deed = next(d for d in (Deed(**row) for row in ctx.input["tended"]) if d.step == step)
        row = await self._t.cluster(ctx, cluster)
        node: Node = {"id": deed.node}
        known = (row.inventory or {}).get("nodes", ())
        if deed.verb == tending.REPLACE:
            return await self._is_new(ctx, deed, known)
        if deed.verb == tending.REBOOT:
            return await self._restarted(ctx, row, deed, known)
        await self._was_closed(ctx, row, tending.of(known, deed.node) or node)
        grace = timedelta(seconds=deed.grace) if deed.verb == tending.DRAIN else None
        end = await self._orders.end(ctx, cluster, step, of_node(node, SCOPES[deed.verb], grace))
        if end is not None and end.code:
            raise StepFailed("NODE_REFUSED", f"{deed.node}: {end.message}", user_action="see to the node, and retry")
        if end is None or not deed.is_done(known):
            await ctx.again(self._t.look_again)
        await _tell_left(ctx, node, end)
        return {"left": list(end.remaining)}

    async def _is_new(self, ctx: Context, deed: Deed, known: Sequence[Node]) -> Any:
        """Wait until another server than the one that ended is the node, and ready; the step of its cluster has made it."""
        node = tending.of(known, deed.node)
        if node is None or not deed.is_done(known):
            await ctx.again(self._t.look_again)
        fact = f"{FORGOTTEN}{deed.cluster}/{deed.node}"
        await self._t.work.again(lambda tx: tx.unobserve(ctx.input["sovereign"], fact))
        return {"server": tending.who(node or {})}

    async def _note(self, ctx: Context, row: ClusterRow, fact: str) -> None:
        await self._t.work.again(lambda tx: tx.observe(row.sovereign, fact, ctx.run_id))

    async def begun(self, ctx: Context, row: ClusterRow) -> "Ending":
        """What a change that is taken back had gone too far with: a node that was forgotten comes back on another server only."""
        async with self._t.work.reading() as tx:
            known = await tx.facts(row.sovereign)
        by = {fact.removeprefix(f"{FORGOTTEN}{row.name}/") for fact, (run, _) in known.items() if run == ctx.run_id}
        deeds = [Deed(**one) for one in ctx.input.get("tended", ())]
        mine = [deed for deed in deeds if deed.cluster == row.name and deed.node in by]
        return Ending(servers={deed.server: deed.server_id for deed in mine})

    async def _restarted(self, ctx: Context, row: ClusterRow, deed: Deed, known: Sequence[Node]) -> Any:
        """Have the node restart, once, and see that another boot of it is ready; pods move away first where they can."""
        node = tending.of(known, deed.node)
        if node is None:
            await ctx.again(self._t.look_again)
        elif not deed.is_done(known):
            if tending.boot(node) == deed.before:
                await self._closed(ctx, row, node, known, timedelta(seconds=deed.grace))
                await self._told_to_restart(ctx, row, deed, node)
            await ctx.again(self._t.look_again)
        else:
            await self._opened(ctx, row, node)
        return {"boot": tending.boot(node or {})}

    async def _told_to_restart(self, ctx: Context, row: ClusterRow, deed: Deed, node: Node) -> None:
        # It names the boot that ends: told twice, by a retry or over a death, a server restarts once.
        command = AgentCommand(reboot=AgentCommand.Reboot(node=deed.node, boot_id=deed.before))
        # One process speaks for all simulated nodes.
        is_simulated = self._t.planner.clouds.clouds[row.provider].simulated
        server = "" if is_simulated else await self._server(row, node)
        end = await self._orders.end(ctx, row.name, f"reboot.{ctx.attempt}.{deed.node}", command, server=server)
        if end is not None and end.code:
            text = f"{deed.node} does not restart, and takes no new pods: {end.message}"
            raise StepFailed("NODE_REFUSED", text, user_action="see to the node, and retry")

    async def emptied(self, ctx: Context, row: ClusterRow, leaving: Sequence[Node], grace: timedelta = GRACE) -> None:
        """Move pods off nodes whose servers are to go, as far as their cluster can be reached."""
        if is_silent(row.heartbeat_at, ctx.now()):
            return
        for node in leaving:
            await self._was_closed(ctx, row, node)
            end = await self._orders.end(ctx, row.name, f"empty.{node['id']}", of_node(node, Drain.SCOPE_NODE, grace))
            if end is None:
                if await self._orders.since(ctx, f"empty.{node['id']}") < grace + (PATIENCE - GRACE):
                    await ctx.again(self._t.look_again)
                await ctx.emit("agent.unreachable", f"{node['id']} was not emptied in time", level="warn")
            else:
                await _tell_left(ctx, node, end)

    async def forgotten(self, ctx: Context, row: ClusterRow, leaving: Sequence[Node]) -> None:
        """Have the cluster forget the nodes whose servers are gone: what is no node is no member of its quorum either."""
        if is_silent(row.heartbeat_at, ctx.now()):
            return
        for node in leaving:
            await self._orders.end(ctx, row.name, f"forget.{node['id']}", of_node(node, Drain.SCOPE_FORGET))

    async def given_up(self, ctx: Context, row: ClusterRow, leaving: Sequence[Node]) -> None:
        """The same before the servers end, for those that come back under their names: as new nodes, and new members."""
        if is_silent(row.heartbeat_at, ctx.now()):
            return
        for node in leaving:
            await self._note(ctx, row, f"{FORGOTTEN}{row.name}/{node['id']}")
            end = await self._orders.end(ctx, row.name, f"forget.{node['id']}", of_node(node, Drain.SCOPE_FORGET))
            if end is None and await self._orders.since(ctx, f"forget.{node['id']}") < PATIENCE:
                await ctx.again(self._t.look_again)
            if end is None or end.code:
                why = end.message if end is not None else "nobody answered in time"
                await ctx.emit("node.not_forgotten", f"{node['id']}: {why}", level="warn")

    async def advance(self, ctx: Context, row: ClusterRow, version: str, binaries: Sequence[Binary]) -> None:
        """Bring the next node further, and ask again later. Returns when all of them run the version and take pods."""
        nodes = rolling.ordered((row.inventory or {}).get("nodes", ()))
        for node in nodes:
            if rolling.runs(node, version):
                await self._opened(ctx, row, node)
                continue
            if not rolling.may_begin(node, nodes, _beat(ctx, row), version):
                await ctx.again(self._t.look_again)
            await self._closed(ctx, row, node, nodes, GRACE)
            await self._raised(ctx, row, node, version, binaries)
            await ctx.again(self._t.look_again)  # until the inventory shows it

    async def _closed(self, ctx: Context, row: ClusterRow, node: Node, nodes: Sequence[Node], grace: timedelta) -> None:
        if not rolling.emptied(node, nodes):
            return
        await self._was_closed(ctx, row, node)
        end = await self._orders.end(ctx, row.name, f"drain.{node['id']}", of_node(node, Drain.SCOPE_NODE, grace))
        if end is None:
            await ctx.again(self._t.look_again)
        else:
            await _tell_left(ctx, node, end)

    async def _raised(
        self, ctx: Context, row: ClusterRow, node: Node, version: str, binaries: Sequence[Binary]
    ) -> None:
        kinds = AgentCommand.Upgrade
        given = [kinds.Binary(arch=one.arch, url=one.url, sha256=one.sha256) for one in binaries]
        command = AgentCommand(upgrade=kinds(version=version, binaries=given))
        server = await self._server(row, node)
        end = await self._orders.end(ctx, row.name, f"raise.{ctx.attempt}.{node['id']}", command, server=server)
        if end is not None and end.code:
            text = f"{node['id']} does not run {version}, and takes no new pods: {end.message}"
            raise StepFailed("UPGRADE_FAILED", text, user_action="see to it that it can, and retry the step")

    async def _was_closed(self, ctx: Context, row: ClusterRow, node: Node) -> None:
        """Note whether somebody else had closed it before: then it is not ours to open."""

        async def was() -> bool:
            if node.get("cordoned"):
                fact = f"{CLOSED}{row.name}/{node['id']}"
                await self._t.work.again(lambda tx: tx.observe(row.sovereign, fact, ctx.run_id))
            return bool(node.get("cordoned"))

        await ctx.once(f"cordoned.{node['id']}", was)

    async def _opened(self, ctx: Context, row: ClusterRow, node: Node) -> None:
        """Let pods onto a node again that was closed by us, and was not closed before."""

        async def never() -> bool:
            return True

        if not node.get("cordoned") or await ctx.once(f"cordoned.{node['id']}", never):
            return
        await self._orders.end(ctx, row.name, f"open.{node['id']}", of_node(node, Drain.SCOPE_UNCORDON))
        await ctx.again(self._t.look_again)

    async def _server(self, row: ClusterRow, node: Node) -> str:
        """The server that the node is: of its name, or of what its cloud calls it."""
        async with self._t.work.reading() as tx:
            known = await tx.enrolments(row.sovereign, row.name)
        for one in known:
            if one.server == node["id"] or (one.server_id and one.server_id == node.get("server_id")):
                return one.server
        raise StepFailed("SERVER_UNKNOWN", f"no server has enrolled that is node {node['id']}")


def _beat(ctx: Context, row: ClusterRow) -> Mapping[str, Any]:
    """The last sign of life, as long as it is one."""
    return {} if is_silent(row.heartbeat_at, ctx.now()) else row.heartbeat or {}


def going(row: ClusterRow, changes: Sequence[Mapping[str, Any]], action: str) -> list[Node]:
    """Nodes whose servers an accepted plan deletes, or replaces. Who took the place of one already is not among them."""
    mine = [change for change in changes if change["cluster"] == row.name and change["kind"] == "server"]
    names = {change["name"] for change in mine if change["action"] == action}
    ids = {one["id"] for one in (row.made or {}).get("servers", ()) if one["name"] in names}
    return [node for node in _on(row, names | ids) if not ids or node.get("server_id", "") in ("", *ids)]


@dataclass(frozen=True, slots=True)
class Ending:
    """What an accepted plan ends in a cluster: nodes that go, nodes that come back on other servers, and these servers."""

    leaving: Sequence[Node] = ()
    renewed: Sequence[Node] = ()
    servers: Mapping[str, str] = field(default_factory=dict)
    """Name and id of servers that somebody asked to be made anew."""
    grace: timedelta = GRACE

    @classmethod
    def of(cls, row: ClusterRow, tended: Sequence[Mapping[str, Any]], accepted: PlanRow | None) -> "Ending":
        """Read off the plan; an undo ends what it finds to be too much, and nothing that was asked for."""
        if accepted is None:
            return cls()
        deeds = [deed for deed in (Deed(**one) for one in tended) if deed.cluster == row.name and deed.server_id]
        grace = timedelta(seconds=deeds[0].grace) if deeds else GRACE
        gone, changes = {deed.server: deed.server_id for deed in deeds}, accepted.body["changes"]
        return cls(going(row, changes, "ACTION_DELETE"), going(row, changes, "ACTION_REPLACE"), gone, grace)


def taken_back(row: ClusterRow, changes: Sequence[Change]) -> list[Node]:
    """Nodes whose servers go because a change is undone; nothing is written yet of what that one had made."""
    mine = [c for c in changes if c.kind == "server" and c.action in (Action.DELETE, Action.REPLACE)]
    return _on(row, {c.name for c in mine} | {c.id for c in mine})


def _on(row: ClusterRow, servers: Collection[str]) -> list[Node]:
    """Nodes on servers of these names or ids."""
    nodes = (row.inventory or {}).get("nodes", ())
    return [node for node in nodes if {node["id"], node.get("server_id") or node["id"]} & set(servers)]


async def _tell_left(ctx: Context, node: Node, end: CommandEnd) -> None:
    if end.code:
        await ctx.emit("drain.refused", f"{node['id']}: {end.message}", level="warn")
    if end.remaining:
        await ctx.log(f"{node['id']}: still there: {', '.join(end.remaining[:20])}", level="WARN")
