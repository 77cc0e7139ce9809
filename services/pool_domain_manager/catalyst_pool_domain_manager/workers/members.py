"""Looks which members of traffic policies are up, where the answering server cannot look itself.

Invariants
  slow to judge   a member is up after two good answers in a row and down after three bad ones, or as many as its policy says;
  as a wish       what changes is an ordinary new generation of the name, made by the reconciler;
  never empty     where all are down, all are told (`domain.traffic`): nobody knows better.
"""

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

from catalyst_mesh import Lease, LeaseLost, Leases, LostRace, PluginUnavailable, Work, get_logger
from catalyst_mesh.waits import rest
from catalyst_sdk import PluginFailure

from catalyst_pool_domain_manager.domain import allocations, traffic
from catalyst_pool_domain_manager.domain.allocations import Allocation
from catalyst_pool_domain_manager.domain.traffic import Policy, Probe
from catalyst_pool_domain_manager.store import STEERED, Store

from .abilities import Abilities
from .reconciler import ACTOR, tell

LEASE = "members"
BREATH = 0.5
"""Seconds between two rounds, however often it rings."""
BATCH = 500
AT_ONCE = 64
UP_AFTER = 2
"""Good answers in a row after which a member that was down is up."""
Who = tuple[str, str, str]
"""Pool, host name and address."""


@dataclass
class _Seen:
    """What was seen of one member since this replica looks."""

    due: float = 0.0
    good: int = 0
    bad: int = 0


@dataclass
class Members:
    """Probes, whenever this replica holds the lease."""

    work: Work[Store]
    leases: Leases
    abilities: Abilities
    _seen: dict[Who, _Seen] = field(default_factory=dict)
    _few: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def run(self, stop: asyncio.Event) -> None:
        """Probe until `stop`."""
        await self.leases.keep(LEASE, stop, partial(self._work_on, stop))

    async def _work_on(self, stop: asyncio.Event, lease: Lease) -> None:
        log = get_logger("members")
        self._seen = {}
        with self.work.bell.listening(STEERED) as news:
            while not stop.is_set():
                news.clear()
                try:
                    await self._round(lease)
                except LeaseLost:
                    raise
                except Exception as error:
                    log.error("members not probed", exc_info=error)
                await rest(stop, BREATH)
                await self.work.bell.wait(stop, news, self._until_due())

    def _until_due(self) -> float | None:
        """Seconds until the next member is to be asked."""
        due = min((seen.due for seen in self._seen.values()), default=None)
        return None if due is None else max(0.0, due - asyncio.get_running_loop().time())

    async def _round(self, lease: Lease) -> None:
        after: Sequence[str] = ("", "")
        known: set[Who] = set()
        while True:
            async with self.work.reading() as tx:
                names = await tx.steered(after, BATCH)
                pools = {a.pool: await tx.pool(a.pool) for a in names}
            looks = [self._look(a, pool.backend, lease) for a in names if (pool := pools[a.pool]) is not None]
            known.update(*await asyncio.gather(*looks))
            if len(names) < BATCH:
                break
            after = (names[-1].pool, names[-1].label)
        self._seen = {who: seen for who, seen in self._seen.items() if who in known}

    async def _look(self, a: Allocation, plugin: str, lease: Lease) -> set[Who]:
        try:
            can = await self.abilities.of(plugin)
        except (PluginFailure, PluginUnavailable):
            return {who for who in self._seen if who[0] == a.pool}  # what was seen of them stays
        policies = [policy for policy in a.traffic if traffic.needs_prober(policy, can)]
        await asyncio.gather(*(self._probe(a, policy) for policy in policies))
        await self._judge(a, policies, lease)
        return {(a.pool, policy.hostname, member.address) for policy in policies for member in policy.members}

    async def _probe(self, a: Allocation, policy: Policy) -> None:
        """Ask the members whose time it is."""
        probe, now = policy.probe or Probe(), asyncio.get_running_loop().time()
        due = []
        for member in policy.members:
            seen = self._seen.setdefault((a.pool, policy.hostname, member.address), _Seen())
            if seen.due <= now:
                seen.due = now + probe.interval
                due.append((seen, member.address))

        async def ask(seen: _Seen, address: str) -> None:
            async with self._few:
                good = await is_up(policy.hostname, address, probe)
            seen.good, seen.bad = (seen.good + 1, 0) if good else (0, seen.bad + 1)

        await asyncio.gather(*(ask(*one) for one in due))

    async def _judge(self, a: Allocation, policies: Sequence[Policy], lease: Lease) -> None:
        before = set(a.down)
        after = set()
        for policy in policies:
            probe = policy.probe or Probe()
            for member in policy.members:
                pair, seen = (policy.hostname, member.address), self._seen[a.pool, policy.hostname, member.address]
                fell = seen.bad >= max(1, probe.down_after)
                if fell or (pair in before and seen.good < UP_AFTER):
                    after.add(pair)
        if after != before:
            with suppress(LostRace):  # somebody wished something meanwhile; the next round judges on that
                await self._tell(a, tuple(sorted(after)), lease)

    async def _tell(self, a: Allocation, down: tuple[tuple[str, str], ...], lease: Lease) -> None:
        async with self.work.transaction() as tx:
            await lease.guard(tx.sql)
            current = await tx.lock(a.pool, a.label)
            if current is None or current.traffic != a.traffic:
                return
            decision = allocations.probed(current, down, ACTOR, tx.now)
            await tx.save(decision.state)
            await tell(tx, decision.events)


async def is_up(hostname: str, address: str, probe: Probe) -> bool:
    """Whether the member answers in time."""
    try:
        async with asyncio.timeout(probe.timeout):
            if probe.port:
                return await _connects(address, probe.port)
            return await _answers(hostname, address, probe.url)
    except (OSError, TimeoutError, ssl.SSLError, ValueError, asyncio.IncompleteReadError, EOFError):
        return False


async def _connects(address: str, port: int) -> bool:
    _, writer = await asyncio.open_connection(address, port)
    writer.close()
    return True


async def _answers(hostname: str, address: str, url: str) -> bool:
    """A GET at this address with the host of the URL: 2xx and 3xx mean up."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host = parts.hostname or hostname
    reader, writer = await asyncio.open_connection(
        address, parts.port or (443 if secure else 80), ssl=ssl.create_default_context() if secure else None,
        server_hostname=host if secure else None, limit=4096,
    )  # fmt: skip
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode("ascii"))
        await writer.drain()
        words = (await reader.readline()).split()
        return len(words) > 1 and words[0].startswith(b"HTTP/") and words[1][:1] in (b"2", b"3")
    finally:
        writer.close()
