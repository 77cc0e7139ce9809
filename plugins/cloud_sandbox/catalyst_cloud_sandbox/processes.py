"""The process of a simulated server: a folder with its description, and the lock that its process holds while it lives.

A lock instead of a remembered pid: the kernel frees it however the process dies, and no stranger is ever taken for it.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

DESCRIPTION = "server.json"
LOCK = "agent.lock"
LOG = "agent.log"
GRACE = 3.0
"""Seconds between SIGTERM and SIGKILL."""
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR")
"""What an agent gets of its starter's environment; that of a daemon may hold secrets."""


def places(account: Path) -> Iterator[Path]:
    """The folders of all servers, also of those that exist no more."""
    servers = account / "servers"
    yield from sorted(servers.iterdir()) if servers.is_dir() else ()


def place(account: Path, id: str) -> Path:
    """The folder of one server."""
    return account / "servers" / id


def describe(place: Path, description: Mapping[str, Any]) -> None:
    """Write what the agent is told about its server; untouched while nothing changed."""
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = json.dumps(description, indent=1, sort_keys=True)
    with contextlib.suppress(FileNotFoundError):
        if (place / DESCRIPTION).read_text(encoding="utf-8") == text:
            return
    fresh = place / f"{DESCRIPTION}.{os.getpid()}"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # user data holds a one-time token
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(place / DESCRIPTION)


def start(place: Path) -> bool:
    """Start the agent unless it runs. True if it was started; it holds its lock when this returns."""
    if pid(place) is not None:
        return False
    environment = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
    environment |= {"MALLOC_ARENA_MAX": "2", "GRPC_VERBOSITY": "NONE"}
    with (place / LOG).open("ab") as log:
        # It leaves us at once (agent/__main__.py), so this child ends soon and the agent is nobody's zombie.
        subprocess.run(
            [sys.executable, "-m", "catalyst_cloud_sandbox.agent", "--folder", str(place)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=environment,
            check=False,
        )
    return True


def pid(place: Path) -> int | None:
    """The process that holds the lock of this server; None: none does."""
    try:
        with (place / LOCK).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0)
    except FileNotFoundError:
        pass
    return None


def stop(place: Path) -> bool:
    """End the agent and wait until it has. True if it ran."""
    running = pid(place)
    if running is None:
        return False
    for sent in (signal.SIGTERM, signal.SIGKILL):
        running = pid(place)
        if running:
            with contextlib.suppress(ProcessLookupError):
                # The agent leads a session of its own: its children end with it.
                os.killpg(running, sent)
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline:
            if pid(place) is None:
                return True
            time.sleep(0.01)
    raise TimeoutError(f"the simulated server in {place.name} does not end")


def remove(place: Path) -> None:
    """Forget a server that exists no more."""
    shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def only_one(account: Path) -> Iterator[None]:
    """Hold others off the processes of an account, those of other programs too."""
    with (account / "processes.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def beside_others(account: Path) -> Iterator[None]:
    """Hold off who wants to be the only one; several at a time may be here."""
    with (account / "processes.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def take(place: Path) -> BinaryIO | None:
    """Take the lock for this process and those that it forks; None if another one holds it."""
    file = (place / LOCK).open("a+b")
    deadline = time.monotonic() + 0.2  # somebody who only looks holds it for an instant
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
            return file
        except BlockingIOError:
            if time.monotonic() > deadline:
                file.close()
                return None
            time.sleep(0.005)
