"""The HTTP server as a worker of the daemon: it starts and stops with it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from litestar import Litestar


class HttpServer:
    """uvicorn, without its own signal handling: the daemon decides when to stop."""

    def __init__(self, app: Litestar, listen: str) -> None:
        host, _, port = listen.rpartition(":")
        config = uvicorn.Config(
            app, host=host, port=int(port), log_config=None, access_log=False, lifespan="on",
            timeout_graceful_shutdown=3, server_header=False,
        )  # fmt: skip
        self._server = _Server(config)

    @property
    def port(self) -> int:
        """Where it listens; 0 until it does."""
        servers = self._server.servers if self._server.started else []
        return int(servers[0].sockets[0].getsockname()[1]) if servers else 0

    async def is_up(self) -> bool:
        """Whether it answers."""
        return self._server.started

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`. Open streams get three seconds to end."""
        serving = asyncio.create_task(self._server.serve())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        self._server.should_exit = True
        stopping.cancel()
        await serving


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
