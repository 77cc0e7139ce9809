"""What PDM does about events of other daemons."""

from catalyst.environment.v1 import events_pb2 as environment
from catalyst_mesh import Handled, Told, get_logger

from .domain import allocations, delegations
from .domain.delegations import State
from .domain.filters import Filter
from .domain.hosting import Kind
from .events import SUBJECTS
from .store import Store

ACTOR = "service:pooldomain"
MOST = 1000
"""Names that are given up in one transaction; a quota keeps an owner far below."""
NOWHERE = frozenset({State.NONE, State.PLANNED, State.ROLLED_BACK})
"""States of a delegation in which no parent was pointed here."""
_GONE = "catalyst.v1.environment.organization.deleted"


async def on_organization_deleted(
    tx: Store, message: environment.OrganizationDeleted, told: Told
) -> tuple[object, ...]:
    """Release all names that the Organization holds, and report its own domains. Names on their way out go on; told again,
    nothing is left to do."""
    facts: list[object] = []
    for name in await tx.live(None, None, MOST, [message.organization], Filter()):
        held = await tx.lock(name.pool, name.label)  # as it is now, and nobody else's meanwhile
        if held is None or held.owner != message.organization or not held.is_live(tx.now):
            continue
        decision = allocations.release(held, "its Organization was deleted", ACTOR, tx.now)
        await tx.save(decision.state)
        for fact in decision.events:
            await tx.remember(decision.state, SUBJECTS[type(fact)], ACTOR)
        facts += decision.events
    await _report_cuts(tx, message.organization)
    return tuple(facts)


async def _report_cuts(tx: Store, owner: str) -> None:
    """Say of each delegation of the owner's own domains that nobody stands behind it. What a parent points to stays: whoever
    has the domain decides, and a zone that goes first leaves it without any answer."""
    for zone in await tx.zones_after("", MOST, [owner], kind=str(Kind.BYO)):
        cut = await tx.delegation(zone.domain, lock=True)
        if cut is None or cut.uid != zone.uid or cut.state in NOWHERE:
            continue
        after = delegations.orphaned(cut, tx.now)
        if after is not cut:
            await tx.save_delegation(after)
            get_logger("handlers").warning("delegation without an owner", delegation=cut.name, owner=owner)


HANDLED = (Handled(_GONE, environment.OrganizationDeleted, on_organization_deleted),)
