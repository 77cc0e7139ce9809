"""Exchanging the key of a zone, and taking its signatures away, as runs on the journal.

Each step does one thing, looks at every server whether it is so, and answers with the moment before which the next one must
not begin, which a step of its own waits for by the database's clock, so that any replica may go on. A step may be entered
again by whoever takes the run over: what is done already is done again without effect.

The DS of a name's zone is written into its pool's zone by the one writer that the reconciler has too. That of any other zone
is entered by its registrar, where one of our accounts may ask for it, or by a person; the run says what is wanted, and waits
until the parent's servers show it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from catalyst_mesh import PluginUnavailable, Work
from catalyst_mesh.journal import Context, Engine, Kind, RunState, RunView, Step, StepFailed
from catalyst_sdk import NotSupported, Permanent, Refused, Temporary
from catalyst_sdk.dns import Change, DnsBackend, KeyOp, ZoneState
from catalyst_sdk.registrar import Target
from sqlalchemy.ext.asyncio import AsyncConnection

from catalyst_pool_domain_manager.domain import allocations, dnssec, hosting
from catalyst_pool_domain_manager.domain.allocations import Allocation
from catalyst_pool_domain_manager.domain.delegations import State as Stood
from catalyst_pool_domain_manager.domain.dnssec import DISABLE, ROLL, KeyRolled
from catalyst_pool_domain_manager.domain.hosting import State, Zone
from catalyst_pool_domain_manager.domain.pools import Pool
from catalyst_pool_domain_manager.store import Store

from .backends import Backends
from .cuts import Cuts
from .doors import Door, Doors
from .moving import ds_of, own_keys
from .parents import Parents
from .points import Failpoint, no_failpoint
from .polled import Poll, Polled
from .serving import asked, name_servers

LOOK_AGAIN = timedelta(milliseconds=200)
LOOK_ABOVE = timedelta(seconds=2)
LOOK_SELDOM = timedelta(seconds=30)
PERSON = timedelta(days=30)
"""Time that a person or a registry gets for a DS."""
LONGEST = timedelta(days=60)
"""Above any time to live that anybody uses, tries included."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A zone whose keys are changed, as it was just read."""

    domain: str
    backend: DnsBackend
    state: ZoneState
    polled: Polled
    parents: Polled
    zone: Zone | None = None
    allocation: Allocation | None = None
    pool: Pool | None = None
    above: ZoneState | None = None

    @property
    def origin(self) -> str:
        """The zone's own name, with the final dot."""
        return f"{self.domain}."

    def ds_of(self, *tags: int) -> tuple[str, ...]:
        """DS records of some of its keys."""
        return tuple(text for key in self.state.keys if key.tag in tags for text in key.ds)


