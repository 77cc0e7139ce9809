"""A PostgreSQL cluster of dev's own: in the data folder, on loopback, synced to disk, never as root."""

import os
import secrets
import shutil
import stat
import subprocess
import sys
from pathlib import Path

from catalyst_mesh.keyfiles import kept

from .databases import USER, DatabaseUnusable, Server
from .layout import Layout

NOBODY = 65534
OPTIONS = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=32MB", "max_connections=400")
"""Three replicas of six daemons may hold 324 connections; each costs memory only while it is open."""


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
    _open_way(layout)
    data = layout.cluster / "data"
    if not data.exists():
        _initialise(layout, where.password)
    settings = [word for option in (*OPTIONS, f"port={where.port}") for word in ("-c", option)]
    return [*_as_nobody(), program("postgres"), "-D", str(data), *settings]


def _initialise(layout: Layout, password: str) -> None:
    """Make the cluster whole or not at all: a start that was killed leaves a folder that the next one throws away."""
    fresh, file = layout.cluster / "data.new", layout.cluster / "password.new"
    shutil.rmtree(fresh, ignore_errors=True)
    file.write_text(password)
    file.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(file, NOBODY, NOBODY)
    command = ["-D", str(fresh), "-U", USER, "-A", "scram-sha-256", "--pwfile", str(file), "-E", "UTF8", "--locale=C"]
    try:
        subprocess.run(
            [*_as_nobody(), program("initdb"), *command], check=True, cwd=layout.cluster, env=environment(layout),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise DatabaseUnusable(f"initdb failed: {error.stderr.strip()[-500:]}") from error
    finally:
        file.unlink()
    fresh.rename(layout.cluster / "data")


def _as_nobody() -> list[str]:
    """Command prefix where dev runs as root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return []
    if sys.platform != "linux" or not shutil.which("setpriv"):
        raise DatabaseUnusable("PostgreSQL does not run as root, and setpriv is not here (package util-linux)")
    # A change of the user forgets whose death is to end the process.
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--pdeathsig=INT"]


def _open_way(layout: Layout) -> None:
    """As root: let nobody come as far as the cluster, and read nothing on the way. Raises DatabaseUnusable."""
    if os.geteuid() != 0:
        return
    os.chown(layout.cluster, NOBODY, NOBODY)
    for beside in layout.folder.iterdir():
        if beside.is_dir() and beside != layout.cluster:
            beside.chmod(0o700)
    layout.folder.chmod(0o711)
    closed = [str(path) for path in layout.folder.parents if not path.stat().st_mode & stat.S_IXOTH]
    if closed:
        raise DatabaseUnusable(
            f"as root, PostgreSQL runs as the user nobody, who cannot enter {closed[0]}; choose a --data-dir elsewhere"
        )
