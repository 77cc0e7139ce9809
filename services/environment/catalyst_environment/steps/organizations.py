"""How an Organization is made, and how it is taken away."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from catalyst_mesh import Work
from catalyst_mesh.journal import Backoff, Context, Step
from catalyst_sdk import Decision

from ..domain import applications, environments, members, organizations, webhooks
from ..domain.conditions import NOT_AVAILABLE, Condition
from ..domain.environments import Environment
from ..domain.organizations import Organization
from ..parts import NotAvailable, Part
from ..store import Store

CREATE, DELETE = "create-organization", "delete-organization"
PATIENCE = timedelta(minutes=10)


class Organizations:
    """The two graphs over the parts that an Organization has."""

    def __init__(self, work: Work[Store], parts: Sequence[Part], backoff: Backoff) -> None:
        self._work = work
        self._parts = parts
        self._backoff = backoff

    def create(self, _: Mapping[str, Any]) -> Iterable[Step]:
        """Account first, since nothing is to be had for nobody; then what else it needs, each for itself."""
        first, *rest = self._parts
        yield self._step(_named(first), partial(self._ensure, part=first), undo=partial(self._take_away, part=first))
        for part in rest:
            yield self._step(
                _named(part),
                partial(self._ensure, part=part),
                needs=(_named(first),),
                undo=partial(self._take_away, part=part),
            )  # fmt: skip - one step
        yield self._step("environment", self._environment, needs=tuple(map(_named, self._parts)))
        yield self._step("activate", self._activate, needs=("environment",))

    def delete(self, _: Mapping[str, Any]) -> Iterable[Step]:
        """Grace, then from the inside out; the name goes last, which tells all who keep something for it."""
        yield Step("grace", self._grace)
        yield self._step("purge", self._purge, needs=("grace",))
        yield self._step("environments", self._empty, needs=("purge",))
        yield self._step("members", self._leave, needs=("environments",))
        for part in self._parts:
            yield self._step(_named(part), partial(self._take_away, part=part), needs=("environments",))
        yield self._step("finish", self._finish, needs=("members", *map(_named, self._parts)))

    def _step(self, name: str, run: Callable[[Context], Awaitable[Any]], **rest: Any) -> Step:
        return Step(name, run, timeout=PATIENCE, backoff=self._backoff, **rest)

    async def _ensure(self, ctx: Context, part: Part) -> Any:
        held = await self._held(ctx)
        try:
            sentence = await part.ensure(held)
            seen = Condition(part.condition, True, "Made", sentence, ctx.now())
        except NotAvailable as missing:
            seen = Condition(part.condition, False, NOT_AVAILABLE, str(missing), ctx.now())
        await self._change(ctx, lambda held, now: organizations.note(held, seen, now))
        return {"made": bool(seen.holds), "message": seen.message}

    async def _take_away(self, ctx: Context, part: Part) -> None:
        await part.remove(await self._held(ctx))

    async def _environment(self, ctx: Context) -> str:
        held = await self._held(ctx)

        async def step(tx: Store) -> str:
            await ctx.guard(tx.sql)
            known = await tx.find(Environment, f"{held.slug}-{held.environment_type}", lock=True)
            if known is None or known.state is environments.State.DELETED:
                made = environments.create(known, held.slug, held.environment_type, (), tx.now)
                await tx.save(made.state)
                tx.emit(*made.events)
                known = made.state
            return known.name

        return await self._work.again(step)

    async def _activate(self, ctx: Context) -> None:
        await self._change(ctx, organizations.activate)

    async def _grace(self, ctx: Context) -> None:
        held = await self._held(ctx)
        if held.purge_at is not None:
            await ctx.until(held.purge_at)

    async def _purge(self, ctx: Context) -> None:
        await self._change(ctx, organizations.purge)

    async def _empty(self, ctx: Context) -> list[str]:
        held = await self._held(ctx)

        async def step(tx: Store) -> list[str] | None:
            await ctx.guard(tx.sql)
            gone, waits = [], False
            for one in await tx.environments(held.slug):
                standing = await tx.applications(one.id)
                for application in standing:
                    if application.busy and application.run != ctx.run_id:
                        return None  # nothing new begins by now, and what was begun ends soon
                    if application.state is not applications.State.UNINSTALLING:
                        left = applications.uninstall(application, ctx.run_id, tx.now)
                        await tx.save(left.state)
                        tx.emit(*left.events)
                if any(application.sights for application in standing):
                    waits = True  # until its clusters have let go of it
                    continue
                for application in await tx.applications(one.id):
                    removed = applications.remove(application, tx.now)
                    await tx.save(removed.state)
                    tx.emit(*removed.events)
                decided = environments.delete(one, tx.now)
                await tx.save(decided.state)
                tx.emit(*decided.events)
                gone.append(one.name)
            return None if waits else gone

        gone = await self._work.again(step)
        return await ctx.again(self._backoff.first) if gone is None else gone

    async def _leave(self, ctx: Context) -> int:
        held = await self._held(ctx)

        async def step(tx: Store) -> int:
            await ctx.guard(tx.sql)
            left = await tx.members(held.slug)
            for one in left:
                decided = members.leave(one, tx.now)
                await tx.save(decided.state)
                tx.emit(*decided.events)
            for webhook in await tx.webhooks(held.slug):
                await tx.forget_webhook(webhook.org, webhook.id)
                tx.emit(*webhooks.delete(webhook, tx.now).events)
            for open_one in await tx.invitations(held.slug):
                if open_one.state is members.InvitationState.PENDING:
                    await tx.save(members.revoke(open_one, tx.now).state)
            return len(left)

        return await self._work.again(step)

    async def _finish(self, ctx: Context) -> None:
        await self._change(ctx, organizations.finish)

    async def _held(self, ctx: Context) -> Organization:
        async with self._work.reading() as tx:
            held = await tx.find(Organization, ctx.input["organization"])
        assert held is not None, "a run is made with its Organization"
        return held

    async def _change(self, ctx: Context, decide: Callable[[Organization, Any], Decision[Organization]]) -> None:
        async def step(tx: Store) -> None:
            await ctx.guard(tx.sql)
            held = await tx.find(Organization, ctx.input["organization"], lock=True)
            assert held is not None, "as above"
            decided = decide(held, tx.now)
            await tx.save(decided.state)
            tx.emit(*decided.events)

        await self._work.again(step)


def _named(part: Part) -> str:
    """Name of a part's step: `Vcluster` is `vcluster`, `EventBus` is `event-bus`."""
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in part.condition).lstrip("-")
