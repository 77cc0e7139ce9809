"""`catalyst resource lint`, `kinds` and `schema`: for those who write custom resources, without any server.

The models of the kinds are imported where they are used: they take longer than all the rest of this program.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from catalyst_cli.failures import Failure
from catalyst_cli.output import err
from catalyst_cli.reading import documents_of

KindName = Annotated[str, typer.Argument(help="Kind, such as Application.")]


def lint_resources(
    paths: Annotated[
        list[Path], typer.Argument(help="Files or folders of manifests; objects of other kinds are passed over.")
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="text or json.")] = "text",
) -> None:
    """Check custom resources as the controllers do: every field known, and the rules between fields. Exit 0 clean, 1 findings.

    An API server drops a field that it does not know without a word; here it is a finding.

    Examples:

        catalyst resource lint deploy/samples

        catalyst resource lint application.yaml --output json
    """
    from catalyst_kube import lint

    checked = list(_manifests(paths))
    found = [(place, each) for place, manifest in checked for each in lint(manifest)]
    if output == "json":
        rows = [{"object": place, "field": each.field, "message": each.message} for place, each in found]
        typer.echo(json.dumps({"findings": rows}, indent=2))
    else:
        for place, each in found:
            typer.echo(f"{place}: {each}")
    if not checked:
        err.print("no object of these kinds was found: catalyst resource kinds", markup=False)
    if found:
        raise typer.Exit(1)


def kinds() -> None:
    """The kinds there are.

    Examples:

        catalyst resource kinds
    """
    from catalyst_kube import KINDS

    for kind in KINDS.values():
        typer.echo(f"{kind.name:<20} {kind.api_version:<32} {kind.scope.value:<11} {', '.join(kind.short)}")


def schema(
    kind: KindName,
    crd: Annotated[bool, typer.Option("--crd", help="The definition for an API server instead, as YAML.")] = False,
) -> None:
    """Print the strict JSON Schema of a kind, by which editors complete and check.

    Examples:

        catalyst resource schema Application

        catalyst resource schema Continuum --crd
    """
    from catalyst_kube import KINDS
    from catalyst_kube.schemas import definition, strict

    found = KINDS.get(kind)
    if found is None:
        raise Failure(f"there is no kind {kind}; there are {', '.join(KINDS)}", exit_code=3)
    typer.echo(yaml.safe_dump(definition(found), sort_keys=False) if crd else json.dumps(strict(found), indent=2))


def _manifests(paths: list[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    from catalyst_kube import KINDS

    for path in _files(paths):
        for one in documents_of(path):
            if isinstance(one, dict) and one.get("kind") in KINDS:
                name = one.get("metadata", {}).get("name", "") if isinstance(one.get("metadata"), dict) else ""
                yield f"{path}: {one['kind']}/{name}", one


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(one for one in path.rglob("*") if one.suffix in (".yaml", ".yml", ".json"))
        else:
            yield path
