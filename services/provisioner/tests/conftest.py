"""A running provisioner over the real simulated cloud, with stand-ins of its peers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import catalyst_cloud_sandbox
import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst.provisioner.v1 import service_pb2_grpc as stubs
from catalyst_provisioner.app import compose
from catalyst_provisioner.settings import ProvisionerSettings
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, running
from catalyst_testkit.processes import Child, Nursery, nursery
from catalyst_testkit.servers import NatsServer, free_port
from google.protobuf.json_format import ParseDict

from .peers import NamesProbe, World, world

NAME = "sovereigns/omantel"


def spec(**changes: Any) -> dict[str, Any]:
    """A spec that nothing stands against."""
    cluster = {
        "provider": "sandbox",
        "region": "east",
        "building_block": "mgt",
        "hosts": ["mgt", "rtz", "dmz"],
        "env_type": "dev",
        "credential": {"name": "credentials/sandbox-simulated"},
        "control_plane": {"size": "sb8", "count": 1},
        "worker_pools": [{"name": "general", "size": "sb4", "count": 1}, {"name": "data", "size": "sb4", "count": 1}],
    }
    return {
        "organization": {"slug": "omantel", "admin_email": "ops@omantel.example"},
        "domain": {"mode": "pool", "pool": "omani.works", "label": "omantel"},
        "clusters": [cluster],
        **changes,
    }


def wish(name: str = NAME, **changes: Any) -> Any:
    """A request to create."""
    made = pb.Sovereign(name=name, spec=ParseDict(spec(**changes), pb.SovereignSpec()))
    return rpc.CreateSovereignRequest(sovereign=made)


@dataclass
class Bench:
    """A provisioner and what it speaks with."""

    daemon: RunningDaemon
    world: World
    home: Path
    probe: NamesProbe | None = None

    def __post_init__(self) -> None:
        self.sovereigns: Any = self.daemon.admin(stubs.SovereignServiceStub)
        self.plans: Any = self.daemon.admin(stubs.PlanServiceStub)
        self.runs: Any = self.daemon.admin(stubs.RunServiceStub)
        self.infra: Any = self.daemon.admin(stubs.InfrastructureServiceStub)

    async def create(self, name: str = NAME, **changes: Any) -> Any:
        return await self.sovereigns.CreateSovereign(wish(name, **changes))

    async def plan(self, intent: str = "APPLY", name: str = NAME, **fields: Any) -> Any:
        number = pb.Plan.Intent.Value(f"INTENT_{intent}")
        return await self.plans.CreatePlan(rpc.CreatePlanRequest(parent=name, intent=number, **fields), timeout=60)

    async def apply(self, plan: Any, **fields: Any) -> str:
        """Apply a plan; the run's name."""
        answer = await self.plans.ApplyPlan(rpc.ApplyPlanRequest(name=plan.name, hash=plan.hash, **fields))
        metadata = pb.RunMetadata()
        assert answer.metadata.Unpack(metadata)
        return str(metadata.run)

    async def run_of(self, name: str) -> Any:
        return await self.runs.GetRun(rpc.GetRunRequest(name=name))

    async def get(self, name: str = NAME) -> Any:
        return await self.sovereigns.GetSovereign(rpc.GetSovereignRequest(name=name))

    async def ended(self, run: str, within: float = 90) -> Any:
        """The run once it has ended."""

        async def check() -> Any:
            found = await self.run_of(run)
            return found if found.state in ENDED else None

        return await eventually(check, within=within)

    async def steps(self, run: str) -> dict[str, Any]:
        answer = await self.runs.ListSteps(rpc.ListStepsRequest(parent=run, page_size=1000))
        return {step.name.rsplit("/", 1)[1]: step for step in answer.steps}

    async def events(self, run: str) -> list[Any]:
        answer = await self.runs.ListEvents(rpc.ListEventsRequest(parent=run, page_size=1000))
        return list(answer.events)

    def cloud(self) -> list[Any]:
        """Everything that the simulated cloud holds."""
        return list(catalyst_cloud_sandbox.status(self.home / "sandbox")["resources"])


ENDED = {pb.Run.STATE_SUCCEEDED, pb.Run.STATE_FAILED, pb.Run.STATE_CANCELLED_CLEAN,
         pb.Run.STATE_CANCELLED_WITH_LEFTOVERS, pb.Run.STATE_STUCK, pb.Run.STATE_PAUSED}  # fmt: skip

Start = Callable[..., Any]


@pytest.fixture(scope="session")
def package() -> str:
    return "catalyst_provisioner"


@pytest.fixture(scope="session")
def born() -> Iterator[Nursery]:
    """What provisioners that die are forked from: a start of Python for each would cost more than what it is asked."""
    modules = ("catalyst_provisioner.app", "catalyst_mesh.migrations", "catalyst_cloud_sandbox.plugin", "uvloop",
               "sqlalchemy.dialects.sqlite.aiosqlite", "sqlalchemy.dialects.postgresql.asyncpg")  # fmt: skip
    with nursery(*modules) as opened:
        yield opened


def child(born: Nursery, home: Path, number: int = 0) -> Child:
    """`child.py`, not started yet."""
    return Child(born, Path(__file__).with_name("child.py"), home / f"child-{number}.log")


@pytest.fixture
async def around() -> AsyncIterator[World]:
    """The peers."""
    async with world() as made:
        yield made


@pytest.fixture
async def start(home: Path, clean_nats: NatsServer, around: World, database: str) -> AsyncIterator[Start]:
    """Starts the daemon, again and again on the same home; the simulated cloud's processes end with the test."""
    given: dict[str, Any] = {
        "nats_url": clean_nats.url, "database_url": database,
        "listen": f"127.0.0.1:{free_port()}", "git_listen": f"127.0.0.1:{free_port()}",
        "sandbox_dir": home / "sandbox", "time_scale": 0.02, "destroy_verify_seconds": 0.2,
        "catalog_target": around.target, "pdm_target": around.target, "billing_target": around.target,
        "service": "provisioner",
    }  # fmt: skip

    @asynccontextmanager
    async def one(**values: Any) -> AsyncIterator[Bench]:
        probe = NamesProbe(around.names, around.zones)
        composed: Callable[[Any], Awaitable[Any]] = partial(compose, probe=probe)
        async with running(composed, ProvisionerSettings, home, **{**given, **values}) as daemon:
            yield Bench(daemon, around, home, probe)

    one.settings, one.around, one.home = given, around, home  # type: ignore[attr-defined]  # for a child process
    yield one
    await asyncio.to_thread(catalyst_cloud_sandbox.power_off, home / "sandbox")


@pytest.fixture
async def bench(start: Start) -> AsyncIterator[Bench]:
    """A running provisioner."""
    async with start() as made:
        yield made
