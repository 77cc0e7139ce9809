"""What a backend cannot do is refused when it is planned, and named where nobody could know it then."""

from pathlib import Path

import pytest
from catalyst.mesh.v1.resources_pb2 import Condition
from catalyst.pooldomain.v1.resources_pb2 import Allocation
from catalyst.pooldomain.v1.service_pb2 import CreatePoolRequest, GetBackendRequest
from catalyst.pooldomain.v1.service_pb2_grpc import BackendServiceStub, PoolServiceStub
from catalyst_pool_domain_manager.app import compose
from catalyst_pool_domain_manager.settings import PdmSettings
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of, running
from catalyst_testkit.servers import NatsServer

from .calls import commitment, provisioner, reserve, until
from .conftest import DEMO, Start, values
from .on_updates import OnUpdates

ON_BIND = pytest.mark.parametrize(("dns", "database"), [("bind", "sqlite")], indirect=True)


@ON_BIND
async def test_a_pool_on_a_server_that_makes_no_zones_is_refused_and_says_why(
    dns: OnUpdates, clean_nats: NatsServer, database: str, home: Path
) -> None:
    dns.is_controlling = False
    settings = values(dns, clean_nats) | {"database_url": database}
    async with running(compose, PdmSettings, home / "pdm", **settings) as daemon:
        backends, pools = daemon.admin(BackendServiceStub), daemon.admin(PoolServiceStub)

        async def is_probed() -> bool:
            known = GetBackendRequest(name=dns.pool_backend)
            if await reason_of(backends.GetBackend(known)) != "OK":
                return False
            return (await backends.GetBackend(known)).HasField("probe_time")

        await eventually(is_probed, within=60, what="the backend is probed")  # type: ignore[arg-type]  # T is bool
        wish = CreatePoolRequest(pool_id="omani.works", pool=DEMO)
        wish.pool.backend = dns.pool_backend
        assert await reason_of(pools.CreatePool(wish)) == "BACKEND_CAPABILITY_MISSING"


@ON_BIND
async def test_a_name_whose_server_makes_zones_no_more_fails_and_says_who_can_help(
    start: Start, dns: OnUpdates
) -> None:
    async with start() as daemon:
        token = (await reserve(daemon)).reservation_token
    dns.is_controlling = False
    async with start() as daemon:
        await provisioner(daemon).CommitAllocation(commitment(token))
        failed = await until(daemon, Allocation.STATE_FAILED, within=60)
        (told,) = [c for c in failed.conditions if c.reason == "BACKEND_CAPABILITY_MISSING"]
        assert (told.type, told.status) == ("BackendReady", Condition.STATUS_FALSE)
        assert "operator" in told.message
