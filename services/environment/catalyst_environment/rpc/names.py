"""Resource names of requests, and who may touch what they name."""

from catalyst_mesh import caller
from catalyst_sdk import Code, Refused

from ..domain.environments import Environment, EnvironmentNotFound, State
from ..domain.organizations import Organization, demand_changeable
from ..store import Store

READERS = ("org-viewer", "org-developer", "org-admin")
DEVELOPERS = ("org-developer", "org-admin")
ADMINS = ("org-admin",)
KEEPERS = ("org-admin", "sovereign-admin")
"""Who may change an Organization itself, as against what is inside it."""


class OrganizationNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "ORGANIZATION_NOT_FOUND", "there is no Organization {organization}"


class EtagMismatch(Refused):
    code, reason = Code.ABORTED, "ETAG_MISMATCH"
    message = "{resource} was changed meanwhile: its etag is {etag}"


def org_of(name: str) -> str:
    """Slug in `organizations/{org}/…`, and in `environments/{org}-{type}/…`."""
    kind, id, *_ = name.split("/")
    return id if kind == "organizations" else id.rpartition("-")[0]


def id_of(name: str) -> str:
    """Last part of a name."""
    return name.rpartition("/")[2]


def require(name: str, *roles: str) -> str:
    """The slug in `name`, if the caller holds one of `roles` there. Raises RoleDenied, whether it exists or not."""
    org = org_of(name)
    caller().require(*roles, org=org, resource=name)
    return org


async def organization(tx: Store, org: str, *, lock: bool = False) -> Organization:
    """An Organization. Raises OrganizationNotFound."""
    held = await tx.find(Organization, org, lock=lock)
    if held is None:
        raise OrganizationNotFound(organization=f"organizations/{org}")
    return held


async def changeable(tx: Store, org: str) -> Organization:
    """An Organization whose things may be changed; nobody ends that before the commit. Raises OrganizationInactive."""
    held = await organization(tx, org, lock=True)
    demand_changeable(held)
    return held


async def environment(tx: Store, name: str, *, lock: bool = False) -> Environment:
    """An Environment that there is. Raises EnvironmentNotFound."""
    id = name.split("/")[1]
    held = await tx.find(Environment, id, lock=lock)
    if held is None or held.state is State.DELETED:
        raise EnvironmentNotFound(environment=f"environments/{id}")
    return held


def etag_of(version: int) -> str:
    """The etag of a version, with its quotes."""
    return f'"{version}"'


def check_etag(given: str, resource: str, version: int) -> None:
    """Raises EtagMismatch unless `given` is that of `version`."""
    if given != etag_of(version):
        raise EtagMismatch(resource=resource, etag=etag_of(version))
