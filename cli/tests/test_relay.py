"""A line that is cut as a cable is: silent, in one way or both; what was on the way arrives late."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from catalyst_cli.dev.relay import Relay
from catalyst_testkit import eventually


@dataclass
class Echo(asyncio.DatagramProtocol):
    """A server that remembers what it heard and says it again."""

    heard: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.heard.append(line)
            writer.write(line)
        writer.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard.append(data)
        self.transport.sendto(data, addr)  # type: ignore[attr-defined]


@asynccontextmanager
async def relayed() -> AsyncIterator[tuple[Relay, Echo]]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    relay = Relay(("127.0.0.1", port))
    await relay.start()
    try:
        yield relay, echo
    finally:
        await relay.close()
        server.close()


async def said(reader: asyncio.StreamReader, within: float) -> bytes:
    return await asyncio.wait_for(reader.readline(), within)


async def test_a_line_carries_both_ways_until_its_end() -> None:
    async with relayed() as (relay, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(b"one\n")
        assert await said(reader, 10) == b"one\n"
        writer.write_eof()
        assert await said(reader, 10) == b""
        writer.close()


async def test_what_is_said_over_a_cut_line_arrives_when_it_is_whole() -> None:
    async with relayed() as (relay, echo):
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(b"before\n")
        assert await said(reader, 10) == b"before\n"
        relay.cut()
        writer.write(b"during\n")
        with pytest.raises(TimeoutError):
            await said(reader, 0.1)
        assert echo.heard == [b"before\n"]
        relay.heal()
        assert await said(reader, 10) == b"during\n"
        writer.close()


async def test_cut_in_one_way_the_question_arrives_and_the_answer_does_not() -> None:
    async with relayed() as (relay, echo):
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        relay.cut(there=False)
        writer.write(b"write this\n")
        await eventually(lambda: echo.heard == [b"write this\n"], within=60)
        with pytest.raises(TimeoutError):
            await said(reader, 0.1)
        assert not relay.is_whole
        writer.close()


async def test_a_connection_that_was_begun_while_the_line_was_cut_never_comes_about() -> None:
    async with relayed() as (relay, echo):
        relay.cut()
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(b"nobody hears\n")
        with pytest.raises(TimeoutError):
            await said(reader, 0.1)
        relay.heal()
        with pytest.raises(ConnectionError):
            assert await said(reader, 10) == b"", "reset"
            raise ConnectionResetError
        assert echo.heard == []
        writer.close()


class Asker(asyncio.DatagramProtocol):
    def __init__(self, tell: Callable[[bytes], None]) -> None:
        self.datagram_received = lambda data, addr: tell(data)  # type: ignore[method-assign]


async def test_datagrams_find_their_way_back_and_are_lost_while_the_line_is_cut() -> None:
    loop, echo = asyncio.get_running_loop(), Echo()
    server, _ = await loop.create_datagram_endpoint(lambda: echo, ("127.0.0.1", 0))
    relay = Relay(server.get_extra_info("sockname"))
    await relay.start()
    heard: list[list[bytes]] = [[], []]
    askers = [
        (await loop.create_datagram_endpoint(lambda box=box: Asker(box.append), remote_addr=("127.0.0.1", relay.port)))[0]
        for box in heard
    ]  # fmt: skip
    for asker, word in zip(askers, (b"one", b"two"), strict=True):
        asker.sendto(word)
    await eventually(lambda: heard == [[b"one"], [b"two"]], within=60)
    relay.cut()
    askers[0].sendto(b"lost")
    relay_saw = asyncio.Event()
    loop.call_later(0.1, relay_saw.set)
    await relay_saw.wait()
    relay.heal()
    askers[0].sendto(b"three")
    await eventually(lambda: heard[0] == [b"one", b"three"], within=60)
    assert b"lost" not in echo.heard
    for transport in (*askers, server):
        transport.close()
    await relay.close()
