"""Secrets go in by every door, and come out by none: seven real daemons as processes, and a search in all that they leave.

Each place is searched for something known as well, that came in the same way: a canary that cannot sing proves nothing.
"""

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import httpx
import pytest
import pytest_asyncio
from catalyst.billing.v1 import resources_pb2 as money
from catalyst.billing.v1 import service_pb2 as billing
from catalyst.pooldomain.v1 import resources_pb2 as resources
from catalyst.pooldomain.v1 import service_pb2 as pdm
from catalyst_mesh import Issuer, explain
from catalyst_mesh.calls import ON_BEHALF_OF
from catalyst_mesh.sealing import Sealer, sealed_at
from catalyst_mesh.settings import SettingsFault
from catalyst_pool_domain_manager.settings import PdmSettings
from catalyst_provisioner.store.tables import credentials
from catalyst_testkit import eventually
from catalyst_testkit.dumps import dump
from catalyst_testkit.fake_registrar import FakeRegistrar, serving
from catalyst_testkit.postgres import PostgresServer
from catalyst_testkit.powerdns import PowerDnsServer
from catalyst_testkit.processes import Nursery, Replica, Replicas, nursery
from catalyst_testkit.servers import NatsServer, free_port, nats_server
from google.protobuf import empty_pb2
from google.protobuf.message import Message

from .contracts import ROOT
from .wishes import pooldomain

pytestmark = pytest.mark.asyncio(loop_scope="module")
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def aviary(postgres: PostgresServer, powerdns: PowerDnsServer, tmp_path_factory: Any) -> AsyncIterator[Aviary]:
    bird, known = drawn("b", 8), {"nats": drawn(), "database": drawn(), "plugin": drawn(), "login code": drawn()}
    home = tmp_path_factory.mktemp(bird)
    databases = {name: f"sqlite+aiosqlite:///{home}/{name}/daemon.db" for name in SETTINGS}
    for name in ("pooldomain", "billing"):
        # Whoever asks from this machine is let in, so any password does.
        url = await postgres.database()
        databases[name] = url.replace("postgres@", f"postgres:{known['database']}@")
        assert known["database"] in databases[name]
    with (
        nats_server(known["nats"]) as nats,
        nursery("catalyst_mesh.otlp", *(f"{package}.app" for package, _, _ in SETTINGS.values())) as born,
    ):
        made = Aviary(home, nats, databases, bird, known)
        async with AsyncExitStack() as stack:
            parrot = FakeRegistrar()
            parrot.is_parrot = True
            made.parrot = (await stack.enter_async_context(serving(parrot))).port
            made.collector = await stack.enter_async_context(collector(made.spans))
            for name in SETTINGS:
                stack.push_async_callback((await hatch(made, born, name, powerdns.url)).close)
            await asyncio.gather(*(made.one(name).serves() for name in SETTINGS))
            await sing(made, born)
            yield made


async def sing(aviary: Aviary, born: Nursery) -> None:
    """Send secrets through every door, by ways that work and by ways that are refused."""
    forger = Issuer.open(aviary.home / "forger")
    word, forged = drawn(), forger.token(aviary.bird, roles=["sovereign-admin"])
    aviary.secrets |= {"a password for a token": word, "a forged token": forged.rpartition(".")[2]}
    admin = aviary.token("admin", roles=["sovereign-admin", "billing-admin"], groups=["/acme/org-admin"])
    nobody, daemon = aviary.token("nobody"), aviary.token("a daemon", service="provisioner")
    for name, method in READS.items():
        asked = empty_pb2.Empty()
        for token, behalf in (
            (word, ""),
            (forged, ""),
            (daemon, word),
            (daemon, forged),
            (admin, nobody),
            (nobody, ""),
        ):
            await aviary.call(name, method, asked, token, behalf)
        await aviary.call(name, method, asked, admin)
    account = billing.EnsureAccountRequest(org=f"organizations/{aviary.bird}")
    assert await aviary.call("billing", "catalyst.billing.v1.AccountService/EnsureAccount", account, daemon)
    await reserve(aviary, admin)
    await register(aviary, admin)
    await trade(aviary, admin)
    await by_http(aviary, admin, word, forged)
    await fall(aviary, born)
    await open_the_safe(aviary)


