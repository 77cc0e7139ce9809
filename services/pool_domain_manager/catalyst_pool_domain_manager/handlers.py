"""What PDM does about events of other daemons."""

from catalyst.environment.v1 import events_pb2 as environment
from catalyst_mesh import Handled, Told

from .domain import allocations
from .domain.filters import Filter
from .events import SUBJECTS
from .store import Store

ACTOR = "service:pooldomain"
MOST = 1000
"""Names that are given up in one transaction; a quota keeps an owner far below."""
_GONE = "catalyst.v1.environment.organization.deleted"


async def on_organization_deleted(
    tx: Store, message: environment.OrganizationDeleted, told: Told
) -> tuple[object, ...]:
    """Release all names that the Organization holds. Those on their way out go on; told again, nothing is left to do."""
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
    return tuple(facts)


HANDLED = (Handled(_GONE, environment.OrganizationDeleted, on_organization_deleted),)
