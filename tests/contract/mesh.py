"""Six real daemons around one NATS server, called over gRPC by method name, and stood still where a test compares tables.

What moves by itself is left out: the relay, the journal's engine, the reconciler, the sweepers. So a run that a test has
started is still where it was put, and two looks at the tables differ by what the calls between them did and nothing else.
"""

import base64
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
from catalyst_mesh import Daemon, explain
from catalyst_mesh.errors import Explained
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, running
from catalyst_testkit.servers import NatsServer, free_port
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

from services.catalog.tests.makers import write
from services.pool_domain_manager.tests.dns_servers import Dns

from .contracts import ROOT

PACKAGES = {
    "catalog": ("catalyst_catalog", "CatalogSettings"),
    "pooldomain": ("catalyst_pool_domain_manager", "PdmSettings"),
    "billing": ("catalyst_billing", "BillingSettings"),
    "continuum": ("catalyst_continuum", "ContinuumSettings"),
    "provisioner": ("catalyst_provisioner", "ProvisionerSettings"),
    "environment": ("catalyst_environment", "EnvironmentSettings"),
}
"""Daemons in the order in which they start, with package and settings class."""

MOVES = {
    "Courier",
    "Gazette",
    "Herald",
    "Engine",
    "NameKeeper",
    "Reconciler",
    "Sweeper",
    "Checkouts",
    "Refunds",
    "Shift",
    "Keeper",
    "Prober",
    "DriftSweep",
    "Errands",
    "Watchman",
}
"""Workers that are left out."""

WALLED = "walled"
"""The Organization that has a private Blueprint, `bp-hidden`."""
OPERATOR = {"roles": ["sovereign-admin", "billing-admin", "security-officer"], "groups": ["/acme/org-admin"]}
Address = Callable[[str], Awaitable[str]]


@dataclass
class Mesh:
    """The running daemons and whoever the test wants to be."""

    home: Path
    nats: NatsServer
    databases: Mapping[str, str]
    dns: Dns
    daemons: dict[str, RunningDaemon] = field(default_factory=dict)
    _lives: dict[str, AbstractAsyncContextManager[RunningDaemon]] = field(default_factory=dict)
    _channels: dict[str, grpc.aio.Channel] = field(default_factory=dict)
    _ports: dict[str, int] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: count(1))

    @property
    def is_on_postgresql(self) -> bool:
        """Whether the daemons keep their data there."""
        return all(url.startswith("postgresql") for url in self.databases.values())

    def fresh(self) -> str:
        """A label that nobody had before."""
        return f"t{next(self._numbers):04}"

    def token(self, **claims: Any) -> str:
        """A signed token; without claims the operator's, who may do everything."""
        return self.daemons["catalog"].issuer.token("tester", **(claims or OPERATOR))

    def channel(self, method: str) -> grpc.aio.Channel:
        """A bare channel to the daemon that should serve `method`; what all serve is asked of the catalog."""
        return self._channels.get(method.split(".")[1], self._channels["catalog"])

    async def call(
        self, method: str, request: Message, *, token: str | None = None, within: float | None = 30
    ) -> Message:
        """Call `catalyst.billing.v1.OrderService/GetOrder`."""
        answer = message_factory.GetMessageClass(descriptor(method).output_type)
        serialize: Any = type(request).SerializeToString
        rpc: Any = self.channel(method).unary_unary(f"/{method}", serialize, answer.FromString)
        signed = self.token() if token is None else token
        metadata = (("authorization", f"Bearer {signed}"),) if signed else ()
        made: Message = await rpc(request, metadata=metadata, timeout=within)
        return made

    async def refusal(self, method: str, request: Message, **how: Any) -> Explained:
        """Why a call is refused; code OK where it is not."""
        try:
            await self.call(method, request, **how)
        except grpc.aio.AioRpcError as error:
            return explain(error)
        return Explained("OK", "", "")

    async def start(self, name: str) -> None:
        """Start a daemon, or start it again on what it left."""
        home = self.home / name
        home.mkdir(exist_ok=True)
        if not (home / "issuer").exists():
            (home / "issuer").symlink_to(self.home / "issuer")  # one issuer for the whole mesh
        package, settings = PACKAGES[name]
        compose = _standing_still(import_module(f"{package}.app").compose)
        kind = getattr(import_module(f"{package}.settings"), settings)
        port = self._ports.setdefault(name, free_port())
        values = {"listen": f"127.0.0.1:{port}", "nats_url": self.nats.url, "database_url": self.databases[name]}
        life = running(compose, kind, home, service=name, **values, **self._settings(name, home))
        self._lives[name], self.daemons[name] = life, await life.__aenter__()
        self._channels[name] = grpc.aio.insecure_channel(self.daemons[name].target)

    async def stop(self, name: str) -> None:
        """Stop a daemon; its database stays."""
        await self._channels.pop(name).close(None)
        await self._lives.pop(name).__aexit__(None, None, None)

    async def tables(self, name: str) -> dict[str, Counter[tuple[Any, ...]]]:
        """How often each row stands in each table of a daemon, as the driver reads it, but in those that live by the clock."""
        daemon = self.daemons[name].daemon
        found = {}
        async with daemon.db.read() as sql:
            for table in daemon.metadata.sorted_tables:
                if table.name not in ("lease", "replica"):
                    rows = await sql.exec_driver_sql(f'SELECT * FROM "{table.name}"')
                    found[table.name] = Counter(map(tuple, rows))
        return found

    def _settings(self, name: str, home: Path) -> dict[str, Any]:
        targets = {f"{peer}_target": f"127.0.0.1:{port}" for peer, port in self._ports.items()}
        targets["pdm_target"] = targets.pop("pooldomain_target", "127.0.0.1:9")
        asks = {
            "billing": ("catalog",),
            "provisioner": ("catalog", "pdm", "billing"),
            "continuum": (),
            "environment": ("billing", "catalog"),
        }
        known = {f"{peer}_target": targets[f"{peer}_target"] for peer in asks.get(name, ())}
        if name == "catalog":
            folders = {"acme": spoiled(home), WALLED: secret(home)}
            known |= {"blueprints": ROOT / "blueprints", "organization_folders": folders}
        if name == "pooldomain":
            known |= self.dns.settings()
        if name == "provisioner":
            known |= {"git_listen": f"127.0.0.1:{free_port()}", "sandbox_dir": home / "sandbox", "time_scale": 0.02}
        if name == "continuum":
            key = home / "tsig.key"
            key.write_text(base64.b64encode(b"w" * 32).decode())
            known |= {"cells": "one=127.0.0.1:9,two=127.0.0.2:9,three=127.0.0.3:9", "tsig_key_file": key}
        return known


