"""Looks whether what is visible still is, and whether what rests is really gone.

Invariants
  looks only   nothing in the DNS is changed here; what fell is told, and made anew when somebody asks for it. Whose pool has
               other servers by now is wished anew;
  bounded      so many names at once, each asked a handful of questions, so that ten thousand cost a share of one processor.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from catalyst_mesh import Lease, LeaseLost, Leases, LostRace, PluginUnavailable, Work, get_logger
from catalyst_mesh.waits import rest
from catalyst_sdk import Decision, PluginFailure
from catalyst_sdk.dns import ZoneState

from catalyst_pool_domain_manager.domain import allocations, zones
from catalyst_pool_domain_manager.domain import conditions as c
from catalyst_pool_domain_manager.domain.allocations import Allocation, State
from catalyst_pool_domain_manager.domain.inside import lacking
from catalyst_pool_domain_manager.domain.pools import Pool, ZoneMode
from catalyst_pool_domain_manager.store import IN_SIGHT, Store

from . import chains, inside
from .backends import Backends
from .polled import Poll
from .reconciler import ACTOR, jitter, tell
from .servers import Fault, Servers
from .serving import asked, name_servers, named
from .world import World

LEASE = "look"
AT_ONCE = 64
BREATH = 1.0
"""Seconds between two looks, however often it rings."""
AGAIN = 10.0
"""Seconds, at most, until a name is looked at again that is not as it should be."""
AHEAD = timedelta(days=1)
"""So long before the end of its rest it is looked whether a name is still in use: resolves, or has a valid certificate."""
_KINDS = {
    "missing": c.DELEGATED,
    "changed": c.RECORDS_PUBLISHED,
    "lame": c.ZONE_READY,
    "bogus": c.SIGNED,
    "timeout": c.ZONE_READY,
    "stale": c.ZONE_READY,
}
WHOLE = (c.BACKEND_READY, c.ZONE_READY, c.SIGNED, c.DELEGATED, c.DS_PUBLISHED)
INSIDE = (c.BACKEND_READY, c.ZONE_READY, c.RECORDS_PUBLISHED)
"""The same of a name that has no zone of its own."""


@dataclass
class Watcher:
    """Looks, whenever this replica holds the lease."""

    work: Work[Store]
    leases: Leases
    backends: Backends
    servers: Servers
    world: World
    poll: Poll
    every: float

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop`."""
        await self.leases.keep(LEASE, stop, partial(self._work_on, stop))

    async def _work_on(self, stop: asyncio.Event, lease: Lease) -> None:
        log = get_logger("watcher")
        with self.work.bell.listening(IN_SIGHT) as news:
            while not stop.is_set():
                news.clear()
                seconds = None
                try:
                    seconds = await self._look(lease)
                except LeaseLost:
                    raise
                except Exception as error:
                    log.error("look failed", exc_info=error)
                await rest(stop, BREATH)
                await self.work.bell.wait(stop, news, seconds)

    async def _look(self, lease: Lease) -> float | None:
        """Look at what is due; seconds until something else will be."""
        async with self.work.reading() as tx:
            agenda = await tx.to_look_at(AT_ONCE)
            visible = agenda.due
            resting = await tx.resting_until(tx.now + AHEAD, AT_ONCE)
            pools = {domain: await tx.pool(domain) for domain in {key[0] for key in (*visible, *resting)}}
        known = {domain: pool for domain, pool in pools.items() if pool is not None}
        parents = {domain: await self._parent(pool) for domain, pool in known.items()} if visible else {}
        looks: list[Awaitable[None]] = []
        for key in visible:
            if key[0] in known:
                looks.append(self._at_visible(key, known[key[0]], parents[key[0]], lease))
        looks += [self._at_resting(key, known[key[0]], lease) for key in resting if key[0] in known]
        await asyncio.gather(*looks)
        return 0.0 if looks else agenda.seconds

    async def _parent(self, pool: Pool) -> ZoneState | c.Condition:
        """The pool's zone, or why it is not known; asked once for all names of a pass."""
        try:
            state: ZoneState | None = await (await self.backends.of_pool(pool)).get_zone(zone=pool.zone)
        except (PluginFailure, PluginUnavailable) as failure:
            return c.unknown(c.BACKEND_READY, type(failure).__name__, str(failure))
        if state is None:
            return c.false(c.BACKEND_READY, "ZONE_ABSENT", f"the backend has no zone {pool.zone}")
        return state

    async def _at_visible(
        self, key: tuple[str, str], pool: Pool, parent: ZoneState | c.Condition, lease: Lease
    ) -> None:
        if isinstance(parent, c.Condition):
            found: tuple[c.Condition, ...] = (parent,)
        elif pool.zone_mode is ZoneMode.IN_PARENT:
            found = await self._inside(key, pool, parent)
        elif await self._is_led_elsewhere(key, pool, parent):
            await self._write(key, lambda a, tx: allocations.follow(a, ACTOR, tx.now), lease)
            return
        else:
            zone = f"{key[1]}.{key[0]}."
            below = await asked(pool, parent, self.poll)
            both = below.servers.joined(self.servers)
            found = conditions(await chains.faults(both, name_servers(parent), pool.zone, below.names, zone))
        holds = all(one.status == "True" for one in found)
        pause = jitter(self.every if holds else min(self.every, AGAIN))

        def decide(a: Allocation, tx: Store) -> Decision[Allocation] | None:
            return allocations.looked(a, found, tx.now, pause) if a.state in allocations.VISIBLE else None

        await self._write(key, decide, lease)

    async def _is_led_elsewhere(self, key: tuple[str, str], pool: Pool, parent: ZoneState) -> bool:
        """Whether the pool has other servers by now than the name's zone and cut; both are read only where the cut says so."""
        cut, wanted = parent.find(f"{key[1]}.{key[0]}.", "NS"), named(pool, parent)
        if cut is None or set(cut.records) == set(wanted):
            return False
        async with self.work.reading() as tx:
            a = await tx.lock(*key)
        try:
            child = await (await self.backends.of_pool(pool)).get_zone(zone=a.zone) if a else None
        except (PluginFailure, PluginUnavailable):
            return False
        return a is not None and child is not None and zones.is_led_elsewhere(a, parent, child, wanted)

    async def _inside(self, key: tuple[str, str], pool: Pool, parent: ZoneState) -> tuple[c.Condition, ...]:
        """What is seen of a name that lies in the pool's zone."""
        async with self.work.reading() as tx:
            a = await tx.lock(*key)
        if a is None:
            return ()
        lost = [Fault(pool.backend, "changed", f"{r.name} {r.type} is not as wished") for r in lacking(a, pool, parent)]
        return conditions(lost or await inside.faults(self.servers, a, parent), INSIDE)

    async def _at_resting(self, key: tuple[str, str], pool: Pool, lease: Lease) -> None:
        async with self.work.reading() as tx:
            now = tx.now
        in_use = await self.world.is_in_use(pool, f"{key[1]}.{key[0]}", now)
        if in_use is None:
            return  # nobody answered: it is asked again, as long as the rest lasts

        def decide(a: Allocation, tx: Store) -> Decision[Allocation] | None:
            if a.state is not State.QUARANTINED or a.looked_at is not None:
                return None
            return allocations.rested(a, tx.now, in_use=in_use, rest=pool.quarantine)

        await self._write(key, decide, lease)

    async def _write(
        self, key: tuple[str, str], decide: Callable[[Allocation, Store], Decision[Allocation] | None], lease: Lease
    ) -> None:
        try:
            async with self._writing(lease) as tx:
                a = await tx.lock(*key)
                decision = decide(a, tx) if a else None
                if a is None or decision is None:
                    return
                if decision.events:
                    await tx.save(decision.state)
                    await tell(tx, decision.events)
                else:
                    await tx.progress(a, decision.state)
        except LostRace:
            pass  # somebody wished something meanwhile; it is looked at again

    @asynccontextmanager
    async def _writing(self, lease: Lease) -> AsyncIterator[Store]:
        async with self.work.transaction() as tx:
            await lease.guard(tx.sql)  # what a former holder has seen may be long ago
            yield tx


def conditions(faults: Sequence[Fault], whole: Sequence[str] = WHOLE) -> tuple[c.Condition, ...]:
    """What the faults mean; without any, all that was asked about holds, which is the `whole`."""
    if not faults:
        return tuple(c.true(kind) for kind in whole)
    kinds = {**_KINDS, "missing": c.RECORDS_PUBLISHED} if whole is INSIDE else _KINDS
    found = {}
    for fault in faults:
        say = c.unknown if fault.verdict in ("timeout", "stale") else c.false
        found[kinds[fault.verdict]] = say(
            kinds[fault.verdict], fault.verdict.capitalize(), f"{fault.server}: {fault.detail} ({len(faults)} in all)"
        )
    return tuple(found.values())
