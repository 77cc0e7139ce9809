"""`catalyst catalog yank` and its like: what people decide about versions."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.catalog.names import blueprint, version
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

COLUMNS = {"NAME": "name", "STATE": "state", "WHY": "stateReason", "INSTEAD": "replacement", "SIGNATURE": "signature"}
Name = Annotated[str, typer.Argument(help="The version, such as valkey@1.2.3.")]
Reason = Annotated[str, typer.Option(help="Why; it is shown with the version and kept.")]


def yank(name: Name, reason: Reason, output: Output = Form.TABLE) -> None:
    """Withdraw a version: locks keep it, nobody gets it anew.

    Examples:

        catalyst catalog yank valkey@1.2.3 --reason "it loses writes"
    """
    _move("yank", name, output, reason=reason)


def unyank(name: Name, reason: Reason, output: Output = Form.TABLE) -> None:
    """Take a withdrawal back.

    Examples:

        catalyst catalog unyank valkey@1.2.3 --reason "it was another one"
    """
    _move("unyank", name, output, reason=reason)


def deprecate(
    name: Name,
    reason: Reason,
    replacement: Annotated[str, typer.Option(help="Blueprint or version to use instead.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take a deprecation back.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Mark a version as one to leave.

    Examples:

        catalyst catalog deprecate valkey@1.2.3 --reason "no fixes any more" --replacement valkey@2.0.0

        catalyst catalog deprecate valkey@1.2.3 --reason "they go on" --undo
    """
    instead = version(replacement) if "@" in replacement else blueprint(replacement) if replacement else ""
    _move("deprecate", name, output, reason=reason, replacement=instead, undo=undo)


def quarantine(name: Name, reason: Reason, output: Output = Form.TABLE) -> None:
    """Declare trust in a version broken: locks that name it are blocked.

    Examples:

        catalyst catalog quarantine valkey@1.2.3 --reason "its key has leaked"
    """
    _move("quarantine", name, output, reason=reason)


def release(name: Name, reason: Reason, output: Output = Form.TABLE) -> None:
    """Lift a quarantine.

    Examples:

        catalyst catalog release valkey@1.2.3 --reason "we compared the bytes"
    """
    _move("release", name, output, reason=reason)


def _move(verb: str, name: str, output: Form, **fields: Any) -> None:
    with Api(context()) as api:
        body = {key: value for key, value in fields.items() if value}
        show(output, api.post(f"/v1/catalog/{version(name)}:{verb}", body, once=new_request_id()), COLUMNS)
