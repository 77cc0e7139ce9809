"""`catalyst pool`: domains under which names are handed out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.failures import Failure
from catalyst_cli.output import Form, Output, err, show, tell_fallen
from catalyst_cli.reading import documents_of

COLUMNS = {
    "NAME": "name",
    "KINDS": "kinds",
    "STATE": "state",
    "BACKEND": "backend",
    "SERVERS": "nameServerSet",
    "RESERVED FOR": "reservationTtl",
    "QUARANTINE": "quarantine",
}
NEVER = {"LABEL": "label", "PATTERN": "pattern", "WHY": "rule"}
Pool = Annotated[str, typer.Argument(help="Domain of the pool; pools/ may be left out.")]
File = Annotated[
    Path | None,
    typer.Option("--file", "-f", help="YAML or JSON of a pool, as `get -o yaml` prints it: what is set counts."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Make every check, store nothing.")]


def list_pools(output: Output = Form.TABLE) -> None:
    """List the pools whose names you may ask for.

    Examples:

        catalyst pool list
    """
    with Api(context()) as api:
        rows = api.pages("/v1/pools", "pools")
    show(output, {"pools": rows}, COLUMNS, rows)


def get(pool: Pool, output: Output = Form.TABLE) -> None:
    """Show a pool with the rules in force and what its zone still lacks.

    Examples:

        catalyst pool get omani.works -o yaml
    """
    with Api(context()) as api:
        answer = api.get(f"/v1/{path_of(pool)}")
    show(output, answer, COLUMNS)
    if output is Form.TABLE:
        tell_fallen(answer)


def never(pool: Pool, output: Output = Form.TABLE) -> None:
    """List the labels that the pool never hands out, and why.

    Examples:

        catalyst pool never omani.works
    """
    with Api(context()) as api:
        rows = api.pages(f"/v1/{path_of(pool)}/reservedNames", "reservedNames")
    show(output, {"reservedNames": rows}, NEVER, rows)


def create(
    pool: Pool,
    backend: Annotated[str, typer.Option(help="Where the zones of its names are written, backends/<id>.")] = "",
    servers: Annotated[str, typer.Option(help="Their name servers, nameServerSets/<id>.")] = "",
    kind: Annotated[list[str], typer.Option(help="SOVEREIGN, ORGANIZATION or MAIL; may be given again.")] = [],  # noqa: B006 - typer reads the default and keeps it
    file: File = None,
    dry_run: DryRun = False,
    output: Output = Form.TABLE,
) -> None:
    """Make a pool over a zone that is there already. It never makes or empties that zone.

    Examples:

        catalyst pool create omani.example --kind SOVEREIGN \\
            --backend backends/embedded --servers nameServerSets/main

        catalyst pool create omani.example --file pool.yaml --dry-run
    """
    domain = path_of(pool).partition("/")[2]
    wish = {"zone": f"zones/{domain}", **_read(file), **_flags(backend, servers, kind)}
    query = {"poolId": domain, "requestId": new_request_id(), "validateOnly": str(dry_run).lower()}
    with Api(context()) as api:
        answer = api.post("/v1/pools", wish, query=query)
    show(output, answer, COLUMNS)
    if output is Form.TABLE:
        tell_fallen(answer)


def update(
    pool: Pool,
    file: Annotated[
        Path, typer.Option("--file", "-f", help="YAML or JSON with the fields that change, others left out.")
    ],
    dry_run: DryRun = False,
    output: Output = Form.TABLE,
) -> None:
    """Change the rules of a pool. Names that are held already are brought to them one after the other.

    Examples:

        catalyst pool update omani.works --file quarantine.yaml

        catalyst pool update omani.works --file quarantine.yaml --dry-run
    """
    full, wish = path_of(pool), _read(file)
    with Api(context()) as api:
        known = api.get(f"/v1/{full}")
        read = wish.pop("etag", "") or known["etag"]
        wish = {key: value for key, value in wish.items() if value != known.get(key)}
        query = {
            "etag": read,
            "updateMask": ",".join(wish),
            "requestId": new_request_id(),
            "validateOnly": str(dry_run).lower(),
        }
        # What is so already is no change, and a field that cannot be changed may be said again.
        answer = api.patch(f"/v1/{full}", wish, query=query) if wish else known
    show(output, answer, COLUMNS)
    if output is Form.TABLE:
        tell_fallen(answer)


def delete(pool: Pool, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Delete a pool that holds no name. Its zone stays as it is.

    Examples:

        catalyst pool delete omani.example --yes
    """
    full = path_of(pool)
    confirm(f"Delete {full}? Its zone stays.", yes=yes)
    with Api(context()) as api:
        api.remove(f"/v1/{full}")
    err.print(f"{full} is gone; its zone stays", markup=False)


def path_of(pool: str) -> str:
    """`omani.works` or `pools/omani.works` as `pools/omani.works`. Raises Failure."""
    domain = pool.strip().lower().rstrip(".").removeprefix("pools/")
    if "." not in domain or "/" in domain:
        raise Failure(f"{pool!r} is no domain of a pool", next_step="catalyst pool list", exit_code=2)
    return f"pools/{domain}"


_TOLD = (
    "name",
    "effectivePolicy",
    "state",
    "uid",
    "version",
    "createTime",
    "updateTime",
    "generation",
    "observedGeneration",
    "conditions",
)  # fmt: skip - a table
"""What the server says of a pool, and nobody wishes."""


def _read(file: Path | None) -> dict[str, Any]:
    """What a file wishes; what the server alone says is left out, so that what `get` prints can be changed and sent."""
    if file is None:
        return {}
    found = next(iter(documents_of(file)), None)
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise Failure(f"{file} is no pool", next_step="catalyst pool get POOL -o yaml shows one", exit_code=2)
    return {key: value for key, value in found.items() if key not in _TOLD}


def _flags(backend: str, servers: str, kinds: list[str]) -> dict[str, Any]:
    told = {"backend": backend, "nameServerSet": servers, "kinds": [f"KIND_{kind.upper()}" for kind in kinds]}
    return {key: value for key, value in told.items() if value}
