"""The way back of a flip, as a run on the journal: let-go → unsecure → restore → caches → rekey → returned.

Where the registrar never said what became of a change, that may land when all is back already. So it is looked for a while
before the end, and what has landed is taken back by the same steps once more; what lands later still is the affair of `late`.

Name servers never stand at the parent beside a DS whose key they do not have: DS of the new servers go first, those of the old
ones come last. Where the new servers are dead there is nothing to wait for in between. While the parent vouches for both hosts,
which show each other's keys, only the name servers change, and the DS of the new ones goes last.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from catalyst_mesh.journal import Context, Engine, Kind, RunNotFound, RunState, RunView, Step, StepFailed
from catalyst_sdk import Permanent
from catalyst_sdk.registrar import Delegation as Shown
from catalyst_sdk.registrar import DnsKey, Target, TaskState
from sqlalchemy.ext.asyncio import AsyncConnection

from catalyst_pool_domain_manager.domain import conditions as c
from catalyst_pool_domain_manager.domain import delegations
from catalyst_pool_domain_manager.domain.delegations import Delegation
from catalyst_pool_domain_manager.domain.registrars import reason_of
from catalyst_pool_domain_manager.store import Store

from .doors import Door
from .flips import BACK, own_lifetime
from .moving import Moving, ds_of, observed

FLOW = "back"


@dataclass
class Returning:
    """The steps of a run that restores a snapshot. `engine` is set once it is made of the kinds."""

    moving: Moving
    engine: Engine | None = None

    @property
    def kind(self) -> Kind:
        """For the engine."""
        return Kind(BACK, self._graph, settled=self._settled)

    def _graph(self, input: Mapping[str, Any]) -> Iterable[Step]:
        late = (("late", self._late), *self._restoring("-again")) if input.get("unknown") else ()
        steps = (
            ("let-go", self._let_go),
            *self._restoring(""),
            *late,
            ("rekey", self._rekey),
            ("returned", self._returned),
        )  # fmt: skip - reads as a table
        before: tuple[str, ...] = ()
        for name, run in steps:
            yield self.moving.step(FLOW, name, run, *before)
            before = (name,)

    def _restoring(self, time: str) -> tuple[tuple[str, Callable[[Context], Awaitable[Any]]], ...]:
        """Steps from whatever of old and new the parent shows to the snapshot without its DS; `time` ends their names."""
        return (
            (f"unsecure{time}", self._unsecure),
            (f"restore{time}", self._restore),
            (f"caches{time}", partial(self._caches, f"restore{time}")),
        )  # fmt: skip - reads as a table

    async def _let_go(self, ctx: Context) -> Any:
        """The run that moved it has ended, and the registrar has no change of it in hand that could still come."""
        assert self.engine is not None, "it is set where the daemon is composed"
        if ctx.input["flip"]:
            try:
                flip = await self.engine.status(ctx.input["flip"])
            except RunNotFound:
                flip = None
            if flip is not None and not flip.state.ended:
                await ctx.again(self.moving.pace.probe)
        d = await self.moving.stands(ctx)
        if d.task and d.task != delegations.UNKNOWN:
            state = await (await self.moving.door(d)).task(d.task)
            if state is not None and state.state is TaskState.RUNNING:
                await ctx.again(self.moving.pace.registrar)
        await self.moving.decide(ctx, lambda d, now: delegations.tasked(d, "", now))
        return {}

    async def _unsecure(self, ctx: Context) -> Any:
        """No DS of the new servers' keys is left at the parent, nor in a cache while they still answer."""
        d, door, shown = await self._look(ctx)
        snapshot = _kept(d)
        if _is_joint(d, shown):  # the old servers show our keys, and may stand beside our DS
            return {}
        # Remembered, because once they are out of the parent they still are in caches.
        if not await ctx.once("needed", _value(not set(shown.ds) <= set(snapshot.ds))):
            return {}
        lifetime = await ctx.once("lifetime", self._key_lifetime(d))
        without = Target(shown.ns, (), shown.glue)
        await self._change(ctx, door, shown, without)
        await self.moving.agreed(ctx, without)
        if not ctx.input["automatic"]:
            await ctx.sleep("caches", timedelta(seconds=lifetime))
        return {}

    async def _restore(self, ctx: Context) -> Any:
        """Every server of the parent shows the old name servers."""
        d, door, shown = await self._look(ctx)
        snapshot = _kept(d)
        moved = await ctx.once("moved", _value(set(shown.ns) != set(snapshot.ns)))
        if not moved:
            return {"moved": False, "lifetime": 0.0}
        lifetime = await ctx.once("lifetime", self._lifetime(d))
        ds = tuple(await ctx.once("ds", _value(list(map(str, shown.ds)) if _is_joint(d, shown) else [])))
        bare = Target(snapshot.ns, tuple(map(ds_of, ds)), snapshot.glue, _keys(d) if ds else ())
        await self._change(ctx, door, shown, bare)
        await self.moving.agreed(ctx, bare)
        return {"moved": True, "lifetime": lifetime}

    async def _caches(self, restoring: str, ctx: Context) -> Any:
        """No cache has the new name servers any more, so that the old DS cannot meet their answers."""
        d = await self.moving.stands(ctx)
        restored = ctx.output_of(restoring)
        if restored["moved"] and _kept(d).ds:
            await ctx.sleep("caches", timedelta(seconds=restored["lifetime"]))
        return {}

    async def _rekey(self, ctx: Context) -> Any:
        """The old DS are back."""
        d, door, shown = await self._look(ctx)
        snapshot = _kept(d)
        if set(shown.ds) != set(snapshot.ds) and door.can_write_ds:
            await self._change(ctx, door, shown, snapshot)
        elif set(shown.ds) != set(snapshot.ds):
            return {"by_hand": [str(ds) for ds in snapshot.ds]}
        await self.moving.agreed(ctx, snapshot)
        return {"by_hand": []}

    async def _late(self, ctx: Context) -> Any:
        """Nothing has changed for a while that was asked for and never answered; or it just has. Before the old DS are back:
        new name servers that land beside them have other keys, and every answer of theirs would be bogus."""
        ends = datetime.fromisoformat(await ctx.once("ends", _value((ctx.now() + self.moving.pace.watch).isoformat())))
        d, _, shown = await self._look(ctx)
        snapshot = _kept(d)
        if set(shown.ns) != set(snapshot.ns) or not (set(shown.ds) <= set(snapshot.ds) or _is_joint(d, shown)):
            text = f"a change that nobody had answered for has landed: {d.name} points to {', '.join(shown.ns)}"
            await ctx.emit("back.late", text)
            return {"landed": True}
        if ctx.now() < ends:
            await ctx.again(self.moving.pace.registrar)
        return {"landed": False}

    async def _returned(self, ctx: Context) -> Any:
        """It is at its end."""
        d = await self.moving.stands(ctx)
        if d.snapshot is not None and d.snapshot.joint:
            await self.moving.share(ctx, ())
        cut = await self.moving.cuts.look(ctx.input["zone"])

        def back(d: Delegation, now: datetime) -> Delegation:
            return delegations.rolled_back(d, observed(cut, now), now).state

        await self.moving.decide(ctx, back, delegations.RolledBack)
        return {}

    async def _look(self, ctx: Context) -> tuple[Delegation, Door, Shown]:
        """Where it stands, here and at the registrar. Raises StepFailed where somebody else has moved it elsewhere."""
        d = await self.moving.stands(ctx)
        door = await self.moving.door(d)
        shown = await door.read()
        known = [_kept(d).ns, d.wished.ns if d.wished else ()]
        if not any(set(shown.ns) == set(ns) for ns in known):
            raise StepFailed(
                "PLAN_STALE", f"{d.name} points to {', '.join(shown.ns)}, which is neither old nor new to us"
            )
        return d, door, shown

    async def _change(self, ctx: Context, door: Door, shown: Shown, target: Target) -> None:
        """Have the registrar show `target`, from whatever of old and new it shows now."""
        if shown.shows(target):
            return
        try:
            await self.moving.failpoint("pdm.back.apply.before")
            task = await door.apply(target, shown.etag)
            await self.moving.failpoint("pdm.back.apply.after")
        except Permanent as refused:
            if refused.reason == "CONFLICT":  # a change is still on its way there; ours comes after it
                await ctx.again(self.moving.pace.registrar)
            raise StepFailed(reason_of(refused.reason), refused.message, user_action=refused.user_action) from refused
        if task.state is TaskState.FAILED:
            raise StepFailed("REGISTRAR_TASK_FAILED", task.message)
        if task.state is TaskState.DONE:
            return
        await ctx.again(self.moving.pace.registrar)

    def _lifetime(self, d: Delegation) -> Any:
        async def look() -> float:
            parent = (await self.moving.cuts.look(d.zone)).ns_lifetime
            wished = d.wished or Target(())
            new = await self.moving.new_servers(await self.moving.zone(d.zone), wished)
            return max(parent, await own_lifetime(new, f"{d.zone}.")).total_seconds()

        return look

    def _key_lifetime(self, d: Delegation) -> Any:
        async def look() -> float:
            return (await self.moving.cuts.look(d.zone)).ds_lifetime.total_seconds()

        return look

    async def _settled(self, sql: AsyncConnection, run: RunView) -> None:
        """A way back that did not end well needs a person; it may be asked for again."""
        if run.state is RunState.SUCCEEDED:
            return
        tx = Store(sql, run.finished_at or run.created_at, has_row_locks=self.moving.work.db.has_row_locks)
        d = await tx.delegation(run.input["zone"], lock=True)
        if d is not None and d.run == run.id:
            failure = run.failure or {}
            why = c.false(
                c.DELEGATED, str(failure.get("reason", "RUN_FAILED")), str(failure.get("message", run.state))
            )  # fmt: skip
            await tx.save_delegation(delegations.failed(d, why, tx.now))


def _kept(d: Delegation) -> Target:
    assert d.snapshot is not None, "nothing goes back without a snapshot"
    return d.snapshot.records


def _is_joint(d: Delegation, shown: Shown) -> bool:
    """Whether the parent vouches for the keys of both hosts, each of which shows the other's."""
    return d.snapshot is not None and d.snapshot.joint and set(d.snapshot.records.ds) <= set(shown.ds)


def _keys(d: Delegation) -> tuple[DnsKey, ...]:
    """Keys of both hosts, for registrars that digest them themselves; nobody need answer for that."""
    return *_kept(d).keys, *(d.wished.keys if d.wished else ())


def _value(found: object) -> Any:
    async def same() -> object:
        return found

    return same
