"""A receiver of webhooks on this machine, which verifies what it gets by a foreign library and answers as it is told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from standardwebhooks.webhooks import Webhook


@dataclass
class Receiver:
    """Everything that came, in its order."""

    port: int = 0
    status: int = 204
    headers: str = ""
    open: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is not set, nothing is answered."""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.got]

    @property
    def types(self) -> list[str]:
        return [json.loads(body)["type"].removeprefix("catalyst.v1.environment.") for _, body in self.got]

    def verifies(self, secret: str, *, number: int = -1) -> bool:
        """Whether a library that others made signs what came as it is signed, by `secret`.

        Not its `verify`, which wants the time of this machine: a house has a clock of its own.
        """
        headers, body = self.got[number]
        when = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        return Webhook(secret).sign(headers["webhook-id"], when, body.decode()) in headers["webhook-signature"].split()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            _, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers: Any = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.got.append((headers, body))
            await self.open.wait()
            writer.write(
                f"HTTP/1.1 {self.status} x\r\n{self.headers}content-length: 2\r\nconnection: close\r\n\r\nok".encode()
            )
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the sender has gone
        finally:
            writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """One that takes everything until it is told otherwise."""
    one = Receiver()
    one.open.set()
    server = await asyncio.start_server(one.answer, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        one.open.set()
        server.close()
