"""Servers in a process of their own: `python child.py <role> <json>`. Says its ports in one line of JSON."""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import uvloop
from catalyst.pooldomain.v1 import service_pb2, service_pb2_grpc
from catalyst_mesh import SIGNED_IN, ChassisMetrics, Issuer, rows
from catalyst_mesh.access import Access
from catalyst_mesh.interceptor import Interceptor
from catalyst_mesh.verifiers import KeyFileVerifier
from prometheus_client import CollectorRegistry

SERVICE = "catalyst.pooldomain.v1.AllocationService"


class Echo(service_pb2_grpc.AllocationServiceServicer):
    """Answers with nothing, at once."""

    async def CheckName(self, request: Any, context: Any) -> Any:
        return service_pb2.CheckNameResponse()


async def echo(home: str) -> None:
    """One servicer behind the chain and the same one bare, each on a port of its own."""
    Issuer.open(Path(home))
    verifier = KeyFileVerifier(Path(home) / "jwks.json")
    metrics = ChassisMetrics(CollectorRegistry())
    chain = Interceptor(verifier=verifier, access=Access(rows(SERVICE, CheckName=SIGNED_IN)), metrics=metrics)
    ports = {}
    servers = {"chain": grpc.aio.server(interceptors=[chain]), "bare": grpc.aio.server()}
    for name, server in servers.items():
        service_pb2_grpc.add_AllocationServiceServicer_to_server(Echo(), server)
        ports[name] = server.add_insecure_port("127.0.0.1:0")
        await server.start()
    say(ports)
    await asyncio.gather(*(server.wait_for_termination() for server in servers.values()))


async def troubled(home: str) -> None:
    """The same servicer, beside plugins that crash, hang, answer rubbish and refuse by 429 all the time."""
    from catalyst_mesh.plugins.guard import Guarded

    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.perf.spoilt import FAULTS, Spoilt, keep_asking, log_to

    log_to(Path(home) / "log")
    metrics = ChassisMetrics(CollectorRegistry())
    for fault in FAULTS:
        plugin = Guarded(f"registrar:{fault}", Spoilt(fault), metrics=metrics, limit=30)
        background.add(asyncio.create_task(keep_asking(plugin)))
    await echo(home)


background: set["asyncio.Task[None]"] = set()
"""So that nobody takes them away."""


async def pdm(home: str, nats_url: str, rows: int) -> None:
    """The pool-domain manager as it is, with `rows` reservations that last."""
    from catalyst_pool_domain_manager.app import compose
    from catalyst_pool_domain_manager.settings import PdmSettings
    from catalyst_pool_domain_manager.store import allocations
    from catalyst_testkit.daemons import running
    from sqlalchemy import insert

    folder = Path(home)
    values = {"nats_url": nats_url, "dns_control": "127.0.0.1:9", "dns_data": folder, "sweep_interval": 60}
    async with running(compose, PdmSettings, folder, **values) as daemon:
        now = datetime.now(UTC)
        same = {
            c.name: _filler(c, now) for c in allocations.c if not c.nullable
        } | {"pool": "omani.works", "state": "reserved", "expires_at": now + timedelta(days=9)}  # fmt: skip
        if rows:
            async with daemon.daemon.db.begin() as sql:
                await sql.execute(insert(allocations), [{**same, "label": f"n{n:05}"} for n in range(rows)])
        say({"target": daemon.target, "token": daemon.issuer.token("admin", roles=["sovereign-admin"])})
        await asyncio.Event().wait()


async def catalog(home: str, nats_url: str) -> None:
    """The catalogue as it is, with as many Blueprints as its specification names."""
    from catalyst_catalog.app import compose
    from catalyst_catalog.settings import CatalogSettings
    from catalyst_testkit import eventually
    from catalyst_testkit.daemons import running

    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.perf.full_catalogue import everything

    folder = Path(home)
    (folder / "blueprints").mkdir()
    (folder / "blueprints" / "families.yaml").write_text("families: []\n")
    values = {"nats_url": nats_url, "blueprints": folder / "blueprints", "sync_interval": 3600}
    async with running(compose, CatalogSettings, folder, **values) as daemon:
        work: Any = daemon.daemon.work

        async def was_read() -> bool:
            async with work.reading() as tx:
                source = await tx.source("public")
            return bool(source is not None and source.observed)

        await eventually(was_read, within=60)
        async with work.transaction() as tx:
            source = await tx.source("public", lock=True)
            later = replace(source, revision=source.revision + 1)
            await tx.save(everything(later, await tx.revision()))
        say({"target": daemon.target, "token": daemon.issuer.token("dev", groups=["/acme/org-developer"])})
        await asyncio.Event().wait()


async def gateway(home: str, nats_url: str, pdm: str, port: int) -> None:
    """The gateway as it is; the pool-domain manager stands for every daemon behind it."""
    from catalyst_gateway.app import compose
    from catalyst_gateway.settings import GatewaySettings
    from catalyst_testkit.daemons import running

    folder = Path(home)
    targets = {f"{name}_target": pdm for name in ("catalog", "provisioner", "pdm", "continuum", "billing")}
    for name in ("code", "operator"):
        (folder / name).write_text("12345678")
    values = {"nats_url": nats_url, "http_listen": f"127.0.0.1:{port}", "development": True, **targets}
    values |= {"identity_per_minute": 1_000_000, "address_per_minute": 1_000_000}
    values |= {"login_code_file": folder / "code", "operator_token_file": folder / "operator"}
    async with running(compose, GatewaySettings, folder, **values):
        say({"port": port})
        await asyncio.Event().wait()


async def console(home: str) -> None:
    """The console alone, before daemons in which there is something of everything."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from services.gateway.tests import filled
    from services.gateway.tests.fake_daemons import fake_daemons
    from services.gateway.tests.looking import looking, served

    sovereigns = [{"name": f"sovereigns/s{n}", "state": "STATE_ACTIVE", "fqdn": f"s{n}.omani.works"} for n in range(50)]
    async with fake_daemons() as daemons:
        filled.fill(daemons)
        daemons.answer("ListSovereigns", {"sovereigns": sovereigns})
        async with looking(daemons, Path(home)) as look, served(look) as url:
            say({"url": url, "token": look.issuer.token("ada", roles=["sovereign-admin"])})
            await asyncio.Event().wait()


def _filler(column: Any, now: datetime) -> Any:
    """Something of the column's type."""
    kind = type(column.type).__name__
    return {"UtcTime": now, "Json": [], "BigInteger": 1, "Integer": 0, "Boolean": False}.get(kind, "")


def say(ports: Mapping[str, Any]) -> None:
    """What the parent waits for."""
    print(f"ready {json.dumps(ports)}", flush=True)  # noqa: T201 - the parent reads it


ROLES: Mapping[str, Any] = {
    "echo": echo,
    "troubled": troubled,
    "pdm": pdm,
    "catalog": catalog,
    "gateway": gateway,
    "console": console,
}  # fmt: skip - one thought
"""What a child can be."""


if __name__ == "__main__":
    uvloop.run(ROLES[sys.argv[1]](**json.loads(sys.argv[2])))
