"""The roadmap tells the truth about what is served, and names every system that it should."""

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROADMAP = Path(__file__).parents[2] / "docs" / "roadmap.md"
DAEMONS = {
    "billing": "catalyst_billing",
    "catalog": "catalyst_catalog",
    "continuum": "catalyst_continuum",
    "pooldomain": "catalyst_pool_domain_manager",
    "provisioner": "catalyst_provisioner",
}


def subclasses(of: type[Any]) -> Iterator[type[Any]]:
    for kind in of.__subclasses__():
        yield kind
        yield from subclasses(kind)


def not_served(contract: str, package: str) -> dict[str, set[str]]:
    """Methods of each service that no servicer of the daemon has."""
    rpc = importlib.import_module(f"{package}.rpc")
    for module in pkgutil.iter_modules(getattr(rpc, "__path__", []), f"{package}.rpc."):
        importlib.import_module(module.name)
    grpc: Any = importlib.import_module(f"catalyst.{contract}.v1.service_pb2_grpc")
    descriptor: Any = importlib.import_module(f"catalyst.{contract}.v1.service_pb2").DESCRIPTOR
    found = {}
    for service in descriptor.services_by_name.values():
        base = getattr(grpc, f"{service.name}Servicer")
        ours = [kind for kind in subclasses(base) if kind.__module__.startswith(f"{package}.")]
        served = {
            m.name for m in service.methods for kind in ours if getattr(kind, m.name) is not getattr(base, m.name)
        }
        missing = {m.name for m in service.methods} - served
        found[service.full_name] = {"all"} if missing and not served else missing
    return {name: missing for name, missing in found.items() if missing}


def listed(contract: str) -> dict[str, set[str]]:
    rows = [line.split("|") for line in ROADMAP.read_text().splitlines() if line.startswith(f"| `catalyst.{contract}.")]
    return {row[1].strip(" `"): {name.strip() for name in row[2].split(",")} for row in rows}


@pytest.mark.parametrize("contract", DAEMONS)
def test_the_methods_that_are_not_served_are_the_ones_that_the_roadmap_lists(contract: str) -> None:
    assert not_served(contract, DAEMONS[contract]) == listed(contract)


def test_every_row_says_how_far_it_is() -> None:
    tables = ROADMAP.read_text().split("## RPCs")[0]
    rows = [
        line.split("|") for line in tables.splitlines() if line.startswith("| ") and not line.startswith(("| s", "| r"))
    ]
    assert len(rows) > 50
    assert [row[1] for row in rows if not row[3].strip().startswith(("works", "partly", "not yet"))] == []


def test_every_blueprint_that_the_roadmap_names_is_there() -> None:
    import re

    cells = re.findall(r"Blueprints? ((?:`[a-z-]+`(?:, )?)+)", ROADMAP.read_text())
    names = [name for cell in cells for name in re.findall(r"`([a-z-]+)`", cell)]
    assert len(names) > 25
    assert [name for name in names if not (ROADMAP.parents[1] / "blueprints" / name).is_dir()] == []
