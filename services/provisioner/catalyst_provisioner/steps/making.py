"""Steps that make a Sovereign: check, resources, tree, servers, components, and the look from outside."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeVar

from catalyst.provisioner.v1.resources_pb2 import AgentCommand
from catalyst_mesh.journal import Context, StepFailed
from catalyst_sdk.cloud import InfraPlan, Severity

from ..domain import claims, joins, staleness, trees
from ..domain.applied import Applied
from ..domain.component_states import ComponentState
from ..domain.conditions import LEAST_LIFE, is_silent
from ..domain.locks import Lock
from ..domain.requests import cluster_request
from ..domain.rolling import PLANE
from ..domain.sovereign import Sovereign
from ..domain.wishes import Cluster, Wish
from ..pushing import Change
from ..store import ClusterRow, ComponentRow, PlanRow, Store
from ..store.secrets import LOST
from .ordering import Ordering
from .publishing import Publishing
from .removing import Removing
from .rolling import Ending, Rolling, taken_back
from .tools import PROBED, Tools, blocked, lock_of, patiently

T = TypeVar("T")


class Making:
    """Steps of a creation or a change."""

    def __init__(self, tools: Tools) -> None:
        self._t = tools
        self._orders = Ordering(tools)
        self._rolling = Rolling(tools)
        self._publishing = Publishing(tools)
        self._removing = Removing(tools)

    async def validate(self, ctx: Context) -> Any:
        """What the plan found is still so: credential, quota, stock."""
        sovereign, _, wish = await self._t.wish(ctx)
        errors = []
        for cluster in wish.clusters:
            row = await self._t.cluster(ctx, cluster.name)
            looking = self._t.planner.survey.findings(sovereign, wish, cluster, row.number, row.adopted)
            found = await patiently(self._t, looking)
            errors += [finding for finding in found if finding.severity is Severity.ERROR]
        if waits := blocked(self._t, errors):
            raise waits
        if errors:
            text = "; ".join(f"{finding.code}: {finding.message}" for finding in errors)
            raise StepFailed("PLAN_DIVERGED", text, user_action=errors[0].remedy)
        return {"clusters": len(wish.clusters)}

    async def infra(self, ctx: Context, cluster: str) -> Any:
        """Make the cluster's resources as planned; again and again it finds what it made before."""
        await self._demand_name(ctx)
        _, accepted, wish = await self._t.wish(ctx)
        return await self.made(ctx, cluster, wish, accepted)

    async def made(self, ctx: Context, cluster: str, wish: Wish, accepted: PlanRow | None) -> Any:
        """Make the cluster's resources so. Without a plan that was accepted it is an undo, which nobody has to agree to.

        An undo waits for nothing that only somebody outside can change: it ends, and another cancel or plan goes on from it.
        """
        sovereign, row = await self._t.sovereign(ctx), await self._t.cluster(ctx, cluster)
        if await self._is_given(row):
            return {"addresses": list(row.addresses), "kept_by": claims.CROSSPLANE}
        wanted = next(c for c in wish.clusters if c.name == cluster)
        tended = ctx.input.get("tended", ())
        ending = await self._rolling.begun(ctx, row) if accepted is None else Ending.of(row, tended, accepted)
        request = cluster_request(
            sovereign, wish, wanted, row.number, self._t.planner.reference, row.adopted, ending.servers
        )
        work = self._t.workspace(ctx, row, undoing=accepted is None)

        async def answered(call: Awaitable[T]) -> T:
            return await (call if accepted is None else patiently(self._t, call))

        leaving, renewed = ending.leaving, ending.renewed
        # Of a cluster without another server of its control plane nothing stays that could empty or forget.
        if wanted.control_plane.count == 1:
            renewed = [node for node in renewed if node.get("role") != PLANE]
        await self._rolling.emptied(ctx, row, [*leaving, *renewed], ending.grace)
        await self._rolling.given_up(ctx, row, renewed)
        async with self._t.at_cloud(row.provider) as plugin:
            plan = await answered(plugin.plan(request=request, work=work))
            self._demand_agreed(plan, accepted, cluster)
            counted = Counter(change.action.value for change in plan.changes)
            text = ", ".join(f"{n} {action}" for action, n in sorted(counted.items())) or "nothing"
            await ctx.log(f"{cluster}: {text}")
            if accepted is None:
                leaving = taken_back(row, plan.changes)
                await self._rolling.emptied(ctx, row, leaving)
            await self._anew(ctx, row, plan)
            made = asdict(await answered(plugin.apply(plan=plan, work=work)))

        async def keep(tx: Store) -> None:
            known = await tx.cluster(row.sovereign, cluster)
            values = {"made": made} | ({} if known and known.made_at else {"made_at": tx.now})
            await tx.change_cluster(row.sovereign, cluster, **values)

        await self._t.work.again(keep)
        await self._rolling.forgotten(ctx, row, leaving)
        return {"addresses": [b["ipv4"] for b in made["load_balancers"]], "servers": len(made["servers"])}

    async def _anew(self, ctx: Context, row: ClusterRow, plan: InfraPlan) -> None:
        """Forget the life of a cluster that has no control plane left: whoever is made next makes a cluster, and joins none."""

        async def look() -> bool:
            async with self._t.work.reading() as tx:
                held = [entry.row for entry in await tx.entries(row.sovereign, row.name)]
            servers = (row.made or {}).get("servers", ())
            if row.enrolled_at is None or not joins.begins_anew(servers, held, plan.changes):
                return False
            await self._t.work.again(lambda tx: tx.forget_life(row.sovereign, row.name))
            await ctx.emit(
                "cluster.anew", f"{row.name} has no control plane left, and begins anew, empty", level="warn"
            )
            return True

        # Only before the first resource: what this run has made since then is no reason to begin once more.
        await ctx.once("anew", look)

    def _demand_agreed(self, plan: InfraPlan, accepted: PlanRow | None, cluster: str) -> None:
        """Whether the cloud would do what was agreed to, and nothing else. Raises StepBlocked, StepFailed."""
        if not plan.is_applicable:
            errors = [f for f in plan.findings if f.severity is Severity.ERROR]
            if accepted is not None and (waits := blocked(self._t, errors)):
                raise waits
            raise StepFailed(errors[0].code, errors[0].message, user_action=errors[0].remedy)
        if accepted is None:
            return
        agreed = [row for row in accepted.body["changes"] if row["cluster"] == cluster]
        if strange := staleness.diverged(agreed, plan.changes):
            text = f"{cluster}: the cloud would do what nobody agreed to: {'; '.join(strange[:5])}"
            raise StepFailed("PLAN_DIVERGED", text, user_action="plan again, and agree to the new plan")

    async def unmake(self, ctx: Context, cluster: str) -> Any:
        """Take the cluster away with all that it made, but for what was there before us and was adopted."""
        row = await self._t.cluster(ctx, cluster)
        if await self._is_given(row):
            return
        await self._removing.cleared(ctx, row, [adopted.id for adopted in row.adopted.values()], undoing=True)

        await self._t.work.again(lambda tx: tx.forget_life(row.sovereign, cluster))

    async def render(self, ctx: Context) -> Any:
        """Commit the tree of this plan."""
        return await self.rendered(ctx)

    async def rendered(self, ctx: Context, looking: Collection[str] = ()) -> Any:
        """Commit the tree; in the clusters `looking` all claims only look, in the others Crossplane's manage."""
        sovereign, plan, wish = await self._t.wish(ctx)
        lock = await self._lock(plan, sovereign)
        return await self._committed(ctx, wish, lock, plan.hash, looking, ctx.input["generation"])

    async def rendered_as(self, ctx: Context, before: Applied) -> Any:
        """Commit the tree of a state before; what is wished then is one generation further."""
        wish = self._t.planner.wish(before.spec)
        return await self._committed(ctx, wish, before.lock, before.hash, (), ctx.input["generation"] + 1)

    async def _committed(
        self, ctx: Context, wish: Wish, lock: Lock, hash: str, looking: Collection[str], generation: int
    ) -> Any:
        sovereign, plan = await self._t.sovereign(ctx), await self._t.plan(ctx)
        facts = trees.TreeFacts(
            sovereign=sovereign.name,
            fqdn=wish.fqdn,
            organization=wish.organization,
            generation=generation,
            plan_hash=hash,
            registry=self._t.registry,
            clusters=tuple(
                {"name": c.name, "provider": c.provider, "region": c.region, "building_block": c.block,
                 "env_type": c.env_type, "location_code": c.location_code, "k3s_version": c.k3s}
                for c in wish.clusters
            ),
            values=wish.values,
            claims=await self._claims(sovereign, wish, looking),
            probes=self._t.planner.reference.probes,
            mirrors=wish.mirrors,
        )  # fmt: skip
        files = trees.render(facts, lock)
        message = f"{plan.name}\n\nhash {hash}\n"
        at = int(plan.created_at.timestamp())
        sign = await self._publishing.signer(plan.body["spec"])
        commit = await asyncio.to_thread(
            self._t.repositories.commit, sovereign.id, sovereign.uid, files, message, at, sign
        )
        await self._t.work.again(lambda tx: tx.observe(sovereign.id, "tree", commit))
        await ctx.log(f"{len(files)} files in commit {commit}")
        await self._publishing.published(
            ctx, plan.body["spec"], Change(trees.root_of(wish.fqdn), files, message, at, sign)
        )
        return {"commit": commit, "files": len(files)}

    async def _lock(self, plan: PlanRow, sovereign: Sovereign) -> Lock:
        """What the plan installs; a plan without components leaves what is wished as it is."""
        if plan.body["components"]:
            return lock_of(plan)
        async with self._t.work.reading() as tx:
            rows = await tx.components(sovereign.id)
        first = [row for row in rows if row.cluster == rows[0].cluster]
        return Lock(sovereign.lock_digest, tuple(row.wished for row in first))

    async def _claims(self, sovereign: Sovereign, wish: Wish, looking: Collection[str]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        async with self._t.work.reading() as tx:
            rows = {row.name: row for row in await tx.clusters(sovereign.id)}
            entries = await tx.entries(sovereign.id)
        for cluster in wish.clusters:
            looks, row = cluster.name in looking, rows[cluster.name]
            held = [e.row for e in entries if e.cluster == cluster.name and (looks or e.manager == claims.CROSSPLANE)]
            request = cluster_request(sovereign, wish, cluster, row.number, self._t.planner.reference, row.adopted)
            servers = (row.made or {}).get("servers", ())
            made[cluster.name] = claims.render(
                held, request, servers, cluster.provider, self._t.planner.reference, observe_only=looks
            )
        return made

    async def unrender(self, ctx: Context) -> Any:
        """Remove the tree."""
        await self._publishing.withdrawn(ctx)
        await asyncio.to_thread(self._t.repositories.remove, ctx.input["sovereign"])
        await self._t.work.again(lambda tx: tx.unobserve(ctx.input["sovereign"], "tree"))

    async def enrol(self, ctx: Context, cluster: str) -> Any:
        """Wait for the first sign of life."""
        row = await self._t.cluster(ctx, cluster)
        if row.heartbeat_at is None or row.heartbeat is None:
            await ctx.again(self._t.look_again)
        return {"enrolled_at": row.enrolled_at.isoformat() if row.enrolled_at else ""}

    async def quorum(self, ctx: Context, cluster: str) -> Any:
        """Wait until the API is healthy and all servers of the control plane vote."""
        beat, wanted = await self._beat(ctx, cluster)
        if not beat.get("api_healthy") or int(beat.get("voting_members", 0)) < wanted.control_plane.count:
            await ctx.again(self._t.look_again)
        return {"voting": int(beat["voting_members"])}

    async def workers(self, ctx: Context, cluster: str) -> Any:
        """Wait until all nodes that are wished are ready."""
        beat, wanted = await self._beat(ctx, cluster)
        if int(beat.get("ready_nodes", 0)) < wanted.nodes:
            await ctx.again(self._t.look_again)
        return {"nodes": int(beat["ready_nodes"])}

    async def kit(self, ctx: Context, cluster: str, component: str) -> Any:
        """Wait until the component is seen to be ready; a repeated try has its controller try anew first."""
        row = await self._component(ctx, cluster, component)
        if row.state is ComponentState.READY:
            return {"version": row.release.version if row.release else "", "digest": row.wished_digest}
        poked = await self._poked(ctx, cluster, component) if ctx.attempt > 1 else True
        if row.state is ComponentState.FAILED and poked:
            raise StepFailed("COMPONENT_FAILED", row.message or f"{component} failed", user_action="retry the step")
        await ctx.again(self._t.look_again)
        return None

    async def probe(self, ctx: Context) -> Any:
        """See the console answer, by the name, at the address that every authoritative server gives."""
        _, _, wish = await self._t.wish(ctx)
        seen = await self.answered(ctx, wish)
        if seen is None:
            await ctx.again(self._t.look_again)
        return seen

    async def answered(self, ctx: Context, wish: Wish) -> dict[str, Any] | None:
        """What the console has answered, written down; None where it does not answer as it should."""
        row = await self._t.cluster(ctx, wish.front.name)
        seen = dict(await self._t.probe.console(wish.fqdn, http_ports(row)))
        if seen["status"] != 200 or _ends_soon(seen, ctx.now()):
            await ctx.log(f"{seen}", level="INFO")
            return None
        await self._t.work.again(lambda tx: tx.observe(ctx.input["sovereign"], PROBED, seen))
        return seen

    async def _beat(self, ctx: Context, cluster: str) -> tuple[Mapping[str, Any], Cluster]:
        """The last sign of life, as long as it is one, and what is wished."""
        _, _, wish = await self._t.wish(ctx)
        row = await self._t.cluster(ctx, cluster)
        beat = {} if is_silent(row.heartbeat_at, ctx.now()) else row.heartbeat or {}
        return beat, next(c for c in wish.clusters if c.name == cluster)

    async def _component(self, ctx: Context, cluster: str, component: str) -> ComponentRow:
        async with self._t.work.reading() as tx:
            row = await tx.component(ctx.input["sovereign"], cluster, component)
        if row is None:
            raise StepFailed("COMPONENT_GONE", f"{component} is not wished any more")
        return row

    async def _poked(self, ctx: Context, cluster: str, component: str) -> bool:
        """Whether the agent has done what this try asked it for: to begin anew with all retries."""
        reset = AgentCommand.Reconcile(action=AgentCommand.Reconcile.ACTION_RESET, components=[component])
        key = f"reset.{ctx.attempt}"
        return await self._orders.end(ctx, cluster, key, AgentCommand(reconcile=reset)) is not None

    async def _is_given(self, row: ClusterRow) -> bool:
        async with self._t.work.reading() as tx:
            return any(e.manager == claims.CROSSPLANE for e in await tx.entries(row.sovereign, row.name))

    async def _demand_name(self, ctx: Context) -> None:
        id = ctx.input["sovereign"]
        async with self._t.work.reading() as tx:
            held, seen = await tx.reservation(id), await tx.facts(id)
        own = str(seen.get("name_held", ("",))[0] or "").startswith("zones/")
        if not own and (held is None or held.state == LOST):
            raise StepFailed(
                "NAME_LOST", "the name was lost before anything was spent", user_action="retry name.reserve"
            )


def _ends_soon(seen: Mapping[str, Any], now: datetime) -> bool:
    """Whether the certificate that was shown has less than a week left."""
    return "tls_until" in seen and datetime.fromisoformat(seen["tls_until"]) - now < LEAST_LIFE


def http_ports(row: ClusterRow) -> Mapping[str, int]:
    """Scheme to port of the cluster's ingress."""
    balancers = (row.made or {}).get("load_balancers", ())
    return next((dict(b["ports"]) for b in balancers if b["purpose"] == "ingress"), {})
