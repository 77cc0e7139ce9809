"""`catalyst events dead-letters`: events that a daemon gave up after its last try."""

from typing import Annotated

import typer

from catalyst_cli.api import Api
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, err, show

COLUMNS = {
    "NAME": "name",
    "CONSUMER": "consumer",
    "SUBJECT": "subject",
    "ABOUT": "aggregate",
    "TRIES": "attempts",
    "GIVEN UP": "giveUpTime",
    "ERROR": "error",
}
Name = Annotated[str, typer.Argument(help="Name of the letter, as `list` shows it; deadLetters/ may be left out.")]


def list_dead_letters(output: Output = Form.TABLE) -> None:
    """List the dead letters of all daemons, each daemon's oldest first.

    Examples:

        catalyst events dead-letters list

        catalyst events dead-letters list --output json
    """
    rows = Api(context()).get("/v1/deadLetters")["deadLetters"]
    show(output, {"deadLetters": rows}, COLUMNS, rows)


def get(name: Name, output: Output = Form.TABLE) -> None:
    """Show one, in JSON and YAML with the body of its event.

    Examples:

        catalyst events dead-letters get deadLetters/billing-17-1f3a9c02 --output json
    """
    letter = Api(context()).get(_path(name))
    show(output, letter, {**COLUMNS, "TRACE": "traceId"})


def replay(name: Name, output: Output = Form.TABLE) -> None:
    """Hand the event to its consumer again; asked twice it has one effect.

    Examples:

        catalyst events dead-letters replay deadLetters/billing-17-1f3a9c02
    """
    answer = Api(context()).post(f"{_path(name)}:replay")
    said = "it has had its effect now" if answer.get("handled") else "it had had its effect before"
    if output is Form.TABLE:
        err.print(f"{said}; the letter is gone", markup=False)
    else:
        show(output, {"name": _full(name), **answer}, {})


def discard(name: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Take a letter away; its event never has its effect. Cannot be undone.

    Examples:

        catalyst events dead-letters discard deadLetters/billing-17-1f3a9c02 --yes
    """
    confirm(f"Discard {_full(name)}? Its event will never have its effect.", yes=yes)
    Api(context()).post(f"{_path(name)}:discard")
    err.print("the letter is gone", markup=False)


def _full(name: str) -> str:
    return f"deadLetters/{name.removeprefix('deadLetters/')}"


def _path(name: str) -> str:
    return f"/v1/{_full(name)}"
