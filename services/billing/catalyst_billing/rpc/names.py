"""Resource names of requests, and who may touch them."""

from uuid import UUID, uuid4

from catalyst_mesh import caller
from catalyst_sdk import Code, Refused

ANY = "-"
"""Stands for every account in the parent of a list."""


class EtagMismatch(Refused):
    code, reason = Code.ABORTED, "ETAG_MISMATCH"
    message = "{resource} was changed meanwhile: its etag is {etag}"


def org_of(name: str) -> str:
    """`acme` of `billingAccounts/acme/orders/o-1`."""
    return name.split("/")[1]


def id_of(name: str) -> str:
    """`o-1` of `billingAccounts/acme/orders/o-1`."""
    return name.rsplit("/", 1)[1]


def new_id(prefix: str) -> str:
    """An id that nobody had before."""
    return f"{prefix}-{uuid4().hex}"


def uid_of(id: str) -> str:
    """The UUID4 in an id made by `new_id`; empty for ids made from another's."""
    digits = id.rsplit("-", 1)[-1]
    return str(UUID(digits)) if len(digits) == 32 else ""


def require_member(name: str, *roles: str) -> str:
    """The Organization in `name`, if the caller is its org-admin, a billing-admin, or has one of `roles`.

    Raises RoleDenied for everybody else, whether the resource exists or not.
    """
    org = org_of(name)
    if org == ANY:
        caller().require("billing-admin", resource=name)
        return ""
    caller().require("org-admin", "billing-admin", *roles, org=org, resource=name)
    return org


def etag_of(version: int) -> str:
    """The etag of a version, with its quotes."""
    return f'"{version}"'


def check_etag(given: str, resource: str, version: int) -> None:
    """Raises EtagMismatch unless `given` is empty or that of `version`."""
    if given and given != etag_of(version):
        raise EtagMismatch(resource=resource, etag=etag_of(version))
