"""Every reason that can reach a caller, found in the code: refusals of the chassis and of each daemon, failures of plugins."""

import ast
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from catalyst_mesh.http_statuses import http_status
from catalyst_sdk import Refused

from .contracts import ROOT

OWNERS = {
    "every daemon": "catalyst_mesh",
    "catalog": "catalyst_catalog",
    "provisioner": "catalyst_provisioner",
    "pool_domain_manager": "catalyst_pool_domain_manager",
    "continuum": "catalyst_continuum",
    "billing": "catalyst_billing",
    "environment": "catalyst_environment",
    "gateway": "catalyst_gateway",
}
"""Package of each chapter of the page."""


@dataclass(frozen=True, order=True, slots=True)
class Row:
    """One row of the page, without its words."""

    owner: str
    reason: str
    code: str
    http: int


def refusals() -> list[type[Refused]]:
    """Every refusal that has a reason, after every module was imported."""
    for package in OWNERS.values():
        found = import_module(package)
        for module in pkgutil.walk_packages(found.__path__, f"{package}."):
            if not module.name.endswith("__main__") and ".migrations" not in module.name:
                import_module(module.name)
    ours = tuple(f"{package}." for package in OWNERS.values())
    return [kind for kind in _below(Refused) if kind.__module__.startswith(ours) and hasattr(kind, "reason")]


def _below(kind: type[Refused]) -> Iterator[type[Refused]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def rows() -> set[Row]:
    """What the page must have."""
    owners = {package: owner for owner, package in OWNERS.items()}
    return {
        Row(owners[kind.__module__.split(".")[0]], reason, kind.code.name, http_status(kind.code.name, reason))
        for kind in refusals()
        for reason in (kind.reasons or (kind.reason,))
    }


def of_plugins() -> set[tuple[str, str]]:
    """Plugin and reason of each `Permanent` with a reason that is written out."""
    found = set()
    for file in sorted((ROOT / "plugins").glob("*/catalyst_*/**/*.py")):
        for call in _calls(file):
            first = call.args[0] if call.args else None
            if _name(call) == "Permanent" and isinstance(first, ast.Constant):
                found.add((file.relative_to(ROOT).parts[1], str(first.value)))
    return found


def raised() -> Iterator[tuple[Path, str, set[str]]]:
    """Every place where something is made with keywords alone: file, name, keywords."""
    for folder in ("lib/mesh", "services"):
        for file in sorted((ROOT / folder).glob("**/catalyst_*/**/*.py")):
            for call in _calls(file):
                if not call.args and all(keyword.arg for keyword in call.keywords):
                    yield file, _name(call), {str(keyword.arg) for keyword in call.keywords}


def _calls(file: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))


def _name(call: ast.Call) -> str:
    made: Any = call.func
    return str(getattr(made, "id", "") or getattr(made, "attr", ""))
