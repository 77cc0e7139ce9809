"""A new zone's key is asked where that is cheapest, and believed only where that is as sure."""

import asyncio
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from uuid import uuid4

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset
import pytest
from catalyst_dns_powerdns import told
from catalyst_sdk.dns import ZoneSpec, ZoneState
from catalyst_testkit.powerdns import PowerDnsServer, powerdns_server
from catalyst_testkit.servers import free_port
from catalyst_testkit.spoiling import SpoilingProxy, spoiling

from .conftest import made

PUBLISHING = {"default-publish-cds": "2", "local-address": "192.0.2.53", "local-port": "5300"}
STRANGER = "257 3 13 o0M6FaMAH2qYVRvV5jKRxMPrH3twZrB4 PrnB0d6WRuS+XXbur2Zs+T8wbbmvdwVb xMzFGeW61a9wYFIqvJbuCQ=="


@pytest.fixture(scope="module")
def publishing() -> Iterator[PowerDnsServer]:
    """As the plugin's page advises."""
    with powerdns_server(default_publish_cds="2", default_publish_cdnskey="1") as server:
        yield server


def spec() -> ZoneSpec:
    return ZoneSpec(f"z{uuid4().hex[:10]}.told.example.", ("ns1.hosts.example.",), "organizations/one")


async def new_zone(proxy: SpoilingProxy, server: str | None = None) -> tuple[ZoneState, list[str]]:
    """A zone that is made through the proxy, held against what the API says of it afterwards, and the calls of its making."""
    where = {"server": server} if server else {}
    backend = made(f"http://127.0.0.1:{proxy.port}/api/v1/servers/localhost", **where)
    state = await backend.create_zone(spec=spec())
    seen = [call for call in proxy.seen if "/zones" in call]
    assert await backend.get_zone(zone=state.name) == state
    return state, seen


async def test_a_new_zone_whose_server_publishes_its_key_takes_one_call_of_the_api(publishing: PowerDnsServer) -> None:
    async with spoiling(publishing.api_port) as proxy:
        state, seen = await new_zone(proxy)
        assert [len(key.ds) for key in state.keys] == [1]
        assert [call.split()[0] for call in seen] == ["POST"]


async def test_where_nobody_answers_the_api_is_asked(publishing: PowerDnsServer) -> None:
    async with spoiling(publishing.api_port) as proxy:
        _, seen = await new_zone(proxy, f"127.0.0.1:{free_port()}")
        assert [call.split()[0] for call in seen] == ["POST", "GET"]


@pytest.mark.parametrize("shown", [(STRANGER, "1 13 2 " + "0" * 64), (STRANGER, ""), ("256" + STRANGER[3:], "")])
async def test_a_key_that_is_not_the_one_shown_to_the_parent_is_not_believed(
    publishing: PowerDnsServer, shown: tuple[str, str]
) -> None:
    async with spoiling(publishing.api_port) as proxy, telling(*shown) as place:
        state, seen = await new_zone(proxy, place)
        assert [call.split()[0] for call in seen] == ["POST", "GET"]
        assert STRANGER not in {key.dnskey for key in state.keys}


@pytest.mark.parametrize(
    ("settings", "served_at", "url", "place"),
    [
        (PUBLISHING, None, "http://192.0.2.1:8081", ("192.0.2.53", 5300)),
        (PUBLISHING, ("192.0.2.9", 53), "http://192.0.2.1:8081", ("192.0.2.9", 53)),
        (PUBLISHING, None, "https://192.0.2.1:8081", None),
        ({**PUBLISHING, "local-address": "0.0.0.0, ::"}, None, "http://pdns.example:8081", None),
        ({**PUBLISHING, "default-publish-cds": ""}, None, "http://192.0.2.1:8081", None),
        ({}, None, "http://192.0.2.1:8081", None),
    ],
)
def test_the_name_server_is_asked_only_where_it_is_known_to_be_the_one_and_the_api_no_surer(
    settings: dict[str, str], served_at: tuple[str, int] | None, url: str, place: tuple[str, int] | None
) -> None:
    server = told.found(settings, served_at, url)
    assert (server.place if server else None) == place


@asynccontextmanager
async def telling(key: str, cds: str) -> AsyncIterator[str]:
    """Somebody who shows this key, and this to the parent, of whatever zone."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while length := await reader.read(2):
                answer = dns.message.make_response(
                    dns.message.from_wire(await reader.readexactly(int.from_bytes(length)))
                )
                answer.flags |= dns.flags.AA
                for kind, text in (("DNSKEY", key), ("CDS", cds)):
                    if text and answer.question[0].rdtype == dns.rdatatype.from_text(kind):
                        answer.answer.append(dns.rrset.from_text(answer.question[0].name, 60, "IN", kind, text))
                wire = answer.to_wire()
                writer.write(struct.pack("!H", len(wire)) + wire)
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
