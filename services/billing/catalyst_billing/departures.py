"""What billing does when an Organization has gone for good: everything of it ends, and its rows stay.

In one transaction with the inbox row, hence once; told again, it finds the account closed and changes nothing.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from catalyst.environment.v1 import events_pb2 as environment
from catalyst_mesh import Handled, Told

from .domain import last_bills, purchases, renewals
from .domain.accounts import State
from .domain.orders import Command
from .domain.renewals import House
from .names import org_in
from .store import Store

_GONE = "catalyst.v1.environment.organization.deleted"
WHY = "organization_deleted"


def departed(house: House) -> Handled:
    """The handler, under the rules of the Sovereign."""
    return Handled(_GONE, environment.OrganizationDeleted, partial(on_organization_deleted, house))


async def on_organization_deleted(
    house: House, tx: Store, message: environment.OrganizationDeleted, told: Told
) -> Sequence[object]:
    """Give up open orders, end subscriptions, close the account. A capture that comes later goes back."""
    org = org_in(message.organization)
    account = await tx.lock_account(org)
    if account is None or account.state is State.CLOSED:
        return ()
    facts: list[object] = []
    for id in await tx.open_orders(org):
        released = purchases.release(await tx.lock_purchase(org, id), Command.CANCEL, WHY, tx.now)
        await tx.save(released.state)
        facts += released.events
    for id in await tx.unfinished_subscriptions(org):
        dues = await tx.lock_dues(org, id, house.books)
        end = renewals.end if dues.subscription.is_live else last_bills.drop
        ended = end(dues, WHY, house, tx.now)
        await tx.save(ended.state)
        facts += ended.events
    closed = replace(account, state=State.CLOSED, updated_at=tx.now, version=account.version + 1)
    await tx.save(closed)
    return facts
