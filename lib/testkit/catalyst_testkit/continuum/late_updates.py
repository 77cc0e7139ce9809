"""A line to a name server on which updates are late: questions pass, updates arrive when the test says so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_UPDATE = 5
"""Opcode (RFC 2136 section 1.3)."""


class LateUpdates:
    """Carries DNS over TCP; who asks by UDP finds nobody, and comes by TCP."""

    def __init__(self, target: str) -> None:
        self.address = ""
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self.held: list[bytes] = []
        """Updates on their way, oldest first."""

    async def release(self) -> list[int]:
        """Let them arrive, one after the other; the codes of the answers, which nobody waits for any more."""
        codes = []
        while self.held:
            answer = await self._carried(self.held.pop(0))
            codes.append(answer[3] & 15)
        return codes

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry the messages of one connection."""
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    message = await _message(reader)
                    if (message[2] >> 3) & 15 == _UPDATE:
                        self.held.append(message)
                        continue
                    answer = await self._carried(message)
                    writer.write(len(answer).to_bytes(2, "big") + answer)
        finally:
            writer.close()

    async def _carried(self, message: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self._target)
        try:
            writer.write(len(message).to_bytes(2, "big") + message)
            return await _message(reader)
        finally:
            writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))


@asynccontextmanager
async def late_updates(target: str) -> AsyncIterator[LateUpdates]:
    """A line to `target` (`ip:port`) for the block."""
    line = LateUpdates(target)
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    line.address = f"{host}:{port}"
    try:
        yield line
    finally:
        server.close()
