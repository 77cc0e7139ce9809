"""Organizations: what each has, how it is made and taken away, and the places for its Applications."""

from typing import Any

from . import operations
from .asking import Answer, together
from .faults import NONE, REFUSALS, Faults
from .visits import Shown, Visit, action, page

_ORG = "/console/organizations/{org:str}"
KINDS = (("CUSTOMER", "a customer"), ("INTERNAL", "a part of our own house"))
TYPES = (("prod", "production"), ("stg", "staging"), ("uat", "acceptance"), ("dev", "development"), ("poc", "a trial"))
"""Types of Environments, with their words."""


@page("/console/organizations")
async def every(at: Visit) -> Shown:
    """Those of the person who looks; all of them for whoever keeps the Sovereign."""
    return await _every(at)


async def mine(at: Visit, **query: str) -> list[Answer]:
    """Organizations that the person is told; none of whoever belongs to none."""
    return await at.api.all("/v1/organizations", "organizations", **query)


async def _every(at: Visit, faults: Faults = NONE) -> Shown:
    rows = await mine(at, q=at.query.get("q", ""))
    return at.show(
        "organizations.html",
        title="Organizations",
        rows=rows,
        q=at.query.get("q", ""),
        faults=faults,
        given=at.form,
        kinds=KINDS,
        types=TYPES,
        status=422 if faults else 200,
    )  # fmt: skip - one call


@action("/console/organizations")
async def create(at: Visit) -> Shown:
    """A new one; whoever makes it owns it."""
    wish = {
        "displayName": at.form.get("organization.display_name", ""),
        "kind": f"KIND_{at.form.get('organization.kind', 'CUSTOMER')}",
        "defaultEnvironmentType": at.form.get("organization.default_environment_type", ""),
    }  # fmt: skip - a body
    try:
        made = await at.api.send(
            "POST", "/v1/organizations", wish, organizationId=at.form.get("organization_id", "").strip()
        )  # fmt: skip - one call
    except REFUSALS as refused:
        return await _every(at, Faults.of(refused))
    return at.go(f"/console/{made['name']}")


@page(_ORG)
async def organization(at: Visit) -> Shown:
    """One from every side: state, what it has, its Environments, and what is being done with it."""
    return await _organization(at)


async def _organization(at: Visit, faults: Faults = NONE, status: int = 409) -> Shown:
    one = await at.api.get(f"/v1/{_name(at)}")
    environments, operation = await together(_environments(at), operations.of(at, one))
    return at.show(
        "organization.html",
        title=one.get("displayName") or at.names["org"],
        tab="",
        one=one,
        environments=environments,
        operation=operation,
        faults=faults,
        given=at.form,
        types=TYPES,
        status=status if faults else 200,
    )  # fmt: skip - one call


async def _environments(at: Visit) -> list[Answer] | None:
    """None where the person keeps the Sovereign and is no member: what is inside is not theirs."""
    try:
        return await at.api.all(f"/v1/{_name(at)}/environments", "environments")
    except REFUSALS as refused:
        if Faults.of(refused).reason in ("ROLE_DENIED", "CALL_DENIED"):
            return None
        raise


@action(_ORG + "/environments")
async def add_environment(at: Visit) -> Shown:
    """One more place for Applications."""
    wish = {"type": at.form.get("environment.type", "")}
    try:
        await at.api.send("POST", f"/v1/{_name(at)}/environments", wish)
    except REFUSALS as refused:
        return await _organization(at, Faults.of(refused))
    return at.go(f"/console/{_name(at)}")


@action(_ORG + "/rename")
async def rename(at: Visit) -> Shown:
    """Another name for people; the slug stays for life."""
    one = await at.api.get(f"/v1/{_name(at)}")
    wish = {
        "displayName": at.form.get("organization.display_name", ""),
        "industry": at.form.get("organization.industry", ""),
    }
    try:
        await at.api.send("PATCH", f"/v1/{_name(at)}", wish, etag=one["etag"], updateMask="displayName,industry")
    except REFUSALS as refused:
        return await _organization(at, Faults.of(refused), status=422)
    return at.go(f"/console/{_name(at)}")


@action(_ORG + "/delete")
async def delete(at: Visit) -> Shown:
    """Begin to take it away: only for who has typed its slug."""
    one = await at.api.get(f"/v1/{_name(at)}")
    typed = at.form.get("confirm", "").strip()
    if typed != at.names["org"]:
        said = Faults.at(confirm=f"Type {at.names['org']}: after seven days what goes does not come back.")
        return await _organization(at, said, status=422)
    asked: dict[str, Any] = {"confirm": typed, "reason": at.form.get("says", "")}
    try:
        await at.api.send("DELETE", f"/v1/{_name(at)}", etag=one["etag"], **asked)
    except REFUSALS as refused:
        return await _organization(at, Faults.of(refused))
    return at.go(f"/console/{_name(at)}")


@action(_ORG + "/{verb:str}")
async def act(at: Visit) -> Shown:
    """Suspend, resume or take back; try again what failed."""
    verb, says = at.names["verb"], at.form.get("says", "")
    if verb in operations.VERBS:
        one = await at.api.get(f"/v1/{_name(at)}")
        if faults := await operations.act(at, one, verb):
            return await _organization(at, faults)
        return at.go(f"/console/{_name(at)}")
    try:
        await at.api.send("POST", f"/v1/{_name(at)}:{verb}", {"reason": says} if verb == "suspend" else {})
    except REFUSALS as refused:
        return await _organization(at, Faults.of(refused))
    return at.go(f"/console/{_name(at)}")


def _name(at: Visit) -> str:
    return f"organizations/{at.names['org']}"


PAGES = (every, create, organization, add_environment, rename, delete, act)
