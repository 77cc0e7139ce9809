"""Zones and their keys, as they are read over gRPC."""

import pytest
from catalyst.pooldomain.v1.resources_pb2 import Zone, ZoneDnssec
from catalyst.pooldomain.v1.service_pb2 import GetDnssecRequest, GetZoneRequest, ListZonesRequest
from catalyst.pooldomain.v1.service_pb2_grpc import ZoneServiceStub
from catalyst_testkit.daemons import reason_of

from .calls import FQDN, made_active, reserve
from .conftest import Dns, Start

pytestmark = pytest.mark.either_database

NAME = f"zones/{FQDN}"


async def test_a_zone_shows_its_keys_and_the_ds_that_its_parent_has(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_active(daemon)
        owner = daemon.member(ZoneServiceStub, "omantel", "org-viewer")
        zone = await owner.GetZone(GetZoneRequest(name=NAME))
        assert (zone.kind, zone.state, zone.version) == (Zone.KIND_CHILD, Zone.STATE_ACTIVE, 2)
        found = await owner.GetDnssec(GetDnssecRequest(name=f"{NAME}/dnssec"))
        assert (found.state, [key.algorithm for key in found.keys]) == (ZoneDnssec.STATE_ACTIVE, [13])
        assert found.ds == found.ds_observed
        assert found.ds[0].key_tag == found.keys[0].key_tag
        dns.kill()
        assert await reason_of(owner.GetDnssec(GetDnssecRequest(name=f"{NAME}/dnssec"))) == "BACKEND_UNAVAILABLE"


async def test_zones_are_listed_page_by_page_to_those_whose_they_are(start: Start) -> None:
    async with start() as daemon:
        await made_active(daemon)
        await made_active(daemon, "another")
        await reserve(daemon, "only-reserved")

        async def listed(stub: ZoneServiceStub) -> list[str]:
            names, page = [], ""
            while True:
                answer = await stub.ListZones(ListZonesRequest(page_size=1, page_token=page))
                names += [zone.name for zone in answer.zones]
                page = answer.next_page_token
                if not page:
                    return names

        everything = ["zones/another.omani.works", "zones/omani.works", NAME]
        assert await listed(daemon.admin(ZoneServiceStub)) == everything
        assert await listed(daemon.member(ZoneServiceStub, "omantel")) == ["zones/another.omani.works", NAME]
        stranger = daemon.member(ZoneServiceStub, "rival")
        assert await listed(stranger) == []
        for name in (NAME, "zones/omani.works", "zones/no.example"):
            assert await reason_of(stranger.GetZone(GetZoneRequest(name=name))) == "ZONE_NOT_FOUND"
