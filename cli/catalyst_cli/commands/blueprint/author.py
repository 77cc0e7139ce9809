"""`catalyst blueprint lint`, `new`, `import` and `schema`: for those who write Blueprints, without any server.

The rules are the catalogue's own; they run in a process of its package, as its daemon does.
"""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from catalyst_cli.failures import Failure

Paths = Annotated[list[Path], typer.Argument(help="Folders of Blueprints, or folders of such folders.")]


def lint(
    paths: Paths,
    form: Annotated[str, typer.Option("--format", "-o", help="text, json or sarif.")] = "text",
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count too.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what has one right answer; tell the rest.")] = False,
) -> None:
    """Check Blueprints by the rules by which the catalogue takes them. Exit 0 clean, 1 findings, 2 usage.

    Examples:

        catalyst blueprint lint blueprints

        catalyst blueprint lint blueprints/valkey --format sarif --strict

        catalyst blueprint lint blueprints/valkey --fix
    """
    _run("lint", *map(str, paths), "--format", form, *(["--strict"] if strict else []), *(["--fix"] if fix else []))


def graph(
    paths: Paths,
    against: Annotated[Path | None, typer.Option(help="File with a declared order: names, # for remarks.")] = None,
) -> None:
    """Print in which waves Blueprints can be installed. Exit 0 as declared, 1 drift or a circle, 2 usage.

    Examples:

        catalyst blueprint graph blueprints

        catalyst blueprint graph blueprints --against order.txt
    """
    _run("graph", *map(str, paths), *(["--against", str(against)] if against else []))


def new(
    name: Annotated[str, typer.Argument(help="Name of the folder, such as my-shop.")],
    into: Annotated[Path, typer.Option(help="Where to put the folder.")] = Path(),
) -> None:
    """Write a folder with a manifest that passes.

    Examples:

        catalyst blueprint new my-shop --into blueprints
    """
    _run("new", name, "--into", str(into))


def import_blueprint(
    paths: Paths,
    write: Annotated[bool, typer.Option("--write", help="Rewrite the manifests; else only tell.")] = False,
) -> None:
    """Bring manifests of older shapes into the present one, and tell each change.

    Examples:

        catalyst blueprint import old-blueprints

        catalyst blueprint import old-blueprints/valkey --write
    """
    _run("import", *map(str, paths), *(["--write"] if write else []))


def schema() -> None:
    """Print the JSON Schema of `blueprint.yaml`.

    Examples:

        catalyst blueprint schema
    """
    _run("schema")


def _run(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "catalyst_catalog.authoring", *words], check=False)
    if done.returncode == 1 and words[0] not in ("lint", "graph"):
        raise Failure(f"{words[0]} did not end well")
    if done.returncode:
        raise typer.Exit(done.returncode)
