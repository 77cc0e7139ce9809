"""Real processes on one database: killed with SIGKILL, frozen beyond their lease, stopped in order."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from catalyst_mesh import SystemClock
from catalyst_mesh.journal import Engine
from catalyst_testkit import eventually
from catalyst_testkit.servers import ended

from . import child
from .bench import Bench, codes, events, holds, reaches

LEASE = 0.8
KILLS = 4


class Replicas:
    """Processes of `child.py`."""

    def __init__(self, url: str, folder: Path) -> None:
        self._command = [sys.executable, child.__file__, url, str(folder)]
        self.alive: list[subprocess.Popen[bytes]] = []

    def start(self, lease: float = LEASE) -> subprocess.Popen[bytes]:
        self.alive.append(subprocess.Popen([*self._command, str(lease)]))
        return self.alive[-1]

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()
        self.alive.remove(process)


@pytest.fixture
def replicas(bench: Bench, tmp_path: Path) -> Iterator[Replicas]:
    started = Replicas(bench.url, tmp_path)
    yield started
    for process in list(started.alive):
        started.kill(process)


def onlooker(bench: Bench, folder: Path, **others: Any) -> Engine:
    """An engine on the real clock, in this process."""
    options: dict[str, Any] = {
        "clock": SystemClock(),
        "lease_now": None,
        "lease": timedelta(seconds=LEASE),
        "poll": 0.05,
    }
    return bench.engine(*child.kinds(folder), **options | others)


@pytest.mark.chaos
async def test_kill_9_in_mid_run_loses_and_doubles_nothing(bench: Bench, replicas: Replicas, tmp_path: Path) -> None:
    effects, engine = child.Effects(tmp_path), onlooker(bench, tmp_path)
    run = (await engine.start("forty-eight", subject="s", key="k", input={})).id
    for _ in range(2):
        replicas.start()
    for _ in range(KILLS):
        enough = len(effects.all()) + random.randint(1, 8)
        await eventually(lambda n=enough: len(effects.all()) >= n, within=60, every=0.001, what="effects")  # type: ignore[misc]
        holder = await process_of(bench, replicas)
        replicas.start()
        if holder:
            replicas.kill(holder)
    await reaches(engine, run, "succeeded", within=60)
    assert Counter(effects.all()) == Counter({f"s{n}": 1 for n in range(child.STEPS)})
    told = await codes(engine, run)
    assert told.count("run.taken_over") >= 1
    assert sorted(code for code in told if code.startswith("step.succeeded")) == sorted(
        f"step.succeeded s{n}" for n in range(child.STEPS)
    )


async def process_of(bench: Bench, replicas: Replicas) -> subprocess.Popen[bytes] | None:
    """The process that holds the run; None at the moments when none does."""
    async with bench.db.read() as sql:
        owner = (await sql.exec_driver_sql("SELECT owner FROM journal_run")).scalar_one()
    pid = int(owner.split(".")[0].removeprefix("pid")) if owner else None
    return next((process for process in replicas.alive if process.pid == pid), None)


@pytest.mark.chaos
async def test_a_frozen_replica_that_wakes_up_writes_nothing(bench: Bench, replicas: Replicas, tmp_path: Path) -> None:
    effects, engine = child.Effects(tmp_path), onlooker(bench, tmp_path)
    run = (await engine.start("freezer", subject="s", key="k", input={})).id
    frozen = replicas.start()
    await eventually(lambda: effects.all() == ["entered-1"], within=60, what="the step is entered")
    os.kill(frozen.pid, signal.SIGSTOP)

    async def taken_over() -> bool:
        await engine.turn()
        return (await engine.status(run)).state == "succeeded"

    await holds(taken_over, within=60)
    before = await events(engine, run)
    (tmp_path / "go").touch()
    os.kill(frozen.pid, signal.SIGCONT)
    await eventually(lambda: len(effects.all()) == 3, within=60, what="the frozen one has noticed")
    assert effects.all()[:2] == ["entered-1", "entered-2"]
    assert effects.all()[2] in {"Fenced", "CancelledError"}
    assert await events(engine, run) == before
    assert [event.message for event in before if event.code == "resource.created"] == ["attempt 2"]
    assert frozen.poll() is None, "it goes on with other work"


@pytest.mark.chaos
async def test_a_replica_that_is_told_to_stop_leaves_its_run_to_another_at_once(
    bench: Bench, replicas: Replicas, tmp_path: Path
) -> None:
    effects, engine = child.Effects(tmp_path), onlooker(bench, tmp_path)
    run = (await engine.start("forty-eight", subject="s", key="k", input={})).id
    told = replicas.start(lease=600)  # nobody could wait for its end
    # Asked as often as in the test above: a longer pause would let a quick replica come to the end.
    await eventually(lambda: len(effects.all()) >= 4, within=60, every=0.001, what="effects")
    told.terminate()
    assert await asyncio.wait_for(ended(told), 60) == 0
    assert len(effects.all()) < child.STEPS, "it has stopped in the middle"
    assert (await engine.status(run)).state == "running"
    replicas.start(lease=600)
    await reaches(engine, run, "succeeded", within=60)
    assert Counter(effects.all()) == Counter({f"s{n}": 1 for n in range(child.STEPS)})
    assert not {"run.taken_over", "step.in_doubt"} & {event.code for event in await events(engine, run)}
