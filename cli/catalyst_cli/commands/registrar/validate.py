"""`catalyst registrar validate`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api
from catalyst_cli.context import context
from catalyst_cli.failures import Failure
from catalyst_cli.output import Form, Output, err, show

from . import credentials

COLUMNS = {"ACCEPTED": "valid", "READ": "canRead", "CHANGE NS": "canWriteNs", "CHANGE DS": "canWriteDs"}
REASONS = {"IN THE WAY": "reason", "WHAT": "detail", "CODE": "providerCode", "WHAT TO DO": "userAction"}
REFUSED = 4
"""Exit code where the registrar accepts the credential and not the wish, or nothing at all."""


def validate(
    name: Annotated[str, typer.Argument(help="Registrar, such as ovh.")],
    domain: Annotated[str, typer.Argument(help="Domain to look at.")],
    account: Annotated[str, typer.Option(help="A stored account.")] = "",
    credential: credentials.CredentialFile = "",
    output: Output = Form.TABLE,
) -> None:
    """Ask a registrar what a stored account, or a credential in hand, can do with a domain. Changes nothing there.

    A credential in hand is used for this call and kept nowhere. Ends with 4 where name servers could not be changed.

    Examples:

        catalyst registrar validate ovh acme.com --account acme-ovh

        catalyst registrar validate cloudflare platform.acme.com --credential token.yaml

        catalyst registrar validate godaddy acme.com --credential - --output json
    """
    if bool(account) == bool(credential):
        raise Failure("say --account or --credential, one of them", exit_code=2)
    body: dict[str, object] = {"domain": domain}
    if account:
        body["account"] = credentials.account(account)
    else:
        body["credential"] = {"fields": credentials.read(credential)}
    with Api(context()) as api:
        answer = api.post(f"/v1/{credentials.registrar(name)}:validateAccess", body)
    show(output, answer, COLUMNS)
    if output is Form.TABLE and answer["reasons"]:
        err.print("", markup=False)
        show(output, answer["reasons"], REASONS, answer["reasons"])
    if not answer["canWriteNs"]:
        raise typer.Exit(REFUSED)
