"""The daemon's default witness, as its settings have it: name servers by a short list, or cells of any kind by a file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from catalyst_mesh import PluginHost
from catalyst_sdk.witness import LeaseWitness

from .domain.cells import Cell, Kind, faults, unsupported, wished
from .domain.spec import LeaseClient
from .settings import ContinuumSettings
from .workers.quorum import Quorum
from .workers.registers import CellsUnusable

DNS, HTTP = ("lease_witness", "dns_quorum"), ("lease_witness", "cloudflare")
WITNESS = ":".join(DNS)


def witness(host: PluginHost, settings: ContinuumSettings) -> LeaseWitness:
    """The cells of the file, or else of the list. Raises SystemExit where they cannot be one witness."""
    if settings.cells_file is None:
        named: LeaseWitness = host.get(*DNS)
        return named
    cells = read(settings.cells_file)
    if found := faults(cells):
        raise SystemExit(f"{settings.cells_file}: these cells are no witness:\n" + "\n".join(found))
    return reached(host, settings, cells)


def of_wish(host: PluginHost, settings: ContinuumSettings, lease: LeaseClient) -> LeaseWitness:
    """The cells that a wish names, with keys and tokens from the folder of secrets. Raises CellsUnusable, PluginUnavailable."""
    if strange := unsupported(lease):
        raise CellsUnusable(why=f"nothing here reaches cells of the kind {', '.join(strange)}")
    if settings.secrets_folder is None:
        raise CellsUnusable(why="this daemon has no folder of secrets (CATALYST_CONTINUUM_SECRETS_FOLDER)")
    folder, cells = settings.secrets_folder, wished(lease)
    if missing := sorted({name for cell in cells if not (folder / (name := cell.key_file or cell.token)).is_file()}):
        raise CellsUnusable(why=f"this daemon's folder of secrets has no {', '.join(missing)}")
    return reached(
        host, settings,
        [replace(cell, key_file=str(folder / cell.key_file) if cell.key_file else "") for cell in cells],
    )  # fmt: skip


def reached(host: PluginHost, settings: ContinuumSettings, cells: Sequence[Cell]) -> LeaseWitness:
    """These cells, each by the plugin of its kind."""
    kinds = {
        plugin: host.instance(*plugin, {"cells": rows, "op_timeout_seconds": settings.op_timeout, **defaults})
        for plugin, rows, defaults in (
            (DNS, [_name_server(cell) for cell in cells if cell.kind is Kind.DNS], _of_dns(settings)),
            (HTTP, [_store(cell) for cell in cells if cell.kind is not Kind.DNS], {}),
        )
        if rows
    }
    return Quorum({cell.name: kinds[DNS if cell.kind is Kind.DNS else HTTP] for cell in cells})


def configuration(settings: ContinuumSettings) -> Mapping[str, Any]:
    """Configuration of the plugin for name servers, from the list."""
    pairs = [cell.partition("=") for cell in settings.cells.split(",") if cell]
    rows = [{"name": name, "address": address} for name, _, address in pairs]
    return {"cells": rows, "op_timeout_seconds": settings.op_timeout, **_of_dns(settings)}


def read(file: Path) -> list[Cell]:
    """The cells of a JSON file; a file of a key is looked for beside it. Raises SystemExit where it cannot be read."""
    try:
        rows = json.loads(file.read_text())
        cells = [Cell(**{"kind": "dns", **row}) for row in rows]
        return [
            Cell(**{**_fields(cell), "kind": Kind(cell.kind), "key_file": _beside(file, cell.key_file)})
            for cell in cells
        ]
    except (OSError, ValueError, TypeError) as error:
        raise SystemExit(f"the cells of {file} cannot be read: {error}") from error


def _fields(cell: Cell) -> dict[str, Any]:
    return {name: getattr(cell, name) for name in Cell.__slots__}


def _beside(file: Path, name: str) -> str:
    return str(file.parent / name) if name else ""


def _name_server(cell: Cell) -> dict[str, str]:
    row = {
        "name": cell.name, "address": cell.address, "zone": cell.zone, "tsig_key_name": cell.key_name,
        "tsig_key_file": cell.key_file, "transport": cell.transport,
    }  # fmt: skip
    return {key: value for key, value in row.items() if value}


def _store(cell: Cell) -> dict[str, str]:
    return {"name": cell.name, "kind": cell.kind, "url": cell.address, "token": cell.token}


def _of_dns(settings: ContinuumSettings) -> dict[str, str]:
    return {"zone": settings.witness_zone, "tsig_key_file": str(settings.tsig_key_file)}
