"""How Applications are written into Git, and taken out of it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from catalyst_mesh import Work
from catalyst_mesh.journal import Backoff, Context, Step
from catalyst_sdk import Decision, Temporary

from ..domain import applications, promotions, running, trees
from ..domain.applications import Application
from ..domain.environments import BRANCHES
from ..repositories import Head, Moved, Repositories
from ..store import Store

INSTALL, CHANGE, UNINSTALL = "install-application", "change-application", "uninstall-application"
PROMOTE = "promote-application"
PATIENCE = timedelta(minutes=2)


class Applications:
    """The graphs over Applications, one step for each."""

    def __init__(self, work: Work[Store], repositories: Repositories, backoff: Backoff) -> None:
        self._work = work
        self._repositories = repositories
        self._backoff = backoff

    def write(self, input: Mapping[str, Any]) -> Iterable[Step]:
        """Each after those before it, since these are what it needs; then nobody works on them any more."""
        return self._graph(input, "write", self._write, self._unwrite)

    def remove(self, input: Mapping[str, Any]) -> Iterable[Step]:
        """Whoever needs others goes before them."""
        # Its own step and without an end: while a cluster has it, it is not gone here; the condition `Left` names which, and
        # after five minutes says that it is overdue.
        yield Step("leave", self._leave, backoff=self._backoff)
        yield from self._graph(input, "remove", self._remove, None, after=("leave",))

    def promote(self, input: Mapping[str, Any]) -> Iterable[Step]:
        """A merge of the candidate into the branch of the Environment."""
        return self._graph(input, "merge", self._merge, None)

    def _graph(
        self, input: Mapping[str, Any], verb: str, run: Callable[..., Awaitable[Any]],
        undo: Callable[..., Awaitable[Any]] | None, after: tuple[str, ...] = (),
    ) -> Iterable[Step]:  # fmt: skip
        last = after
        for id in input["applications"]:
            name = f"{verb}.{id}"
            back = partial(undo, id=id) if undo else None
            yield Step(
                name, partial(run, id=id), undo=back, needs=last, timeout=PATIENCE, backoff=self._backoff, component=id
            )
            last = (name,)
        yield Step("settle", self._settle, needs=last, backoff=self._backoff)

    async def _write(self, ctx: Context, id: str) -> str:
        held = await self._held(ctx, id)
        message = f"{ctx.step.name.partition('.')[0]} {held.blueprint} {held.pin.release}\n\nRun: {ctx.run_id}\n"
        commit = await asyncio.to_thread(self._written, held, partial(trees.files, held), message, ctx.now())
        await self._change(ctx, id, lambda held, now: applications.committed(held, commit, now))
        return commit

    async def _unwrite(self, ctx: Context, id: str) -> str:
        """Write what stood before; what is new leaves nothing."""
        held = await self._held(ctx, id)
        if held.state is applications.State.DELETED:
            return ""
        kept = held.before_change()
        tree = partial(trees.files, kept) if kept is not None else trees.without
        commit = await asyncio.to_thread(self._written, held, tree, f"Take back run {ctx.run_id}\n", ctx.now())
        await self._change(ctx, id, lambda held, now: applications.take_back(held, commit, now))
        await self._cleared(held)
        return commit

    async def _merge(self, ctx: Context, id: str) -> str:
        held = await self._held(ctx, id)
        candidate = str(ctx.input["commit"])
        theirs = await asyncio.to_thread(self._repositories.files, held.org, id, candidate)
        message = f"Promote {held.blueprint} {held.pin.release}\n\nPromotion: {ctx.input['promotion']}\n"
        tree = partial(trees.merged, theirs, kind=held.environment.rpartition("-")[2])
        commit = await asyncio.to_thread(self._written, held, tree, message, ctx.now(), candidate)
        await self._change(ctx, id, lambda held, now: applications.committed(held, commit, now))
        return commit

    async def _leave(self, ctx: Context) -> None:
        """Wait until no cluster has any of them any more."""
        left = [id for id in ctx.input["applications"] if (await self._held(ctx, id)).sights]
        for id in left:
            await self._change(ctx, id, running.leave)
        if left:
            await ctx.again(self._backoff.first)

    async def _remove(self, ctx: Context, id: str) -> None:
        held = await self._held(ctx, id)
        await asyncio.to_thread(self._written, held, trees.without, f"Remove {id}\n\nRun: {ctx.run_id}\n", ctx.now())
        await self._change(ctx, id, applications.remove)
        await self._cleared(held)

    async def _settle(self, ctx: Context) -> None:
        for id in ctx.input["applications"]:
            await self._change(ctx, id, applications.settle)
        if promotion := ctx.input.get("promotion"):
            await self._work.again(partial(self._merged, ctx, str(promotion)))

    async def _merged(self, ctx: Context, id: str, tx: Store) -> None:
        await ctx.guard(tx.sql)
        held = await tx.promotion(ctx.input["environment"], id)
        if held is not None:
            await tx.save(promotions.end(held, promotions.State.MERGED, tx.now).state)

    async def _cleared(self, held: Application) -> None:
        """Set the repository aside where no Environment has the Application any more."""
        async with self._work.reading() as tx:
            others = await tx.lives(held.org, held.id)
        if not others:
            await asyncio.to_thread(self._repositories.remove, held.org, held.id)

    def _written(
        self,
        held: Application,
        tree: Callable[[Mapping[str, bytes]], Mapping[str, bytes]],
        message: str,
        now: datetime,
        merging: str | None = None,
    ) -> str:  # fmt: skip - one signature
        """Bring the branch of its Environment to `tree` of what stands there; the id of its head."""
        head = self._begun(held)
        present = self._repositories.files(held.org, held.id, head.id)
        at = int(now.timestamp())
        try:
            return self._repositories.commit(
                held.org, held.id, branch_of(held), tree(present), message, at, onto=head.id, merging=merging
            )
        except Moved as error:  # a person was faster: what it wrote is read and kept
            raise Temporary("the branch has moved; it is read again") from error

    def _begun(self, held: Application) -> Head:
        """The head of its branch, made where there is none."""
        at = int(held.created_at.timestamp())
        for branch in dict.fromkeys((*trees.STANDARD, branch_of(held))):
            if self._repositories.head(held.org, held.id, branch) is None:
                files = trees.scaffold(held.org, held.id)
                self._repositories.commit(held.org, held.id, branch, files, "Begin\n", at, onto=None)
        head = self._repositories.head(held.org, held.id, branch_of(held))
        assert head is not None, "it was just made"
        return head

    async def _held(self, ctx: Context, id: str) -> Application:
        async with self._work.reading() as tx:
            held = await tx.find(Application, ctx.input["environment"], id)
        assert held is not None, "a run is made with its Applications"
        return held

    async def _change(
        self, ctx: Context, id: str, decide: Callable[[Application, datetime], Decision[Application]]
    ) -> None:
        async def step(tx: Store) -> None:
            await ctx.guard(tx.sql)
            held = await tx.find(Application, ctx.input["environment"], id, lock=True)
            assert held is not None, "as above"
            decided = decide(held, tx.now)
            if decided.state is not held:
                await tx.save(decided.state)
            tx.emit(*decided.events)

        await self._work.again(step)


def branch_of(held: Application) -> str:
    """The branch of its Environment."""
    return BRANCHES[held.environment.rpartition("-")[2]].format(app=held.id)
