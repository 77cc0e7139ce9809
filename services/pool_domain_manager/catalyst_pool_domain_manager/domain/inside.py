"""Names inside of their pool's zone: what stands there for each, and whose the records at a name are.

Invariants
  marked     what is written for a name comes and goes by one change with its mark, `_pdm-owner.<name>`, which names the life
             of the name that it belongs to;
  not ours   records at or below a name without its mark are somebody else's, unless they are just what was wished.
"""

from dataclasses import replace

from catalyst_sdk.dns import OWNER_MARK, Change, RecordSet, ZoneState
from catalyst_sdk.dns_rules import below, owner_text

from . import zones
from .allocations import Allocation
from .pools import Pool
from .zones import NOTHING, Can

CHALLENGE = "_acme-challenge."
"""In front of a name that somebody proves to an issuer of certificates: it comes and goes by itself, and leads nowhere."""


def mark(a: Allocation, pool: Pool) -> RecordSet:
    """What says whose the records at and below the name are."""
    return RecordSet(below(OWNER_MARK, a.zone), "TXT", pool.ttls.record, (owner_text(a.mark),))


def part(a: Allocation, parent: ZoneState) -> tuple[RecordSet, ...]:
    """What the pool's zone holds at and below the name, challenges aside."""
    return tuple(
        r for r in parent.record_sets if zones.is_below(r.name, a.zone) and not r.name.startswith(CHALLENGE)
    )  # fmt: skip


def is_marked(a: Allocation, pool: Pool, parent: ZoneState) -> bool:
    """Whether the records at the name are this life's of it."""
    wanted = mark(a, pool)
    found = parent.find(wanted.name, wanted.type)
    return found is not None and found.records == wanted.records


def foreign(a: Allocation, pool: Pool, parent: ZoneState) -> tuple[str, ...]:
    """Records at or below the name that are not ours."""
    return () if is_marked(a, pool, parent) else tuple(f"{r.name} {r.type}" for r in part(a, parent))


def corrections(a: Allocation, pool: Pool, parent: ZoneState, can: Can = NOTHING) -> tuple[Change, ...]:
    """What must change in the pool's zone, so that the name is there as it is wished; all with the first of them."""
    own = ZoneState(a.zone, a.mark, parent.serial, a.generation, False, part(a, parent), (), "")
    changed = zones.corrections(a, pool, own, can)
    if is_marked(a, pool, parent):
        return changed
    first = (mark(a, pool), *zones.no_mail(a, pool))
    return (*changed, *(Change(r.name, r.type, r.ttl, r.records) for r in first))


def lacking(a: Allocation, pool: Pool, parent: ZoneState) -> tuple[Change, ...]:
    """What would have to change; hosts with a policy aside, whose records only their server's abilities tell."""
    others = zones.steered(a)
    return tuple(one for one in corrections(replace(a, traffic=()), pool, parent) if one.name not in others)


def removals(a: Allocation, pool: Pool, parent: ZoneState, can: Can = NOTHING) -> tuple[Change, ...]:
    """Takes everything at and below the name out of the pool's zone; where the mark is lost, what was wished and no more."""
    if is_marked(a, pool, parent):
        return zones.removals(a, parent)
    wished = {(r.name, r.type): set(r.records) for r in zones.own_sets(a, pool, can)}
    return tuple(Change(r.name, r.type) for r in part(a, parent) if wished.get((r.name, r.type)) == set(r.records))


def lasting(a: Allocation, pool: Pool) -> int:
    """Seconds after which nobody believes in the name any more that was taken away."""
    return max(pool.ttls.record, pool.ttls.negative, *(policy.ttl or 0 for policy in a.traffic))
