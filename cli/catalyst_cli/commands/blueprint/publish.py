"""`catalyst blueprint publish`: from an author's folders into an OCI registry, signed, with a bill of materials."""

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from catalyst_cli.commands.catalog.push import Login, To, Under, login_of
from catalyst_cli.failures import Failure
from catalyst_cli.layouts import Layout
from catalyst_cli.output import Form, Output, show
from catalyst_cli.registries import Registry, named_in, push, registry_at

COLUMNS = {"BLUEPRINT": "name", "VERSION": "version", "DIGEST": "digest", "NOW": "now", "WHY": "why"}


def publish(
    paths: Annotated[list[Path], typer.Argument(help="Folders of Blueprints, or folders of such folders.")],
    to: To,
    key: Annotated[Path, typer.Option(help="File with the private key that signs: PEM, elliptic curve.")],
    under: Under = "",
    login: Login = None,
    output: Output = Form.TABLE,
) -> None:
    """Check, pack, sign and push Blueprints, read them back, and name them in the registry's index.

    One that cannot be published stops none of the others; the exit code is 1 then. A version that is there is left as it is, and
    with other bytes it is refused: publish another version. Read them by a source of kind `oci_index` that trusts the public key.

    Examples:

        catalyst blueprint publish blueprints --to https://registry.example --key signing.pem

        catalyst blueprint publish blueprints/shop --to https://registry.example --under acme --key signing.pem --login robot
    """
    from catalyst_cli.publishing import Publisher

    publisher, rows = Publisher.of(key), list[dict[str, Any]]()
    with registry_at(to, under, login_of(login)) as registry:
        there = {(one["name"], one["version"]): one["digest"] for one in named_in(registry)}
        folders = _folders(paths)
        faults = _faults(folders)
        for folder in folders:
            try:
                rows.append(_published(registry, publisher, folder, there, faults.get(str(folder), "")))
            except Failure as failure:
                why = "; ".join([failure.what, *([failure.why] if failure.why else [])])
                rows.append({"name": folder.name, "now": "failed", "why": why})
    show(output, {"versions": rows}, COLUMNS, rows)
    if any(row["now"] == "failed" for row in rows):
        raise typer.Exit(1)


def _folders(paths: list[Path]) -> list[Path]:
    found = [
        folder
        for path in paths
        for folder in ([path] if (path / "blueprint.yaml").is_file() else sorted(path.glob("*/blueprint.yaml")))
    ]
    folders = [place.parent if place.name == "blueprint.yaml" else place for place in found]
    if not folders:
        raise Failure("there is no blueprint.yaml", why=", ".join(map(str, paths)))
    return folders


def _published(
    registry: Registry, publisher: Any, path: Path, there: dict[tuple[str, str], str], fault: str
) -> dict[str, Any]:
    from catalyst_cli.publishing import Folder

    if fault:
        raise Failure("it does not pass", why=fault)
    folder = Folder.read(path)
    where = "/".join(filter(None, (urlsplit(registry.url).netloc, registry.under, folder.name)))
    bundle = publisher.bundle(folder, where, datetime.now(UTC))
    row = {"name": folder.name, "version": folder.version, "digest": bundle.digest}
    if there.get((folder.name, folder.version)) == bundle.digest:
        return {**row, "now": "was there"}
    told: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as home:
        layout = Layout.at(Path(home))
        layout.add(bundle)
        layout.save()
        push(layout, registry, told.append)
    return {**row, "now": told[0]["now"]}


def _faults(folders: list[Path]) -> dict[str, str]:
    """Why a folder does not pass, by the catalogue's own rules, in a process of its package. Raises Failure."""
    words = [sys.executable, "-m", "catalyst_catalog.authoring", "lint", *map(str, folders), "--format", "json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)["findings"]
    except (ValueError, KeyError) as error:
        raise Failure("the Blueprints could not be checked", why=done.stderr.strip()[-300:]) from error
    said: dict[str, list[str]] = {}
    for one in found:
        if one["level"] == "error":
            said.setdefault(str(Path(one["file"]).parent), []).append(f"{one['rule']}: {one['message']}")
    return {folder: "; ".join(texts) for folder, texts in said.items()}
