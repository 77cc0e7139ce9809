"""Who belongs to an Organization and who is invited, and the page on which an invitation is taken up."""

from .asking import Answer
from .faults import NONE, REFUSALS, Faults
from .visits import Shown, Visit, action, page

_PEOPLE = "/console/organizations/{org:str}/people"
_INVITATION = "/console/organizations/{org:str}/invitations/{invitation:str}"
ROLES = (
    ("DEVELOPER", "developer: installs and changes Applications"),
    ("VIEWER", "viewer: looks"),
    ("ADMIN", "admin: everything of the Organization"),
)


@page(_PEOPLE)
async def people(at: Visit) -> Shown:
    """Members with their roles; invitations for whoever may send them."""
    return await _people(at)


async def _people(at: Visit, faults: Faults = NONE, sent: Answer | None = None) -> Shown:
    members = await at.api.all(f"/v1/{_name(at)}/members", "members")
    return at.show(
        "people.html",
        title=f"People of {at.names['org']}",
        tab="people",
        org=_name(at),
        members=members,
        invitations=await _invitations(at),
        sent=sent,
        faults=faults,
        given=at.form,
        roles=ROLES,
        status=422 if faults else 200,
    )  # fmt: skip - one call


async def _invitations(at: Visit) -> list[Answer] | None:
    """None for whoever is no admin of the Organization."""
    try:
        return await at.api.all(f"/v1/{_name(at)}/invitations", "invitations")
    except REFUSALS as refused:
        if Faults.of(refused).reason in ("ROLE_DENIED", "CALL_DENIED"):
            return None
        raise


@action(_PEOPLE)
async def invite(at: Visit) -> Shown:
    """Invite an address. The token is on the page that answers, and never again."""
    wish = {"email": at.form.get("invitation.email", "").strip(), "role": f"ROLE_{at.form.get('invitation.role', '')}"}
    try:
        sent = await at.api.send("POST", f"/v1/{_name(at)}/invitations", wish)
    except REFUSALS as refused:
        return await _people(at, Faults.of(refused))
    return await _people(at, sent=sent)


@action(_PEOPLE + "/{member:str}/{verb:str}")
async def change(at: Visit) -> Shown:
    """Another role, out of the Organization, or its owner from now on."""
    name, verb = f"{_name(at)}/members/{at.names['member']}", at.names["verb"]
    try:
        if verb == "hand-over":
            await at.api.send("POST", f"/v1/{name}:transferOwnership")
        else:
            one = await at.api.get(f"/v1/{name}")
            if verb == "remove":
                await at.api.send("DELETE", f"/v1/{name}", etag=one["etag"])
            else:
                wish = {"role": f"ROLE_{at.form.get('role', '')}"}
                await at.api.send("PATCH", f"/v1/{name}", wish, etag=one["etag"], updateMask="role")
    except REFUSALS as refused:
        return await _people(at, Faults.of(refused))
    return at.go(f"/console/{_name(at)}/people")


@action(_PEOPLE + "/leave")
async def leave(at: Visit) -> Shown:
    """Out of the Organization, by oneself; what was seen of it is seen no more."""
    try:
        await at.api.send("POST", f"/v1/{_name(at)}:leave")
    except REFUSALS as refused:
        return await _people(at, Faults.of(refused))
    return at.go("/console/organizations")


@page(_INVITATION)
async def invitation(at: Visit) -> Shown:
    """Where an invited person becomes a member; nothing is told of the Organization before."""
    return _invitation(at)


def _invitation(at: Visit, faults: Faults = NONE) -> Shown:
    return at.show(
        "invitation.html",
        title=f"Invitation to {at.names['org']}",
        name=f"{_name(at)}/invitations/{at.names['invitation']}",
        org=_name(at),
        faults=faults,
        status=422 if faults else 200,
    )  # fmt: skip - one call


@action(_INVITATION + "/{verb:str}")
async def answer(at: Visit) -> Shown:
    """Accept one; or, of whoever sent it: send it anew, or take it back."""
    name, verb = f"{_name(at)}/invitations/{at.names['invitation']}", at.names["verb"]
    body = {"token": at.form.get("token", "").strip()} if verb == "accept" else {}
    try:
        said = await at.api.send("POST", f"/v1/{name}:{verb}", body)
    except REFUSALS as refused:
        faults = Faults.of(refused)
        return _invitation(at, faults) if verb == "accept" else await _people(at, faults)
    if verb == "resend":
        return await _people(at, sent=said)
    return at.go(f"/console/{_name(at)}" + ("" if verb == "accept" else "/people"))


def _name(at: Visit) -> str:
    return f"organizations/{at.names['org']}"


PAGES = (people, invite, change, leave, invitation, answer)
