"""What the steps of a flip and of its way back have in common: where the delegation stands, and one change at the parent."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from catalyst_mesh import Work
from catalyst_mesh.journal import Context, Step, StepFailed
from catalyst_sdk import Permanent, Refused
from catalyst_sdk.dns import ZoneState
from catalyst_sdk.dns_rules import KEYS
from catalyst_sdk.registrar import Delegation as Shown
from catalyst_sdk.registrar import DnsKey, DsRecord, Target, TaskState

from catalyst_pool_domain_manager.domain import delegations, hosting
from catalyst_pool_domain_manager.domain.delegations import Delegation, Observed
from catalyst_pool_domain_manager.domain.hosting import Zone
from catalyst_pool_domain_manager.domain.record_sets import Wish
from catalyst_pool_domain_manager.domain.registrars import reason_of
from catalyst_pool_domain_manager.store import Store

from .backends import Backends
from .cuts import Cut, Cuts
from .doors import Door, Doors
from .points import Failpoint, no_failpoint
from .polled import Poll, Polled
from .worlds import state_at

LONGEST = timedelta(days=4)
"""Time for one change at a registrar: two days until it shows, and as much for a person who has to enter it."""
RETRIES = 200
"""Tries of a step against servers or registrars that do not answer: with the longest rest between them, some hours."""
Decide = Callable[[Delegation, datetime], Delegation]


@dataclass(frozen=True, slots=True)
class Pace:
    """How often is looked again, and how long a flip is watched at least."""

    probe: timedelta = timedelta(seconds=10)
    registrar: timedelta = timedelta(seconds=15)
    watch: timedelta = timedelta(minutes=10)
    stage: timedelta = timedelta(minutes=15)
    """Time for the new servers to get ready."""
    ttl: int = 300
    """Lifetime of the zone's own NS while it moves, in seconds."""


@dataclass
class Moving:
    """Tools of both runs."""

    work: Work[Store]
    backends: Backends
    poll: Poll
    cuts: Cuts
    doors: Doors
    pace: Pace
    failpoint: Failpoint = no_failpoint
    took: Callable[[str, str, float], None] = lambda _flow, _step, _seconds: None
    """Told how long a step took, whether or not it held."""

    def step(self, flow: str, name: str, run: Callable[[Context], Awaitable[Any]], *needs: str) -> Step:
        """A step with places at which tests have the process die."""

        async def pointed(ctx: Context) -> Any:
            await self.failpoint(f"pdm.{flow}.{name}.before")
            began = time.monotonic()
            try:
                output = await run(ctx)
            finally:
                self.took(flow, name, time.monotonic() - began)
            await self.failpoint(f"pdm.{flow}.{name}.after")
            return output

        return Step(name, pointed, needs=needs, timeout=LONGEST, retries=RETRIES)

    async def stands(self, ctx: Context) -> Delegation:
        """The delegation that this run moves. Raises StepFailed where another run has taken over."""
        async with self.work.reading() as tx:
            return mine(await tx.delegation(ctx.input["zone"]), ctx)

    async def decide(self, ctx: Context, decide: Decide, *facts: type) -> Delegation:
        """Take the delegation on by a pure decision, while this replica holds the run."""

        async def step(tx: Store) -> Delegation:
            await ctx.guard(tx.sql)
            before = mine(await tx.delegation(ctx.input["zone"], lock=True), ctx)
            after = decide(before, tx.now)
            if after is not before:
                await tx.save_delegation(after)
                tx.emit(*(fact(after) for fact in facts))
            return after

        try:
            return await self.work.again(step)
        except Refused as refused:
            raise StepFailed(refused.reason, refused.sentence) from refused

    async def zone(self, domain: str) -> Zone:
        """The zone. Raises StepFailed where it is gone."""
        async with self.work.reading() as tx:
            zone = await tx.zone(domain)
        if zone is None:
            raise StepFailed("ZONE_NOT_FOUND", f"zones/{domain} is gone")
        return zone

    async def live(self, ctx: Context, ttl: int) -> None:
        """Have the zone's own NS live that long in caches; the keeper of zones writes it."""

        async def step(tx: Store) -> None:
            await ctx.guard(tx.sql)
            await ns_lives(tx, ctx.input["zone"], ttl)

        await self.work.again(step)

    async def share(self, ctx: Context, keys: Sequence[str]) -> None:
        """Have the zone show these keys of others beside its own; the keeper of zones writes it."""

        async def step(tx: Store) -> None:
            await ctx.guard(tx.sql)
            await keys_shown(tx, ctx.input["zone"], keys, self.pace.ttl)

        await self.work.again(step)

    async def state(self, zone: Zone) -> ZoneState:
        """The zone as our backend has it. Raises StepFailed where it is not ours."""
        state = await state_at(self.backends, zone.backend, zone.origin)
        if state is None or state.owner != zone.mark:
            raise StepFailed("FOREIGN_ZONE", f"{zone.backend} has no {zone.name} of ours")
        return state

    async def new_servers(self, zone: Zone, target: Target) -> Polled:
        """Where the wished name servers listen: as their set says, or else as anybody finds them."""
        async with self.work.reading() as tx:
            servers = await tx.server_set(zone.name_server_set.removeprefix("nameServerSets/"))
        stated = {e.host: e for e in servers.polled} if servers else {}
        glue = {one.host: one.addresses for one in target.glue}
        return await self.poll.at(
            [stated.get(host) or self.cuts.endpoint(host, glue.get(host, ())) for host in target.ns]
        )  # fmt: skip

    async def door(self, d: Delegation) -> Door:
        """The parent's side."""
        try:
            return await self.doors.open(d.account, d.zone)
        except Refused as refused:
            raise StepFailed(refused.reason, refused.sentence) from refused

    async def change(self, ctx: Context, door: Door, target: Target, expect: str) -> Shown:
        """Have the registrar show `target`, beginning from the delegation whose etag is `expect`; what it shows then.

        The intent is stored before anybody is asked: whoever finds it goes on with the very same change, and reads first.
        """
        present = await door.read()
        if present.shows(target):
            await self.decide(ctx, lambda d, now: delegations.tasked(d, "", now))
            return present

        async def begin() -> str:
            await self.decide(ctx, lambda d, now: delegations.tasked(d, delegations.UNKNOWN, now))
            await self.failpoint("pdm.flip.apply.before")
            task = await door.apply(target, expect)
            await self.failpoint("pdm.flip.apply.after")
            return task.id

        try:
            task = await ctx.once("apply", begin)
            await self.decide(ctx, lambda d, now: delegations.tasked(d, task, now))
            state = await door.task(task)
        except Permanent as refused:
            if refused.reason == "CONFLICT" and await _is_coming(door, target, expect):
                await ctx.again(self.pace.registrar)
            await self.decide(ctx, lambda d, now: delegations.tasked(d, "", now))
            raise StepFailed(reason_of(refused.reason), refused.message, user_action=refused.user_action) from refused
        if state is not None and state.state is TaskState.FAILED:
            await self.decide(ctx, lambda d, now: delegations.tasked(d, "", now))
            raise StepFailed("REGISTRAR_TASK_FAILED", state.message)
        if state is not None and state.instructions:
            await ctx.log("\n".join(one.text for one in state.instructions))
        return await ctx.again(self.pace.registrar)

    async def agreed(self, ctx: Context, target: Target) -> Cut:
        """What the parent's servers show, once all of them show `target`."""
        cut = await self.cuts.look(ctx.input["zone"])
        if cut.lacking(target):
            await ctx.again(self.pace.probe)
        return cut


