"""What time alone does: reservations end, quarantines end; and whether the pools' zones are there."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from catalyst_mesh import Lease, LeaseLost, Leases, PluginUnavailable, Work, get_logger
from catalyst_sdk import Decision, PluginFailure
from catalyst_sdk.dns import ZoneState

from catalyst_pool_domain_manager.domain import allocations, pools, zones
from catalyst_pool_domain_manager.domain.allocations import Allocation
from catalyst_pool_domain_manager.domain.pools import Pool
from catalyst_pool_domain_manager.events import SUBJECTS
from catalyst_pool_domain_manager.store import Store
from catalyst_pool_domain_manager.store import pools as pool_table

from .backends import Backends
from .reconciler import ACTOR
from .serving import name_servers

LEASE = "sweep"
BATCH = 200
LEAST, MOST = 0.2, 5.0
"""Seconds between two looks at a pool whose zone is not there: each time twice as long."""


@dataclass
class Sweeper:
    """Looks at regular intervals; deletes no row."""

    work: Work[Store]
    leases: Leases
    backends: Backends
    interval: float
    counted: Callable[[Mapping[tuple[str, str], int]], None] = lambda _counts: None
    """Told how many names there are, by pool and state."""

    def __post_init__(self) -> None:
        self._looked_at: frozenset[str] = frozenset()

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep until `stop`, whenever this replica holds the lease."""
        await self.leases.keep(LEASE, stop, partial(self._work_on, stop))

    async def _work_on(self, stop: asyncio.Event, lease: Lease) -> None:
        log, patience = get_logger("sweeper"), LEAST
        with self.work.bell.listening(pool_table.name) as news:
            while not stop.is_set():
                news.clear()
                try:
                    await self._sweep()
                    await self._count()
                    waiting = await self._look_at_pools(lease)
                except LeaseLost:
                    raise
                except Exception as error:
                    log.error("sweep failed", exc_info=error)
                    waiting = False
                await self._rest(stop, news, min(patience, self.interval) if waiting else self.interval)
                patience = min(2 * patience, MOST) if waiting else LEAST

    async def _rest(self, stop: asyncio.Event, news: asyncio.Event, seconds: float) -> None:
        """Pause, or until a pool was made, so that nobody waits to see it active: what did not ring a look finds."""
        clock = asyncio.get_running_loop().time
        ends = clock() + seconds
        while not stop.is_set() and not news.is_set() and (left := ends - clock()) > 0:
            await self.work.bell.wait(stop, news, left)
            if clock() < ends and not news.is_set() and await self._has_new_pool():
                return

    async def _has_new_pool(self) -> bool:
        async with self.work.reading() as tx:
            return any(not pool.ready and pool.uid not in self._looked_at for pool in await tx.all_pools())

    async def _sweep(self) -> None:
        async with self.work.reading() as tx:
            ended = await tx.overdue(BATCH)
        for pool, label in ended:
            await self.work.again(lambda tx, key=(pool, label): _end(tx, *key))  # type: ignore[misc]

    async def _count(self) -> None:
        async with self.work.reading() as tx:
            self.counted(await tx.names_by_state())

    async def _look_at_pools(self, lease: Lease) -> bool:
        """Whether a pool is still waiting for its zone."""
        async with self.work.reading() as tx:
            known, sets = await tx.all_pools(), await tx.server_sets()
        looks = {pool.domain: await self._look(pool) for pool in known}
        servers = {host for look in looks.values() if look.zone for host in name_servers(look.zone)}
        servers |= {f"{host.rstrip('.')}." for one in sets for host in one.published}
        for pool in known:
            seen = looks[pool.domain].seen(pool, frozenset(servers))
            if not pool.left_servers and seen.is_of(pool):
                continue  # no transaction that writes nothing
            await self.work.again(lambda tx, p=pool, s=seen: _observed(tx, p, s, lease))  # type: ignore[misc]
        self._looked_at = frozenset(pool.uid for pool in known)
        return any(not pool.ready for pool in known)

    async def _look(self, pool: Pool) -> "_Look":
        before = await self._held(pool)
        try:
            zone = await (await self.backends.of_pool(pool)).get_zone(zone=pool.zone)
        except (PluginFailure, PluginUnavailable) as failure:
            return _Look(None, before, str(failure))
        # Whoever holds a name before or after the look may have had a delegation in it.
        return _Look(zone, before | await self._held(pool), "")

    async def _held(self, pool: Pool) -> frozenset[str]:
        async with self.work.reading() as tx:
            return await tx.labels_held(pool.domain)


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at a pool's zone; `away` says why it could not be had."""

    zone: ZoneState | None
    held: frozenset[str]
    away: str

    def seen(self, pool: Pool, servers: frozenset[str]) -> "_Seen":
        """What it means for the pool; `servers` are the name servers of all pools."""
        if self.away:
            return _Seen(pool.ready, self.away, pool.in_use)
        if self.zone is None:
            return _Seen(False, f"the backend has no zone {pool.zone}; make it, PDM never does", pool.in_use)
        if zones.has_wildcard(self.zone):
            fault = f"{pool.zone} has a wildcard, which answers for every released or mistyped name; remove it"
            return _Seen(False, fault, pool.in_use)
        in_use = zones.labels_in_use(pool, self.zone, held=self.held, servers=servers)
        return _Seen(True, "", in_use, zones.led_to(self.zone))


@dataclass(frozen=True, slots=True)
class _Seen:
    ready: bool
    message: str
    in_use: frozenset[str]
    led: frozenset[str] | None = None

    def is_of(self, pool: Pool) -> bool:
        """Whether the pool says so already."""
        return (self.ready, self.message, self.in_use) == (pool.ready, pool.message, pool.in_use)


async def _end(tx: Store, pool: str, label: str) -> None:
    # Read again under the lock: somebody may have renewed or reserved it meanwhile.
    a = await tx.lock(pool, label)
    decision: Decision[Allocation | None] = allocations.sweep(a, tx.now) if a else Decision(None)
    if decision.state is not None:
        await tx.save(decision.state)
        for fact in decision.events:
            tx.emit(fact)
            await tx.remember(decision.state, SUBJECTS[type(fact)], ACTOR)


async def _observed(tx: Store, pool: Pool, s: _Seen, lease: Lease) -> None:
    await lease.guard(tx.sql)  # what a former holder has seen may be long ago
    current = await tx.pool(pool.domain)
    decision: Decision[Pool | None] = Decision(None)
    if current is not None:
        decision = pools.observe(
            current, ready=s.ready, message=s.message, in_use=s.in_use, now=tx.now, led=s.led
        )  # fmt: skip
    if decision.state is not None:
        await tx.save(decision.state)
        tx.emit(*decision.events)
