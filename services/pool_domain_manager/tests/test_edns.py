"""Name servers of a moved domain use EDNS as resolvers expect it; one that does not is found before anything is moved."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import dns.asyncquery
import dns.message
import dns.rcode
import dns.rrset
import pytest
from catalyst_pool_domain_manager.workers.servers import BUFFER, Servers

from .conftest import SERVERS, Dns

SERVER, POOL = "ns1.omani.works.", "omani.works."
Spoil = Callable[[dns.message.Message, dns.message.Message], bytes]


def _bare(query: dns.message.Message, answer: dns.message.Message) -> bytes:
    answer.use_edns(False)
    return answer.to_wire()


def _formerr(query: dns.message.Message, answer: dns.message.Message) -> bytes:
    query.use_edns(False)
    refusal = dns.message.make_response(query)
    refusal.set_rcode(dns.rcode.FORMERR)
    return refusal.to_wire()


def _newer(query: dns.message.Message, answer: dns.message.Message) -> bytes:
    answer.set_rcode(dns.rcode.NOERROR)
    return answer.to_wire()


def _long(query: dns.message.Message, answer: dns.message.Message) -> bytes:
    answer.additional.append(dns.rrset.from_text("much.", 0, "IN", "TXT", " ".join([f'"{"x" * 250}"'] * 5)))
    return answer.to_wire(max_size=65535)


class Spoiled(asyncio.DatagramProtocol):
    """Passes on what a server answers, spoiled."""

    def __init__(self, behind: tuple[str, int], spoil: Spoil) -> None:
        self._behind, self._spoil = behind, spoil
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.ensure_future(self._pass_on(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        answer = await dns.asyncquery.udp(query, self._behind[0], port=self._behind[1], timeout=30)
        self._transport.sendto(self._spoil(query, answer), addr)


@asynccontextmanager
async def spoiled(server: Dns, spoil: Spoil, folder: Path) -> AsyncIterator[Servers]:
    """The server as one knows it who is told of the spoiled one."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: Spoiled(server.served_at, spoil), local_addr=("127.0.0.1", 0)
    )
    host, port = transport.get_extra_info("sockname")
    hints = folder / "spoiled.json"
    hints.write_text(json.dumps({SERVER: f"{host}:{port}"}))
    try:
        yield Servers(hints)
    finally:
        transport.close()


@pytest.mark.parametrize("dns", ["embedded", *SERVERS], indirect=True)
async def test_the_servers_that_we_know_use_edns_as_resolvers_expect(dns: Dns) -> None:
    assert await Servers(dns.hints).edns_faults((SERVER,), POOL) == []


async def test_a_server_that_troubles_resolvers_by_its_edns_is_named_with_what_it_does(dns: Dns, home: Path) -> None:
    ways = {
        _bare: "without EDNS",
        _formerr: "FORMERR without EDNS",
        _newer: "cannot know is answered NOERROR with EDNS 0",
        _long: f"octets by UDP, where {BUFFER} are taken",
    }
    for spoil, told in ways.items():
        async with spoiled(dns, spoil, home) as servers:
            (fault,) = await servers.edns_faults((SERVER,), POOL)
            assert (fault.server, fault.verdict) == (SERVER, "edns")
            assert told in fault.detail, spoil
