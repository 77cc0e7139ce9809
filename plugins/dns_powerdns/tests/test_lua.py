"""Lines that a real server evaluates: what is taken, and what it then answers."""

import asyncio
from collections.abc import Iterator

import pytest
from catalyst_dns_powerdns import lua
from catalyst_sdk import Permanent
from catalyst_sdk.dns import Capability, Change, ZoneSpec
from catalyst_testkit import eventually
from catalyst_testkit.powerdns import PowerDnsServer, powerdns_server
from catalyst_testkit.servers import free_port

from .conftest import made

ZONE, HOST = "lua.example.", "www.lua.example."
A, B = "127.7.2.1", "127.7.2.2"


@pytest.fixture(scope="module")
def evaluating() -> Iterator[PowerDnsServer]:
    # It looks at everybody every five seconds otherwise, whatever a record says.
    with powerdns_server(enable_lua_records="yes", lua_health_checks_interval="1") as server:
        yield server


async def answers(server: PowerDnsServer) -> set[str]:
    reply = await server.ask(HOST, "A")
    return {str(r) for rrset in reply.answer if rrset.rdtype == 1 for r in rrset}


async def write(server: PowerDnsServer, content: str) -> None:
    backend = made(server.url)
    if await backend.get_zone(zone=ZONE) is None:
        await backend.create_zone(spec=ZoneSpec(ZONE, ("ns1.example.",), "us", negative_ttl=1))
    state = await backend.apply(zone=ZONE, changes=(Change(HOST, "LUA", 1, (content,)),))
    assert state.find(HOST, "LUA") is not None
    assert (await backend.apply(zone=ZONE, changes=(Change(HOST, "LUA", 1, (content,)),))).etag == state.etag


async def test_a_server_says_itself_whether_it_evaluates(evaluating: PowerDnsServer, powerdns: PowerDnsServer) -> None:
    assert Capability.LUA in await made(evaluating.url).probe()
    assert Capability.LUA not in await made(powerdns.url).probe()


async def test_hashed_and_weighted_stay_with_one_member_for_one_client(evaluating: PowerDnsServer) -> None:
    for content in (
        f"A \"pickhashed({{'{A}','{B}'}})\"",
        f"A \"pickwhashed({{{{80,'{A}'}},{{20,'{B}'}}}})\"",
    ):
        await write(evaluating, content)
        seen = {frozenset(await answers(evaluating)) for _ in range(6)}
        assert len(seen) == 1
        assert seen <= {frozenset({A}), frozenset({B})}


async def test_the_nearest_is_a_member_also_where_the_server_does_not_know_places_and_that_is_seen(
    evaluating: PowerDnsServer,
) -> None:
    await write(evaluating, f"A \"pickclosest({{'{A}','{B}'}})\"")
    assert await answers(evaluating) in ({A}, {B})
    assert Capability.GEO not in await made(evaluating.url).probe()


async def test_scenario_10_sets_are_tried_in_their_order_and_all_are_told_when_none_is_up(
    evaluating: PowerDnsServer,
) -> None:
    port = free_port()
    options = "{selector='all',timeout=1,minimumFailures=1,interval=1,backupSelector='all'}"
    await write(evaluating, f"A \"ifurlup('http://www.lua.example:{port}/',{{{{'{A}'}},{{'{B}'}}}},{options})\"")

    async def are(*addresses: str) -> None:
        async def so() -> bool:
            return await answers(evaluating) == set(addresses)

        await eventually(so, within=60, every=0.2, what=f"the answer is {addresses}")

    await are(A, B)
    second = await asyncio.start_server(_healthy, B, port)
    await are(B)
    first = await asyncio.start_server(_healthy, A, port)
    await are(A)
    first.close()
    await are(B)
    second.close()
    await are(A, B)


async def _healthy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    "content",
    [
        "A \"os.execute('id')\"",
        "A \"pickhashed({'192.0.2.1'}) os.exit()\"",
        "A \"ifurlup('http://a/'..os.getenv('HOME'),{{'192.0.2.1'}},{selector='all'})\"",
        "TXT \"pickhashed({'192.0.2.1'})\"",
        "A \"pickfirst({'192.0.2.1'})\"",
        "A pickhashed",
        'A ";return 1"',
        "A \"ifurlup('http://a/',{{'192.0.2.1'}},{selector='pickfirst'})\"",
    ],
)
def test_what_could_do_more_than_choose_is_not_taken(content: str) -> None:
    assert lua.fault(content)


async def test_a_line_beside_plain_addresses_or_of_a_stranger_changes_nothing(evaluating: PowerDnsServer) -> None:
    backend = made(evaluating.url)
    await write(evaluating, f"A \"pickhashed({{'{A}'}})\"")
    before = await backend.get_zone(zone=ZONE)
    bad = (
        (Change(HOST, "A", 1, (A,)), Change(HOST, "LUA", 1, (f"A \"pickhashed({{'{B}'}})\"",))),
        (Change(HOST, "LUA", 1, ('A "os.exit()"',)),),
    )
    for changes in bad:
        with pytest.raises(Permanent, match="LUA") as refused:
            await backend.apply(zone=ZONE, changes=changes)
        assert refused.value.reason == "RECORD_INVALID"
    assert await backend.get_zone(zone=ZONE) == before
