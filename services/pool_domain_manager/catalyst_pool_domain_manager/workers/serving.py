"""Which servers have the zones of a pool's names: those of its name-server set, or else those of the pool's own zone."""

from catalyst_sdk.dns import ZoneState

from catalyst_pool_domain_manager.domain.pools import Pool

from .polled import Poll, Polled


def name_servers(parent: ZoneState) -> tuple[str, ...]:
    """The servers that a zone names."""
    ns = parent.find(parent.name, "NS")
    return ns.records if ns else ()


def named(pool: Pool, parent: ZoneState) -> tuple[str, ...]:
    """What stands in NS of a name's zone, at both sides of the cut."""
    return pool.servers.published if pool.servers else name_servers(parent)


async def asked(pool: Pool, parent: ZoneState, poll: Poll) -> Polled:
    """Who is asked whether a name's zone is as wished."""
    return await poll.of(pool.servers) if pool.servers else Polled(name_servers(parent), poll.hinted)
