"""The demonstration of `catalyst dev --regions`: a small application with a database in each region, under one name.

Its rows are written in the region that holds the slot, and acknowledged when the other one has them too.
"""

import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import catalyst_cloud_sandbox
from catalyst_mesh.keyfiles import kept
from catalyst_sdk import deadman

from . import pair, recipes
from .layout import AUTHORITIES, CELLS, DAEMON, DEMO, POSTGRES, REGIONS, SHOP, Layout, Region

GATEWAY = "gateway"
RTO = {DEMO: "40s", POSTGRES: "60s"}
TIMES = {
    DEMO: {
        "ttlSeconds": 10,
        "renewSeconds": 2,
        "pollSeconds": 0.5,
        "opTimeoutSeconds": 1,
        "fenceBudgetSeconds": 3,
    },
    POSTGRES: {
        "ttlSeconds": 20,
        "renewSeconds": 5,
        "pollSeconds": 1,
        "opTimeoutSeconds": 2,
        "fenceBudgetSeconds": 5,
    },
}  # fmt: skip - a table
"""The profile `fast`; a server of PostgreSQL takes longer to stop, and has `default`."""
ACCOUNT = "dev"
"""Account of the simulated cloud that its clusters lie in."""
NAMESPACE, NAME = "demo", "shop"
HOST = f"shop.{recipes.DEMO_ZONE}"
PROGRAM = "catalyst_promoter_demo"


class SlotRefused(Exception):
    """A region's daemon does not take part in the slot; the text says why, for the person at the terminal."""


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


def found(layout: Layout, address: Callable[[Region], Address]) -> None:
    """Make the first copy of the database, in the first region; nothing happens where it is there. Raises DatabaseUnusable."""
    kept(token(layout), lambda: secrets.token_hex(32))
    if layout.rows_in == POSTGRES:
        pair.found(layout, address)
        return
    first = REGIONS[0]
    home = layout.region_home(first, SHOP)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    subprocess.run(
        [sys.executable, "-m", PROGRAM, "init", "--folder", str(home), "--region", first.cluster],
        check=True, stdout=subprocess.DEVNULL, env=recipes.base_environment(),
    )  # fmt: skip


def command(layout: Layout, region: Region, shops: Mapping[str, Shop], address: Address) -> list[str]:
    """Command of one region's application, and of its database where that is its own."""
    shared = [
        "--folder", str(layout.region_home(region, SHOP)), "--region", region.cluster,
        "--gateway", shops[region.cluster].gateway, "--token-file", str(token(layout)),
        "--dead-man", str(dead_man(layout, region)),
    ]  # fmt: skip
    if layout.rows_in == POSTGRES:
        return [sys.executable, "-m", PROGRAM, "gateway", *shared, "--postgres", pair.url(layout, region)]
    peers = [
        word
        for other in REGIONS
        if other != region
        for word in ("--peer", f"{other.cluster}={address('peers', other.part(SHOP))}")
    ]
    return [
        sys.executable, "-m", PROGRAM, "serve", *shared, "--database", layout.address(region.part(SHOP)), *peers
    ]  # fmt: skip


def token(layout: Layout) -> Path:
    """The secret that all regions of the application and their agents share."""
    return layout.tokens / "shop"


def dead_man(layout: Layout, region: Region) -> Path:
    """By which a region's agent vouches for its writers."""
    return deadman.place(layout.region_home(region, DAEMON), f"{NAMESPACE}/{NAME}")


def trace(layout: Layout, region: Region) -> Path:
    """What a region's agent wrote down of its authority and its effects."""
    return layout.region_home(region, DAEMON) / "trace.jsonl"


