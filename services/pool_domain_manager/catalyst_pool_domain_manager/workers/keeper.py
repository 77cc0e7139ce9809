"""Keeps zones as they are wished: the only writer of a kept zone at its backend.

Order of effects: read → compare mark and revision → write → read back → look at the servers. Each pass begins with reading,
so whoever goes on after a crash needs no memory; what the zone shows of its revision says what has arrived, and its row here what
was read back.

Invariants
  one writer    at most one replica keeps zones, and what a former one still wants to write is refused by its fence;
  ours          a zone without our mark is not touched, and its keeper says so;
  wishes win    progress is written only while the wish is the one that was worked on;
  one bad zone  never holds up others, and one bad challenge never its zone.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from catalyst_mesh import Lease, LeaseLost, Leases, LostRace, PluginHost, PluginUnavailable, Work, get_logger
from catalyst_mesh.telemetry import DONE, WAITING, Backlog, reconciling
from catalyst_mesh.waits import rest
from catalyst_sdk import Permanent, PluginFailure, RateLimited
from catalyst_sdk.dns import Change, DnsBackend, KeyOp, ZoneState
from catalyst_sdk.registrar import Registrar

from catalyst_pool_domain_manager.domain import conditions as c
from catalyst_pool_domain_manager.domain import hosting, ownership, record_sets
from catalyst_pool_domain_manager.domain.changes import Action
from catalyst_pool_domain_manager.domain.hosting import State, Zone
from catalyst_pool_domain_manager.domain.plans import Plan
from catalyst_pool_domain_manager.domain.record_sets import Challenge, Wish
from catalyst_pool_domain_manager.domain.server_sets import ServerSet
from catalyst_pool_domain_manager.kept import tables
from catalyst_pool_domain_manager.store import Store

from .backends import Backends
from .notices import notify
from .points import Failpoint, no_failpoint
from .polled import Poll
from .reconciler import BUDGET, BUG_PAUSE, LONGEST
from .site import not_yet

LEASE = "zones"
AT_ONCE = 32
"""Zones that are worked on at the same time."""
BREATH = 0.1
"""Seconds between two looks, however often it rings."""
PUT_DOWN = 3.0
MARK_TTL = 300
"""Seconds for marks of ours, which only other keepers read."""


@dataclass(frozen=True, slots=True)
class Task:
    """A zone as it was read, with everything that is wished of it."""

    zone: Zone
    wishes: tuple[Wish, ...]
    challenges: tuple[Challenge, ...]
    servers: ServerSet


@dataclass
class Keeper:
    """Works on zones that are not as wished."""

    work: Work[Store]
    leases: Leases
    backends: Backends
    poll: Poll
    host: PluginHost
    failpoint: Failpoint = no_failpoint

    def __post_init__(self) -> None:
        self._log = get_logger("keeper")
        self._backlog = Backlog("zone")
        self._busy: dict[str, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, whenever this replica holds the lease."""
        await self.leases.keep(LEASE, stop, partial(self._work_on, stop))

    async def _work_on(self, stop: asyncio.Event, lease: Lease) -> None:
        patience = 0.0
        try:
            with self.work.bell.listening(tables.zones.name, tables.challenges.name) as news:
                while not stop.is_set():
                    news.clear()
                    seconds = await self._look(news, lease)
                    await rest(stop, BREATH)
                    await self.work.bell.wait(stop, news, seconds)
            patience = PUT_DOWN
        finally:
            await self._put_down(patience)

    async def _look(self, news: asyncio.Event, lease: Lease) -> float | None:
        """Begin with what is due; seconds until something else will be."""
        for domain, task in list(self._busy.items()):
            if task.done():
                del self._busy[domain]
                task.result()
        async with self.work.reading() as tx:
            agenda = await tx.zones_due(AT_ONCE + len(self._busy))
        self._backlog.see(agenda.due)
        due = [domain for domain in agenda.due if domain not in self._busy]
        for domain in due[: AT_ONCE - len(self._busy)]:
            self._busy[domain] = task = asyncio.create_task(self._guarded(domain, lease))
            task.add_done_callback(lambda _: news.set())  # there is room for another, and it may be due again
        return agenda.seconds

    async def _put_down(self, patience: float) -> None:
        tasks, self._busy = list(self._busy.values()), {}
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _guarded(self, domain: str, lease: Lease) -> None:
        try:
            with reconciling("zone") as one:
                one.result = DONE if await self._advance(domain, lease) else WAITING
        except (LostRace, LeaseLost):
            pass  # the wish changed meanwhile, or another replica goes on with it
        except Exception as error:
            self._log.error("zone not kept", zone=domain, exc_info=error)
            await asyncio.sleep(BUG_PAUSE)

    async def _advance(self, domain: str, lease: Lease) -> bool:
        """One pass over a zone; whether nothing is left to do."""
        if lease.left < BUDGET:
            return False
        async with self.work.reading() as tx:
            zone, now = await tx.zone(domain), tx.now
        if zone is None:
            return await self._challenged_child(domain, lease)
        if zone.not_before and zone.not_before > now:
            return False
        task = await self._read(domain, lease)
        try:
            backend = await self.backends.get(task.zone.backend)
            if task.zone.state is State.DELETING:
                return await self._removed(task, backend, lease)
            return await self._kept(task, backend, lease)
        except (Permanent, PluginUnavailable) as refused:
            await self._refused(task.zone, refused, lease)
        except PluginFailure as failure:
            delay = failure.retry_after if isinstance(failure, RateLimited) else getattr(failure, "delay", None)
            found = (c.unknown(c.BACKEND_READY, type(failure).__name__, failure.message),)
            await self._wait(task.zone, found, lease, delay)
        return False

    async def _read(self, domain: str, lease: Lease) -> Task:
        """The zone with its wish; open challenges get the number that was promised to who asked for them."""
        async with self._writing(lease) as tx:
            zone = await tx.zone(domain, lock=True)
            if zone is None:
                raise LostRace
            challenges = await tx.challenges_of(domain)
            promised = max((one.revision for one in challenges if not one.carried), default=0)
            numbered = hosting.number(zone, promised, tx.now)
            await tx.save_zone(numbered)
            servers = await tx.server_set(zone.name_server_set.removeprefix("nameServerSets/"))
            assert servers is not None, "a set with zones cannot be deleted"
            return Task(numbered, await tx.wishes_of(domain), challenges, servers)

    async def _kept(self, task: Task, backend: DnsBackend, lease: Lease) -> bool:
        zone = task.zone
        await self.failpoint("pdm.zone.write.before")
        state, changes = await self._written(task, backend, lease)
        await self.failpoint("pdm.zone.write.after")
        if missing := record_sets.due(task.wishes, state, zone.written):
            text = ", ".join(f"{change.name} {change.type}" for change in missing[:5])
            await self._wait(zone, (c.unknown(c.RECORDS_PUBLISHED, "Unwritten", f"not read back: {text}"),), lease)
            return False
        zone = await self._noted(task, state, changes, lease)
        return await self._served(zone, task, state, lease)

    async def _written(
        self, task: Task, backend: DnsBackend, lease: Lease
    ) -> tuple[ZoneState, tuple[Change, ...]]:  # fmt: skip
        """The zone at its backend with everything that is due, and what was changed."""
        zone, is_new = task.zone, False
        state = await backend.get_zone(zone=zone.origin)
        if state is None:
            lease.check()
            state, is_new = await backend.create_zone(spec=record_sets.spec(zone, task.wishes)), True
        if state.owner != zone.mark:
            raise Permanent("FOREIGN_ZONE", f"the zone {zone.origin} carries the mark of somebody else, or none")
        if state.revision > zone.revision:
            await self._overtake(zone, state.revision, lease)
            raise LostRace  # with its new numbers in the next pass
        # After a wish for no signatures that came to nothing, its parent may be asked to forget the keys.
        was_unsigned = zone.told == "signed" and all(one.type != c.SIGNED for one in zone.conditions)
        if zone.signed and (not state.signed or was_unsigned):
            lease.check()
            state = await backend.dnssec(zone=zone.origin, op=KeyOp.ENABLE, expect=state.etag)
        due = record_sets.due(task.wishes, state, zone.written)
        changes = record_sets.lacking(task.wishes, state) if is_new else due
        wished = [wish.key for wish in task.wishes if wish.records]
        changes = (*changes, *ownership.mark_changes(wished, state.record_sets, zone.owner, zone.origin, MARK_TTL))
        asked = record_sets.challenge_changes(task.challenges, {w.key: w for w in task.wishes}, state)
        return await self._applied(task, backend, lease, state, changes, asked)

    async def _applied(
        self, task: Task, backend: DnsBackend, lease: Lease, state: ZoneState, changes: tuple[Change, ...],
        asked: tuple[Change, ...],
    ) -> tuple[ZoneState, tuple[Change, ...]]:  # fmt: skip
        """One change with all of it; where the server refuses that, wishes first, and each challenge for itself."""
        zone = task.zone
        write = partial(backend.apply, zone=zone.origin, revision=zone.revision)
        challenged = {change.name for change in asked}
        both = (*(x for x in changes if not (x.type == "TXT" and x.name in challenged)), *asked)
        if not both and state.revision == zone.revision:
            return state, ()
        lease.check()
        try:
            return await write(changes=both, expect=state.etag), both
        except Permanent as refused:
            if refused.reason != "RECORD_INVALID" or not asked:
                raise
        state, made = await write(changes=changes, expect=state.etag), list(changes)
        for one in asked:
            try:
                state = await write(changes=(one,), expect=state.etag)
                made.append(one)
            except Permanent as refused:
                await self._dropped(zone.domain, one.name, refused.message, lease)
        return state, tuple(made)

    async def _dropped(self, domain: str, name: str, why: str, lease: Lease) -> None:
        """A challenge that no server takes is given up, or it would be tried for ever."""
        self._log.warning("challenge refused", zone=domain, why=why)
        async with self._writing(lease) as tx:
            await tx.drop_challenges(domain, name)

    async def _overtake(self, zone: Zone, shown: int, lease: Lease) -> None:
        async with self._writing(lease) as tx:
            fresh = await tx.zone(zone.domain, lock=True)
            if fresh is not None and fresh.version == zone.version:
                after = hosting.overtake(fresh, shown, tx.now)
                await tx.renumber(zone.domain, after.revision)
                await tx.save_zone(after)

    async def _noted(self, task: Task, state: ZoneState, changes: Sequence[Change], lease: Lease) -> Zone:
        """Write down what the backend was seen to hold, and tell of it."""
        zone = task.zone
        is_newer = zone.written < zone.revision
        if not is_newer and zone.told and not any(not one.carried for one in task.challenges):
            return zone
        async with self._writing(lease) as tx:
            fresh = await tx.zone(zone.domain, lock=True)
            if fresh is None or fresh.version != zone.version:
                raise LostRace
            await tx.carried(one for one in task.challenges if not one.carried)
            await tx.bury(zone.domain, zone.revision)
            after = fresh
            if not fresh.told:
                decision = hosting.made(after, tx.now)
                after = decision.state
                tx.emit(*decision.events)
            after = hosting.written(after, zone.revision, state.serial, tx.now)
            # Whoever wrote it may have died before he could tell, so it is told of the numbers and not of the writing.
            if fresh.told and (is_newer or changes):
                plan = await tx.plan_under_way(zone.domain)
                late = [wish for wish in task.wishes if wish.revision > zone.written]
                written = [one for one in changes if not one.name.startswith(f"{ownership.OWNER_PREFIX}.")]
                tx.emit(_told(after, late, len(written), plan))
            await tx.save_zone(after)
        return after

    async def _served(self, zone: Zone, task: Task, state: ZoneState, lease: Lease) -> bool:
        """Whether every polled server answers as wished. Whoever is to be told of changes is told until they do."""
        polled = await self.poll.of(task.servers)
        is_served = zone.state is State.ACTIVE and zone.observed_generation == zone.generation
        soa = state.find(zone.origin, "SOA")
        is_changed = not is_served or any(not one.carried for one in task.challenges)
        if task.servers.also_notify and soa is not None and is_changed:
            await notify(await self.poll.at(task.servers.also_notify), zone.origin, soa.records[0], soa.ttl)
        faults = await polled.servers.zone_faults(polled.names, state)
        await self.failpoint("pdm.zone.served.before")
        if faults:
            await self._wait(zone, (not_yet(c.ZONE_READY, faults),), lease)
            return False
        if is_served:
            return True
        found = [c.true(c.BACKEND_READY), c.true(c.ZONE_READY), c.true(c.RECORDS_PUBLISHED)]
        found += [c.true(c.SIGNED)] if zone.signed else []
        ds = tuple(text for key in state.keys if key.active for text in key.ds)
        async with self._writing(lease) as tx:
            fresh = await tx.zone(zone.domain, lock=True)
            if fresh is None or fresh.version != zone.version:
                raise LostRace
            decision = hosting.active(fresh, tuple(found), state.serial, ds, tx.now)
            tx.emit(*decision.events)
            await tx.save_zone(decision.state)
        return True

    async def _removed(self, task: Task, backend: DnsBackend, lease: Lease) -> bool:
        """Not pointed to → gone at the backend → gone at every server. Somebody else's zone stays, and is no fault."""
        zone = task.zone
        pointed = await self._pointed_to(zone, task.servers)
        if pointed is not None:
            await self._wait(zone, (pointed,), lease)
            return False
        state = await backend.get_zone(zone=zone.origin)
        await self.failpoint("pdm.zone.delete.before")
        is_foreign = state is not None and state.owner != zone.mark
        if not is_foreign:
            lease.check()
            await backend.delete_zone(zone=zone.origin, owner=zone.mark)
        await self.failpoint("pdm.zone.delete.after")
        polled = await self.poll.of(task.servers)
        faults = [] if is_foreign else await polled.servers.deleted_faults(polled.names, zone.origin)
        if faults:
            await self._wait(zone, (not_yet(c.ZONE_READY, faults),), lease)
            return False
        async with self._writing(lease) as tx:
            fresh = await tx.zone(zone.domain, lock=True)
            if fresh is None or fresh.version != zone.version:
                raise LostRace
            tx.emit(hosting.removed(fresh))
            await tx.forget_zone(fresh)
        return True

    async def _pointed_to(self, zone: Zone, servers: ServerSet) -> c.Condition | None:
        """Why the zone cannot go yet: a parent points to our servers, or nobody can say whether one does."""
        if not zone.told:
            return None
        try:
            parents: Registrar = self.host.get("registrar", "manual")
            seen = await parents.delegation(credential=None, domain=zone.domain)
        except (PluginFailure, PluginUnavailable) as failure:
            text = failure.sentence if isinstance(failure, PluginUnavailable) else failure.message
            return c.unknown(c.DELEGATED, type(failure).__name__, text)
        if not set(servers.published) & set(seen.ns):
            return None
        # A server that has the parent too answers the NS of the zone itself, delegated or not; the DS is the parent's.
        polled = await self.poll.of(servers)
        cut = await polled.servers.cut_faults(polled.names, zone.origin)
        return None if len(cut) < len(polled.names) else c.true(c.DELEGATED, "StillDelegated")

    async def _challenged_child(self, domain: str, lease: Lease) -> bool:
        """Challenges in the zone of an allocation, whose other records its reconciler writes."""
        label, _, above = domain.partition(".")
        async with self.work.reading() as tx:
            a, pool = await tx.lock(above, label), await tx.pool(above)
            challenges = await tx.challenges_of(domain)
        due = [one for one in challenges if not one.carried]
        if not due:
            return True
        if pool is None or (a is None and label):
            return await self._forgotten(domain, lease)
        try:
            backend = await self.backends.of_pool(pool)
            state = await backend.get_zone(zone=f"{domain}.")
            if state is None or a is None or state.owner != a.mark:
                return await self._forgotten(domain, lease)
            changes = record_sets.challenge_changes(challenges, {}, state)
            lease.check()
            if changes:
                await backend.apply(zone=state.name, changes=changes, expect=state.etag)
        except (PluginFailure, PluginUnavailable) as failure:
            self._log.warning("challenges wait", zone=domain, why=str(failure))
            await asyncio.sleep(random.uniform(0.1, 1.0))  # noqa: S311 - jitter, no secret
            return False
        async with self._writing(lease) as tx:
            await tx.carried(due)
        return True

    async def _forgotten(self, domain: str, lease: Lease) -> bool:
        """Challenges of a zone that is gone."""
        async with self._writing(lease) as tx:
            await tx.drop_challenges(domain)
        return True

    @asynccontextmanager
    async def _writing(self, lease: Lease) -> AsyncIterator[Store]:
        """A transaction that is committed only while nobody has taken the lease over."""
        async with self.work.transaction() as tx:
            await lease.guard(tx.sql)
            yield tx

    async def _wait(
        self, zone: Zone, found: tuple[c.Condition, ...], lease: Lease, delay: timedelta | None = None
    ) -> None:
        longest = min(LONGEST, 0.1 * 2 ** min(zone.tries, 12))
        pause = delay or timedelta(seconds=random.uniform(longest / 2, longest))  # noqa: S311 - jitter, no secret
        async with self._writing(lease) as tx:
            await tx.zone_progress(zone, hosting.waiting(zone, found, tx.now, pause))

    async def _refused(self, zone: Zone, refused: Permanent | PluginUnavailable, lease: Lease) -> None:
        text = refused.sentence if isinstance(refused, PluginUnavailable) else refused.message
        why = c.false(c.BACKEND_READY, refused.reason, text)
        # A deletion goes on by itself as soon as it can; and who was overtaken by another writer reads again.
        if isinstance(refused, PluginUnavailable) or zone.state is State.DELETING or refused.reason == "CONFLICT":
            await self._wait(zone, (why,), lease)
            return
        async with self._writing(lease) as tx:
            fresh = await tx.zone(zone.domain, lock=True)
            if fresh is None or fresh.version != zone.version:
                raise LostRace
            await tx.save_zone(hosting.fail(fresh, why, tx.now))


def _told(zone: Zone, late: Sequence[Wish], written: int, plan: Plan | None) -> hosting.Written:
    """What was changed: wishes that became newer than the zone, or values of challenges, which are no wishes."""
    deleted = sum(not wish.records for wish in late)
    created = sum(step.action is Action.CREATE for step in plan.changes) if plan else 0
    updated = max(max(len(late), written) - deleted - created, 0)
    return hosting.Written(zone, plan.name if plan else "", created, updated, deleted)
