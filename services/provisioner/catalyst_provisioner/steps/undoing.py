"""What a cancel that compensates takes back: of a creation everything, of a change the change alone.

Invariants
  never more      what stood before a change stands after its undo: what was active once is not taken away by a cancel;
  known           where nothing says what was before, nothing is taken back, and what stands is named;
  again, empty    a cluster that a change had taken away is made anew under its name and number; what it held is lost, which
                  the plan of the change had said.
"""

from datetime import timedelta

from catalyst_mesh.journal import Context, StepFailed

from ..domain import applied, cidrs
from ..domain.applied import Applied
from ..store import Store
from .delegating import Delegating
from .making import Making
from .naming import Naming
from .removing import NUMBER
from .tools import Tools

LOOK_PATIENCE = timedelta(minutes=1)
"""How long a console is waited for after an undo; an undo ends without it, and the Sovereign is not Ready then."""


class Undoing:
    """Undoes of the steps of a creation or a change."""

    def __init__(self, tools: Tools, making: Making, naming: Naming, owning: Delegating) -> None:
        self._t = tools
        self._making = making
        self._naming = naming
        self._owning = owning

    async def infra(self, ctx: Context, cluster: str) -> None:
        """Take the cluster away, or have its resources as they were."""
        before = await self._before(ctx)
        if before is None or cluster not in before.names:
            await self._making.unmake(ctx, cluster)
            return
        await self._making.made(ctx, cluster, self._t.planner.wish(before.spec), None)
        # A balancer that was made again has another address than the one that names were led back to.
        await self._led_back(ctx, before)

    async def left(self, ctx: Context, cluster: str) -> None:
        """Make a cluster anew that had been taken away."""
        before = await self._applied(ctx)
        if before is None or cluster not in before.names:
            return
        one = next(one for one in before.clusters if one.name == cluster)

        async def lowest() -> int:
            async with self._t.work.reading() as tx:
                return cidrs.next_index([row.number for row in await tx.clusters(ctx.input["sovereign"])])

        number = int(await ctx.once(NUMBER, lowest))

        async def wish(tx: Store) -> None:
            if await tx.cluster(ctx.input["sovereign"], cluster) is None:
                await tx.wish_cluster(
                    ctx.input["sovereign"], cluster, number=number, provider=one.provider, region=one.region,
                    credential=one.credential, spec=one.spec,
                )  # fmt: skip
            await tx.wish_components(ctx.input["sovereign"], cluster, before.lock)

        await self._t.work.again(wish)
        await self._making.made(ctx, cluster, self._t.planner.wish(before.spec), None)
        await ctx.emit("cluster.made_again", f"{cluster} is there again, without what it held", level="warn")

    async def tree(self, ctx: Context) -> None:
        """Remove the tree, or commit what it was."""
        before = await self._before(ctx)
        if before is None:
            await self._making.unrender(ctx)
        else:
            await self._making.rendered_as(ctx, applied.risen(before, ctx.input["clusters"]))

    async def lead(self, ctx: Context) -> None:
        """Give the name back, or lead it to where it led."""
        before = await self._before(ctx)
        if before is not None:
            await self._led_back(ctx, before)
        elif not _is_own(ctx):  # a zone of its own goes with the step that made it
            await self._naming.release(ctx)

    async def name(self, ctx: Context) -> None:
        """Give the name back, or, where it stays, look from outside whether all is as it was."""
        before = await self._before(ctx)
        if before is None:
            await (self._owning.drop(ctx) if _is_own(ctx) else self._naming.release(ctx))
            return
        seen = await self._making.answered(ctx, self._t.planner.wish(before.spec))
        if seen is None and ctx.now().timestamp() - await self._moment(ctx) < LOOK_PATIENCE.total_seconds():
            await ctx.again(self._t.look_again)

    async def _led_back(self, ctx: Context, before: Applied) -> None:
        wish = self._t.planner.wish(before.spec)
        await (self._owning if _is_own(ctx) else self._naming).led(ctx, wish)

    async def _before(self, ctx: Context) -> Applied | None:
        """What was before this change, as far as its clusters are still there; None for a creation."""
        before = await self._applied(ctx)
        if before is None:
            return None
        async with self._t.work.reading() as tx:
            rows = await tx.clusters(ctx.input["sovereign"])
        return applied.without(before, [row.name for row in rows])

    async def _applied(self, ctx: Context) -> Applied | None:
        """What was before this change; None for a creation."""
        sovereign = await self._t.sovereign(ctx)
        if sovereign.activated_at is None:
            return None
        async with self._t.work.reading() as tx:
            before = await tx.applied_state(sovereign.id)
        if before is None:
            text = f"nothing says what {sovereign.name} was before; what this run made stays"
            raise StepFailed("BEFORE_UNKNOWN", text, user_action="plan what it should be, and apply it")
        return before

    async def _moment(self, ctx: Context) -> float:
        """When this undo began to look."""

        async def now() -> float:
            return ctx.now().timestamp()

        return float(await ctx.once("undo.began", now))


def _is_own(ctx: Context) -> bool:
    domain = ctx.input.get("domain") or {"mode": "pool"}
    return str(domain["mode"]) != "pool"
