"""Two replicas of every daemon on PostgreSQL: any one of them may die at any moment, and nobody notices."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx
import pytest
from catalyst_cli.dev.layout import DAEMONS, Layout

from .devs import Dev
from .test_first_sovereign import ALIVE, ended_well, heard, once_each, reached, run_of

VICTIMS = (
    ("name.reserve", "pdm-2"),
    ("infra", "catalog-1"),
    ("dns.commit", "gateway-2"),
    ("enrol", "provisioner-1"),
    ("kit", "billing-1"),
    ("probe", "continuum-2"),
)
"""Who dies when a step of that name is under way. Agents call the first provisioner as long as it lives."""
GOING = ("RUNNING", "WAITING", "SUCCEEDED")


@pytest.fixture
def two(folder: Path) -> Iterator[Dev]:
    """A dev with two replicas of each daemon on a PostgreSQL of its own."""
    own = Dev(folder, options=("--replicas", "2", "--database", "postgres"))
    own.start()
    yield own
    own.stop()


def kill(dev: Dev, name: str) -> int:
    """Kill a process as a crash would; the pid that it had."""
    pid = dev.pid(name)
    os.kill(pid, signal.SIGKILL)
    return pid


def lives_again(dev: Dev, name: str, before: int) -> bool:
    """Whether a killed process was started again and is ready for calls."""
    with suppress(httpx.HTTPError, StopIteration):
        replica = next(one for one in Layout(dev.folder, dev.base, count=2).all_replicas() if one.name == name)
        side = Layout(dev.folder, dev.base, count=2).side_port(replica)
        return dev.pid(name) != before and httpx.get(f"http://127.0.0.1:{side}/readyz").status_code == 200
    return False


@pytest.mark.chaos
def test_a_sovereign_comes_and_goes_while_each_daemon_loses_a_replica(two: Dev) -> None:
    creating = two.background("sovereign", *ALIVE)
    run = run_of(two)
    killed = {}
    for moment, name in VICTIMS:
        two.until(partial(reached, two, run, moment, GOING), 60, f"{moment} began")
        killed[name] = kill(two, name)
    ended_well(two, creating)
    once_each(two)
    for name, pid in killed.items():
        two.until(partial(lives_again, two, name, pid), 60, f"{name} was started again")
    gone = two.background("sovereign", "destroy", "omantel", "--yes", "--output", "json")
    two.until(lambda: two.api.get("/v1/sovereigns/omantel")["lastRun"] not in ("", run), 60, "the destruction began")
    for daemon in DAEMONS:  # all at once, and those that lived through it all until now
        kill(two, f"{daemon}-2" if f"{daemon}-1" in killed else f"{daemon}-1")
    out, err = gone.communicate(timeout=480)
    assert gone.returncode == 0, err[-3000:]
    assert json.loads(out)["state"] == "STATE_DESTROYED"
    assert two.agents() == []
    rows = two.until(lambda: heard(two, "catalyst.v1.continuum.lease.lost"), 60, "the lease's end was told")
    assert [row["subject"] for row in rows].count("catalyst.v1.provisioner.sovereign.destroyed") == 1
