"""Zones of one's own: made, served, changed and deleted over real gRPC and real DNS servers."""

import asyncio

import dns.flags
import dns.message
import dns.opcode
import pytest
from catalyst.mesh.v1.resources_pb2 import Condition
from catalyst.pooldomain.v1.resources_pb2 import NameServerEndpoint, Soa, Zone
from catalyst.pooldomain.v1.service_pb2 import (
    CreateNameServerSetRequest,
    DeleteZoneRequest,
    GetNameServerSetRequest,
    GetZoneRequest,
    ListZonesRequest,
    UpdateNameServerSetRequest,
    UpdateZoneRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import NameServerSetServiceStub
from catalyst_sdk.dns import ZoneSpec
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of
from catalyst_testkit.servers import free_port
from google.protobuf.duration_pb2 import Duration

from .calls import outbox
from .conftest import Dns, Start, on_both_servers
from .zone_calls import (
    DOMAIN,
    HOSTS,
    OWNER,
    SET,
    ZONE,
    admin,
    applied,
    made_servers,
    made_zone,
    owner,
    planned,
    servers,
    until_zone,
    upsert,
    zone,
)

pytestmark = pytest.mark.either_database


@on_both_servers
async def test_a_zone_that_its_owner_wishes_is_served_signed_and_told(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_servers(daemon, dns)
        made = await owner(daemon).CreateZone(zone(dns))
        assert (made.state, made.revision, made.uid != "") == (Zone.STATE_PENDING, 0, True)
        seen = await until_zone(daemon)
        assert {c.type for c in seen.conditions if c.status == Condition.STATUS_TRUE} >= {
            "BackendReady", "ZoneReady", "RecordsPublished", "Signed",
        }  # fmt: skip
        assert (seen.revision, seen.observed_generation, seen.serial_observed > 0) == (1, 1, True)
        held = await dns.backend.get_zone(zone=f"{DOMAIN}.")
        assert held is not None
        assert (held.owner, held.revision, held.signed) == (OWNER, 1, True)
        assert held.find(f"{DOMAIN}.", "NS").records == tuple(f"{h}." for h in HOSTS)  # type: ignore[union-attr]
        told = [event for name, event, _ in await outbox(daemon) if name == ZONE]
        assert told == ["zone.created", "zone.signed"]


class Secondary(asyncio.DatagramProtocol):
    """Hears notices, and answers all but the first one, which is lost."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []
        """Zone and serial of each notice."""

    async def __aenter__(self) -> "Secondary":
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    @property
    def endpoint(self) -> NameServerEndpoint:
        host, port = self._transport.get_extra_info("sockname")
        return NameServerEndpoint(host="secondary.dns.example", addresses=[host], port=port)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        notice = dns.message.from_wire(data)
        assert (notice.opcode(), bool(notice.flags & dns.flags.AA)) == (dns.opcode.NOTIFY, True)
        self.heard.append((str(notice.question[0].name), notice.answer[0][0].serial))
        if len(self.heard) > 1:
            self._transport.sendto(dns.message.make_response(notice).to_wire(), addr)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_who_is_to_be_told_of_changes_is_told_of_each_one(start: Start, dns: Dns) -> None:
    async with start() as daemon, Secondary() as secondary:
        wish = servers(dns)
        wish.also_notify.append(secondary.endpoint)
        sets = daemon.admin(NameServerSetServiceStub)
        await sets.CreateNameServerSet(CreateNameServerSetRequest(name_server_set_id="main", name_server_set=wish))
        await owner(daemon).CreateZone(zone(dns))
        seen = await until_zone(daemon)
        assert secondary.heard[-1] == (f"{DOMAIN}.", seen.serial_observed), (
            "a lost notice keeps nothing from being served"
        )
        count = len(secondary.heard)
        await applied(daemon, await planned(daemon, upsert("www", "A", "192.0.2.1")))
        assert len(secondary.heard) > count
        assert secondary.heard[-1][1] > seen.serial_observed


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_server_that_is_written_to_and_does_not_have_the_zone_keeps_it_from_being_ready(
    start: Start, dns: Dns
) -> None:
    async with start() as daemon:
        wish = servers(dns)
        wish.targets.append(NameServerEndpoint(host="hidden.dns.example", addresses=["127.0.0.1"], port=free_port()))
        sets = daemon.admin(NameServerSetServiceStub)
        made = await sets.CreateNameServerSet(
            CreateNameServerSetRequest(name_server_set_id="main", name_server_set=wish)
        )
        await owner(daemon).CreateZone(zone(dns))

        async def waits() -> bool:
            found = await admin(daemon).GetZone(GetZoneRequest(name=ZONE))
            return any("hidden.dns.example" in one.message for one in found.conditions)

        await eventually(waits, within=60, what="the zone waits for the hidden server")
        address, port = dns.served_at
        made.targets[0].CopyFrom(NameServerEndpoint(host="hidden.dns.example", addresses=[address], port=port))
        await sets.UpdateNameServerSet(UpdateNameServerSetRequest(name_server_set=made, etag=made.etag))
        await until_zone(daemon)


async def test_a_zone_with_a_foreign_mark_is_refused_and_stays_as_it_is(start: Start, dns: Dns) -> None:
    await dns.backend.create_zone(spec=ZoneSpec(f"{DOMAIN}.", ("ns1.else.example.",), "somebody else"))
    before = await dns.backend.get_zone(zone=f"{DOMAIN}.")
    async with start() as daemon:
        await made_servers(daemon, dns)
        assert await reason_of(owner(daemon).CreateZone(zone(dns))) == "FOREIGN_ZONE"
    assert await dns.backend.get_zone(zone=f"{DOMAIN}.") == before


async def test_other_timers_and_other_servers_reach_the_zone(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        seen = await made_zone(daemon, dns)
        wish = Zone(name=ZONE, soa=Soa(refresh=Duration(seconds=7200), minimum=Duration(seconds=60)))
        assert await reason_of(owner(daemon).UpdateZone(UpdateZoneRequest(zone=wish, etag='"0"'))) == "ETAG_MISMATCH"
        changed = await owner(daemon).UpdateZone(UpdateZoneRequest(zone=wish, etag=seen.etag))
        assert (changed.generation, changed.state) == (2, Zone.STATE_SYNCING)
        await until_zone(daemon)
        sets = daemon.admin(NameServerSetServiceStub)
        known = await sets.GetNameServerSet(GetNameServerSetRequest(name=SET))
        new = servers(dns, "ns3.dns.example", "ns4.dns.example")
        new.name = SET
        await sets.UpdateNameServerSet(UpdateNameServerSetRequest(name_server_set=new, etag=known.etag))

        async def moved() -> bool:
            held = await dns.backend.get_zone(zone=f"{DOMAIN}.")
            assert held is not None
            ns, soa = held.find(f"{DOMAIN}.", "NS"), held.find(f"{DOMAIN}.", "SOA")
            assert ns is not None
            assert soa is not None
            fields = soa.records[0].split()
            return ns.records == ("ns3.dns.example.", "ns4.dns.example.") and fields[0] == "ns3.dns.example." and (
                fields[3:] == ["7200", "3600", "604800", "60"]
            )  # fmt: skip

        await eventually(moved, within=60, what="NS and SOA are the new ones")
        await until_zone(daemon)


@on_both_servers
async def test_a_deleted_zone_is_gone_from_the_servers_and_from_the_list(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        seen = await made_zone(daemon, dns)
        gone = await owner(daemon).DeleteZone(DeleteZoneRequest(name=ZONE, etag=seen.etag))
        assert gone.state == Zone.STATE_DELETING

        async def absent() -> bool:
            return await reason_of(admin(daemon).GetZone(GetZoneRequest(name=ZONE))) == "ZONE_NOT_FOUND"

        await eventually(absent, within=60, what="the zone is gone")
        assert await dns.backend.get_zone(zone=f"{DOMAIN}.") is None
        assert [event for name, event, _ in await outbox(daemon) if name == ZONE][-1] == "zone.deleted"


async def test_what_cannot_be_a_zone_is_refused_with_every_fault(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_servers(daemon, dns)
        wrong = zone(dns, kind=Zone.KIND_CHILD, owner="", name_server_set="")
        assert await reason_of(admin(daemon).CreateZone(wrong)) == "REQUEST_INVALID"
        inside = zone(dns, "shop.omani.works")
        assert await reason_of(admin(daemon).CreateZone(inside)) == "REQUEST_INVALID"
        assert await reason_of(owner(daemon).CreateZone(zone(dns, "co.uk"))) == "REQUEST_INVALID", "nobody's own"
        unknown = zone(dns, name_server_set="nameServerSets/none")
        assert await reason_of(admin(daemon).CreateZone(unknown)) == "NAME_SERVER_SET_NOT_FOUND"
        nowhere = zone(dns, backend="backends/nowhere")
        assert await reason_of(admin(daemon).CreateZone(nowhere)) == "BACKEND_NOT_FOUND"
        assert await reason_of(owner(daemon).CreateZone(zone(dns, "dns.example"))) == "GLUE_REQUIRED"
        assert await reason_of(owner(daemon).CreateZone(zone(dns, owner="organizations/rival"))) == "ROLE_DENIED"


async def test_a_stranger_sees_no_zone_of_another_organization(start: Start, dns: Dns) -> None:
    from catalyst.pooldomain.v1.service_pb2_grpc import ZoneServiceStub

    async with start() as daemon:
        await made_zone(daemon, dns)
        stranger = daemon.member(ZoneServiceStub, "rival")
        assert await reason_of(stranger.GetZone(GetZoneRequest(name=ZONE))) == "ZONE_NOT_FOUND"
        assert list((await stranger.ListZones(ListZonesRequest())).zones) == []
        mine = await owner(daemon).ListZones(ListZonesRequest(filter="kind = BYO"))
        assert [z.name for z in mine.zones] == [ZONE]


async def test_a_killed_keeper_leaves_a_zone_that_the_next_one_finishes(start: Start, dns: Dns) -> None:
    class Killed(BaseException):
        """The process dies here."""

    points: list[str] = []

    async def die(point: str) -> None:
        if point.startswith("pdm.zone.") and point not in points:
            points.append(point)
            raise OSError(point)

    async with start(failpoint=die) as daemon:
        await made_servers(daemon, dns)
        await admin(daemon).CreateZone(zone(dns))

        async def hit() -> bool:
            return "pdm.zone.write.after" in points

        await eventually(hit, within=60, what="it died after the write")
    async with start() as daemon:
        assert (await until_zone(daemon)).revision == 1
        assert [event for name, event, _ in await outbox(daemon) if name == ZONE] == ["zone.created", "zone.signed"]
