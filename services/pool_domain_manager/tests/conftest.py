"""The daemon beside its real DNS servers."""

import os
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
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
from catalyst_pool_domain_manager.app import compose
from catalyst_pool_domain_manager.settings import PdmSettings
from catalyst_pool_domain_manager.workers.points import Failpoint, no_failpoint
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of, running
from catalyst_testkit.late import leave_for_long_runs
from catalyst_testkit.servers import NatsServer
from google.protobuf.duration_pb2 import Duration

from .dns_servers import Dns
from .on_powerdns import OnPowerDns
from .on_updates import OnUpdates

POOL = "pools/omani.works"
OWNER = "organizations/omantel"
SECOND = Duration(seconds=1)
DEMO = Pool(
    kinds=[Pool.KIND_SOVEREIGN], zone="zones/omani.works",
    ttls=PoolTtls(ns=SECOND, ds=SECOND, record=SECOND, negative=SECOND), allow_private_targets=True,
)  # fmt: skip
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
_EMBEDDED = [("embedded", "postgresql"), *([("embedded", "sqlite")] if LONG else [])]  # the others test that one
on_both_servers = pytest.mark.parametrize(("dns", "database"), [*_EMBEDDED, ("powerdns", "sqlite")], indirect=True)
"""For a test that takes `dns`: it runs with the pool's zone on either server, and on both databases."""
SERVERS = ("powerdns", "bind", "knot")
on_all_servers = pytest.mark.parametrize(
    ("dns", "database"), [*_EMBEDDED, *((kind, "sqlite") for kind in SERVERS)], indirect=True
)
"""The same, on BIND and Knot too."""
on_both_and_in_long_runs_on_all = on_all_servers if LONG else on_both_servers
"""The same, where a test is dear."""
on_every_server_in_long_runs = pytest.mark.parametrize("dns", ["embedded", *(SERVERS if LONG else ())], indirect=True)
"""For a test that takes `dns`: on the embedded server, and now and then on the real ones."""
KINDS: dict[str, Callable[..., Dns]] = {"powerdns": OnPowerDns, "bind": OnUpdates, "knot": OnUpdates}
HERE = Path(__file__).parent
IN_EVERY_RUN = {
    # Deaths at every step of a move are those of whole processes too, at steps that change from run to run.
    "test_scenario_8.py": (
        "test_scenario_8_mail",
        "test_scenario_8_a_",
        "test_scenario_8_hosts",
        "test_scenario_8_the_key",
        "test_a_",
    ),
    # The account aside, it is the exchange of scenario 8.
    "test_pool_keys.py": (),
    # Deaths at every step of a name are those of `test_crashes`, and whole processes die in `test_flip_deaths`.
    "test_process_deaths.py": (),
    # A move by one process is that of scenario 8, and by two that die in turn that of `test_flip_deaths`.
    "test_three_replicas.py": ("test_scenario_6",),
}
"""Tests that are run every day, of files with some that are dear and told by others too."""
Start = Callable[..., AbstractAsyncContextManager[RunningDaemon]]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for name, but in IN_EVERY_RUN.items():
        leave_for_long_runs(config, items, file=HERE / name, but=but)


def some(points: Sequence[str], many: int) -> list[str]:
    """Some of the points, in their order, others in each run; all in the long profile. A seed brings the same ones again."""
    if LONG:
        return list(points)
    seed = int(os.environ.get("CATALYST_CHAOS_SEED", random.randrange(1_000_000)))
    print(f"CATALYST_CHAOS_SEED={seed}")  # noqa: T201 - shown when the test fails
    return [points[n] for n in sorted(random.Random(seed).sample(range(len(points)), many))]


@pytest.fixture(scope="session")
def package() -> str:
    return "catalyst_pool_domain_manager"


@pytest.fixture
def dns(home: Path, request: pytest.FixtureRequest) -> Iterator[Dns]:
    """The servers of the pool. `on_both_servers` runs a test on PowerDNS too."""
    folder = home / "dns"
    folder.mkdir()
    kind = getattr(request, "param", "embedded")
    server = Dns(folder) if kind == "embedded" else KINDS[kind](folder, request.getfixturevalue(f"own_{kind}"))
    server.start()
    yield server
    server.end()


@pytest.fixture
def start(home: Path, dns: Dns, clean_nats: NatsServer, database: str) -> Start:
    """Starts the daemon on this test's folder, again and again if need be; the pool of the demonstration is there."""

    @asynccontextmanager
    async def begin(
        failpoint: Failpoint = no_failpoint, pool: Pool = DEMO, **settings: object
    ) -> AsyncIterator[RunningDaemon]:
        fields = {
            "nats_url": clean_nats.url, "database_url": database, "sweep_interval": 0.1, "least_ttl": 1, **dns.settings(),
            **settings,
        }  # fmt: skip
        hosted = Pool()
        hosted.MergeFrom(pool)
        hosted.backend = dns.pool_backend
        async with running(partial(compose, failpoint=failpoint), PdmSettings, home, **fields) as daemon:
            request = CreatePoolRequest(pool_id="omani.works", pool=hosted)
            assert await reason_of(daemon.admin(PoolServiceStub).CreatePool(request)) in ("OK", "POOL_EXISTS")
            yield daemon

    return begin


def values(dns: Dns, nats: NatsServer) -> dict[str, Any]:
    """Settings of a daemon over these servers."""
    return {
        "nats_url": nats.url, "sweep_interval": 0.1, "batch_window": 0.02, "least_ttl": 1, **dns.settings(),
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

    async def becomes(self, name: str, state: str, within: float = 30) -> None:
        async def check() -> None:
            assert await self.state(name) == state

        async def is_so() -> bool:
            await check()
            return True

        await eventually(is_so, within=within, what=f"{name} is {state}")


@pytest.fixture
async def pdm(home: Path, dns: Dns, clean_nats: NatsServer, database: str) -> AsyncIterator[Pdm]:
    settings = values(dns, clean_nats) | {"database_url": database}
    async with running(compose, PdmSettings, home / "pdm", **settings) as daemon:
        one = Pdm(daemon)
        await one.make_pool()
        yield one
