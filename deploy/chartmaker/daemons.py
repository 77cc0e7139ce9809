"""The daemons as the chart needs them: found by their folders, told by their settings."""

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from catalyst_kube import KINDS, Kind
from catalyst_mesh import DaemonSettings

SERVICES = Path(__file__).parents[2] / "services"
CONTRACTS = {"pool_domain_manager": "pooldomain"}
"""Names of contracts where they are not the folder's."""
TARGETS = {"pdm": "pool_domain_manager", "memberships": "environment"}
"""Names in settings where they are not the folder's."""
KEEPERS = {"provisioner": "1Gi", "continuum": "1Gi", "environment": "1Gi"}
"""Daemons that keep something on disk which is not in the database, and how much."""
SHARERS = ("environment", "provisioner")
"""Those of them whose replicas need one disk together, for their Git repositories."""
LISTENERS = {"http_listen": "http", "git_listen": "git", "repositories_listen": "repositories"}
"""Further addresses that a daemon may listen on, by their settings."""
OUTSIDE: Mapping[str, Sequence[str]] = {
    "pool_domain_manager": ("dns", "dnsApi"),
    "continuum": ("dns", "regions"),
    "provisioner": ("dns",),
}
"""What a daemon reaches outside besides HTTPS, as `networkPolicy.outside` of the values names it."""


@dataclass(frozen=True, slots=True)
class Found:
    """One daemon of this repository."""

    folder: str
    settings: type[DaemonSettings]

    @property
    def name(self) -> str:
        """In Kubernetes: `pool-domain-manager`."""
        return self.folder.replace("_", "-")

    @property
    def key(self) -> str:
        """In the values: `poolDomainManager`."""
        return camel(self.folder)

    @property
    def contract(self) -> str:
        """Its package, role and audience: `pooldomain`."""
        return CONTRACTS.get(self.folder, self.folder)

    @property
    def prefix(self) -> str:
        """Of its environment."""
        return str(self.settings.model_config["env_prefix"])

    @property
    def peers(self) -> Mapping[str, str]:
        """The folders of the daemons that it calls, by the settings that say where they are."""
        fields = [name.removesuffix("_target") for name in self.settings.model_fields if name.endswith("_target")]
        peers = {f"{name}_target": TARGETS.get(name, name) for name in fields}
        return {setting: peer for setting, peer in peers.items() if peer != self.folder}

    def kinds(self, role: str) -> Sequence[Kind]:
        """Kinds of custom resources that it RECONCILES, or SHOWS: its controllers say so."""
        package = f"catalyst_{self.folder}"
        if importlib.util.find_spec(f"{package}.controllers") is None:
            return []
        module = importlib.import_module(f"{package}.controllers")
        return [KINDS[name] for name in getattr(module, role, ())]


def _resources(kinds: Sequence[Kind]) -> Sequence[Mapping[str, str]]:
    return [{"group": kind.group, "plural": kind.plural} for kind in kinds]


def camel(name: str) -> str:
    """`drain_seconds` as `drainSeconds`."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def found() -> Sequence[Found]:
    """Every daemon, by its folder."""
    packages = sorted(path.parent for path in SERVICES.glob("*/catalyst_*/settings.py"))
    return [Found(package.parent.name, _settings(package.name)) for package in packages]


def _settings(package: str) -> type[DaemonSettings]:
    module = importlib.import_module(f"{package}.settings")
    (own,) = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, DaemonSettings) and kind.__module__ == module.__name__
    ]
    return own


def mesh(daemons: Sequence[Found]) -> str:
    """Who there is, and who calls whom: what the templates go through."""
    by_folder = {daemon.folder: daemon for daemon in daemons}
    rows = [_row(daemon, by_folder) for daemon in daemons]
    return (
        "# Made by script/chart from the settings of the daemons. `calls` are the edges of the mesh.\n"
        + yaml.safe_dump({"daemons": rows}, sort_keys=False, width=120)
    )  # fmt: skip


def _row(daemon: Found, by_folder: Mapping[str, Found]) -> dict[str, Any]:
    fields = daemon.settings.model_fields
    settings: dict[str, list[str]] = {}
    for setting, folder in daemon.peers.items():
        settings.setdefault(folder, []).append((daemon.prefix + setting).upper())
    maybe = {(daemon.prefix + setting).upper() for setting in daemon.peers if not fields[setting].default}
    calls = [
        {
            "name": peer.name,
            "key": peer.key,
            "contract": peer.contract,
            "env": envs,
            "maybe": [env for env in envs if env in maybe],  # empty: the daemon knows that there is none
        }
        for folder, envs in settings.items()
        if (peer := by_folder[folder])
    ]
    return {
        "name": daemon.name,
        "key": daemon.key,
        "contract": daemon.contract,
        "package": f"catalyst_{daemon.folder}",
        "prefix": daemon.prefix,
        "calls": calls,
        "listens": [name for setting, name in LISTENERS.items() if setting in fields],
        "secrets": "secrets_folder" in fields,
        "keeps": KEEPERS.get(daemon.folder, ""),
        "shares": daemon.folder in SHARERS,
        "outside": ["https", *OUTSIDE.get(daemon.folder, ())],
        "reconciles": _resources(daemon.kinds("RECONCILES")),
        "shows": _resources(daemon.kinds("SHOWS")),
    }
