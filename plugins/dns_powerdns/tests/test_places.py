"""Whether a server knows where clients are: asked, not believed. The server here is a fake; one without places is real."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import dns.edns
import dns.message
import dns.rrset
import pytest
from catalyst_dns_powerdns import places

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
