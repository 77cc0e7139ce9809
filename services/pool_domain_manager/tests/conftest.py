"""The real DNS server as a process of its own, and the daemon beside it."""

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from catalyst.pooldomain.v1 import resources_pb2
from catalyst.pooldomain.v1.resources_pb2 import Pool, PoolTtls
from catalyst.pooldomain.v1.service_pb2 import (
    CommitAllocationRequest,
    CreatePoolRequest,
    GetAllocationRequest,
    ReleaseAllocationRequest,
    ReserveAllocationRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub, PoolServiceStub
from catalyst_mesh import span
from catalyst_mesh.plugins import plugin_context
from catalyst_mesh.resolving import Resolver
from catalyst_pool_domain_manager.app import compose
from catalyst_pool_domain_manager.settings import PdmSettings
from catalyst_pool_domain_manager.workers.reconciler import Failpoint, no_failpoint
from catalyst_sdk import load_manifest
from catalyst_sdk.dns import DnsBackend
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of, running
from catalyst_testkit.servers import NatsServer, free_port
from catalyst_testkit.waiting import eventually_sync
from google.protobuf.duration_pb2 import Duration

POOL = "pools/omani.works"
OWNER = "organizations/omantel"
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
    def backend(self) -> DnsBackend:
        """The same plugin that the daemon uses, made as its host makes it."""
        from catalyst_dns_embedded import plugin

        manifest = load_manifest(Path(plugin.__file__).with_name("manifest.toml"))
        config = {"control": self.control, "data": str(self.folder)}
        made: DnsBackend = plugin.catalyst_plugin(plugin_context(self.folder.parent)(manifest, config))
        return made

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
def start(home: Path, dns: Dns, own_nats: NatsServer, database: str) -> Start:
    """Starts the daemon on this test's folder, again and again if need be; the pool of the demonstration is there."""

    @asynccontextmanager
    async def begin(
        failpoint: Failpoint = no_failpoint, pool: Pool = DEMO, **settings: object
    ) -> AsyncIterator[RunningDaemon]:
        fields = {
            "nats_url": own_nats.url, "database_url": database, "dns_control": dns.control, "dns_data": dns.folder,
            "dns_hints": dns.folder / "hints.json", "sweep_interval": 0.1, **settings,
        }  # fmt: skip
        async with running(partial(compose, failpoint=failpoint), PdmSettings, home, **fields) as daemon:
            request = CreatePoolRequest(pool_id="omani.works", pool=pool)
            assert await reason_of(daemon.admin(PoolServiceStub).CreatePool(request)) in ("OK", "POOL_EXISTS")
            yield daemon

    return begin


def values(dns: Dns, nats: NatsServer) -> dict[str, Any]:
    """Settings of a daemon over these servers."""
    return {
        "nats_url": nats.url, "dns_control": dns.control, "dns_data": dns.folder, "dns_hints": dns.folder / "hints.json",
        "sweep_interval": 0.1, "batch_window": 0.02,
    }  # fmt: skip


@dataclass
class Pdm:
    """A running daemon with its pool, as the provisioner sees it."""

    daemon: RunningDaemon

    @property
    def names(self) -> AllocationServiceStub:
        return self.daemon.stub(AllocationServiceStub, "service:provisioner", service="provisioner")

    @property
    def pools(self) -> PoolServiceStub:
        return self.daemon.admin(PoolServiceStub)

    async def make_pool(self, **fields: Any) -> Any:
        second = span(1.0)
        pool = resources_pb2.Pool(
            kinds=[resources_pb2.Pool.KIND_SOVEREIGN], zone="zones/omani.works", allow_private_targets=True,
            ttls=resources_pb2.PoolTtls(ns=second, ds=second, record=second, negative=second), **fields,
        )  # fmt: skip
        return await self.pools.CreatePool(CreatePoolRequest(pool_id="omani.works", pool=pool))

    async def reserve(self, label: str = "omantel", owner: str = OWNER, **fields: Any) -> Any:
        wish = ReserveAllocationRequest(parent=POOL, label=label, owner=owner, **fields)
        return await self.names.ReserveAllocation(wish)

    async def commit(self, reserved: Any, *addresses: str) -> Any:
        targets = [resources_pb2.Target(slot="default", address=a) for a in addresses or ("127.7.0.1",)]
        wish = CommitAllocationRequest(
            name=reserved.allocation.name, reservation_token=reserved.reservation_token, targets=targets
        )
        return await self.names.CommitAllocation(wish)

    async def release(self, name: str) -> Any:
        return await self.names.ReleaseAllocation(ReleaseAllocationRequest(name=name, reason="test"))

    async def state(self, name: str) -> str:
        answer = await self.names.GetAllocation(GetAllocationRequest(name=name))
        return str(resources_pb2.Allocation.State.Name(answer.state).removeprefix("STATE_"))

    async def becomes(self, name: str, state: str, within: float = 15) -> None:
        async def check() -> None:
            assert await self.state(name) == state

        async def is_so() -> bool:
            await check()
            return True

        await eventually(is_so, within=within, what=f"{name} is {state}")


@pytest.fixture
async def pdm(home: Path, dns: Dns, own_nats: NatsServer, database: str) -> AsyncIterator[Pdm]:
    settings = values(dns, own_nats) | {"database_url": database}
    async with running(compose, PdmSettings, home / "pdm", **settings) as daemon:
        one = Pdm(daemon)
        await one.make_pool()
        yield one