@dataclass
class Rolling:
    """The steps of both kinds of runs."""

    work: Work[Store]
    backends: Backends
    poll: Poll
    parents: Parents
    cuts: Cuts
    doors: Doors
    failpoint: Failpoint = no_failpoint

    def __post_init__(self) -> None:
        self._engine: Engine | None = None

    def attach(self, engine: Engine) -> None:
        """The engine that carries the runs."""
        self._engine = engine

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """For the engine."""
        return Kind(ROLL, self._roll, settled=self._settled), Kind(DISABLE, self._disable)

    def _roll(self, _input: Mapping[str, Any]) -> Iterable[Step]:
        published, added, activated, removed, retired = dnssec.ROLL_STEPS
        yield Step(published, self._published, undo=self._unpublish, timeout=LONGEST)
        yield self._rest(published)
        yield Step(added, self._ds_added, undo=self._take_back, needs=(_rest(published),), timeout=PERSON)
        yield self._rest(added)
        yield Step(activated, self._activated, undo=self._reactivate, needs=(_rest(added),), timeout=LONGEST)
        yield self._rest(activated)
        yield Step(removed, self._ds_removed, needs=(_rest(activated),), timeout=PERSON)
        yield self._rest(removed)
        yield Step(retired, self._retired, needs=(_rest(removed),), timeout=LONGEST)

    def _disable(self, _input: Mapping[str, Any]) -> Iterable[Step]:
        withdrawn, unsigned = dnssec.DISABLE_STEPS
        yield Step(withdrawn, self._ds_withdrawn, timeout=PERSON)
        yield self._rest(withdrawn)
        yield Step(unsigned, self._unsigned, needs=(_rest(withdrawn),), timeout=LONGEST)

    def _rest(self, step: str) -> Step:
        """The time to live of what `step` has changed; nothing is done in it."""
        return Step(_rest(step), partial(self._rested, step=step), needs=(step,), timeout=LONGEST)

    # An exchange, step by step.

    async def _published(self, ctx: Context) -> Any:
        """1: the new key stands beside the old one in the DNSKEY set of every server, and does not sign."""
        s = await self._subject(ctx)
        await self.failpoint("pdm.roll.published.before")
        state = await s.backend.dnssec(zone=s.origin, op=KeyOp.PUBLISH)
        await self.failpoint("pdm.roll.published.after")
        await self._served(ctx, s, state)
        old, new = _tags(state)
        held = await s.polled.servers.ttl_at(s.polled.names, s.origin, "DNSKEY")
        return {"old": old, "new": new, "not_before": await self._after(held)}

    async def _ds_added(self, ctx: Context) -> Any:
        """2: every server of the parent vouches for both keys."""
        tags, s = ctx.output_of("published"), await self._subject(ctx)
        ttl = await self._vouched(ctx, s, s.ds_of(tags["old"], tags["new"]))
        return {"not_before": await self._after(ttl)}

    async def _activated(self, ctx: Context) -> Any:
        """3: the new key signs. Nobody holds a DNSKEY set or a DS set without it any more."""
        tags, s = ctx.output_of("published"), await self._subject(ctx)
        await self.failpoint("pdm.roll.activated.before")
        state = await s.backend.dnssec(zone=s.origin, op=KeyOp.ACTIVATE, tag=tags["new"])
        await self.failpoint("pdm.roll.activated.after")
        await self._served(ctx, s, state)
        return {"not_before": await self._after(dnssec.slowest(state))}

    async def _ds_removed(self, ctx: Context) -> Any:
        """4: the parent vouches for the new key only; nobody holds a signature by the old one any more."""
        tags, s = ctx.output_of("published"), await self._subject(ctx)
        ttl = await self._vouched(ctx, s, s.ds_of(tags["new"]))
        return {"not_before": await self._after(ttl)}

    async def _retired(self, ctx: Context) -> Any:
        """5: the old key is gone; nobody holds its DS any more."""
        tags, s = ctx.output_of("published"), await self._subject(ctx)
        await self._vouched(
            ctx, s, s.ds_of(tags["new"])
        )  # whoever wrote the delegation meanwhile may have read it before
        await self.failpoint("pdm.roll.retired.before")
        state = await s.backend.dnssec(zone=s.origin, op=KeyOp.RETIRE)
        await self.failpoint("pdm.roll.retired.after")
        await self._served(ctx, s, state)
        return {"ds": [text for key in state.keys for text in key.ds]}

    # The way back, as long as there is one.

    async def _unpublish(self, ctx: Context) -> None:
        s = await self._subject(ctx)
        await s.backend.dnssec(zone=s.origin, op=KeyOp.RETIRE)

    async def _take_back(self, ctx: Context) -> None:
        s = await self._subject(ctx)
        await self._vouched(ctx, s, s.ds_of(ctx.output_of("published")["old"]))

    async def _reactivate(self, ctx: Context) -> None:
        """Both keys are shown and vouched for, so each may sign at any moment."""
        s = await self._subject(ctx)
        await s.backend.dnssec(zone=s.origin, op=KeyOp.ACTIVATE, tag=ctx.output_of("published")["old"])

    # Taking the signatures away.

    async def _ds_withdrawn(self, ctx: Context) -> Any:
        """1: no server of the parent vouches for any key."""
        s = await self._subject(ctx)
        await ctx.once("renounced", partial(self._renounced, s))
        ttl = await self._vouched(ctx, s, ())
        return {"not_before": await self._after(ttl)}

    async def _renounced(self, s: Subject) -> bool:
        """Whether the zone itself asks its parent to forget the keys (RFC 8078); a parent that looks at CDS needs nobody else."""
        try:
            await s.backend.dnssec(zone=s.origin, op=KeyOp.RENOUNCE)
        except NotSupported:
            return False
        return True

    async def _unsigned(self, ctx: Context) -> Any:
        """2: the keys are dropped; nobody expects signatures any more."""
        s = await self._subject(ctx)
        await self._vouched(ctx, s, ())
        await self.failpoint("pdm.roll.unsigned.before")
        state = await s.backend.dnssec(zone=s.origin, op=KeyOp.DISABLE)
        await self.failpoint("pdm.roll.unsigned.after")
        faults = await s.polled.servers.absent_faults(s.polled.names, s.origin, "DNSKEY")
        if faults or state.signed:
            await ctx.again(LOOK_AGAIN)
        return {}

    # What the steps share.

    async def _subject(self, ctx: Context) -> Subject:
        """The zone as it is now. Raises StepFailed where it is on its way out."""
        domain = ctx.input["zone"]
        label, _, above = domain.partition(".")
        async with self.work.reading() as tx:
            zone, a, pool = await tx.zone(domain), await tx.lock(above, label), await tx.pool(above)
            name = zone.name_server_set if zone else ""
            servers = await tx.server_set(name.removeprefix("nameServerSets/")) if zone else None
        if zone is not None and servers is not None and zone.state is not State.DELETING:
            backend = await self._of_zone(zone.backend)
            state = await self._own(backend, f"{domain}.", zone.mark)
            return Subject(domain, backend, state, await self.poll.of(servers), Polled((), self.poll.hinted), zone=zone)
        if a is None or pool is None or a.state not in allocations.VISIBLE | {allocations.State.PROVISIONING}:
            await self._withdrawn(domain, a, pool)
            raise StepFailed("ZONE_NOT_FOUND", f"zones/{domain} is on its way out")
        backend = await self._of_pool(pool)
        state, parent = await self._own(backend, a.zone, a.mark), await backend.get_zone(zone=pool.zone)
        if parent is None:
            raise Temporary(f"the backend has no zone {pool.zone}")
        polled, parents = await asked(pool, parent, self.poll), Polled(name_servers(parent), self.poll.hinted)
        return Subject(domain, backend, state, polled, parents, allocation=a, pool=pool, above=parent)

    async def _withdrawn(self, domain: str, a: Allocation | None, pool: Pool | None) -> None:
        """A DS that was written while the name's release went on would outlive it: it goes, where its NS has gone."""
        if a is None or pool is None or a.state is not allocations.State.RELEASING:
            return
        backend = await self._of_pool(pool)
        parent = await backend.get_zone(zone=pool.zone)
        if parent and parent.find(f"{domain}.", "DS") and not parent.find(f"{domain}.", "NS"):
            await self.parents.apply(backend, pool.zone, f"{domain}.", (Change(f"{domain}.", "DS"),))

    async def _of_zone(self, name: str) -> DnsBackend:
        try:
            return await self.backends.get(name)
        except PluginUnavailable as unavailable:
            raise Temporary(unavailable.sentence) from unavailable

    async def _of_pool(self, pool: Pool) -> DnsBackend:
        try:
            return await self.backends.of_pool(pool)
        except PluginUnavailable as unavailable:
            raise Temporary(unavailable.sentence) from unavailable

    async def _own(self, backend: DnsBackend, origin: str, mark: str) -> ZoneState:
        state = await backend.get_zone(zone=origin)
        if state is None:
            raise Temporary(f"the backend has no zone {origin}")
        if state.owner != mark:
            raise Permanent("FOREIGN_ZONE", f"the zone {origin} carries the mark of somebody else")
        return state

    async def _served(self, ctx: Context, s: Subject, state: ZoneState) -> None:
        """Come again until every server answers with these keys and valid signatures."""
        if await s.polled.servers.zone_faults(s.polled.names, state):
            await ctx.again(LOOK_AGAIN)

    async def _vouched(self, ctx: Context, s: Subject, wanted: tuple[str, ...]) -> int:
        """Come again until every server of the parent shows just these DS; seconds for which an older set may be held."""
        if s.pool is not None and s.above is not None:
            return await self._written(ctx, s, s.above, s.pool, wanted)
        return await self._entered(ctx, s, wanted)

    async def _written(self, ctx: Context, s: Subject, parent: ZoneState, pool: Pool, wanted: tuple[str, ...]) -> int:
        before = parent.find(s.origin, "DS")
        if set(before.records if before else ()) != set(wanted):
            await self.failpoint("pdm.roll.ds.before")
            change = Change(s.origin, "DS", pool.ttls.ds, wanted) if wanted else Change(s.origin, "DS")
            await self.parents.apply(s.backend, pool.zone, s.origin, (change,))
            await self.failpoint("pdm.roll.ds.after")
            await self._subject(
                ctx
            )  # a release that went on meanwhile has seen no DS, and this one must not outlive it
        if await s.parents.servers.ds_faults(s.parents.names, s.origin, set(wanted)):
            await ctx.again(LOOK_AGAIN)
        return max(pool.ttls.ds, pool.ttls.negative, before.ttl if before else 0)

    async def _entered(self, ctx: Context, s: Subject, wanted: tuple[str, ...]) -> int:
        """Have the registrar enter it, or wait for whoever does. A zone that no parent vouches for needs nobody to vouch for
        its next key; while its parent's servers differ, a change is on its way."""
        seen = await self.cuts.vouched(s.origin)
        if seen is not None and (not seen.ds or seen.ds == {text.lower() for text in wanted}):
            return seen.ttl
        if seen is not None:
            await self._asked_for(ctx, s, wanted)
        return await ctx.again(LOOK_ABOVE)

    async def _asked_for(self, ctx: Context, s: Subject, wanted: tuple[str, ...]) -> None:
        """The registrar has the wish, where one of our accounts may change the DS; of another one only the log tells. Asked
        again it finds the same wish, or the change that it works on."""
        door = await self._door(s)
        if door is None or not door.can_write_ds:
            return
        try:
            shown = await door.read()
            ds = tuple(sorted(ds_of(text) for text in wanted))
            if set(shown.ds) == set(ds):
                return  # and its registry is at it
            await self.failpoint("pdm.roll.registrar.before")
            await door.apply(Target(shown.ns, ds, shown.glue, own_keys(s.state)), shown.etag)
            await self.failpoint("pdm.roll.registrar.after")
        except (Permanent, NotSupported) as refused:
            values = "; ".join(wanted) or "none"
            await ctx.log(f"{door.info.display_name}: {refused.message}; enter these DS there by hand: {values}")
            await ctx.again(LOOK_SELDOM)

    async def _door(self, s: Subject) -> Door | None:
        """The registrar's, where the zone was moved here by an account, or its pool has one. Of a zone that somebody has
        taken elsewhere since, nobody changes the keys."""
        async with self.work.reading() as tx:
            d, pool = await tx.delegation(s.domain), await tx.pool(s.domain)
        is_here = (
            d is not None and s.zone is not None and d.uid == s.zone.uid and not d.run and d.stood is Stood.DELEGATED
        )
        account = d.account if d is not None and is_here else pool.registrar_account if pool else ""
        if not account:
            return None
        try:
            return await self.doors.open(account, s.domain)
        except (Refused, PluginUnavailable):
            return None  # a person can do without

    async def _rested(self, ctx: Context, *, step: str) -> None:
        """Come again when the time to live is over that `step` has left behind, by the database's clock."""
        until = datetime.fromisoformat(ctx.output_of(step)["not_before"])
        async with self.work.reading() as tx:
            left = until - tx.now
        if left > timedelta():
            await ctx.again(min(left, LOOK_SELDOM))

    async def _after(self, seconds: int) -> str:
        async with self.work.reading() as tx:
            return (tx.now + timedelta(seconds=seconds)).isoformat()

    async def _settled(self, sql: AsyncConnection, run: RunView) -> None:
        """An exchange that succeeded is told, once, with the end of its run."""
        if run.state is not RunState.SUCCEEDED or self._engine is None:
            return
        outputs = {step.name: step.output for step in await self._engine.steps(run.id, sql=sql)}
        tx = Store(sql, run.finished_at or run.created_at, has_row_locks=self.work.db.has_row_locks)
        await _tell(tx, run.input["zone"], outputs["published"], tuple(outputs["retired"]["ds"]))
        await self.work.write_outbox(sql, tx.now, tx.told)


def _rest(step: str) -> str:
    return f"{step}{dnssec.REST}"


async def _tell(tx: Store, domain: str, tags: Mapping[str, int], ds: tuple[str, ...]) -> None:
    """Under the next number of the zone; one that has gone meanwhile has nothing to tell any more."""
    label, _, above = domain.partition(".")
    zone, a = await tx.zone(domain, lock=True), await tx.lock(above, label)
    if zone is not None:
        after = hosting.told(zone, tx.now)
        tx.emit(KeyRolled(domain, zone.owner, after.version, tags["old"], tags["new"], ds))
        await tx.save_zone(after)
    elif a is not None:
        told = replace(a, zone_version=a.zone_version + 1)
        tx.emit(KeyRolled(domain, a.owner, told.zone_version, tags["old"], tags["new"], ds))
        await tx.progress(a, told)


def _tags(state: ZoneState) -> tuple[int, int]:
    old = next(key.tag for key in state.keys if key.active)
    return old, next(key.tag for key in state.keys if not key.active)
