"""`catalyst dev`: how long it takes to come up, and how much memory it has then."""

import asyncio
import subprocess
import sys
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import psutil
from catalyst_cli.dev.layout import PACKAGES
from catalyst_testkit.servers import nats_server

from tests.e2e.devs import Dev

from .harness import Goal, Round, compare, measured
from .table import Table

ROUNDS = 3
MIB = 2**20


def one_after_another() -> None:
    """Import each daemon in a process of its own, and start the NATS server: what nobody can do without."""
    for package in PACKAGES.values():
        subprocess.run([sys.executable, "-c", f"import {package}.app"], check=True)
    with nats_server():
        pass


def pss_of_daemons(dev: Dev) -> list[float]:
    """Proportional memory of each daemon, in MiB."""
    return sorted(psutil.Process(dev.pid(name)).memory_full_info().pss / MIB for name in PACKAGES)


@measured
async def test_dev(table: Table, home: Path) -> None:
    numbers, memory, dearest = count(), [0.0], [0.0]

    def started() -> float:
        dev = Dev(home / f"dev{next(numbers)}")
        began = time.perf_counter()
        dev.start()
        seconds = time.perf_counter() - began
        memory.append(dev.state["pss_mib"])
        dearest.append(pss_of_daemons(dev)[-1])
        dev.stop()
        return seconds

    async def ours() -> Round:
        seconds = await asyncio.to_thread(started)
        return Round([seconds], seconds, 1)

    async def bare() -> Round:
        began = time.perf_counter()
        await asyncio.to_thread(one_after_another)
        return Round([seconds := time.perf_counter() - began], seconds, 1)

    goal = Goal("p50", 2, "six imports and the NATS server, one after another")
    row = await compare("catalyst dev: start (aim 5 s)", goal, ours=ours, bare=bare, rounds=ROUNDS)
    told = f"{max(memory):.0f} MiB PSS of 600, the dearest daemon {max(dearest):.0f} of 80"
    table.add(replace(row, capability=f"{row.capability}; {told}"))