async def _is_coming(door: Door, target: Target, expect: str) -> bool:
    """Whether a conflict is with the very same change, which somebody asked for and died: nothing else shows."""
    shown = await door.read()
    return shown.etag == expect or shown.shows(target)


async def ns_lives(tx: Store, domain: str, ttl: int) -> None:
    """Wish that a zone's own NS live that long in caches."""
    zone = await tx.zone(domain, lock=True)
    known = next((w for w in await tx.wishes_at(domain, f"{domain}.") if w.type == "NS" and w.records), None)
    if zone is None or known is None or known.ttl == ttl:
        return
    after = hosting.wish(zone, tx.now)
    await tx.wish_sets(domain, [replace(known, ttl=ttl, revision=after.revision)])
    await tx.save_zone(after)


async def keys_shown(tx: Store, domain: str, keys: Sequence[str], ttl: int) -> None:
    """Wish that a zone shows these keys of others, in presentation form; none: its own alone."""
    zone, origin = await tx.zone(domain, lock=True), f"{domain}."
    known = next((w for w in await tx.wishes_at(domain, origin) if w.type == KEYS), None)
    if zone is None or set(keys) == set(known.records if known else ()):
        return
    after = hosting.wish(zone, tx.now)
    await tx.wish_sets(domain, [Wish(origin, KEYS, ttl if keys else 0, tuple(keys), zone.owner, after.revision)])
    await tx.save_zone(after)


def mine(d: Delegation | None, ctx: Context) -> Delegation:
    """The delegation, while this run moves it. A change whose outcome nobody knows is brought to its end before another run
    takes over. Raises StepFailed."""
    if d is None:
        raise StepFailed("ZONE_NOT_FOUND", "the delegation is gone")
    if d.run != ctx.run_id and d.task != delegations.UNKNOWN:
        raise StepFailed("ROLLED_BACK", d.reason or f"{d.name} is moved by another run")
    return d


def observed(cut: Cut, now: datetime) -> tuple[Observed, ...]:
    """As it is kept and shown."""
    return tuple(Observed(s.server, s.address, s.records, s.error, now) for s in cut.seen)


def own_ds(state: ZoneState) -> tuple[DsRecord, ...]:
    """DS of the keys that the new servers sign with."""
    return tuple(sorted(ds_of(text) for key in state.keys for text in key.ds))


def own_keys(state: ZoneState) -> tuple[DnsKey, ...]:
    """Those keys, for registrars that digest them themselves."""
    return tuple(key_of(key.tag, key.dnskey) for key in state.keys)


def ds_of(text: str) -> DsRecord:
    """A DS in presentation form."""
    tag, algorithm, digest_type, digest = text.split(maxsplit=3)
    return DsRecord(int(tag), int(algorithm), int(digest_type), digest.replace(" ", "").lower())


def key_of(tag: int, text: str) -> DnsKey:
    """A DNSKEY in presentation form."""
    flags, _, algorithm, key = text.split(maxsplit=3)
    return DnsKey(tag, int(flags), int(algorithm), key.replace(" ", ""))
