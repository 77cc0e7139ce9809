"""`catalyst catalog push`: what was mirrored into a layout, into a registry."""

from pathlib import Path
from typing import Annotated, Any

import typer

from catalyst_cli.failures import EXIT_CODES, Failure
from catalyst_cli.layouts import Layout
from catalyst_cli.output import Form, Output, show
from catalyst_cli.reading import text_of
from catalyst_cli.registries import push as push_to
from catalyst_cli.registries import registry_at

COLUMNS = {"BLUEPRINT": "name", "VERSION": "version", "DIGEST": "digest", "NOW": "now"}
To = Annotated[str, typer.Option("--to", help="Address of the registry, such as https://registry.example.")]
Under = Annotated[str, typer.Option(help="Path before each repository, such as acme/blueprints.")]
Login = Annotated[Path | None, typer.Option(help="File with user:password of who may push.")]


def push(
    folder: Annotated[Path, typer.Argument(help="The layout that `catalyst catalog mirror` wrote.")],
    to: To,
    under: Under = "",
    login: Login = None,
    output: Output = Form.TABLE,
) -> None:
    """Put what a layout holds, with its signatures, into a registry, and name it in its index. It can be run again.

    Run `mirror` and `push` by a clock, such as a CronJob, and a registry follows this catalogue. What the registry names already
    keeps its digest.

    Examples:

        catalyst catalog push /srv/layout --to https://registry.example --under mirror --login robot
    """
    if not (folder / "index.json").is_file():
        raise Failure(f"{folder} holds no layout", exit_code=EXIT_CODES["NOT_FOUND"])
    rows = list[dict[str, Any]]()
    with registry_at(to, under, login_of(login)) as registry:
        push_to(Layout.at(folder), registry, rows.append)
    show(output, {"versions": rows}, COLUMNS, rows)


def login_of(file: Path | None) -> str:
    """What a file with a login holds; empty: nobody's."""
    if file is None:
        return ""
    return text_of(file).strip()
