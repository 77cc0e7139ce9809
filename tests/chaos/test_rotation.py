"""Rotation under load: certificates of both sides, their authority, the caller's token, the database's password, a plugin's
secret, the token of NATS. No call may fail, no event may be lost."""

import asyncio
import signal
import ssl
from asyncio import to_thread
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from catalyst.pooldomain.v1.service_pb2 import CheckNameRequest, ReserveAllocationRequest
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub
from catalyst_mesh import CertificateFiles, ChassisMetrics, Mesh
from catalyst_mesh.plugins import PluginHost, SecretFiles, plugin_context
from catalyst_pool_domain_manager.app import compose
from catalyst_pool_domain_manager.settings import PdmSettings
from catalyst_sdk import Temporary
from catalyst_testkit import eventually
from catalyst_testkit.authority import Authority
from catalyst_testkit.daemons import RunningDaemon, running
from catalyst_testkit.postgres import PostgresServer
from catalyst_testkit.powerdns import PowerDnsServer
from catalyst_testkit.processes import Nursery, Replicas
from catalyst_testkit.servers import NatsServer, nats_server
from cryptography.x509 import load_pem_x509_certificate
from prometheus_client import CollectorRegistry

from .callers import POOL, rows
from .conftest import TOY

pytestmark = pytest.mark.chaos
CALLERS = 8
ENOUGH = 40
"""Calls that are made after each change before the next one."""
ROLE = "pdm"
IDLE = f"SELECT pid FROM pg_stat_activity WHERE usename = '{ROLE}' AND state = 'idle'"
"""Connections that nobody uses now: to end them makes room for new ones, and is found out before the next use."""


