"""`catalyst registrar accounts`: stored accounts at registrars."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, err, show

from . import credentials

COLUMNS = {
    "NAME": "name",
    "REGISTRAR": "registrar",
    "OWNER": "owner",
    "MAY": "entitlements",
    "CHECKED": "lastCheckTime",
    "OUR ADDRESS": "egressIp",
}  # fmt: skip - a table
NAMESERVERS = {"NS": "records.ns", "LOCKS": "locks", "ETAG": "etag"}
Name = Annotated[str, typer.Argument(help="Account; registrarAccounts/ may be left out.")]
SecretRef = Annotated[str, typer.Option(help="Name of a stored secret that holds the fields, instead of --credential.")]


def list_accounts(output: Output = Form.TABLE) -> None:
    """List the accounts that you may see.

    Examples:

        catalyst registrar accounts list

        catalyst registrar accounts list --output name
    """
    with Api(context()) as api:
        rows = api.pages("/v1/registrarAccounts", "registrarAccounts")
    show(output, {"registrarAccounts": rows}, COLUMNS, rows)


def get(name: Name, output: Output = Form.TABLE) -> None:
    """Show an account and what its registrar last said of it. Never its credential.

    Examples:

        catalyst registrar accounts get acme-ovh --output yaml
    """
    with Api(context()) as api:
        show(output, api.get(f"/v1/{credentials.account(name)}"), COLUMNS)


def create(
    id: Annotated[str, typer.Argument(help="Name of the new account, such as acme-ovh.")],
    registrar: Annotated[str, typer.Option(help="Its registrar, such as ovh.")],
    credential: credentials.CredentialFile = "",
    secret_ref: SecretRef = "",
    owner: Annotated[str, typer.Option(help="Whose it is, organizations/<slug>; default: yours.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Make every check, store nothing.")] = False,
    request_id: Annotated[str, typer.Option(help="UUID4; repeating it stores the account once.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """Store an account. Its credential is sealed and never shown again.

    Examples:

        catalyst registrar accounts create acme-ovh --registrar ovh --credential ovh.yaml

        catalyst registrar accounts create acme-manual --registrar manual --owner organizations/acme
    """
    wish: dict[str, Any] = {"registrar": credentials.registrar(registrar), **_secret(credential, secret_ref)}
    wish |= {"owner": owner} if owner else {}
    query = {
        "registrarAccountId": id,
        "requestId": request_id or new_request_id(),
        "validateOnly": str(dry_run).lower(),
    }
    with Api(context()) as api:
        show(output, api.post("/v1/registrarAccounts", wish, query=query), COLUMNS)


def replace(
    name: Name,
    credential: credentials.CredentialFile = "",
    secret_ref: SecretRef = "",
    output: Output = Form.TABLE,
) -> None:
    """Give an account another credential, as a whole.

    Examples:

        catalyst registrar accounts replace acme-ovh --credential ovh.yaml
    """
    full, wish = credentials.account(name), _secret(credential, secret_ref)
    with Api(context()) as api:
        show(output, api.change(f"/v1/{full}", wish, wish), COLUMNS)


def delete(name: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Delete an account and its sealed credential.

    Examples:

        catalyst registrar accounts delete acme-ovh --yes
    """
    full = credentials.account(name)
    confirm(f"Delete {full} and its credential?", yes=yes)
    with Api(context()) as api:
        api.remove(f"/v1/{full}")
    err.print(f"{full} is gone", markup=False)


def delegation(
    name: Name,
    domain: Annotated[str, typer.Argument(help="Domain to read.")],
    output: Output = Form.TABLE,
) -> None:
    """Show the present name servers, keys and locks of a domain, as its registrar has them.

    Examples:

        catalyst registrar accounts delegation acme-ovh acme.com --output json
    """
    with Api(context()) as api:
        show(output, api.get(f"/v1/{credentials.account(name)}:readDelegation", domain=domain), NAMESERVERS)


def _secret(credential: str, secret_ref: str) -> dict[str, Any]:
    if secret_ref:
        return {"secretRef": secret_ref}
    return {"credential": credentials.read(credential)} if credential else {}