async def reserve(aviary: Aviary, admin: str) -> None:
    """A name is held by a token, a wrong one is refused, and its zone goes to a server that takes another key."""
    pool = pooldomain.pool("omani.works")
    pool.pool.backend = "backends/powerdns"
    await aviary.call("pooldomain", "catalyst.pooldomain.v1.PoolService/CreatePool", pool, admin)
    wish = pdm.ReserveAllocationRequest(
        parent=pooldomain.POOL, label=aviary.bird, owner="organizations/acme", request_id=str(uuid4())
    )
    answers = [await aviary.call("pooldomain", f"{NAMES}/ReserveAllocation", wish, admin) for _ in range(2)]
    held = pdm.ReserveAllocationResponse.FromString(answers[0])
    assert answers[0] == answers[1]
    assert held.reservation_token.startswith("rsv_")
    wrong = drawn("rsv_", 32)
    aviary.secrets |= {"reservation": held.reservation_token[4:], "a wrong reservation": wrong[4:]}
    for token in (wrong, f"{wrong}!", held.reservation_token):
        renewal = pdm.RenewAllocationRequest(name=held.allocation.name, reservation_token=token)
        await aviary.call("pooldomain", f"{NAMES}/RenewAllocation", renewal, admin)
        release = pdm.ReleaseAllocationRequest(name=held.allocation.name, reservation_token=wrong, reason="x", etag="x")
        await aviary.call("pooldomain", f"{NAMES}/ReleaseAllocation", release, admin)
    commit = pdm.CommitAllocationRequest(name=held.allocation.name, reservation_token=held.reservation_token)
    commit.targets.add(slot="default", address="127.7.0.1")
    assert await aviary.call("pooldomain", f"{NAMES}/CommitAllocation", commit, admin)
    read = pdm.GetAllocationRequest(name=held.allocation.name)

    async def is_refused() -> bool:
        told = await aviary.call("pooldomain", f"{NAMES}/GetAllocation", read, admin)
        return b"CREDENTIALS_REJECTED" in told

    await eventually(is_refused, within=60, what="the reconciler has shown the key and was refused")  # type: ignore[arg-type]  # T is bool
    aviary.heard.append(repr(await aviary.call("pooldomain", f"{NAMES}/GetAllocation", read, admin)))


async def register(aviary: Aviary, admin: str) -> None:
    """Credentials for registrars: stored, exchanged, in hand, in both forms, ill-formed; the registrar repeats them all."""
    key, secret, other, odd = (drawn() for _ in range(4))
    aviary.secrets |= {"registrar key": key, "registrar secret": secret, "its successor": other, "an odd field": odd}
    account, service = f"registrarAccounts/acc-{aviary.bird}", "catalyst.pooldomain.v1.RegistrarService"
    for registrar, fields in (("godaddy", {"key": key, "secret": secret}), ("dynadot", {"key": key})):
        made = pdm.CreateRegistrarAccountRequest(registrar_account_id=f"acc-{aviary.bird}", request_id=str(uuid4()))
        made.registrar_account.registrar, made.registrar_account.owner = f"registrars/{registrar}", "organizations/acme"
        for given in (fields, {**fields, "colour": odd}, {"key": odd[:3]}):
            made.registrar_account.credential.clear()
            made.registrar_account.credential.update(given)
            await aviary.call("pooldomain", f"{service}/CreateRegistrarAccount", made, admin)
        questions = [{"account": account}, {"token": f"{key}:{secret}"}, {"token": f"{key}:{odd}:{secret}:{other}"}]
        questions += [{"credential": {"fields": given}} for given in (fields, {**fields, "colour": odd}, {"key": odd})]
        for question in questions:
            asked = pdm.ValidateRegistrarAccessRequest(
                name=f"registrars/{registrar}", domain=f"{aviary.bird}.example", **question
            )
            told = await aviary.call("pooldomain", f"{service}/ValidateRegistrarAccess", asked, admin)
            aviary.heard.append(repr(told))
        read = pdm.ReadDelegationRequest(name=account, domain=f"{aviary.bird}.example")
        assert not await aviary.call("pooldomain", f"{service}/ReadDelegation", read, admin)
        held = pdm.GetRegistrarAccountRequest(name=account)
        raw = await aviary.call("pooldomain", f"{service}/GetRegistrarAccount", held, admin)
        aviary.heard.append(repr(raw))
        changed = pdm.UpdateRegistrarAccountRequest(etag=resources.RegistrarAccount.FromString(raw).etag)
        changed.registrar_account.name = account
        changed.registrar_account.credential.update(dict.fromkeys(fields, other))
        assert await aviary.call("pooldomain", f"{service}/UpdateRegistrarAccount", changed, admin)
        raw = await aviary.call("pooldomain", f"{service}/GetRegistrarAccount", held, admin)
        gone = pdm.DeleteRegistrarAccountRequest(name=account, etag=resources.RegistrarAccount.FromString(raw).etag)
        if registrar == "godaddy":  # the second one stays in the database
            await aviary.call("pooldomain", f"{service}/DeleteRegistrarAccount", gone, admin)


