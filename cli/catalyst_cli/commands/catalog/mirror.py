"""`catalyst catalog mirror`: Blueprints for a site without a network."""

import base64
import json
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from catalyst_cli.api import Api
from catalyst_cli.commands.catalog.names import blueprint, version
from catalyst_cli.context import context
from catalyst_cli.failures import EXIT_CODES, Failure
from catalyst_cli.layouts import Bundle, Layout, OtherBytes
from catalyst_cli.output import Form, Output, show
from catalyst_cli.reading import text_of

COLUMNS = {"VERSION": "name", "DIGEST": "digest", "SIGNED": "signed", "NOW": "now"}
STATES = ["STATE_VERIFIED", "STATE_DEPRECATED"]


def mirror(
    folder: Annotated[Path, typer.Argument(help="Where the layout is, or is to be.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Blueprints with all they need, or versions: shop@1.2.3. None: all listed."),
    ] = None,
    lock: Annotated[
        Path | None, typer.Option(help="A lock, a plan, or a tree's lock.yaml: exactly its versions.")
    ] = None,
    output: Output = Form.TABLE,
) -> None:
    """Write versions with their signatures into an OCI layout, under the digests that they have here. It can be run again.

    Carry the folder to the other site and make a source of it: `catalyst catalog source create site --kind oci_index
    --config '{"registry": "file:///srv/layout"}'`.

    Examples:

        catalyst catalog mirror /srv/layout

        catalyst catalog mirror /srv/layout shop valkey@1.2.3

        catalyst catalog mirror /srv/layout --lock lock.json

        catalyst catalog mirror /srv/layout --lock plan-of-a-sovereign.json
    """
    layout, rows = Layout.at(folder), list[dict[str, Any]]()
    with Api(context()) as api:
        for name, digest in _wanted(api, names or [], lock):
            rows.append(_mirrored(api, layout, name, digest))
    layout.save()
    show(output, {"versions": rows}, COLUMNS, rows)


def _wanted(api: Api, names: list[str], lock: Path | None) -> list[tuple[str, str]]:
    """Versions, each with the digest that it must have; empty: what it has."""
    if lock is not None:
        return [(f"{entry['name']}/versions/{entry['version']}", entry["digest"]) for entry in _entries(lock)]
    exact = [(version(name), "") for name in names if "@" in name]
    parents = [blueprint(name) for name in names if "@" not in name]
    if not names:
        parents = [row["name"] for row in api.pages("/v1/catalog/blueprints", "blueprints")]
    # What a Blueprint needs goes along: without it nothing of it could be installed there.
    needed = {node["name"] for parent in parents for node in api.get(f"/v1/catalog/{parent}:closure")["nodes"]}
    for parent in sorted({*parents, *needed}):
        exact += [
            (row["name"], row.get("digest", ""))
            for row in api.pages(f"/v1/catalog/{parent}/versions", "versions", states=STATES)
        ]
    return exact


def _entries(lock: Path) -> list[dict[str, Any]]:
    try:
        # A tree's lock is JSON behind a mark of YAML.
        found = json.loads(text_of(lock).removeprefix("---"))
        if "components" in found:
            return _installed(found["components"])
        found = found.get("lock", found)
        return [{"name": e["name"], "version": e["version"], "digest": e["digest"]} for e in found["entries"]]
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise Failure(f"{lock} holds no lock", why=str(error), exit_code=EXIT_CODES["INVALID_ARGUMENT"]) from error


def _installed(components: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a Sovereign's plan or the lock of its tree has installed, each once however many clusters have it."""
    staying = [row for row in components if row.get("action") != "ACTION_REMOVE"]
    rows = {(row.get("blueprint") or row["name"], row["version"], row.get("digest", "")) for row in staying}
    return [{"name": blueprint(name), "version": number, "digest": digest} for name, number, digest in sorted(rows)]


def _mirrored(api: Api, layout: Layout, name: str, digest: str) -> dict[str, Any]:
    parent, _, number = name.rpartition("/versions/")
    short = parent.rpartition("/")[2]
    if digest and layout.digest_of(short, number) == digest:
        return {"name": name, "digest": digest, "now": "was there"}
    bundle = _read(api, name, short, number)
    if digest not in ("", bundle.digest):
        raise Failure(f"{name} is {bundle.digest} here, and {digest} in the lock", exit_code=1)
    try:
        layout.add(bundle)
    except OtherBytes as error:
        raise Failure(str(error), exit_code=1) from error
    return {"name": name, "digest": bundle.digest, "signed": len(bundle.signatures), "now": "copied"}


def _read(api: Api, name: str, short: str, number: str) -> Bundle:
    parent = name.rpartition("/")[0]
    path = f"/v1/catalog/{parent}/{quote(number, safe='')}:readArtifact"
    first = part = api.get(path)
    archive = _bytes(part, "data")
    while offset := int(part.get("nextOffset", 0)):
        part = api.get(path, offset=offset)
        archive += _bytes(part, "data")
    said = {key: tuple(map(base64.b64decode, first.get(key, ()))) for key in ("signatures", "attestations")}
    return Bundle(short, number, first["digest"], archive, _bytes(first, "manifest"), **said)


def _bytes(part: dict[str, Any], field: str) -> bytes:
    return base64.b64decode(part.get(field, ""))
