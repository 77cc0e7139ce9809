"""A pool lies on any backend, a stranger's too: made at run time, with what names need of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from catalyst.pooldomain.v1.resources_pb2 import Allocation, Backend
from catalyst.pooldomain.v1.service_pb2 import (
    CreateBackendRequest,
    CreatePoolRequest,
    DeleteBackendRequest,
    GetBackendRequest,
    GetPoolRequest,
    GetZoneRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import BackendServiceStub, PoolServiceStub, ZoneServiceStub
from catalyst_pool_domain_manager.app import compose
from catalyst_pool_domain_manager.domain import backends as domain
from catalyst_pool_domain_manager.domain.refusals import BackendNotFound, CapabilityMissing
from catalyst_pool_domain_manager.rpc.pools import check_able
from catalyst_pool_domain_manager.settings import PdmSettings
from catalyst_sdk.dns import Capability
from catalyst_testkit.daemons import reason_of, running
from catalyst_testkit.servers import NatsServer

from .calls import POOL, made_active, release, until
from .conftest import DEMO, Dns, values
from .domain import makers
from .domain.makers import NOON

MINE = "backends/mine"


@pytest.mark.either_database
async def test_names_of_a_pool_live_on_a_backend_that_was_made_at_run_time(
    dns: Dns, clean_nats: NatsServer, database: str, home: Path
) -> None:
    settings = {**values(dns, clean_nats), "database_url": database}
    del settings["dns_control"]  # so that settings configure no backend at all
    async with running(compose, PdmSettings, home / "pdm", **settings) as daemon:
        backends, pools = daemon.admin(BackendServiceStub), daemon.admin(PoolServiceStub)
        wish = CreatePoolRequest(pool_id="omani.works", pool=DEMO)
        wish.pool.backend = MINE
        assert await reason_of(pools.CreatePool(wish)) == "BACKEND_NOT_FOUND"
        mine = Backend(plugin="embedded")
        mine.config.update({"control": dns.control, "data": str(dns.folder)})
        await backends.CreateBackend(CreateBackendRequest(backend_id="mine", backend=mine))
        await pools.CreatePool(wish)
        await made_active(daemon)
        zone = await daemon.admin(ZoneServiceStub).GetZone(GetZoneRequest(name="zones/omantel.omani.works"))
        assert (zone.backend, (await pools.GetPool(GetPoolRequest(name=POOL))).backend) == (MINE, MINE)
        used = DeleteBackendRequest(name=MINE, etag=(await backends.GetBackend(GetBackendRequest(name=MINE))).etag)
        assert await reason_of(backends.DeleteBackend(used)) == "BACKEND_IN_USE"
        await release(daemon)
        await until(daemon, Allocation.STATE_QUARANTINED)
    assert await dns.backend.get_zone(zone="omantel.omani.works.") is None


class Known:
    """The store, as far as it is asked here."""

    def __init__(self, *capabilities: Capability) -> None:
        self._can = {"capabilities": sorted(capabilities), "record_types": []}

    async def backend(self, id: str) -> domain.Backend | None:
        return domain.Backend(id, "u", "paper", NOON, NOON, capabilities=self._can) if id == "mine" else None


@pytest.mark.parametrize("lacking", [Capability.ZONE_LIFECYCLE, Capability.DNSSEC, Capability.ATOMIC_BATCH])
async def test_what_names_need_of_their_backend_is_refused_by_name_where_it_was_seen_to_be_missing(
    lacking: Capability,
) -> None:
    needed = {Capability.ZONE_LIFECYCLE, Capability.DNSSEC, Capability.ATOMIC_BATCH}
    pool = replace(makers.POOL, backend=MINE)
    whole: Any = Known(*needed)
    await check_able(whole, pool)
    partly: Any = Known(*(needed - {lacking}))
    with pytest.raises(CapabilityMissing):
        await check_able(partly, pool)
    with pytest.raises(BackendNotFound):
        await check_able(whole, replace(pool, backend="backends/nobody"))
