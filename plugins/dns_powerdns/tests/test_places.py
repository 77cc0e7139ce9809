"""Whether a server knows where clients are: asked, not believed. Of what it may say, fakes say the most; a real one with a
database of places is asked where its package is."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.edns
import dns.message
import dns.rrset
import pytest
from catalyst_dns_powerdns import places
from catalyst_sdk.dns import Capability, Change, ZoneSpec
from catalyst_testkit.places import database
from catalyst_testkit.powerdns import PowerDnsServer, powerdns_server
from catalyst_testkit.servers import NOBODY, folder

from .conftest import made

NAME = "place.catalyst-probe.invalid."
EVERYWHERE = {"local-address": "0.0.0.0, ::", "local-port": "5300"}
API = "http://127.0.0.9:8081/api/v1/servers/localhost"


class FakePlaces(asyncio.DatagramProtocol):
    """Answers with what `told` says of the client's network."""

    def __init__(self, told: Callable[[str], str]) -> None:
        self._told = told

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        (subnet,) = (option for option in query.options if isinstance(option, dns.edns.ECSOption))
        answer = dns.message.make_response(query)
        answer.answer.append(dns.rrset.from_text(NAME, 1, "IN", "TXT", f'"{self._told(subnet.address)}"'))
        self._transport.sendto(answer.to_wire(), addr)


@asynccontextmanager
async def telling(told: Callable[[str], str]) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: FakePlaces(told), local_addr=("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


def by_first_octet(client: str) -> str:
    return f"{client.split('.')[0]}.000000 4.900000"


def in_one_country(client: str) -> str:
    return "52.300000 4.900000" if client.startswith("193.") else "0.000000 0.000000"


@pytest.mark.parametrize(
    ("told", "known"), [(by_first_octet, True), (in_one_country, False), (lambda _: "0.000000 0.000000", False)]
)
async def test_only_who_tells_clients_of_different_places_apart_knows_places(
    told: Callable[[str], str], known: bool
) -> None:
    async with telling(told) as port:
        assert await places.are_known(NAME, "127.0.0.1", port) is known


async def test_who_does_not_answer_knows_nothing() -> None:
    async with telling(by_first_octet) as port:
        pass
    assert not await places.are_known(NAME, "127.0.0.1", port, patience=0.05)


@pytest.mark.parametrize(
    ("settings", "worth"),
    [
        ({"launch": "gsqlite3,geoip", "edns-subnet-processing": "yes"}, True),
        ({"launch": "gsqlite3,geoip", "edns-subnet-processing": "no"}, False),
        ({"launch": "gsqlite3", "edns-subnet-processing": "yes"}, False),
        ({}, False),
    ],
)
def test_nobody_is_asked_whose_settings_rule_it_out(settings: dict[str, str], worth: bool) -> None:
    assert places.may_be_known(settings) is worth


def test_a_server_is_asked_where_it_says_that_it_listens_and_one_that_listens_everywhere_where_its_api_is() -> None:
    assert places.listens_at({"local-address": "127.0.0.7", "local-port": "53"}, API) == ("127.0.0.7", 53)
    assert places.listens_at(EVERYWHERE, API) == ("127.0.0.9", 5300)
    assert places.listens_at({}, API) == ("127.0.0.9", 53)


EUROPE, AMERICA = "192.0.2.1", "198.51.100.1"
WORLD = {
    "8.8.8.0/24": (37.4, -122.1), "193.0.6.0/24": (52.4, 4.9), "202.12.29.0/24": (-27.5, 153.0),
    f"{EUROPE}/32": (52.0, 5.0), f"{AMERICA}/32": (37.0, -121.0),
}  # fmt: skip


@pytest.fixture(scope="module")
def placed() -> Iterator[PowerDnsServer]:
    """PowerDNS with a database of places. Its package is none of those that a run must have, so without it nothing fails."""
    if not any(Path("/usr/lib").glob("*/pdns/libgeoipbackend.so")):
        pytest.skip("the package pdns-backend-geoip is not installed")
    home = folder()
    (home / "places.mmdb").write_bytes(database(WORLD))
    (home / "zones.yaml").write_text("domains: []\n")
    if os.geteuid() == 0:
        for path in home.iterdir():
            os.chown(path, NOBODY, NOBODY)
    settings = {
        "launch": "gsqlite3,geoip", "geoip_database_files": f"{home}/places.mmdb", "geoip_zones_file": f"{home}/zones.yaml",
        "edns_subnet_processing": "yes", "enable_lua_records": "yes",
    }  # fmt: skip
    try:
        with powerdns_server(**settings) as server:
            yield server
    finally:
        shutil.rmtree(home)


async def test_a_server_with_a_database_of_places_answers_each_client_with_the_member_near_it(
    placed: PowerDnsServer,
) -> None:
    backend, zone = made(placed.url), "near.example."
    assert Capability.GEO in await backend.probe()
    await backend.create_zone(spec=ZoneSpec(zone, ("ns1.hosts.example.",), "organizations/one"))
    line = f"A \"pickclosest({{'{EUROPE}','{AMERICA}'}})\""
    await backend.apply(zone=zone, changes=(Change(f"www.{zone}", "LUA", 60, (line,)),))
    for client, wanted in (("193.0.6.139", EUROPE), ("8.8.8.8", AMERICA)):
        query = dns.message.make_query(f"www.{zone}", "A", use_edns=0, options=[dns.edns.ECSOption(client, 24)])
        answer = await dns.asyncquery.udp(query, "127.0.0.1", timeout=30, port=placed.port)
        assert [str(one) for rrset in answer.answer for one in rrset] == [wanted], client