def _standing_still(compose: Callable[[Any], Awaitable[Daemon]]) -> Callable[[Any], Awaitable[Daemon]]:
    async def composed(settings: Any) -> Daemon:
        daemon = await compose(settings)
        daemon.workers = [worker for worker in daemon.workers if type(worker).__name__ not in MOVES]
        daemon.emits = False
        return daemon

    return composed


def spoiled(home: Path) -> Path:
    """A folder of Blueprints none of which can be read, so that there are issues to list."""
    folder = home / "spoiled"
    for n in range(5):
        (folder / f"bad-{n}").mkdir(parents=True, exist_ok=True)
        (folder / f"bad-{n}" / "blueprint.yaml").write_text("apiVersion: [")
    return folder


def secret(home: Path) -> Path:
    """A folder with the private Blueprints that there are: one to look at, one that is moved about."""
    write(home / WALLED, "bp-hidden")
    write(home / WALLED, "bp-moved")
    return home / WALLED


def descriptor(method: str) -> Any:
    """The descriptor of a method by its path."""
    service, _, name = method.rpartition("/")
    return descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]


def request_of(method: str, **fields: Any) -> Message:
    """An empty request, or one with `fields`."""
    return message_factory.GetMessageClass(descriptor(method).input_type)(**fields)


@asynccontextmanager
async def mesh(home: Path, nats: NatsServer, address: Address) -> AsyncIterator[Mesh]:
    """The daemons, each with a database from `address`, ready to be called."""
    (home / "issuer").mkdir()
    (home / "dns").mkdir()
    dns = Dns(home / "dns")
    made = Mesh(home, nats, {name: await address(name) for name in PACKAGES}, dns)
    async with AsyncExitStack() as stack:
        dns.start()
        stack.callback(dns.end)
        for name in PACKAGES:
            await made.start(name)
            stack.push_async_callback(made.stop, name)
        await eventually(lambda: _was_read(made), within=60, what="the catalogue has read its Blueprints")
        yield made


async def _was_read(made: Mesh) -> bool:
    checks = made.daemons["catalog"].daemon.checks
    return all([await check() for check in checks.values()])


def new_id() -> str:
    """A request id."""
    return str(uuid4())


__all__ = ["Mesh", "descriptor", "mesh", "new_id", "request_of"]
