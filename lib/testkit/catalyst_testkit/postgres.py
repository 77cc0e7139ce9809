"""A real PostgreSQL server for tests: started on loopback as nobody, one fresh database a test, ended with the test run."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import asyncpg

from .emptying import emptied, shape
from .servers import drop, folder, free_port, need
from .waiting import eventually_sync

FAST = ("fsync=off", "full_page_writes=off", "shared_buffers=32MB", "max_connections=300")
"""For tests only: what a power failure would lose. A killed server still loses nothing, for which each commit has to be
handed to the system at least: `synchronous_commit` stays on."""


class PostgresServer:
    """One server in a folder of its own; a restarted one keeps port and data."""

    def __init__(self, home: Path, settings: Sequence[str] = FAST) -> None:
        self.home = home
        self._settings = settings
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._templates: dict[str, str] = {}
        """The shape of each package's tables; see `emptying`."""
        self._shelf: dict[str, list[str]] = {}
        """Databases of each package that are as good as new."""

    def start(self) -> None:
        """Start, or start again after a stop or a kill; returns when it answers."""
        for _ in range(3):  # somebody may take the port between our look and the server's
            self.port = self.port or free_port()
            self._launch()
            if eventually_sync(self._answers_or_ended, within=60, what="PostgreSQL answers") == "up":
                return
            self.port = 0
        raise AssertionError(f"PostgreSQL does not start:\n{(self.home / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        """End it in peace, whoever is connected (a fast shutdown)."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """End it as a crash would: no checkpoint, no farewell (an immediate shutdown, which reaches its children too)."""
        self._signal(signal.SIGQUIT)

    def restart(self) -> None:
        """Stop and start again on the same port."""
        self.stop()
        self.start()

    async def database(self, name: str = "", *, package: str = "") -> str:
        """Make a fresh database; its URL, `postgresql+asyncpg://…`.

        package   a daemon's, whose tables are to be there already: copied, which costs a tenth of making them
        """
        name = name or f"t{os.getpid()}_{next(self._numbers)}"
        template = f"TEMPLATE {await self._template(package)}" if package else ""
        await self.execute(f'CREATE DATABASE "{name}" {template} STRATEGY file_copy')
        return self._url(name)

    async def lend(self, package: str) -> str:
        """A database as good as new; its URL. Give it back with `take_back`."""
        shelf = self._shelf.setdefault(package, [])
        return shelf.pop() if shelf else await self.database(package=package)

    async def take_back(self, url: str, package: str) -> None:
        """Empty a database that was lent, for the next one; drop it where it was changed in more than its rows."""
        if package and await emptied(_plain(url), self._templates[package]):
            self._shelf[package].append(url)
        else:
            await self.drop(url)

    async def _template(self, package: str) -> str:
        name = f"template_{package}"
        if package not in self._templates:
            from .migrated import migrated  # here: most who load this plugin have no daemon's tables

            await self.execute(f'CREATE DATABASE "{name}"')
            await migrated(self._url(name), package)
            self._templates[package] = await shape(_plain(self._url(name)))
        return name

    def _url(self, name: str) -> str:
        return f"{self._address.replace('postgresql:', 'postgresql+asyncpg:')}/{name}"

    async def drop(self, url: str) -> None:
        """Throw a database away, whoever is still connected."""
        await self.execute(f'DROP DATABASE IF EXISTS "{url.rpartition("/")[2]}" WITH (FORCE)')

    async def execute(self, statement: str) -> None:
        """Run a statement as the server's own operator."""
        connection = await asyncpg.connect(f"{self._address}/postgres")
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def demand_password(self, role: str) -> None:
        """Ask `role` for its password from now on; all others are believed."""
        rules = self.home / "data" / "pg_hba.conf"
        rules.write_text(f"host all {role} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        await self.execute("SELECT pg_reload_conf()")

    @property
    def _address(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}"

    def _launch(self) -> None:
        data, options = self.home / "data", [f"port={self.port}", "listen_addresses=127.0.0.1"]
        options += [f"unix_socket_directories={self.home}", *self._settings]
        environment = {"HOME": str(self.home), "PATH": os.defpath, "LC_ALL": "C.UTF-8"}
        if not data.exists():
            initdb = need("initdb", package="postgresql")
            command = ["-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
            subprocess.run(
                [*drop(), initdb, *command], check=True, cwd=self.home, env=environment, stdout=subprocess.DEVNULL
            )
        server = [need("postgres", package="postgresql"), "-D", str(data)]
        server += [word for option in options for word in ("-c", option)]
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*drop(), *server], cwd=self.home, env=environment, stdout=log, stderr=log
            )  # fmt: skip - one call

    def _answers_or_ended(self) -> str:
        assert self._process is not None
        if self._process.poll() is not None:
            return "ended"
        ready = [need("pg_isready", package="postgresql"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return "up" if subprocess.run(ready, check=False).returncode == 0 else ""

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(60)


@contextmanager
def postgres_server(settings: Sequence[str] = FAST) -> Iterator[PostgresServer]:
    """A running server for the block."""
    home = folder()
    server = PostgresServer(home, settings)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def fresh_database(server: PostgresServer, package: str = "") -> Iterator[str]:
    """A database for the block, for fixtures that are no coroutines; its URL."""
    # A loop of its own that is never set as the thread's: the test that follows has another one.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        url = runner.run(server.lend(package))
        yield url
        runner.run(server.take_back(url, package))


def _plain(url: str) -> str:
    """The address as PostgreSQL's own tools read it."""
    return url.replace("postgresql+asyncpg:", "postgresql:")
