"""`catalyst credential`: secrets of clouds. Values go in from a file or the standard input, and are never shown."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.registrar.credentials import read
from catalyst_cli.commands.zone.operations import finish
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, err, show, word

COLUMNS = {
    "NAME": "name",
    "PROVIDER": "provider",
    "VERSION": "newest",
    "CHECK": "check",
    "SAYS": "lastCheck.message",
    "USED BY": "users",
}  # fmt: skip - a table
Name = Annotated[str, typer.Argument(help="Credential; credentials/ may be left out.")]
Values = Annotated[
    str,
    typer.Option(
        "--values", help="File with the fields (YAML or JSON), such as `token: …`; - reads the standard input."
    ),
]


def list_credentials(output: Output = Form.TABLE) -> None:
    """List credentials and what their clouds last said of them. Never their values.

    Examples:

        catalyst credential list

        catalyst credential list --output name
    """
    with Api(context()) as api:
        rows = api.pages("/v1/credentials", "credentials")
    show(output, {"credentials": rows}, COLUMNS, [_row(row) for row in rows])


def get(name: Name, output: Output = Form.TABLE) -> None:
    """Show a credential: its versions, who uses it, and what its cloud last said. Never its value.

    Examples:

        catalyst credential get acme-hetzner --output yaml
    """
    with Api(context()) as api:
        _show(output, api.get(f"/v1/{_full(name)}"))


def create(
    name: Name,
    provider: Annotated[str, typer.Option(help="Cloud that it is for, by the name of its plugin.")],
    values: Values,
    organization: Annotated[str, typer.Option(help="Slug of the Organization that it belongs to.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Make every check, store nothing.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Store a credential, sealed. Its cloud is asked afterwards what it may do.

    Examples:

        catalyst credential create acme-hetzner --provider hetzner --values token.yaml

        printf 'token: %s' "$TOKEN" | catalyst credential create acme --provider hetzner --values -
    """
    wish = {"name": _full(name), "kind": "cloud_provider", "provider": provider, "organization": organization}
    body = {"credential": {k: v for k, v in wish.items() if v}, "values": read(values), "validateOnly": dry_run}
    with Api(context()) as api:
        _show(output, api.post("/v1/credentials", body, once=new_request_id()))


def add_version(name: Name, values: Values, output: Output = Form.TABLE) -> None:
    """Give a credential a new value; runs take it at their next step.

    Examples:

        catalyst credential add-version acme-hetzner --values token.yaml
    """
    with Api(context()) as api:
        answer = api.post(f"/v1/{_full(name)}:addVersion", {"values": read(values)}, once=new_request_id())
    _show(output, answer)


def check(
    name: Name,
    wait: Annotated[bool, typer.Option(help="Wait for the answer.")] = True,
    output: Output = Form.TABLE,
) -> None:
    """Ask the cloud what the newest version may do. Nothing is made there.

    Examples:

        catalyst credential check acme-hetzner
    """
    with Api(context()) as api:
        finish(api, api.post(f"/v1/{_full(name)}:check", once=new_request_id()), wait=wait)
        _show(output, api.get(f"/v1/{_full(name)}"))


def delete(name: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Destroy a credential that nothing uses, with all its versions.

    Examples:

        catalyst credential delete acme-hetzner --yes
    """
    full = _full(name)
    confirm(f"Destroy {full} and all its versions?", yes=yes)
    with Api(context()) as api:
        api.remove(f"/v1/{full}")
    err.print(f"{full} is gone", markup=False)


def _full(name: str) -> str:
    return f"credentials/{name.removeprefix('credentials/')}"


def _show(output: Form, answer: dict[str, Any]) -> None:
    show(output, answer, COLUMNS, [_row(answer)])


def _row(answer: dict[str, Any]) -> dict[str, Any]:
    versions = answer.get("versions", [])
    state = word((answer.get("lastCheck") or {}).get("state")) or "not checked"
    return {**answer, "newest": versions[0]["number"] if versions else "", "check": state}
