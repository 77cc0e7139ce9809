"""Seven real daemons as processes, what went into them, and what was heard of it: for the canary."""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from catalyst_mesh import Issuer, explain
from catalyst_mesh.calls import ON_BEHALF_OF
from catalyst_testkit.processes import Nursery, Replica, Replicas
from catalyst_testkit.servers import NatsServer, free_port
from google.protobuf.message import Message

from .contracts import ROOT
from .forms import ODD

SETTINGS = {
    "catalog": ("catalyst_catalog", "CatalogSettings", "CATALYST_CATALOG_"),
    "pooldomain": ("catalyst_pool_domain_manager", "PdmSettings", "CATALYST_PDM_"),
    "billing": ("catalyst_billing", "BillingSettings", "CATALYST_BILLING_"),
    "continuum": ("catalyst_continuum", "ContinuumSettings", "CATALYST_CONTINUUM_"),
    "provisioner": ("catalyst_provisioner", "ProvisionerSettings", "CATALYST_PROVISIONER_"),
    "environment": ("catalyst_environment", "EnvironmentSettings", "CATALYST_ENVIRONMENT_"),
    "gateway": ("catalyst_gateway", "GatewaySettings", "CATALYST_GATEWAY_"),
}
READS = {
    "catalog": "catalyst.catalog.v1.SourceService/ListSources",
    "pooldomain": "catalyst.pooldomain.v1.PoolService/ListPools",
    "billing": "catalyst.billing.v1.LedgerService/ListFindings",
    "continuum": "catalyst.continuum.v1.ContinuumService/ListContinuums",
    "provisioner": "catalyst.provisioner.v1.SovereignService/ListSovereigns",
    "environment": "catalyst.environment.v1.OrganizationService/ListOrganizations",
    "gateway": "catalyst.mesh.v1.EventService/ListBusReports",
}
NAMES = "catalyst.pooldomain.v1.AllocationService"
OWN_FILES = {"token", "operator", "login-code", "seal.key", "git.key", "tsig.key", "nats.conf", "issuer.json"}
"""Files in which a secret lies because that is its place."""


def drawn(prefix: str = "", size: int = 20) -> str:
    return prefix + secrets.token_hex(size)


def odd(characters: str = ODD) -> str:
    """A secret with characters that every way of writing changes in its own manner, where a door lets them in."""
    return f"{drawn()}{characters}{drawn()}"


@dataclass
class Aviary:
    """The daemons, what went in, and what was heard."""

    home: Path
    nats: NatsServer
    databases: Mapping[str, str]
    bird: str = field(default_factory=lambda: drawn("b", 8))
    """No secret: it goes in where the secrets do, and is found."""
    secrets: dict[str, str] = field(default_factory=dict)
    replicas: dict[str, Replicas] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    """What callers were told: statuses with their details, answers of HTTP, exceptions."""
    spans: list[bytes] = field(default_factory=list)
    """What was sent to the collector of traces."""
    collector: int = 0
    """Its port."""
    parrot: int = 0
    """Port of a registrar that repeats whatever it is told."""

    @property
    def issuer(self) -> Issuer:
        return Issuer.open(self.home / "issuer")

    def one(self, name: str) -> Replica:
        return self.replicas[name].all[0]

    def token(self, kind: str, **claims: Any) -> str:
        """A good token, which is a secret from now on."""
        made = self.issuer.token(self.bird, **claims)
        self.secrets[f"token of {kind}"] = made.rpartition(".")[2]
        return made

    async def call(self, name: str, method: str, request: Message, token: str, behalf: str = "") -> bytes:
        """Call, and keep what is told where it is refused."""
        metadata = [("authorization", f"Bearer {token}"), *([(ON_BEHALF_OF, f"Bearer {behalf}")] if behalf else [])]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.one(name).port}") as channel:
            try:
                raw: bytes = await channel.unary_unary(f"/{method}")(
                    request.SerializeToString(), metadata=metadata, timeout=30
                )
            except grpc.aio.AioRpcError as error:
                self.heard += [repr(error), str(error), repr(explain(error)), repr(error.trailing_metadata())]
                return b""
        return raw


def environment(aviary: Aviary, name: str, key: str) -> dict[str, Any]:
    """The settings of a daemon beyond the usual ones; PDM's plugin has `key` as its secret."""
    ports = {peer: made.all[0].port for peer, made in aviary.replicas.items() if made.all}
    targets = {f"{'pdm' if peer == 'pooldomain' else peer}_target": f"127.0.0.1:{port}" for peer, port in ports.items()}
    wanted = {
        "billing": ("catalog",),
        "provisioner": ("catalog", "pdm", "billing"),
        "environment": ("billing", "catalog"),
        "gateway": ("catalog", "pdm", "billing", "continuum", "provisioner", "environment"),
    }.get(name, ())  # fmt: skip - a table
    made: dict[str, Any] = {f"{peer}_target": targets[f"{peer}_target"] for peer in wanted}
    made["otlp_endpoint"] = f"http://127.0.0.1:{aviary.collector}"
    made |= {"nats_url": aviary.nats.url, "nats_token": aviary.secrets["nats"], "database_url": aviary.databases[name]}
    home = aviary.home / name
    if name == "catalog":
        made["blueprints"] = ROOT / "blueprints"
    if name == "pooldomain":
        (home / "secrets").mkdir(parents=True)
        (home / "secrets" / "key").write_text(aviary.secrets["plugin"])
        made["secrets_folder"] = home / "secrets"
        parrot = f"http://127.0.0.1:{aviary.parrot}"
        made["plugins"] = {
            "dns_backend:dns_powerdns": {"url": key, "api_key": "key"},
            "registrar:godaddy": {"url": parrot},
            "registrar:dynadot": {"url": f"{parrot}/api3.json"},
        }  # fmt: skip - a table
    if name == "continuum":
        (home / "tsig.key").write_text(base64.b64encode(b"w" * 32).decode())
        made |= {"cells": "one=127.0.0.1:9,two=127.0.0.2:9,three=127.0.0.3:9", "tsig_key_file": home / "tsig.key"}
    if name == "provisioner":
        made |= {"git_listen": f"127.0.0.1:{free_port()}", "sandbox_dir": home / "sandbox"}
    if name == "gateway":
        (home / "login-code").write_text(aviary.secrets["login code"])
        (home / "operator").write_text(aviary.token("operator", roles=["sovereign-admin"]))
        made |= {"http_listen": f"127.0.0.1:{free_port()}", "development": "true"}
        made |= {"login_code_file": home / "login-code", "operator_token_file": home / "operator"}
    return made


async def hatch(aviary: Aviary, born: Nursery, name: str, powerdns: str) -> Replicas:
    """Start a daemon; its folder has the bird's name in it, as its settings show."""
    package, _, prefix = SETTINGS[name]
    home = aviary.home / name
    home.mkdir(exist_ok=True)
    (aviary.home / "issuer").mkdir(exist_ok=True)
    (home / "issuer").symlink_to(aviary.home / "issuer")
    made = Replicas(born, package, prefix, home, environment(aviary, name, powerdns))
    made.all.append(made._replica(0))
    # Its own token, by which it may ask its peers.
    (home / "token").write_text(aviary.token(f"the daemon {name}", service=name))
    made.all[0].env = {**made.all[0].env, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    aviary.replicas[name] = made
    made.all[0].start()
    return made


@asynccontextmanager
async def collector(spans: list[bytes]) -> AsyncIterator[int]:
    """A server that keeps what is posted to it; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split()[0])
                spans.append(head + await reader.readexactly(length))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
