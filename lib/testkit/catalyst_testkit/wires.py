"""A line between a client and a server on loopback that a test may cut, at once or at exactly one message."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import Enum

COMMIT = b"COMMIT;\0"
"""How asyncpg says COMMIT to PostgreSQL."""


class Fate(Enum):
    """What becomes of a message that a test has its eye on."""

    ARRIVES = "arrives"
    LOST = "lost"
    """It never arrives: the line breaks before it."""
    UNANSWERED = "unanswered"
    """It arrives and is answered, and the line breaks before the answer."""


class Wire:
    """Carries bytes both ways. `decide` is asked for the fate of each message of a client that ends in `watched`."""

    def __init__(self, target: int, *, watched: bytes = COMMIT) -> None:
        self.port = 0
        self._target = target
        self._watched = watched
        self._open: set[asyncio.StreamWriter] = set()
        self.decide: Callable[[], Fate] = lambda: Fate.ARRIVES

    def cut(self) -> None:
        """Break all connections; new ones are taken."""
        for writer in self._open:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection to its end."""
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, there_writer}
        self._open |= ends
        unanswered = asyncio.Event()
        back = asyncio.create_task(_answers(there_reader, writer, unanswered))
        try:
            await self._questions(reader, there_writer, unanswered)
            if unanswered.is_set():
                await back
        finally:
            back.cancel()
            for end in ends:
                end.transport.abort()
            self._open -= ends
            await asyncio.gather(back, return_exceptions=True)

    async def _questions(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, unanswered: asyncio.Event
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                fate = self.decide() if data.endswith(self._watched) else Fate.ARRIVES
                if fate is Fate.LOST:
                    return
                if fate is Fate.UNANSWERED:
                    unanswered.set()
                writer.write(data)
                if unanswered.is_set():
                    return


async def _answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, unanswered: asyncio.Event) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            if unanswered.is_set():  # the server has answered; nobody will hear it
                return
            writer.write(data)
    writer.transport.abort()


@asynccontextmanager
async def wire(target: int, *, watched: bytes = COMMIT) -> AsyncIterator[Wire]:
    """A line to the port `target` for the block; clients connect to its `port`."""
    line = Wire(target, watched=watched)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await line.serve(reader, writer)
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        server.close()
        line.cut()
        await asyncio.gather(*tasks, return_exceptions=True)
