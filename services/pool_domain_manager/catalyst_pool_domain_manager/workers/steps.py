"""The order of effects: zone → answers everywhere → delegation with DS; gone in reverse.

Each step reads before it writes and is looked at by the servers' answers before the next one begins, so any of them may be
repeated by whoever goes on after a crash. A step answers with what it observed; `rest` is how long the next one waits.
"""

import asyncio
from collections.abc import Sequence

from catalyst_sdk import Permanent
from catalyst_sdk.dns import Change, KeyOp, ZoneState

from catalyst_pool_domain_manager.domain import conditions as c
from catalyst_pool_domain_manager.domain import zones

from . import chains
from .serving import asked, name_servers, named
from .site import Outcome, Site, Step, not_yet


async def parent_clean(site: Site) -> Outcome:
    """C1: nothing stands in the parent that a cut would hide."""
    parent = await site.parent(fresh=True)
    servers = named(site.pool, parent)
    # A cut that names other servers than today's is ours all the same, if it vouches for the name's zone.
    if found := zones.foreign(site.a, parent, servers):
        found = zones.foreign(site.a, parent, servers, await site.child())
    if found:
        raise Permanent("PARENT_OCCLUDED", f"the pool's zone holds {', '.join(found)}; remove it first")
    return Outcome(True, (c.true(c.PARENT_CLEAN),), lasts=False)


async def zone_made(site: Site) -> Outcome:
    """C2: the zone is there with mark, records and key, made in one call; a changed wish corrects it."""
    parent, can = await site.parent(), await site.can()
    # Of a zone that nobody was told of yet the making says whose it is, if it is there.
    before = await site.child() if site.a.zone_told or site.a.generation > 1 else None
    state = before or await site.backend.create_zone(spec=zones.spec(site.a, site.pool, named(site.pool, parent), can))
    named_so = zones.server_changes(site.a, site.pool, state, named(site.pool, parent))
    changes = (*named_so, *zones.corrections(site.a, site.pool, state, can))
    if changes or state.revision != site.a.generation:
        state = await site.backend.apply(
            zone=site.a.zone, changes=changes, revision=site.a.generation, expect=state.etag
        )
    if not state.signed:  # a server may die between a zone's records and its key
        state = await site.backend.dnssec(zone=site.a.zone, op=KeyOp.ENABLE, expect=state.etag)
    # A zone that is there though this step never ended was made by one who died before he could tell.
    facts = () if site.a.zone_told else ((zones.ZoneCreated, state.serial, state.revision),)
    return Outcome(True, (c.true(c.BACKEND_READY),), facts, child=state)


async def zone_answers(site: Site) -> Outcome:
    """C3: every server answers the zone with authority, complete, and validly signed."""
    state = await _own(site)
    polled = await asked(site.pool, await site.parent(), site.poll)
    faults = await polled.servers.zone_faults(polled.names, state)
    if faults:
        return Outcome(False, (not_yet(c.ZONE_READY, faults),))
    found = (c.true(c.ZONE_READY), c.true(c.RECORDS_PUBLISHED), c.true(c.SIGNED))
    facts = () if site.a.zone_told == "signed" else ((zones.ZoneSigned, state.serial, state.revision),)
    return Outcome(True, found, facts, child=state)


async def delegated(site: Site) -> Outcome:
    """C4: NS and DS stand in the parent, by one change."""
    # While keys are exchanged the parent's own word counts, and where nothing is to be done, it has to be the last one.
    state = await _own(site)
    parent = await site.parent(fresh=len(state.keys) > 1)
    missing = _missing(site, state, parent) or _missing(site, state, await site.parent(fresh=True))
    await site.parents.apply(site.backend, site.pool.zone, site.a.zone, missing)
    return Outcome(True, lasts=False, child=state)


def _missing(site: Site, state: ZoneState, parent: ZoneState) -> tuple[Change, ...]:
    """What the parent lacks of the delegation."""
    wanted = zones.delegation(site.a, site.pool, state, named(site.pool, parent), parent.find(site.a.zone, "DS"))
    return tuple(w for w in wanted if (r := parent.find(w.name, w.type)) is None or set(r.records) != set(w.records))


