"""Kinds of plugins with their contracts, and the plugins that come along."""

import inspect
import tomllib
from collections.abc import Iterator
from pathlib import Path

from catalyst_sdk import load_manifest
from catalyst_sdk.cloud import CloudProvider
from catalyst_sdk.continuum import Fencer, Preparer, Promoter, Rehearser, SafetyCheck, TrafficDriver
from catalyst_sdk.dns import DnsBackend, ListsZones
from catalyst_sdk.hooks import GROUP
from catalyst_sdk.manifests import KINDS
from catalyst_sdk.payment import PaymentProvider
from catalyst_sdk.registrar import RecordsHost, Registrar
from catalyst_sdk.source import BlueprintSource
from catalyst_sdk.witness import LeaseWitness, RelayedWitness

from .words import MADE, table

ROOT = Path(__file__).parents[3]
CONTRACTS: dict[str, tuple[type, ...]] = {
    "registrar": (Registrar, RecordsHost),
    "dns_backend": (DnsBackend, ListsZones),
    "cloud_provider": (CloudProvider,),
    "lease_witness": (LeaseWitness, RelayedWitness),
    "payment_provider": (PaymentProvider,),
    "database_promoter": (Promoter, Rehearser, Preparer, Fencer),
    "safety_check": (SafetyCheck,),
    "fencer": (Fencer,),
    "traffic": (TrafficDriver,),
    "blueprint_source": (BlueprintSource,),
}
HOSTS = {
    "registrar": "pool-domain-manager",
    "dns_backend": "pool-domain-manager",
    "cloud_provider": "provisioner",
    "lease_witness": "continuum",
    "database_promoter": "continuum",
    "safety_check": "continuum",
    "fencer": "continuum",
    "traffic": "continuum",
    "payment_provider": "billing",
    "blueprint_source": "catalog",
}  # fmt: skip - a table
_HEAD = f"""# Plugins

{MADE}
A plugin is a distribution with an entry point in the group `{GROUP}` that names a module, and a `manifest.toml` beside it
that is read without running any of its code. `catalyst plugins new KIND NAME` makes one that passes its suite,
`catalyst plugins check PATH` tries it, and `catalyst plugins list` shows what the daemons have. Out of it come four errors and
no other: `Temporary`, `RateLimited`, `Permanent`, `NotSupported`. Whom you trust by installing one:
[plugin trust](../explanation/plugin-trust.md).
"""


def pages() -> Iterator[tuple[str, str]]:
    """The page."""
    shipped = {path: load_manifest(path) for path in sorted((ROOT / "plugins").glob("*/catalyst_*/manifest.toml"))}
    parts = [_HEAD]
    for kind in KINDS:
        parts.append(f"## {kind}\n\nLoaded by {HOSTS[kind]}.\n")
        parts += [_contract(contract) for contract in CONTRACTS[kind]]
        rows = [
            (
                f"`{one.name}`",
                f"`{_entry_point(path)}`",
                ", ".join(f"`{c}`" for c in sorted(one.capabilities)),
                f"`{one.sdk}`",
                f"[page](../../{path.parents[1].relative_to(ROOT)}/{one.docs})",
            )
            for path, one in shipped.items()
            if one.kind == kind
        ]
        parts.append(table(("plugin", "entry point", "can", "contract", "more"), rows))
    yield "reference/plugins.md", "\n".join(parts)


def _contract(contract: type) -> str:
    """What a class of the SDK asks for."""
    where = f"`{contract.__module__}.{contract.__name__}`"
    said = " ".join((inspect.getdoc(contract) or "").split("\n\n")[0].split())
    rows = [
        (f"`{name}`", (inspect.getdoc(method) or "").split("\n\n")[0])
        for name, method in vars(contract).items()
        if callable(method) and not name.startswith("_")
    ]
    return f"{where}: {said}\n\n{table(('call', 'what it does'), rows)}"


def _entry_point(manifest: Path) -> str:
    project = tomllib.loads((manifest.parents[1] / "pyproject.toml").read_text())["project"]
    ((name, module),) = project["entry-points"][GROUP].items()
    return f"{name} = {module}"
