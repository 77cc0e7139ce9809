"""What steps work with, and the few questions that all of them ask."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from catalyst_mesh import Work
from catalyst_mesh.journal import Context, StepBlocked, StepFailed
from catalyst_sdk import Permanent
from catalyst_sdk.cloud import CloudProvider, Finding

from ..domain import wishes
from ..domain.locks import Component, Lock
from ..domain.mirrors import REGISTRY
from ..domain.patience import BLOCKING
from ..domain.sovereign import Sovereign
from ..domain.wishes import Wish
from ..gitserver import Passwords
from ..peers import Names
from ..planning import Planner
from ..repository import Repositories
from ..store import ClusterRow, PlanRow, Store
from ..vault import Vault
from ..workspaces import LedgerWorkspace, Place
from ..zones import Zones

T = TypeVar("T")
UNDO_PATIENCE = timedelta(minutes=10)
PROBED = "probed"
"""Fact of a Sovereign: its console was seen to answer. It ends with the first step of a change."""


class ServesTrees(Protocol):
    """Where trees can be pulled."""

    def url(self, sovereign: str) -> str: ...


class Probes(Protocol):
    """Looks at a Sovereign from outside."""

    async def console(self, fqdn: str, ports: Mapping[str, int]) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Tools:
    """Everything that steps are handed."""

    work: Work[Store]
    vault: Vault
    planner: Planner
    names: Names
    zones: Zones
    repositories: Repositories
    trees: ServesTrees
    passwords: Passwords
    probe: Probes
    endpoint: str
    ca_pin: str
    """gRPC target under which agents reach us."""
    look_again: timedelta
    """Pause between two looks at what others do."""
    reservation_ttl: timedelta
    enrolment_ttl: timedelta
    blocked_rest: timedelta
    """Pause between two looks at what only somebody outside can change: stock, quota, a credential."""
    destroy_pause: timedelta
    """Pause between the two looks of a destroy."""
    undo_patience: timedelta
    """How long an undo looks at a cluster that does not become empty, before it says what is left."""
    tofu: asyncio.Semaphore
    """As many of the tool's processes as this machine bears at a time."""
    registry: str = REGISTRY

    async def sovereign(self, ctx: Context) -> Sovereign:
        """The Sovereign of the run."""
        async with self.work.reading() as tx:
            found = await tx.sovereign(ctx.input["sovereign"])
        if found is None or found.uid != ctx.input["uid"]:
            raise StepFailed("SOVEREIGN_GONE", "the Sovereign of this run is no more")
        return found

    async def plan(self, ctx: Context) -> PlanRow:
        """The plan of the run."""
        async with self.work.reading() as tx:
            found = await tx.plan(ctx.input["sovereign"], ctx.input["plan"])
        if found is None:
            raise StepFailed("PLAN_GONE", "the plan of this run is no more")
        return found

    async def wish(self, ctx: Context) -> tuple[Sovereign, PlanRow, Wish]:
        """Sovereign, plan, and what the plan wishes."""
        plan = await self.plan(ctx)
        clouds, reference = self.planner.clouds.clouds, self.planner.reference
        return await self.sovereign(ctx), plan, wishes.read(plan.body["spec"], clouds, reference)

    async def cluster(self, ctx: Context, name: str) -> ClusterRow:
        """One cluster of the run."""
        async with self.work.reading() as tx:
            found = await tx.cluster(ctx.input["sovereign"], name)
        if found is None:
            raise StepFailed("CLUSTER_GONE", f"cluster {name} is not known any more")
        return found

    @asynccontextmanager
    async def at_cloud(self, provider: str) -> AsyncIterator[CloudProvider]:
        """The plugin, in its turn where it has a tool work for it."""
        plugin = self.planner.clouds.get(provider)
        if self.planner.clouds.module_digests([provider]):
            async with self.tofu:
                yield plugin
        else:
            yield plugin

    def workspace(self, ctx: Context, row: ClusterRow, *, undoing: bool = False) -> LedgerWorkspace:
        """What the cloud plugin is handed for a cluster. An undo is what a cancel asks for, so it is not stopped by one."""
        place = Place(row.sovereign, row.name, row.provider, row.credential, ctx.run_id)
        deadline = ctx.deadline or ctx.now() + timedelta(hours=1)

        async def tell(code: str, message: str, *, level: str = "info", data: Mapping[str, str] | None = None) -> None:
            await ctx.log(f"{code}: {message}", level=level.upper())
            await ctx.emit(code, message, level=level, data=data)

        return LedgerWorkspace(
            self.work, self.vault, place, deadline,
            endpoint=self.endpoint, ca_pin=self.ca_pin, token_ttl=self.enrolment_ttl, emit=tell, log=ctx.log, guard=ctx.guard,
            is_cancelled=lambda: ctx.cancelled and not undoing,
        )  # fmt: skip


async def patiently(tools: Tools, call: Awaitable[T]) -> T:
    """What a cloud answers. Raises StepBlocked where stock, quota or credential stand in the way."""
    try:
        return await call
    except Permanent as failure:
        if failure.reason in BLOCKING:
            raise StepBlocked(failure, tools.blocked_rest) from failure
        raise


def blocked(tools: Tools, findings: Sequence[Finding]) -> StepBlocked | None:
    """The same where findings say so, and nothing but such."""
    reasons = [finding.code.partition(".")[0].upper() for finding in findings]
    if not findings or not set(reasons) <= BLOCKING:
        return None
    text = "; ".join(f"{finding.code}: {finding.message}" for finding in findings)
    why = Permanent(reasons[0], text, provider_code=findings[0].code, user_action=findings[0].remedy)
    return StepBlocked(why, tools.blocked_rest)


async def targets_of(tools: Tools, ctx: Context, wish: Wish) -> list[tuple[str, str]]:
    """Slots and addresses of all load balancers: the front's by default, with several clusters each by its location."""
    targets: list[tuple[str, str]] = []
    for cluster in wish.clusters:
        row = await tools.cluster(ctx, cluster.name)
        if not row.addresses:
            raise StepFailed("NO_ADDRESS", f"{cluster.name} has no load balancer with an address")
        if cluster is wish.front:
            targets += [("default", address) for address in row.addresses]
        if len(wish.clusters) > 1:
            targets += [(cluster.location_code, address) for address in row.addresses]
    return targets


def lock_of(plan: PlanRow) -> Lock:
    """The lock that the plan shows, read off its first cluster."""
    rows = [row for row in plan.body["components"] if row["action"] != "ACTION_REMOVE"]
    first = rows[0]["cluster"] if rows else ""
    components = tuple(
        Component(
            row["blueprint"],
            row["version"],
            row["digest"],
            tuple(row["needs"]),
            row["wave"],
            row["optional"],
            row["requested"],
        )
        for row in sorted(rows, key=lambda row: int(row["order"]))
        if row["cluster"] == first
    )  # fmt: skip - in the order of the fields
    return Lock(plan.body["inputs"]["lock_digest"], components)