async def trade(aviary: Aviary, admin: str) -> None:
    """Secrets of a payment provider: stored, exchanged, in an unknown field, in a call that claims to be the provider's."""
    secret, former, odd, shown = (drawn() for _ in range(4))
    aviary.secrets |= {
        "provider's secret": secret,
        "its predecessor": former,
        "an odd secret": odd,
        "a signature": shown,
    }
    service = "catalyst.billing.v1.ProviderService"
    read = billing.GetProviderRequest(name="providers/fake")
    for name, value in (("webhook_secret", former), ("webhook_secret", secret), ("colour", odd)):
        held = money.Provider.FromString(await aviary.call("billing", f"{service}/GetProvider", read, admin))
        wish = billing.UpdateProviderRequest(etag=held.etag, update_mask={"paths": [f"secrets.{name}"]})
        wish.provider.name = held.name
        wish.provider.secrets[name].value = value
        wish.provider.secrets[name].previous_value = former
        aviary.heard.append(repr(await aviary.call("billing", f"{service}/UpdateProvider", wish, admin)))
    kept = money.Provider.FromString(await aviary.call("billing", f"{service}/GetProvider", read, admin))
    assert kept.secrets["webhook_secret"].last_four == secret[-4:], "it is there, and only its end is shown"
    event = billing.ReceiveWebhookRequest(provider="fake", headers={"fake-signature": shown})
    event.body.data, event.body.content_type = f'{{"id": "{aviary.bird}"}}'.encode(), "application/json"
    assert not await aviary.call("billing", f"{service}/ReceiveWebhook", event, admin)


async def by_http(aviary: Aviary, admin: str, word: str, forged: str) -> None:
    """The same by REST, in the header, in the cookie, in a body that cannot be read, in the query."""
    code, rsv = aviary.secrets["login code"], f"rsv_{aviary.secrets['a wrong reservation']}"
    name = f"/v1/pools/omani.works/allocations/{aviary.bird}"
    url = f"http://{aviary.replicas['gateway'].settings['http_listen']}"
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        for token in (word, forged, admin):
            headers = {"authorization": f"Bearer {token}"}
            for body in (
                {"reservation_token": rsv},
                {"reservation_token": [rsv]},
                {rsv: 1},
                f'{{"reservation_token": "{rsv}',
            ):
                content = body if isinstance(body, str) else json.dumps(body)
                answer = await http.post(f"{name}:renew", content=content, headers=headers)
                # What the caller wrote as the name of a field is told back to that caller, and to nobody else.
                aviary.heard += [] if isinstance(body, dict) and rsv in body else [answer.text]
            answer = await http.get(name, headers=headers)
            aviary.heard += [answer.text, repr(answer.headers)]
            aviary.heard.append((await http.get(name, headers={"cookie": f"catalyst_session={token}"})).text)
        refused = await http.post("/v1/auth/login", json={"code": code + word})
        let_in = await http.post("/v1/auth/login", json={"code": code})
        assert (refused.status_code, let_in.status_code) == (401, 204)
        aviary.heard += [refused.text, let_in.text, (await http.get("/v1/openapi.json")).text]


async def fall(aviary: Aviary, born: Nursery) -> None:
    """A daemon that cannot reach its database, and says so."""
    package, _, prefix = SETTINGS["billing"]
    home = aviary.home / "fallen"
    home.mkdir()
    url = f"postgresql+asyncpg://{aviary.bird}:{aviary.secrets['database']}@127.0.0.1:9/none"
    fallen = Replicas(born, package, prefix, home, {**aviary.replicas["billing"].settings, "database_url": url})
    aviary.replicas["fallen"] = fallen
    fallen.all.append(fallen._replica(0))
    fallen.all[0].start()
    assert await fallen.all[0].ended(within=60) != 0


