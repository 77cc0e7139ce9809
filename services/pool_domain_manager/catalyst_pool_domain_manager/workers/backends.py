"""Backends at work: the plugin of each with its configuration, and what the server behind it was seen to do."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from uuid import uuid4

from catalyst_mesh import Lease, LeaseLost, Leases, PluginHost, PluginUnavailable, Work, get_logger
from catalyst_mesh.waits import rest
from catalyst_sdk import Permanent, PluginFailure
from catalyst_sdk.dns import DnsBackend

from catalyst_pool_domain_manager.domain import backends, refusals
from catalyst_pool_domain_manager.domain.backends import Backend
from catalyst_pool_domain_manager.domain.pools import Pool
from catalyst_pool_domain_manager.kept import tables
from catalyst_pool_domain_manager.store import Store

KIND = "dns_backend"
LEASE = "probe"
BREATH = 0.5
"""Seconds between two looks, however often it rings."""
AGAIN = timedelta(seconds=15)
"""Pause before a server is asked again that gave no proof."""


@dataclass
class Backends:
    """The plugins of all backends; one that is configured as a resource is made when it is first needed."""

    work: Work[Store]
    host: PluginHost
    _made: dict[str, tuple[int, DnsBackend]] = field(default_factory=dict)

    async def get(self, name: str) -> DnsBackend:
        """The backend of that resource name. Raises BackendNotFound, PluginUnavailable."""
        id = name.removeprefix("backends/")
        if id in backends.PLUGINS:
            return self._configured(backends.PLUGINS[id])
        async with self.work.reading() as tx:
            known = await tx.backend(id)
        if known is None:
            raise refusals.BackendNotFound(backend=name)
        return self.made(known)

    async def of_pool(self, pool: Pool) -> DnsBackend:
        """Where a pool's zones lie. Raises PluginUnavailable."""
        return await self.kept_as(pool.backend)

    async def kept_as(self, backend: str) -> DnsBackend:
        """The backend as a pool has it. Raises PluginUnavailable."""
        try:
            return await self.get(backends.resource_of(backend))
        except refusals.BackendNotFound as gone:
            raise PluginUnavailable(plugin=backend, why="there is no such backend") from gone

    def made(self, b: Backend) -> DnsBackend:
        """The plugin with the configuration of a backend. Raises PluginUnavailable."""
        if b.is_built_in:
            return self._configured(b.plugin)
        generation, target = self._made.get(b.id, (0, None))
        if target is None or generation != b.generation:
            target = self.host.instance(KIND, b.plugin, b.config, secret=b.secret_ref)
            self._made[b.id] = (b.generation, target)
        return target

    def _configured(self, plugin: str) -> DnsBackend:
        target: DnsBackend = self.host.get(KIND, plugin)
        return target

    def plugin_of(self, name: str) -> str:
        """The plugin that people mean by `powerdns`, or by its own name. Raises PluginUnavailable where none is installed."""
        known = self.host.installed(KIND)
        found = next((n for n in (name, f"dns_{name}") if n in known), None)
        if found is None:
            raise PluginUnavailable(plugin=f"{KIND}:{name}", why=f"it is not installed (found: {', '.join(known)})")
        return found


@dataclass
class Prober:
    """Asks each backend once after every change of it, and whenever somebody wishes."""

    work: Work[Store]
    leases: Leases
    backends: Backends

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, whenever this replica holds the lease."""
        await self.leases.keep(LEASE, stop, partial(self._work_on, stop))

    async def _work_on(self, stop: asyncio.Event, lease: Lease) -> None:
        log = get_logger("prober")
        with self.work.bell.listening(tables.backends.name) as news:
            while not stop.is_set():
                news.clear()
                seconds = None
                try:
                    await self._list_built_in()
                    async with self.work.reading() as tx:
                        agenda = await tx.backends_due()
                    seconds = agenda.seconds
                    for id in agenda.due:
                        await self._probe(id, lease)
                except LeaseLost:
                    raise
                except Exception as error:
                    log.error("probing failed", exc_info=error)
                await rest(stop, BREATH)
                await self.work.bell.wait(stop, news, seconds)

    async def _list_built_in(self) -> None:
        """Backends of the settings are resources too, from the first start on that has their plugin."""
        working = self.backends.host.names(KIND)
        async with self.work.reading() as tx:
            known = {b.id for b in await tx.backends()}
        for id, plugin in backends.PLUGINS.items():
            if plugin in working and id not in known:
                async with self.work.transaction() as tx:
                    await tx.save_backend(Backend(id, str(uuid4()), plugin, tx.now, tx.now))

    async def _probe(self, id: str, lease: Lease) -> None:
        async with self.work.reading() as tx:
            known = await tx.backend(id)
        if known is None:
            return
        try:
            target = self.backends.made(known)
            found, info = await target.probe(), await target.info()
        except (PluginFailure, PluginUnavailable) as failure:
            lasting = isinstance(failure, Permanent | PluginUnavailable)
            reason = getattr(failure, "reason", type(failure).__name__)
            text = failure.sentence if isinstance(failure, PluginUnavailable) else failure.message
            decide = partial(backends.unproved, reason=reason, why=text, lasting=lasting, pause=AGAIN)
        else:
            said = {"capabilities": sorted(found), "record_types": sorted(info.record_types)}
            decide = partial(backends.proved, capabilities=said)
        async with self.work.transaction() as tx:
            await lease.guard(tx.sql)
            fresh = await tx.backend(id)
            if fresh is not None and fresh.generation == known.generation:
                await tx.save_backend(decide(fresh, now=tx.now))
