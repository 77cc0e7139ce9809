"""`catalyst name commit`, `renew`, `retarget`, `retry`: what the holder of a name does with it."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.name.fqdn import Fqdn
from catalyst_cli.commands.name.looks import COLUMNS, path_of
from catalyst_cli.context import context
from catalyst_cli.failures import Failure
from catalyst_cli.output import Form, Output, show

Token = Annotated[
    str, typer.Option(help="Token of the reservation, as `reserve` printed it.", envvar="CATALYST_NAME_TOKEN")
]
Targets = Annotated[
    list[str], typer.Option("--target", help="SLOT=ADDRESS: `default`, `console` or a location; may be given again.")
]


def commit(fqdn: Fqdn, token: Token, target: Targets, output: Output = Form.TABLE) -> None:
    """Take a reserved name for good. Its zone, records and delegation come next: `catalyst name wait` follows.

    Examples:

        catalyst name commit acme.omani.works --token "$TOKEN" --target default=203.0.113.7
    """
    body = {
        "reservationToken": token,
        "sovereignFqdn": fqdn.strip().rstrip("."),
        "targets": _targets(target),
    }
    with Api(context()) as api:
        show(output, api.post(f"/v1/{path_of(fqdn)}:commit", body, once=new_request_id()), COLUMNS)


def renew(
    fqdn: Fqdn,
    token: Token,
    ttl: Annotated[int, typer.Option(help="Seconds from now.", min=1, max=86400)] = 600,
    output: Output = Form.TABLE,
) -> None:
    """Hold a reserved name for longer.

    Examples:

        catalyst name renew acme.omani.works --token "$TOKEN" --ttl 3600
    """
    body = {"reservationToken": token, "ttl": f"{ttl}s"}
    with Api(context()) as api:
        show(output, api.post(f"/v1/{path_of(fqdn)}:renew", body, once=new_request_id()), COLUMNS)


def retarget(fqdn: Fqdn, target: Targets, output: Output = Form.TABLE) -> None:
    """Give a committed name other addresses, as a whole. Keys and delegation stay.

    Examples:

        catalyst name retarget acme.omani.works --target default=203.0.113.8 --target console=203.0.113.9
    """
    full, wish = path_of(fqdn), {"targets": _targets(target)}
    with Api(context()) as api:
        show(output, api.change(f"/v1/{full}", wish, wish), COLUMNS)


def retry(fqdn: Fqdn, output: Output = Form.TABLE) -> None:
    """Try now what is to be tried later; a FAILED name is brought about again.

    Examples:

        catalyst name retry acme.omani.works
    """
    with Api(context()) as api:
        show(output, api.post(f"/v1/{path_of(fqdn)}:reconcile", once=new_request_id()), COLUMNS)


def _targets(told: list[str]) -> list[dict[str, Any]]:
    """`default=203.0.113.7` and so on. Raises Failure."""
    found = []
    for text in told:
        slot, sign, address = text.partition("=")
        if not (slot and sign and address):
            raise Failure(
                f"--target {text!r} is not SLOT=ADDRESS", next_step="such as default=203.0.113.7", exit_code=2
            )
        found.append({"slot": slot.strip(), "address": address.strip()})
    return found
