"""One region's process: gateway and database, each on a port of its own."""

import asyncio
import os
import secrets
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import control
from .admission import Admission
from .database import Database
from .gateway import Gateway
from .store import Store
from .stream import Peer, Stream
from .web import Server

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the process of a region is told.

    database, gateway   where the two ports listen; a port 0 is any that is free
    peers               addresses of the databases of all other regions, by region
    token_file          the secret that all regions and their agents share; made where it is not there
    dead_man            the file by which the region's agent vouches for its writers; None: there is none
    """

    folder: Path
    region: str
    database: Address
    gateway: Address
    peers: Mapping[str, str]
    token_file: Path
    dead_man: Path | None = None


def found(folder: Path, region: str) -> str:
    """Make the first copy of a database in `folder`; its system id. Nothing changes where it is one already."""
    store = Store(folder, region)
    try:
        Database(store).found()
        return store.standing.system_id
    finally:
        store.close()


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises OSError, FolderUnusable."""
    secret = token(settings.token_file)
    store = Store(settings.folder, settings.region)
    database = Database(store, settings.dead_man)
    peers = {region: Peer(region, address) for region, address in settings.peers.items()}
    stream = Stream(database, peers, secret)
    gateway = Gateway(database, Admission(settings.folder / "admission.json"))
    servers = [
        Server(control.application(database, stream, secret), *settings.database),
        Server(gateway.application(secret), *settings.gateway),
    ]
    serving = [await server.listen() for server in servers]
    pulling = asyncio.create_task(stream.run())
    ports = [server.servers[0].sockets[0].getsockname()[1] for server in servers]
    print(f"{settings.region} serves: database {ports[0]}, gateway {ports[1]}", flush=True)  # noqa: T201 - for its starter
    await _until_stopped()
    pulling.cancel()
    for server in servers:
        server.should_exit = True
    await asyncio.gather(pulling, *serving, return_exceptions=True)
    await stream.close()
    store.close()


async def stand_before(
    address: str, region: str, at: Address, folder: Path, token_file: Path, dead_man: Path | None
) -> None:
    """Serve a gateway alone, before the PostgreSQL at `address`, until SIGTERM or SIGINT. Raises OSError."""
    from .postgres import Postgres  # needs the extra `postgres`

    gateway = Gateway(Postgres(address, region, dead_man), Admission(folder / "admission.json"))
    server = Server(gateway.application(token(token_file)), *at)
    serving = await server.listen()
    port = server.servers[0].sockets[0].getsockname()[1]
    print(f"{region} serves: gateway {port}", flush=True)  # noqa: T201 - for its starter
    await _until_stopped()
    server.should_exit = True
    await serving


async def _until_stopped() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


def token(path: Path) -> str:
    """The secret in `path`; whoever comes first draws it, and everybody reads a whole one."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        drawn = path.with_name(f"{path.name}.{os.getpid()}")
        fd = os.open(drawn, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(secrets.token_hex(32))
        with suppress(FileExistsError):
            os.link(drawn, path)
        drawn.unlink()
    return path.read_text().strip()
