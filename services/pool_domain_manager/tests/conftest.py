"""The real DNS server as a process of its own, and the daemon beside it."""

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from catalyst.pooldomain.v1.resources_pb2 import Pool, PoolTtls
from catalyst.pooldomain.v1.service_pb2 import CreatePoolRequest
from catalyst.pooldomain.v1.service_pb2_grpc import PoolServiceStub
from catalyst_dns_embedded.control import ControlClient
from catalyst_dns_embedded.plugin import EmbeddedBackend
from catalyst_mesh.resolving import Resolver
from catalyst_pool_domain_manager.app import compose
from catalyst_pool_domain_manager.settings import PdmSettings
from catalyst_pool_domain_manager.workers.reconciler import Failpoint, no_failpoint
from catalyst_testkit.daemons import RunningDaemon, reason_of, running
from catalyst_testkit.servers import NatsServer, free_port
from catalyst_testkit.waiting import eventually_sync
from google.protobuf.duration_pb2 import Duration

SECOND = Duration(seconds=1)
DEMO = Pool(
    kinds=[Pool.KIND_SOVEREIGN], zone="zones/omani.works", backend="backends/embedded",
    ttls=PoolTtls(ns=SECOND, ds=SECOND, record=SECOND, negative=SECOND), allow_private_targets=True,
)  # fmt: skip
Start = Callable[..., AbstractAsyncContextManager[RunningDaemon]]


class Dns:
    """An authoritative server that can be killed and started again on the same folder and ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        self.control = f"127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "catalyst_dns_embedded", "serve", "--data", str(self.folder), "--listen",
             self.address, "--control", self.control, "--tree", "omani.works"],
            stdout=subprocess.PIPE,
        )  # fmt: skip
        eventually_sync(lambda: _listens(self.control), within=10, what="the control port answers")

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdout is not None:
            process.kill()
            process.wait()
            process.stdout.close()

    @property
    def backend(self) -> EmbeddedBackend:
        return EmbeddedBackend(ControlClient(self.control, self.folder))

    @property
    def resolver(self) -> Resolver:
        return Resolver.from_files(self.folder / "hints.json", self.folder / "root.key")


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.fixture
def dns(home: Path) -> Iterator[Dns]:
    folder = home / "dns"
    folder.mkdir()
    server = Dns(folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def start(home: Path, dns: Dns, own_nats: NatsServer) -> Start:
    """Starts the daemon on this test's folder, again and again if need be; the pool of the demonstration is there."""

    @asynccontextmanager
    async def begin(
        failpoint: Failpoint = no_failpoint, pool: Pool = DEMO, **settings: object
    ) -> AsyncIterator[RunningDaemon]:
        fields = {
            "nats_url": own_nats.url, "dns_control": dns.control, "dns_data": dns.folder,
            "dns_hints": dns.folder / "hints.json", "sweep_interval": 0.1, **settings,
        }  # fmt: skip
        async with running(partial(compose, failpoint=failpoint), PdmSettings, home, **fields) as daemon:
            request = CreatePoolRequest(pool_id="omani.works", pool=pool)
            assert await reason_of(daemon.admin(PoolServiceStub).CreatePool(request)) in ("OK", "POOL_EXISTS")
            yield daemon

    return begin
