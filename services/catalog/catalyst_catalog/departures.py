"""What the catalogue does when an Organization has gone for good: its sources go, and what they brought is an orphan.

In one transaction with the inbox row, hence once; told again, it finds no source and changes nothing.
"""

from collections.abc import Sequence

from catalyst.environment.v1 import events_pb2 as environment
from catalyst_mesh import Handled, Told

from .domain.sources import delete
from .store import Store

_GONE = "catalyst.v1.environment.organization.deleted"
_ORG = "organizations/"


async def on_organization_deleted(tx: Store, message: environment.OrganizationDeleted, told: Told) -> Sequence[object]:
    """Take its sources away, and note when what they brought is to be erased."""
    if not message.organization.startswith(_ORG):
        raise ValueError(f"{message.organization!r} is no name of an Organization")
    org, facts = message.organization.removeprefix(_ORG), list[object]()
    for id in await tx.sources_of(org):
        source = await tx.source(id, lock=True)
        if source is not None:
            gone = delete(source, await tx.owned(id), await tx.revision(), tx.now)
            await tx.save(gone.state)
            facts += gone.events
    await tx.depart(org)
    return facts


HANDLED = (Handled(_GONE, environment.OrganizationDeleted, on_organization_deleted),)