class Load:
    """Calls without end, each counted, none allowed to fail."""

    def __init__(self) -> None:
        self.made = 0
        self.failed: list[Exception] = []

    @asynccontextmanager
    async def on(self, mesh: Mesh) -> AsyncIterator["Load"]:
        stop, stub = asyncio.Event(), mesh.stub(AllocationServiceStub)
        tasks = [asyncio.create_task(self._call(stub, stop)) for _ in range(CALLERS)]
        try:
            yield self
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    async def _call(self, stub: Any, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await stub.CheckName(CheckNameRequest(parent="pools/omani.works", label="acme"), timeout=10)
            except Exception as error:  # whatever it is, it is what this test is about
                self.failed.append(error)
            self.made += 1

    async def goes_on(self) -> None:
        """Many more calls have been made."""
        wanted = self.made + ENOUGH
        await eventually(lambda: self.made >= wanted, within=60, what="calls go on")


@pytest.fixture
async def pdm(home: Path, own_nats: NatsServer) -> AsyncIterator[tuple[RunningDaemon, Authority]]:
    authority = Authority()
    for name in ("server", "client"):
        authority.issue(name, home / name)
    server = home / "server"
    tls = {
        "tls_certificate_file": server / "tls.crt",
        "tls_key_file": server / "tls.key",
        "tls_authorities_file": server / "ca.crt",
        "tls_require_client": True,
    }  # fmt: skip - as the files stand
    async with running(compose, PdmSettings, home, nats_url=own_nats.url, **tls) as daemon:
        yield daemon, authority


def client(home: Path) -> CertificateFiles:
    folder = home / "client"
    return CertificateFiles(certificate=folder / "tls.crt", key=folder / "tls.key", authorities=folder / "ca.crt")


async def shown(daemon: RunningDaemon, home: Path) -> int:
    """Number of the certificate that a new connection is shown."""
    context = ssl.create_default_context(cafile=str(home / "client" / "ca.crt"))
    context.load_cert_chain(home / "client" / "tls.crt", home / "client" / "tls.key")
    context.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection("127.0.0.1", daemon.daemon.ports[0], ssl=context)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return load_pem_x509_certificate(ssl.DER_cert_to_PEM_cert(found).encode()).serial_number


async def test_certificates_of_both_sides_change_under_load_and_no_call_fails(
    pdm: tuple[RunningDaemon, Authority], home: Path
) -> None:
    daemon, authority = pdm
    tls = client(home)
    async with Mesh(daemon.target, token=daemon.issuer.token("ada"), tls=tls) as mesh, Load().on(mesh) as load:
        await load.goes_on()
        for turn in range(2, 5):
            number = authority.issue("server", home / "server")
            authority.issue("client", home / "client")
            await load.goes_on()
            await eventually(lambda turn=turn: tls.version >= turn, within=60, what="the client's are taken up")  # type: ignore[misc]
            assert await shown(daemon, home) == number
        await load.goes_on()
    assert load.failed == []


async def test_the_authority_itself_changes_under_load_and_no_call_fails(
    pdm: tuple[RunningDaemon, Authority], home: Path
) -> None:
    daemon, old = pdm
    new = Authority("another")
    both, tls = old.pem + new.pem, client(home)
    async with Mesh(daemon.target, token=daemon.issuer.token("ada"), tls=tls) as mesh, Load().on(mesh) as load:
        # First both sides believe both, then they show the new one's, then the old one is forgotten.
        for signer, believed in ((old, both), (new, both), (new, new.pem)):
            for name in ("server", "client"):
                signer.issue(name, home / name, authorities=believed)
                before = tls.version
                await load.goes_on()
            await eventually(lambda before=before: tls.version > before, within=60, what="it is taken up")  # type: ignore[misc]
            await load.goes_on()
        context = home / "client"
        assert await shown(daemon, home)
        assert (context / "ca.crt").read_bytes() == new.pem
    assert load.failed == []


async def test_the_token_changes_under_load_and_no_call_fails(pdm: tuple[RunningDaemon, Authority], home: Path) -> None:
    daemon, _ = pdm
    token = home / "caller"

    def renew(number: int) -> None:
        fresh = token.with_suffix(".new")
        fresh.write_text(daemon.issuer.token(f"caller-{number}", ttl=60))
        fresh.replace(token)

    renew(0)
    async with Mesh(daemon.target, token=token, tls=client(home)) as mesh, Load().on(mesh) as load:
        for number in range(1, 6):
            renew(number)
            await load.goes_on()
    assert load.failed == []


async def test_the_database_s_password_changes_under_load_and_no_call_fails(
    home: Path, nats: NatsServer, own_postgres: PostgresServer
) -> None:
    url = (await own_postgres.database(package="catalyst_pool_domain_manager")).replace("postgres@", f"{ROLE}@")
    await own_postgres.execute(f"CREATE ROLE {ROLE} LOGIN SUPERUSER PASSWORD 'first'")
    await own_postgres.demand_password(ROLE)
    file = home / "password"
    file.write_text("first\n")

    async def take_another(number: int) -> None:
        def write() -> None:
            fresh = file.with_suffix(".new")
            fresh.write_text(f"password-{number}\n")
            fresh.replace(file)

        steps = [
            partial(own_postgres.execute, f"ALTER ROLE {ROLE} PASSWORD 'password-{number}'"),
            partial(to_thread, write),
        ]
        first, second = steps if number % 2 else steps[::-1]
        await first()
        # Between the two, new connections find that what they know is not right yet, or not any more.
        await own_postgres.execute(f"SELECT pg_terminate_backend(pid) FROM ({IDLE} LIMIT 4) AS idle")
        await second()
        await load.goes_on()

    values = {"database_url": url, "database_password_file": file, "nats_url": nats.url}
    async with (
        running(compose, PdmSettings, home, **values) as daemon,
        Mesh(daemon.target, token=daemon.issuer.token("ada")) as mesh,
        Load().on(mesh) as load,
    ):
        await load.goes_on()
        for number in range(1, 7):
            await take_another(number)
    assert load.failed == []


async def test_a_plugin_s_secret_changes_under_load_and_counts_at_its_next_use(
    home: Path, own_powerdns: PowerDnsServer
) -> None:
    (home / "api-key").write_text(own_powerdns.api_key)
    host = PluginHost(kinds=["dns_backend"], metrics=ChassisMetrics(CollectorRegistry()))
    config = {"url": own_powerdns.url, "api_key": "api-key"}
    host.load(plugin_context(home, SecretFiles(home)), {"dns_backend:dns_powerdns": config})
    plugin = host.get("dns_backend", "dns_powerdns")
    stop, answered, away, failed = asyncio.Event(), 0, 0, []

    async def ask() -> None:
        nonlocal answered, away
        while not stop.is_set():
            try:
                await plugin.get_zone(zone="absent.example.")
                answered += 1
            except Temporary:  # the server takes its new key by a restart
                away += 1
            except Exception as error:  # whatever it is, it is what this test is about
                failed.append(error)

    asking = [asyncio.create_task(ask()) for _ in range(4)]
    for number in range(3):
        await to_thread(own_powerdns.stop)
        own_powerdns.api_key = f"key-{number}"
        (home / "api-key").write_text(own_powerdns.api_key)
        await to_thread(own_powerdns.start)
        wanted = answered + 20
        await eventually(lambda wanted=wanted: answered >= wanted, within=60, what="the new key counts")  # type: ignore[misc]
    stop.set()
    await asyncio.gather(*asking)
    assert failed == []
    own_powerdns.api_key = "key-0"
    assert own_powerdns.api("GET", "").status_code == 401, "or the server would take any key"


async def test_the_token_of_nats_changes_and_events_wait_for_it(home: Path, born: Nursery) -> None:
    """As docs/runbooks/kubernetes/rotate.md has it: the server begins anew, then each replica, while calls go on."""
    token, url = home / "nats-token", f"sqlite+aiosqlite:///{home}/toy.db"
    token.write_text("first")
    with nats_server("first") as nats:
        settings = {"nats_url": nats.url, "nats_token_file": token, "database_url": url}
        toy = Replicas(born, str(TOY), "CATALYST_PDM_", home, settings)

        async def reserve(label: str) -> None:
            wish = ReserveAllocationRequest(parent=POOL, label=label, owner="organizations/o", request_id=str(uuid4()))
            for replica in toy.all:
                await toy.stub(AllocationServiceStub, replica).ReserveAllocation(wish, timeout=60, wait_for_ready=True)

        async def has_heard(*labels: str) -> bool:
            heard = Counter(name for (name,) in await rows(url, "SELECT name FROM heard"))
            return heard == Counter(f"{POOL}/allocations/{label}@1" for label in labels)

        try:
            await toy.start(2)
            await reserve("before")
            await eventually(lambda: has_heard("before"), within=60, what="an event comes through")  # type: ignore[arg-type]  # T is bool
            await to_thread(nats.demand, "second")
            await reserve("between")
            token.write_text("second")
            assert await has_heard("before"), "nobody of those who show the old token is let in"
            for replica in toy.all:
                replica.signal(signal.SIGTERM)
                assert await replica.ended(within=60) == 0, "also whom NATS does not let in"
                replica.start()
                await replica.serves()
            await reserve("after")
            heard = lambda: has_heard("before", "between", "after")  # noqa: E731 - it is awaited anew each time
            await eventually(heard, within=60, what="what waited comes through, once each")  # type: ignore[arg-type]  # T is bool
        finally:
            await toy.close()