def agent(layout: Layout, region: Region, shops: Mapping[str, Shop], address: Address) -> dict[str, str]:
    """Environment of one region's continuum daemon: it has its own store, and finds all others over the region's lines."""
    home, apps = layout.region_home(region, DAEMON), _apps(layout, region, shops, address)
    promoters = {"database_promoter:demo": {"regions": apps, "token_file": str(token(layout))}}
    if layout.rows_in == POSTGRES:
        promoters = {"database_promoter:postgres": pair.config(layout, region, address)}
    name_servers = ",".join(f"{name}={address('others', name)}" for name in AUTHORITIES)
    own = {
        "LISTEN": layout.address(region.place),
        "SIDE_LISTEN": layout.address(f"{region.place}-side"),
        "DATABASE_URL": f"sqlite+aiosqlite:///{home}/continuum.db",
        "DATA_FOLDER": str(home),
        "NATS_URL": f"nats://{address('others', 'nats')}",
        "JWKS_FILE": str(layout.issuer / "jwks.json"),
        "OIDC_ISSUER": layout.sign_in_url,
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
        "TRAFFIC_AUTHORITIES": name_servers,
        # There is no resolver for a name that only exists here: those who know it are asked as one.
        "RESOLVERS": name_servers,
        "TRAFFIC_KEY_FILE": str(recipes.traffic_key(layout)),
        "TRAFFIC_KEY_NAME": recipes.DEMO_KEY,
        "GATES": ",".join(f"{name}={place['gateway']}" for name, place in apps.items()),
        "GATE_TOKEN_FILE": str(token(layout)),
        "PLUGINS": json.dumps(promoters),
    }
    return {**recipes.base_environment(), **{f"CATALYST_CONTINUUM_{key}": value for key, value in own.items()}}


def _apps(
    layout: Layout, region: Region, shops: Mapping[str, Shop], address: Address
) -> Mapping[str, Mapping[str, str]]:
    """Where an agent finds each region's application: its own directly, the others over lines."""
    own = {"database": layout.address(region.part(SHOP)), "gateway": shops[region.cluster].gateway}
    others = {
        other.cluster: {
            kind: address("peers", other.part(part)) for kind, part in (("database", SHOP), (GATEWAY, GATEWAY))
        }
        for other in REGIONS
        if other != region
    }
    return {region.cluster: own, **others}


def wish(layout: Layout, shops: Mapping[str, Shop]) -> dict[str, object]:
    """What is wished for the slot, the same in every region: the `spec` of a manifest."""
    first, *standbys = REGIONS
    return {
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
        # The cells are those of the daemons' own settings.
        "leaseClient": {"kind": "dns-quorum", "config": TIMES[layout.rows_in]},
        "luaRecord": {"hostnames": [HOST], "zone": recipes.DEMO_ZONE, "ttl": 5, "selector": "static"},
        "switchover": {"mechanism": layout.rows_in},
        "database": {"syncMode": "required", **_servers(layout)},
        "mode": "automatic",
        "autoFailover": True,
        # Drills move it as often as they like.
        "antiFlap": {"minInterval": "1s", "maxAutoFailovers": 100, "window": "1h"},
        # A way back may be tried soon after a move.
        "failback": {"policy": "manual", "stableFor": "20s"},
        "rto": RTO[layout.rows_in],
        "rpo": "0s",
    }  # fmt: skip - reads as a manifest


def _servers(layout: Layout) -> Mapping[str, object]:
    """The names of the servers, where they have any."""
    if layout.rows_in == DEMO:
        return {}
    return {"clusters": {region.cluster: {"name": NAME} for region in REGIONS}}


async def make_slot(target: str, token: str, spec: Mapping[str, object]) -> None:
    """Have the daemon of one region take part in the slot; nothing happens where it does. Raises SlotRefused."""
    import grpc
    from catalyst.continuum.v1 import resources_pb2, service_pb2, service_pb2_grpc
    from catalyst_mesh import CallFailed, connect
    from catalyst_sdk.continuum_form import SPEC
    from catalyst_sdk.forms import read
    from google.protobuf.json_format import ParseDict

    values, faults = read(SPEC, spec, "spec")
    assert not faults, faults
    wished = ParseDict(SPEC.to_api(values), resources_pb2.ContinuumSpec())
    request = service_pb2.CreateContinuumRequest(
        parent=f"namespaces/{NAMESPACE}", continuum_id=NAME, continuum=resources_pb2.Continuum(spec=wished)
    )
    channel = connect(target, token=lambda: token)
    try:
        await service_pb2_grpc.ContinuumServiceStub(channel).CreateContinuum(request, wait_for_ready=True, timeout=60)
    except (CallFailed, grpc.aio.AioRpcError) as failure:
        if failure.code() is not grpc.StatusCode.ALREADY_EXISTS:
            raise SlotRefused(f"{target} refuses the slot {NAMESPACE}/{NAME}: {failure}") from failure
    finally:
        await channel.close(None)
