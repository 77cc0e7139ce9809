"""`catalyst org members|invite|accept|remove|leave|hand-over`: who belongs to an Organization."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.org.names import organization
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

COLUMNS = {"NAME": "name", "SUBJECT": "subject", "EMAIL": "email", "ROLE": "role", "OWNER": "owner"}
INVITED = {"NAME": "name", "EMAIL": "email", "ROLE": "role", "STATE": "state", "EXPIRES": "expireTime"}
Org = Annotated[str, typer.Argument(help="The Organization; organizations/ may be left out.")]
Member = Annotated[str, typer.Argument(help="The member, as `catalyst org members` names it.")]


def list_members(name: Org, output: Output = Form.TABLE) -> None:
    """List the members of an Organization.

    Examples:

        catalyst org members acme
    """
    with Api(context()) as api:
        rows = api.pages(f"/v1/{organization(name)}/members", "members")
    show(output, {"members": rows}, COLUMNS, rows)


def invite(
    name: Org,
    email: Annotated[str, typer.Argument(help="Address for which the invitation counts.")],
    role: Annotated[str, typer.Option(help="admin, developer or viewer.")] = "developer",
    output: Output = Form.TABLE,
) -> None:
    """Invite somebody. The token is shown once: hand it on with the invitation's name.

    Examples:

        catalyst org invite acme bo@acme.example --role viewer
    """
    body = {"email": email, "role": f"ROLE_{role.upper()}"}
    with Api(context()) as api:
        made = api.post_resource(f"/v1/{organization(name)}/invitations", body, requestId=new_request_id())
    show(output, made, {**INVITED, "TOKEN": "token"})


def accept(
    invitation: Annotated[str, typer.Argument(help="The invitation, organizations/…/invitations/….")],
    token: Annotated[str, typer.Option(help="Its token.")],
    output: Output = Form.TABLE,
) -> None:
    """Become a member, under the address that was invited.

    Examples:

        catalyst org accept organizations/acme/invitations/inv-0123456789abcdef0123 --token TOKEN
    """
    with Api(context()) as api:
        show(output, api.post(f"/v1/{invitation}:accept", {"token": token}, once=new_request_id()), COLUMNS)


def remove(
    name: Member,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Output = Form.NAME,
) -> None:
    """Remove a member.

    Examples:

        catalyst org remove organizations/acme/members/m-0123456789abcdef0123 --yes
    """
    with Api(context()) as api:
        held = api.get(f"/v1/{name}")
        confirm(f"remove {held['subject']}?", yes=yes)
        api.remove(f"/v1/{name}")
    show(output, {"name": name}, {"NAME": "name"})


def leave(
    name: Org,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Output = Form.NAME,
) -> None:
    """Leave an Organization; whoever wants to come back is invited anew.

    Examples:

        catalyst org leave acme --yes
    """
    org = organization(name)
    confirm(f"leave {org}?", yes=yes)
    with Api(context()) as api:
        api.post(f"/v1/{org}:leave", {}, once=new_request_id())
    show(output, {"name": org}, {"NAME": "name"})


def hand_over(name: Member, output: Output = Form.TABLE) -> None:
    """Make another member the owner.

    Examples:

        catalyst org hand-over organizations/acme/members/m-0123456789abcdef0123
    """
    with Api(context()) as api:
        show(output, api.post(f"/v1/{name}:transferOwnership", {}, once=new_request_id()), COLUMNS)
