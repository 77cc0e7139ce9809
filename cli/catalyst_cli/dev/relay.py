"""A line from one region to a server, which can be cut: loopback has no cables.

Cut as a cable is, not as a server that ends: nothing is refused and nothing is closed. What was on the way arrives when the
line is whole again, late, as TCP would send it again; a connection that was begun while the line was cut never comes about,
and is reset when it is whole. Datagrams are lost.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import cast

Address = tuple[str, int]
_PIECE = 65536
_MOST_ASKERS = 512
"""Datagram askers that are remembered; the oldest is forgotten for a new one, whose question then has no answer."""


class Relay:
    """One line; clients connect to `port`, by TCP or UDP."""

    def __init__(self, target: Address) -> None:
        self.port = 0
        self._target = target
        self._there, self._back = asyncio.Event(), asyncio.Event()
        self._server: asyncio.Server | None = None
        self._datagrams: _Questions | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.heal()

    @property
    def is_whole(self) -> bool:
        """Whether both ways are open."""
        return self._there.is_set() and self._back.is_set()

    async def start(self, host: str = "127.0.0.1") -> int:
        """Listen; the port, the same for TCP and UDP."""
        while self._datagrams is None:
            self._server = await asyncio.start_server(self._accept, host, 0)
            self.port = int(self._server.sockets[0].getsockname()[1])
            try:
                _, self._datagrams = await asyncio.get_running_loop().create_datagram_endpoint(
                    lambda: _Questions(self._target, self._there.is_set, self._back.is_set), (host, self.port)
                )
            except OSError:  # somebody has that port for datagrams
                self._server.close()
        return self.port

    def cut(self, *, there: bool = True, back: bool = True) -> None:
        """Let nothing through in the ways that are named: `there` is that of questions, `back` that of answers."""
        for way, is_cut in ((self._there, there), (self._back, back)):
            if is_cut:
                way.clear()
            else:
                way.set()

    def heal(self) -> None:
        """Let everything through, also what was held."""
        self._there.set()
        self._back.set()

    async def close(self) -> None:
        """Stop listening and break what is open."""
        if self._server is not None:
            self._server.close()
        if self._datagrams is not None:
            self._datagrams.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError):
                await self._serve(reader, writer)
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._there.is_set():
            await self._there.wait()
            return
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        try:
            await asyncio.gather(
                _carry(reader, there_writer, self._there), _carry(there_reader, writer, self._back)
            )  # fmt: skip - two ways
        finally:
            there_writer.transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_open: asyncio.Event) -> None:
    """One way of one connection, its end included."""
    while data := await reader.read(_PIECE):
        await is_open.wait()
        writer.write(data)
        await writer.drain()
    await is_open.wait()
    writer.write_eof()


class _Questions(asyncio.DatagramProtocol):
    """Datagrams of all askers; each asker has a socket of its own towards the server, so that answers find back."""

    def __init__(self, target: Address, there: Callable[[], bool], back: Callable[[], bool]) -> None:
        self._target = target
        self._there, self._back = there, back
        self._transport: asyncio.DatagramTransport | None = None
        self._askers: dict[Address, asyncio.DatagramTransport] = {}
        self._making: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if not self._there():
            return
        if (known := self._askers.get(addr)) is not None:
            known.sendto(data)
            return
        task = asyncio.get_running_loop().create_task(self._ask(data, addr))
        self._making.add(task)
        task.add_done_callback(self._making.discard)

    def close(self) -> None:
        """Stop listening, and forget all askers."""
        for task in self._making:
            task.cancel()
        for asker in self._askers.values():
            asker.close()
        if self._transport is not None:
            self._transport.close()

    async def _ask(self, data: bytes, addr: Address) -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Answers(lambda answer: self._answer(answer, addr)), remote_addr=self._target
        )
        if len(self._askers) >= _MOST_ASKERS:
            self._askers.pop(next(iter(self._askers))).close()
        if (twin := self._askers.pop(addr, None)) is not None:
            twin.close()
        self._askers[addr] = transport
        transport.sendto(data)

    def _answer(self, data: bytes, addr: Address) -> None:
        if self._back() and self._transport is not None:
            self._transport.sendto(data, addr)


class _Answers(asyncio.DatagramProtocol):
    def __init__(self, tell: Callable[[bytes], None]) -> None:
        self._tell = tell

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._tell(data)

    def error_received(self, exc: Exception) -> None:
        """The server is not there: as on any network, nobody answers."""
