"""Regions whose clocks run at other rates than the world's, by all that is promised about clocks: seen from outside."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .devs import Dev
from .test_regions import Watched, moved_once_and_never_empty

SLOW, FAST = 0.99, 1.01
"""At the edge of what is promised: the holder believes in its right for longest, and its standby waits for the shortest time."""
COMPILER = shutil.which("cc")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    if COMPILER is None:
        pytest.skip("there is no C compiler, which makes the wrong clock")
    path = Path(tempfile.mkdtemp(prefix="catalyst-e2e-"))
    library, source = path / "clock.so", Path(__file__).with_name("wrong_clock.c")
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    dev = Dev(path / "dev", options=("--regions",))
    dev.start()
    yield Watched(dev)
    dev.stop()
    shutil.rmtree(path, ignore_errors=True)


def go_wrong(world: Watched, holder: str, standby: str) -> None:
    """From now on the clocks of both agents run at other rates."""
    library = Path(os.environ["LD_PRELOAD"])
    clusters = {row["place"]: row["name"] for row in world.regions}
    rates = {clusters[holder]: SLOW, clusters[standby]: FAST}
    told = library.with_name("rates")
    told.write_text(
        ",".join([str(time.clock_gettime(time.CLOCK_BOOTTIME)), *(f"{r}={rate}" for r, rate in rates.items())])
    )
    told.rename(f"{library}.rates")
    marks = [Path(f"{library}.{cluster}") for cluster in rates]
    world.until(lambda: all(mark.exists() for mark in marks), "both agents have a wrong clock")


def test_with_clocks_at_the_edge_of_what_is_promised_no_two_regions_write(
    world: Watched,
) -> None:
    holder = world.until(lambda: next((p for p in ("east", "west") if world.leads(p)), ""), "somebody leads")
    standby = "west" if holder == "east" else "east"
    world.until(lambda: world.is_protected(holder), "its standby has every write")
    before = world.whoami(holder)["epoch"]
    go_wrong(world, holder, standby)
    thread = world.sampling()
    try:
        world.do("region", "cut", holder)
        world.until(lambda: world.leads(standby, above=before), "the standby takes over")
        assert world.write(holder, 1) != 201, "it lives, and gave way by itself"
        assert world.write(standby, 2) == 201
        world.do("region", "heal", holder)
        world.until(lambda: world.whoami(holder)["role"] == "replica" and world.is_protected(standby), "it follows")
    finally:
        world.stop.set()
        thread.join()
    assert not [sample for sample in world.samples if len(sample.writable) > 1]
    moved_once_and_never_empty(world.samples)
    assert world.breaches() == []
