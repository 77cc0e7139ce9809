"""An Application comes to a cluster, is seen there, and leaves it; the provisioner is a fake that is told what clusters show."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc
import httpx
import pytest
from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst.environment.v1 import service_pb2_grpc as stubs
from catalyst.provisioner.v1 import resources_pb2 as theirs
from catalyst.provisioner.v1 import service_pb2 as asked
from catalyst.provisioner.v1 import service_pb2_grpc as provisioner
from catalyst_mesh import stamp
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon

from .conftest import Start
from .house import A_MOMENT, NOON, conditions
from .shop import ENV, Shop, State

EAST = "sovereigns/acme/clusters/sb-east-rtz-prod"
UID = "0b6a4a0e-7a4b-4a55-8a25-0d7a5d0a1c11"
States = theirs.Component


class FakeProvisioner(provisioner.SovereignServiceServicer, provisioner.WorkloadServiceServicer):
    """One Sovereign with one cluster, which shows what it is told to show."""

    def __init__(self) -> None:
        self.calls: list[asked.SyncWorkloadsRequest] = []
        self.shows: dict[str, Any] = {}
        """State of each Application; what is wished and not in here is PENDING."""
        self.is_silent = False
        self.has_heard = True

    async def ListSovereigns(self, request: Any, context: Any) -> Any:
        one = theirs.Sovereign(name="sovereigns/acme", uid=UID, activate_time=stamp(NOON))
        one.spec.organization.slug = "acme"
        one.clusters.add(name=EAST, provider="sandbox", region="east", building_block="rtz", env_type="prod")
        return asked.ListSovereignsResponse(sovereigns=[one] if "acme" in request.filter else [])

    async def SyncWorkloads(self, request: Any, context: Any) -> Any:
        self.calls.append(request)
        wished = {one.application: one for one in request.workloads}
        answer = asked.SyncWorkloadsResponse(current=self.has_heard, silent=self.is_silent, simulated=True)
        for name in sorted(wished.keys() | self.shows.keys()):
            state = self.shows.get(name, States.STATE_PENDING)
            one = wished.get(name)
            answer.workloads.add(
                application=name, uid=one.uid if one and name in self.shows else "",
                commit=one.commit if one and name in self.shows else "",
                state=States.STATE_UNKNOWN if self.is_silent else state, version="5.5.1",
            )  # fmt: skip
        return answer

    def wished(self) -> dict[str, theirs.Workload]:
        return {one.application.rpartition("/")[2]: one for one in self.calls[-1].workloads} if self.calls else {}

    def show(self, *names: str, state: Any = States.STATE_READY) -> None:
        self.shows = {f"{ENV}/applications/{name}": state for name in names}


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[FakeProvisioner, str]]:
    server, fake = grpc.aio.server(), FakeProvisioner()
    provisioner.add_SovereignServiceServicer_to_server(fake, server)
    provisioner.add_WorkloadServiceServicer_to_server(fake, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield fake, f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


class Yard(Shop):
    """A shop whose Applications run on a cluster."""

    cloud: FakeProvisioner

    async def until(self, id: str, state: Any, within: float = 60) -> pb.Application:
        async def check() -> pb.Application | None:
            self.house.clock.advance(A_MOMENT)
            one = await self.get(id)
            return one if one.state == state else None

        found: pb.Application = await eventually(check, within=within, what=f"{id} is {State.State.Name(state)}")
        return found


@pytest.fixture
async def yard(start: Start, catalog: RunningDaemon) -> AsyncIterator[Yard]:
    async with serving() as (fake, target):
        values = {"provisioner_target": target, "repositories_listen": "127.0.0.1:0", "delivery_pause": 0.1}
        async with start(catalog_target=catalog.target, **values) as house:
            await house.active()
            made = Yard(house, catalog)
            made.cloud = fake
            yield made


async def read(yard: Yard, path: str, user: str, password: str, service: str = "git-upload-pack") -> int:
    server: Any = next(w for w in yard.house.daemon.daemon.workers if type(w).__name__ == "GitServer")
    async with httpx.AsyncClient() as http:
        url = f"http://{server.address}/{path}/info/refs?service={service}"
        return (await http.get(url, auth=(user, password))).status_code


@pytest.mark.either_database
async def test_an_application_is_brought_seen_lost_stopped_and_gone_there_before_it_is_gone_here(yard: Yard) -> None:
    cloud = yard.cloud
    one = await yard.settled(yard.install("blog"))
    await eventually(lambda: set(cloud.wished()) == {"blog", "blog-database"}, within=60)
    assert cloud.wished()["blog"].commit == one.pin.commit
    assert (await yard.get("blog")).state == State.STATE_INSTALLING
    cloud.show("blog", "blog-database")
    active = await yard.until("blog", State.STATE_ACTIVE)
    (placed,) = active.placements
    assert (placed.cluster, placed.state, placed.commit) == (EAST, State.Placement.STATE_READY, one.pin.commit)
    assert (placed.chart_version, placed.simulated) == ("5.5.1", True)
    await yard.until("blog-database", State.STATE_ACTIVE)
    assert (await yard.house.told()).count("application.installed") == 2

    call = cloud.calls[-1]
    assert await read(yard, "acme/blog.git", EAST, call.password) == 200
    for path, user, password, service in (
        ("acme/iac.git", EAST, call.password, "git-upload-pack"),
        ("other/blog.git", EAST, call.password, "git-upload-pack"),
        ("acme/blog.git", f"{EAST}2", call.password, "git-upload-pack"),
        ("acme/blog.git", EAST, "wrong", "git-upload-pack"),
        ("acme/blog.git", EAST, call.password, "git-receive-pack"),
    ):
        assert await read(yard, path, user, password, service) == 403, (path, user, service)

    cloud.is_silent = True
    away = await yard.until("blog", State.STATE_DEGRADED)
    assert conditions(away)["Healthy"] == "UNKNOWN ClusterSilent"
    cloud.is_silent = False
    await yard.until("blog", State.STATE_ACTIVE)

    admin: Any = yard.house.daemon.admin(stubs.OrganizationServiceStub)
    await admin.SuspendOrganization(rpc.SuspendOrganizationRequest(name="organizations/acme", reason="unpaid"))
    await eventually(lambda: cloud.wished()["blog"].mode == theirs.Workload.MODE_STOP, within=60)
    await admin.ResumeOrganization(rpc.ResumeOrganizationRequest(name="organizations/acme"))
    await eventually(lambda: cloud.wished()["blog"].mode == theirs.Workload.MODE_RUN, within=60)

    cloud.has_heard = False
    held = await yard.get("blog")
    left = await yard.dev.DeleteApplication(rpc.DeleteApplicationRequest(name=held.name, etag=held.etag))
    await eventually(lambda: "blog" not in cloud.wished(), within=60)
    assert "blog-database" in cloud.wished(), "what it needs leaves after it"
    cloud.show("blog-database")
    await eventually(lambda: len(cloud.calls), within=60)
    assert (await yard.get("blog")).state == State.STATE_UNINSTALLING, "nobody has said yet that it is gone"
    assert yard.files("blog"), "its files are there as long as its cluster has it"
    cloud.has_heard = True
    await eventually(lambda: not cloud.wished(), within=60)
    cloud.show()
    await yard.settled(left)
    assert not list((yard.house.git / "acme").glob("blog*"))


async def test_what_is_taken_away_with_its_organization_leaves_its_cluster_first(yard: Yard) -> None:
    await yard.settled(yard.install("blog"))
    yard.cloud.show("blog", "blog-database")
    await yard.until("blog", State.STATE_ACTIVE)
    org = await yard.house.get()
    admin: Any = yard.house.person(stubs.OrganizationServiceStub)
    gone = rpc.DeleteOrganizationRequest(name=org.name, etag=org.etag, confirm="acme")
    await admin.DeleteOrganization(gone)
    yard.house.clock.advance(timedelta(days=8))

    async def heard(*names: str) -> None:
        async def check() -> bool:
            yard.house.clock.advance(A_MOMENT)
            return set(yard.cloud.wished()) == set(names)

        await eventually(check, within=60, what=f"the cluster hears of {names} and no other")

    await heard("blog-database")
    yard.cloud.show("blog-database")
    await heard()
    assert (await yard.house.get()).state == pb.Organization.STATE_DELETING
    yard.cloud.show()
    await yard.house.reached("DELETED")