async def open_the_safe(aviary: Aviary) -> None:
    """The credential of the simulated cloud, which the provisioner has drawn and sealed."""
    import aiosqlite

    sealer = Sealer.from_file(aviary.home / "provisioner" / "seal.key")
    async with aiosqlite.connect(aviary.home / "provisioner" / "daemon.db") as sql:
        rows = await (await sql.execute("SELECT value, id, version FROM credential")).fetchall()
    value, *key = next(iter(rows))
    aviary.secrets["cloud"] = sealer.open(value, sealed_at(credentials.c.value, *key)).decode().rpartition("_")[2]


async def places(aviary: Aviary) -> AsyncIterator[tuple[str, bytes, str]]:
    """Where secrets could be: what it is, what is in it, and what is known to be in it."""
    for name, made in aviary.replicas.items():
        log = made.all[0].log.read_bytes()
        yield (
            f"log of {name}",
            log,
            aviary.bird if name != "fallen" else "database_url" if b"database_url" in log else "Error",
        )
    yield "what callers heard", "\n".join(aviary.heard).encode(), aviary.bird
    yield "traces", b"".join(aviary.spans), NAMES
    yield "the bus", b"".join(p.read_bytes() for p in (aviary.nats.home / "js").rglob("*") if p.is_file()), aviary.bird
    for name, url in aviary.databases.items():
        yield (
            f"database of {name}",
            await dump(url),
            aviary.bird if name in ("pooldomain", "billing") else "alembic_version",
        )
    async with httpx.AsyncClient() as http:
        for name in SETTINGS:
            answer = await http.get(f"http://127.0.0.1:{aviary.one(name).side}/metrics")
            yield f"metrics of {name}", answer.content, READS[name]
    for name in SETTINGS:
        yield f"settings of {name}", printed(aviary, name), aviary.bird
    for path in aviary.home.rglob("*"):
        if path.is_file() and path.name not in OWN_FILES and path.parent.name != "secrets":
            with suppress(FileNotFoundError):
                yield str(path), path.read_bytes(), ""


def printed(aviary: Aviary, name: str) -> bytes:
    """What a daemon prints of its settings, and what they are in a traceback."""
    package, kind, prefix = SETTINGS[name]
    env = {key: value for key, value in aviary.one(name).env.items() if key.startswith("CATALYST_")}
    settings = getattr(import_module(f"{package}.settings"), kind).load(env, argv=[])
    assert settings.describe(env).count(prefix) > 10
    return f"{settings.describe(env)}\n{settings!r}\n{settings}".encode()


def forms(secret: str) -> Iterator[bytes]:
    """As it is, and as somebody may have written it."""
    yield secret.encode()
    yield base64.b64encode(secret.encode()).rstrip(b"=")
    yield secret.encode().hex().encode()


async def test_no_secret_is_found_where_what_is_known_is(aviary: Aviary) -> None:
    assert len(aviary.secrets) >= 12
    traced = [method.encode() for method in READS.values()]
    await eventually(lambda: all(m in b"".join(aviary.spans) for m in traced), within=60, what="all daemons sent spans")
    found, looked, silent = [], 0, []
    async for place, content, known in places(aviary):
        looked += 1
        silent += [place] if known and known.encode() not in content else []
        found += [f"{name} in {place}" for name, s in aviary.secrets.items() if any(f in content for f in forms(s))]
    assert silent == [], "a place in which nothing is found that is there proves nothing"
    assert found == []
    assert looked > 30


async def test_a_setting_that_cannot_be_read_is_named_and_not_told() -> None:
    """Text that is no JSON holds whatever somebody meant to write there."""
    word = drawn()
    env = {
        "CATALYST_PDM_PLUGINS": f'{{"key": "{word}',
        "CATALYST_PDM_NATS_TOKN": word,
        "CATALYST_PDM_SWEEP_INTERVAL": word,
    }
    with pytest.raises(SettingsFault) as refused:
        PdmSettings.load(env, argv=[])
    said = f"{refused.value} {refused.value!r} {refused.value.__cause__!r} {refused.value.__context__!r}"
    assert all(variable in said for variable in env)
    assert word not in said
