"""The HTTP server as a worker of the daemon: it starts and stops with it."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from catalyst_mesh.addresses import apart


class HttpServer:
    """uvicorn, without its own signal handling: the daemon decides when to stop.

    With `shared`, other processes may listen at the same address; the kernel gives a connection to one that lives.
    """

    def __init__(self, app: Any, listen: str, *, shared: bool = False) -> None:
        host, port = apart(listen)
        self._address = (host, port) if shared else None
        config = uvicorn.Config(
            app, host=host, port=port, log_config=None, access_log=False, lifespan="on",
            timeout_graceful_shutdown=3, server_header=False,
            proxy_headers=False,  # who asks is found out by our own rule (`addresses`)
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
        serving = asyncio.create_task(self._server.serve(self._sockets()))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        self._server.should_exit = True
        stopping.cancel()
        await serving

    def _sockets(self) -> list[socket.socket] | None:
        if self._address is None:
            return None
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        return [socket.create_server(self._address, family=family, reuse_port=True)]


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
