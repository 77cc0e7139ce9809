"""Real processes on one database: killed with SIGKILL, frozen beyond their lease, stopped in order."""

import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from catalyst_mesh import SystemClock
from catalyst_mesh.journal import Engine
from catalyst_testkit import eventually
from catalyst_testkit.processes import Nursery, nursery

from . import child
from .bench import Bench, codes, events, holds, reaches

LEASE = 0.8
KILLS = 4
DRIVERS = ("asyncpg", "sqlalchemy.dialects.sqlite.aiosqlite", "sqlalchemy.dialects.postgresql.asyncpg")


@dataclass(frozen=True)
class Process:
    """One process of `child.py`."""

    pid: int
    _nursery: Nursery

    @property
    def code(self) -> int | None:
        """Its exit code, negative for a signal; None while it lives."""
        return self._nursery.code(self.pid)

    async def ended(self) -> int:
        """Wait for its end; its exit code."""
        await eventually(lambda: self.code is not None, within=60, what=f"process {self.pid} has ended")
        assert self.code is not None
        return self.code

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)


class Replicas:
    """Processes of `child.py`, forked from one that has imported what they need."""

    def __init__(self, born: Nursery, url: str, folder: Path) -> None:
        self._born = born
        self._url = url
        self._folder = folder
        self.alive: list[Process] = []

    def start(self, lease: float = LEASE) -> Process:
        words = (self._url, str(self._folder), str(lease))
        pid = self._born.fork(child.__file__, os.environ, self._folder / "log", words)
        self.alive.append(Process(pid, self._born))
        return self.alive[-1]

    async def kill(self, process: Process) -> None:
        self.alive.remove(process)
        if process.code is None:
            process.signal(signal.SIGKILL)
        await process.ended()


@pytest.fixture(scope="module")
def born() -> Iterator[Nursery]:
    with nursery("catalyst_mesh.journal", "catalyst_testkit", *DRIVERS) as opened:
        yield opened


@pytest.fixture
async def replicas(bench: Bench, tmp_path: Path, born: Nursery) -> AsyncIterator[Replicas]:
    started = Replicas(born, bench.url, tmp_path)
    yield started
    for process in list(started.alive):
        await started.kill(process)


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
            await replicas.kill(holder)
    await reaches(engine, run, "succeeded", within=60)
    assert Counter(effects.all()) == Counter({f"s{n}": 1 for n in range(child.STEPS)})
    told = await codes(engine, run)
    assert told.count("run.taken_over") >= 1
    assert sorted(code for code in told if code.startswith("step.succeeded")) == sorted(
        f"step.succeeded s{n}" for n in range(child.STEPS)
    )


async def process_of(bench: Bench, replicas: Replicas) -> Process | None:
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
    frozen.signal(signal.SIGSTOP)

    async def taken_over() -> bool:
        await engine.turn()
        return (await engine.status(run)).state == "succeeded"

    await holds(taken_over, within=60)
    before = await events(engine, run)
    (tmp_path / "go").touch()
    frozen.signal(signal.SIGCONT)
    await eventually(lambda: len(effects.all()) == 3, within=60, what="the frozen one has noticed")
    assert effects.all()[:2] == ["entered-1", "entered-2"]
    assert effects.all()[2] in {"Fenced", "CancelledError"}
    assert await events(engine, run) == before
    assert [event.message for event in before if event.code == "resource.created"] == ["attempt 2"]
    assert frozen.code is None, "it goes on with other work"


@pytest.mark.chaos
async def test_a_replica_that_is_told_to_stop_leaves_its_run_to_another_at_once(
    bench: Bench, replicas: Replicas, tmp_path: Path
) -> None:
    effects, engine = child.Effects(tmp_path), onlooker(bench, tmp_path)
    run = (await engine.start("forty-eight", subject="s", key="k", input={})).id
    told = replicas.start(lease=600)  # nobody could wait for its end
    # Asked as often as in the test above: a longer pause would let a quick replica come to the end.
    await eventually(lambda: len(effects.all()) >= 4, within=60, every=0.001, what="effects")
    told.signal(signal.SIGTERM)
    assert await told.ended() == 0
    assert len(effects.all()) < child.STEPS, "it has stopped in the middle"
    assert (await engine.status(run)).state == "running"
    replicas.start(lease=600)
    await reaches(engine, run, "succeeded", within=60)
    assert Counter(effects.all()) == Counter({f"s{n}": 1 for n in range(child.STEPS)})
    assert not {"run.taken_over", "step.in_doubt"} & {event.code for event in await events(engine, run)}
