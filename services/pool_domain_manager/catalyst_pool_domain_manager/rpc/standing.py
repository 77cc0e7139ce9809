"""Whose name it is, and what a caller may therefore see or do. Another Organization's name is as absent as one that
never was."""

from collections.abc import Sequence

from catalyst_mesh import Caller, InvalidRequest
from catalyst_mesh.calls import RoleDenied
from catalyst_sdk import Violation

from catalyst_pool_domain_manager.domain import refusals
from catalyst_pool_domain_manager.domain.allocations import Allocation
from catalyst_pool_domain_manager.domain.registrars import AccountNotFound
from catalyst_pool_domain_manager.store import Store

OPERATORS = ("sovereign-admin",)
READERS = (*OPERATORS, "security-officer")
STEERS = ("continuum",)
"""Daemons that steer the traffic of names, and nothing else of them."""
AGENT = "provisioner"
"""The one daemon that reserves and releases on behalf of owners."""


def key_of(name: str) -> tuple[str, str]:
    """Pool and label of a resource name."""
    _, pool, _, label = name.split("/")
    return pool, label


def sees_all(me: Caller) -> bool:
    """Whether names of every owner are the caller's business."""
    return me.is_service() or me.has_role(*READERS)


def owners_seen(me: Caller) -> tuple[str, ...] | None:
    """Owners whose names the caller may read; None: everybody's."""
    return None if sees_all(me) else tuple(f"organizations/{org}" for org in sorted(me.organizations))


def may_see(owner: str, me: Caller) -> bool:
    """Whether the caller may know of the names of `owner`."""
    seen = owners_seen(me)
    return seen is None or owner in seen


def may_govern(owner: str, me: Caller) -> bool:
    """Whether the caller may hold, change and give back names of `owner`. A role in another Organization is none here."""
    org = owner.removeprefix("organizations/")
    return me.is_service(AGENT) or me.has_role(*OPERATORS) or me.has_role("org-admin", org=org)


async def demand_account(tx: Store, name: str, owner: str, me: Caller, *, lock: bool = False) -> None:
    """The account at a registrar is of that owner, or the caller keeps everybody's; empty: none is used.

    Raises AccountNotFound.
    """
    if name:
        account = await tx.account(name.removeprefix("registrarAccounts/"), lock=lock)
        if account is None or (account.owner != owner and not sees_all(me)):
            raise AccountNotFound(name=name)


async def seen(tx: Store, name: str, me: Caller, *, live: bool = False) -> Allocation:
    """The name, where the caller may know of it. Raises AllocationNotFound."""
    a = await tx.lock(*key_of(name))
    if a is None or (live and not a.is_live(tx.now)) or not may_see(a.owner, me):
        raise refusals.AllocationNotFound(name=name)
    return a


async def governed(tx: Store, name: str, me: Caller, *, also: Sequence[str] = ()) -> Allocation:
    """The live name, where the caller may change it. Raises AllocationNotFound, RoleDenied.

    also   further daemons that may do what is asked
    """
    a = await seen(tx, name, me, live=True)
    if not (may_govern(a.owner, me) or (also and me.is_service(*also))):
        raise RoleDenied(subject=me.subject, resource=name)
    return a


def owner_of(given: str, me: Caller) -> str:
    """Whose name it becomes: the caller's Organization's, or another's where the caller may act for it."""
    owner = given or (f"organizations/{min(me.organizations)}" if len(me.organizations) == 1 else "")
    if not owner:
        raise InvalidRequest((Violation("owner", "say which Organization the name is for", "required"),))
    if not may_govern(owner, me):
        raise RoleDenied(subject=me.subject, resource=owner)
    return owner
