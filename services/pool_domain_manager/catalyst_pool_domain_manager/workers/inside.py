"""The order of effects for names inside of their pool's zone: clean → written by one change → seen at every server; gone by one.

Each step may be repeated by whoever goes on after a crash, as those of `steps`, whose names they carry: C2 and C3, R1 and R4 are
of a zone that such a name does not have.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from catalyst_sdk import Permanent
from catalyst_sdk.dns import ZoneState

from catalyst_pool_domain_manager.domain import conditions as c
from catalyst_pool_domain_manager.domain import inside, zones
from catalyst_pool_domain_manager.domain.allocations import Allocation

from .servers import Fault, Servers
from .serving import name_servers
from .site import Outcome, Site, Step, not_yet


async def clean(site: Site) -> Outcome:
    """C1: nothing of others stands at or below the name. That something of ours is about to is written down first."""
    if found := inside.foreign(site.a, site.pool, await site.parent(fresh=True)):
        raise Permanent("PARENT_OCCLUDED", f"the pool's zone holds {', '.join(found)}; remove it first")
    return Outcome(True, (c.true(c.PARENT_CLEAN), c.unknown(c.RECORDS_PUBLISHED, "Writing", "they are being written")))


async def written(site: Site) -> Outcome:
    """C4: the records stand in the pool's zone, by one change."""
    can = await site.can()
    changes = inside.corrections(site.a, site.pool, await site.parent(fresh=True), can)
    await site.parents.apply(site.backend, site.pool.zone, site.a.zone, changes)
    return Outcome(True, (c.true(c.BACKEND_READY),))


async def seen(site: Site) -> Outcome:
    """C5: every server of the pool's zone answers them, signed where the zone is."""
    parent = await site.parent(fresh=True)
    found = await faults(site.servers, site.a, parent)
    if found:
        return Outcome(False, (not_yet(c.RECORDS_PUBLISHED, found),))
    signed = (c.true(c.SIGNED),) if parent.signed else ()
    # Whoever asked before heard that the name is not there, and may believe that for so long.
    rest = float(site.pool.ttls.negative)
    return Outcome(True, (c.true(c.ZONE_READY), c.true(c.RECORDS_PUBLISHED), *signed), rest=rest)


async def propagated(_site: Site) -> Outcome:
    """C6: the last cached denial can have ended; the step before waited for it."""
    return Outcome(True, (c.true(c.PROPAGATED),))


async def gone(site: Site) -> Outcome:
    """R2: one change takes everything at and below the name away, and the servers show it."""
    a, pool = site.a, site.pool
    parent = await site.parent(fresh=True)
    removals = inside.removals(a, pool, parent, await site.can())
    await site.parents.apply(site.backend, pool.zone, a.zone, removals)
    hosts = {host for host, _ in zones.hosts(a, pool)} | {change.name for change in removals} | zones.steered(a)
    left = {r.name for r in inside.part(a, parent)} - {change.name for change in removals}
    looks = (site.servers.absent_faults(name_servers(parent), host, "A", "AAAA") for host in sorted(hosts - left))
    if found := [fault for some in await asyncio.gather(*looks) for fault in some]:
        return Outcome(False, (not_yet(c.RECORDS_PUBLISHED, found),))
    withdrawn = c.false(c.RECORDS_PUBLISHED, "Withdrawn", "the name is being released")
    return Outcome(True, (withdrawn,), rest=float(inside.lasting(a, pool)))


async def caches_over(_site: Site) -> Outcome:
    """R3: nobody can believe in the name any more; the step before waited for it."""
    return Outcome(True)


PROVISION: Sequence[tuple[str, Step]] = (("c1", clean), ("c4", written), ("c5", seen), ("c6", propagated))
RELEASE: Sequence[tuple[str, Step]] = (("r2", gone), ("r3", caches_over))


async def faults(servers: Servers, a: Allocation, parent: ZoneState) -> list[Fault]:
    """What servers of the pool's zone answer otherwise than its backend has it at the name."""
    own = inside.part(a, parent)
    return await servers.zone_faults(name_servers(parent), replace(parent, record_sets=own))
