"""The demonstration of `catalyst dev --regions`: a small application with a database in each region, under one name.

Its rows are written in the region that holds the slot, and acknowledged when the other one has them too.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import catalyst_cloud_sandbox

from . import recipes
from .layout import AUTHORITIES, CELLS, DAEMON, REGIONS, SHOP, Layout, Region

GATEWAY = "gateway"
ACCOUNT = "dev"
"""Account of the simulated cloud that its clusters lie in."""
NAMESPACE, NAME = "demo", "shop"
HOST = f"shop.{recipes.DEMO_ZONE}"
PROGRAM = "catalyst_promoter_demo"
Address = Callable[[str, str], str]
"""Where a region finds a part of the kind and name."""


@dataclass(frozen=True, slots=True)
class Shop:
    """Where the application of one region answers the world: the address of its cluster's load balancer."""

    address: str
    port: int

    @property
    def gateway(self) -> str:
        """Host and port."""
        return f"{self.address}:{self.port}"


def places(layout: Layout) -> Mapping[str, Shop]:
    """Where each region's application answers, by host cluster; the same for the life of the folder."""

    def place(region: Region) -> Shop:
        account, cluster = ACCOUNT, region.cluster
        address = catalyst_cloud_sandbox.way_in(layout.sandbox, account=account, cluster=cluster, region=region.place)
        return Shop(*address)

    return {region.cluster: place(region) for region in REGIONS}


def found(layout: Layout) -> None:
    """Make the first copy of the database, in the first region; nothing happens where it is there."""
    first = REGIONS[0]
    home = layout.region_home(first, SHOP)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    subprocess.run(
        [sys.executable, "-m", PROGRAM, "init", "--folder", str(home), "--region", first.cluster],
        check=True, stdout=subprocess.DEVNULL, env=recipes.base_environment(),
    )  # fmt: skip


def command(layout: Layout, region: Region, shops: Mapping[str, Shop], address: Address) -> list[str]:
    """Command of one region's application and database."""
    peers = [
        word
        for other in REGIONS
        if other != region
        for word in ("--peer", f"{other.cluster}={address('peers', other.part(SHOP))}")
    ]
    return [
        sys.executable, "-m", PROGRAM, "serve", "--folder", str(layout.region_home(region, SHOP)),
        "--region", region.cluster, "--database", layout.address(region.part(SHOP)),
        "--gateway", shops[region.cluster].gateway, *peers, "--token-file", str(token(layout)),
        "--dead-man", str(dead_man(layout, region)),
    ]  # fmt: skip


def token(layout: Layout) -> Path:
    """The secret that all regions of the application and their agents share."""
    return layout.tokens / "shop"


def dead_man(layout: Layout, region: Region) -> Path:
    """By which a region's agent vouches for its writers."""
    return layout.region_home(region, DAEMON) / "dead-man.json"


def trace(layout: Layout, region: Region) -> Path:
    """What a region's agent wrote down of its authority and its effects."""
    return layout.region_home(region, DAEMON) / "trace.jsonl"


def agent(layout: Layout, region: Region, shops: Mapping[str, Shop], address: Address) -> dict[str, str]:
    """Environment of one region's continuum daemon: it has its own store, and finds all others over the region's lines."""
    home = layout.region_home(region, DAEMON)
    own = {
        "LISTEN": layout.address(region.place),
        "SIDE_LISTEN": layout.address(f"{region.place}-side"),
        "DATABASE_URL": f"sqlite+aiosqlite:///{home}/continuum.db",
        "DATA_FOLDER": str(home),
        "NATS_URL": f"nats://{address('others', 'nats')}",
        "JWKS_FILE": str(layout.issuer / "jwks.json"),
        "TOKEN_FILE": str(layout.tokens / "continuum"),
        "PROVISIONER_TARGET": layout.target("provisioner"),
        "DRAIN_SECONDS": "0.2",
        "CELLS": ",".join(f"{cell}={address('cells', cell)}" for cell in CELLS),
        "TSIG_KEY_FILE": str(recipes.tsig_key(layout)),
        "REGION": region.cluster,
        "DATA_DIR": str(home),
        "TRACE": str(trace(layout, region)),
        "PEERS": ",".join(
            f"{other.cluster}={address('peers', other.part(DAEMON))}" for other in REGIONS if other != region
        ),
        "TRAFFIC_AUTHORITIES": ",".join(f"{name}={address('others', name)}" for name in AUTHORITIES),
        "TRAFFIC_KEY_FILE": str(recipes.traffic_key(layout)),
        "TRAFFIC_KEY_NAME": recipes.DEMO_KEY,
        "RESOLVERS": ",".join(address("others", name) for name in AUTHORITIES),
        "PLUGINS": json.dumps({"database_promoter:demo": _promoter(layout, region, shops, address)}),
    }
    return {**recipes.base_environment(), **{f"CATALYST_CONTINUUM_{key}": value for key, value in own.items()}}


def _promoter(layout: Layout, region: Region, shops: Mapping[str, Shop], address: Address) -> Mapping[str, object]:
    """Where an agent finds each region's application: its own directly, the others over lines."""
    own = {"database": layout.address(region.part(SHOP)), "gateway": shops[region.cluster].gateway}
    others = {
        other.cluster: {
            kind: address("peers", other.part(part)) for kind, part in (("database", SHOP), (GATEWAY, GATEWAY))
        }
        for other in REGIONS
        if other != region
    }  # fmt: skip - one row a region
    return {"regions": {region.cluster: own, **others}, "token_file": str(token(layout))}


def manifest(shops: Mapping[str, Shop], layout: Layout) -> dict[str, object]:
    """The slot of the application, as every region is told."""
    first, *standbys = REGIONS
    return {
        "apiVersion": "dr.openova.io/v1",
        "kind": "Continuum",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "applicationRef": {"name": NAME},
            "primaryRegion": first.cluster,
            "hotStandbyRegions": [region.cluster for region in standbys],
            "regions": [
                {
                    "name": region.cluster,
                    "lbIPs": [shops[region.cluster].address],
                    "agentEndpoint": layout.address(region.place),
                }
                for region in REGIONS
            ],
            "leaseClient": {
                "kind": "dns-quorum",
                "config": {
                    "nameservers": [
                        {"name": cell, "address": layout.address(cell), "zone": recipes.WITNESS_ZONE} for cell in CELLS
                    ]
                },
            },
            "luaRecord": {"hostnames": [HOST], "zone": recipes.DEMO_ZONE, "ttl": 5, "selector": "static"},
            "switchover": {"mechanism": "demo"},
            "database": {"syncMode": "required"},
            "mode": "automatic",
            "autoFailover": True,
            "rto": "40s",
            "rpo": "0s",
        },
    }