async def delegation_seen(site: Site) -> Outcome:
    """C5: every server of the parent shows the DS, and from there to the child's records every link holds."""
    parent = await site.parent()
    above, below = name_servers(parent), await asked(site.pool, parent, site.poll)
    both = below.servers.joined(site.servers)
    faults = await chains.faults(both, above, site.pool.zone, below.names, site.a.zone, await _own(site))
    if faults:
        return Outcome(False, (not_yet(c.DELEGATED, faults),))
    # Whoever asked before heard that the name is not there, and may believe that for so long.
    rest = float(site.pool.ttls.negative)
    return Outcome(True, (c.true(c.DELEGATED), c.true(c.DS_PUBLISHED)), rest=rest)


async def propagated(site: Site) -> Outcome:
    """C6: the last cached denial can have ended; the step before waited for it."""
    return Outcome(True, (c.true(c.PROPAGATED),))


async def addresses_gone(site: Site) -> Outcome:
    """R1: the child answers no address any more."""
    state, _ = await site.found()
    if state is None:
        return Outcome(True)
    changes = zones.withdrawals(state)
    if changes:
        await site.backend.apply(zone=site.a.zone, changes=changes, revision=site.a.generation, expect=state.etag)
    # Also the hosts that an earlier try has withdrawn and nobody has looked at since.
    hosts = {host for host, _ in zones.hosts(site.a, site.pool)} | {change.name for change in changes}
    hosts |= zones.steered(site.a)
    polled = await asked(site.pool, await site.parent(), site.poll)
    looks = (polled.servers.absent_faults(polled.names, host, "A", "AAAA") for host in sorted(hosts))
    faults = [fault for found in await asyncio.gather(*looks) for fault in found]
    if faults:
        return Outcome(False, (not_yet(c.RECORDS_PUBLISHED, faults),))
    return Outcome(True, (c.false(c.RECORDS_PUBLISHED, "Withdrawn", "the name is being released"),))


async def delegation_gone(site: Site) -> Outcome:
    """R2: one change takes DS, NS and everything below out of the parent, and its servers show it."""
    parent = await site.parent(fresh=True)
    removals = zones.removals(site.a, parent)
    await site.parents.apply(site.backend, site.pool.zone, site.a.zone, removals)
    faults = await site.servers.cut_faults(name_servers(parent), site.a.zone)
    if faults:
        return Outcome(False, (not_yet(c.DELEGATED, faults),))
    # Resolvers may still follow the delegation; the zone is served and signed for them until R3 is over.
    rest = float(site.pool.ttls.horizon)
    return Outcome(True, (c.false(c.DELEGATED, "Withdrawn", "the name is being released"),), rest=rest)


async def caches_over(site: Site) -> Outcome:
    """R3: nobody can believe the delegation any more; the step before waited for it."""
    return Outcome(True)


async def zone_gone(site: Site) -> Outcome:
    """R4: the zone is deleted, if it is ours, and no server answers it. Somebody else's stays, and is no fault."""
    _, is_foreign = await site.found()
    if not is_foreign:  # also where none is seen: one whose making was cut short counts as absent, and is ours to clear
        await site.backend.delete_zone(zone=site.a.zone, owner=site.a.mark)
    polled = await asked(site.pool, await site.parent(), site.poll)
    faults = [] if is_foreign else await polled.servers.deleted_faults(polled.names, site.a.zone)
    if faults:
        return Outcome(False, (not_yet(c.ZONE_READY, faults),))
    return Outcome(True, (), ((zones.ZoneDeleted, 0, 0),) if site.a.zone_told else ())


PROVISION: Sequence[tuple[str, Step]] = (
    ("c1", parent_clean),
    ("c2", zone_made),
    ("c3", zone_answers),
    ("c4", delegated),
    ("c5", delegation_seen),
    ("c6", propagated),
)  # fmt: skip - the order is the point
PREPARE = PROVISION[:2]
"""For a name that is only reserved: its zone, which no parent points to."""
RELEASE: Sequence[tuple[str, Step]] = (
    ("r1", addresses_gone), ("r2", delegation_gone), ("r3", caches_over), ("r4", zone_gone),
)  # fmt: skip
BEFORE_PARENT = frozenset({"", "c1", "c2", "c3", "r1"})
"""Steps after which a name is on its way to change its parent."""
FORGET = RELEASE[-1:]
"""Release of a name that the parent never pointed to: what stands in the parent there is not ours, and nothing is cached."""


async def _own(site: Site) -> ZoneState:
    state = await site.child()
    if state is None:
        raise Permanent("ZONE_ABSENT", f"the zone {site.a.zone} has vanished; commit the name again")
    return state
