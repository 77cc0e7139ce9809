"""A PostgreSQL cluster of dev's own: in the data folder, on loopback, synced to disk, never as root."""

import os
import secrets
import shutil
import subprocess
from pathlib import Path

from catalyst_mesh.keyfiles import kept

from . import nobody
from .databases import USER, DatabaseUnusable, Server
from .layout import Layout

OPTIONS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "shared_buffers=32MB",
    "max_connections=400",
    "log_error_verbosity=terse",
    "log_parameter_max_length=0",
)  # fmt: skip - a list
"""Three replicas of seven daemons may hold 378 connections; each costs memory only while it is open. Its log quotes no values
of rows, which are people's names and addresses: not in the details of errors, nor where somebody logs statements."""


def program(name: str) -> str:
    """Path of one of PostgreSQL's programs. Raises DatabaseUnusable where it is not installed."""
    debian = sorted((str(path) for path in Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    found = shutil.which(name, path=os.pathsep.join([*debian, os.environ.get("PATH", "")]))
    if found is None:
        raise DatabaseUnusable(f"PostgreSQL's {name} is not installed: install the package postgresql")
    return found


def server(layout: Layout) -> Server:
    """Where it listens, and the password that only this user can read."""
    layout.cluster.mkdir(exist_ok=True, mode=0o700)
    password = kept(layout.folder / "postgres.password", lambda: secrets.token_urlsafe(24))
    return Server("127.0.0.1", layout.port("postgres"), USER, password)


def environment(layout: Layout) -> dict[str, str]:
    """All that PostgreSQL's programs are told."""
    return {"HOME": str(layout.cluster), "PATH": os.defpath, "LC_ALL": "C.UTF-8"}


def make(layout: Layout) -> list[str]:
    """The command of the server; its cluster is made where there is none. Raises DatabaseUnusable."""
    where = server(layout)
    try:
        nobody.open_way(layout.folder, layout.cluster, "PostgreSQL")
    except nobody.CannotDescend as error:
        raise DatabaseUnusable(str(error)) from error
    data = layout.cluster / "data"
    if not data.exists():
        _initialise(layout, where.password)
    settings = [word for option in (*OPTIONS, f"port={where.port}") for word in ("-c", option)]
    return [*_prefix(), program("postgres"), "-D", str(data), *settings]


def _initialise(layout: Layout, password: str) -> None:
    """Make the cluster whole or not at all: a start that was killed leaves a folder that the next one throws away."""
    fresh, file = layout.cluster / "data.new", layout.cluster / "password.new"
    shutil.rmtree(fresh, ignore_errors=True)
    file.write_text(password)
    file.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(file, nobody.NOBODY, nobody.NOBODY)
    command = ["-D", str(fresh), "-U", USER, "-A", "scram-sha-256", "--pwfile", str(file), "-E", "UTF8", "--locale=C"]
    try:
        subprocess.run(
            [*_prefix(), program("initdb"), *command], check=True, cwd=layout.cluster, env=environment(layout),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise DatabaseUnusable(f"initdb failed: {error.stderr.strip()[-500:]}") from error
    finally:
        file.unlink()
    fresh.rename(layout.cluster / "data")


def _prefix() -> list[str]:
    try:
        return nobody.prefix("PostgreSQL")
    except nobody.CannotDescend as error:
        raise DatabaseUnusable(str(error)) from error
