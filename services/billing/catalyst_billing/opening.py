"""Accounts are opened at their first use, or ahead of it when their Organization is made."""

from collections.abc import Sequence
from functools import partial
from uuid import uuid4

from catalyst.environment.v1 import events_pb2 as environment
from catalyst_mesh import Handled, Told
from catalyst_sdk import Decision

from .domain import accounts, findings
from .domain.accounts import AccountClosed, BillingAccount
from .names import org_in
from .store import Store

_MADE = "catalyst.v1.environment.organization.created"


async def ensured(tx: Store, org: str, default: str, currency: str = "") -> Decision[BillingAccount]:
    """The account of `org`, locked; opened in `currency` or `default` where there is none yet. Raises AccountClosed."""
    known = await tx.lock_account(org)
    return accounts.ensure(known, org=org, uid=str(uuid4()), currency=currency, default=default, now=tx.now)


def arrived(currency: str) -> Handled:
    """The handler of a new Organization; its account is kept in `currency`."""
    return Handled(_MADE, environment.OrganizationCreated, partial(on_organization_created, currency))


async def on_organization_created(
    currency: str, tx: Store, message: environment.OrganizationCreated, told: Told
) -> Sequence[object]:
    """Open its account, unless its first use was faster."""
    org = org_in(message.organization)
    try:
        opened = await ensured(tx, org, currency)
    except AccountClosed as closed:
        # A name that was another's before: what that one owed stays where it is, and a person decides.
        text = f"{message.organization} was made anew: {closed.sentence}"
        await tx.open_finding(
            findings.warn("ACCOUNT_CLOSED", message.organization, text, account=f"billingAccounts/{org}", now=tx.now)
        )
        return ()
    await tx.save(opened.state)
    return opened.events
