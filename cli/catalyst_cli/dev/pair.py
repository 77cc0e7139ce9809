"""The PostgreSQL servers of `catalyst dev --pair postgres`: one in each region, streaming to each other, moved by the agents.

An agent starts, stops and promotes the server of its region; here is what makes the first copy, starts a region's server with
the region, and has it die, freeze and end with the region. Each lies in a folder of its own below `pair`, and takes whoever
connects over loopback for its superuser: it is there to be tried.

Invariants
  one home       a folder stays with what its first `--regions` kept rows in;
  nothing left   a server of an earlier dev that was killed is ended before the first one starts.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from . import cluster, nobody, recipes
from .databases import DatabaseUnusable
from .layout import DEMO, POSTGRES, REGIONS, SHOP, Layout, Region

Address = Callable[[str, str], str]
"""Where a region finds a part of the kind and name."""
PROGRAM = "catalyst_promoter_postgres"
SETTINGS = {"shared_buffers": "16MB", "max_connections": "60"}
STOP_WITHIN = 20.0


def settle(layout: Layout, asked: str) -> str:
    """What the regions keep their rows in: as before, or as asked for the first time. Raises DatabaseUnusable."""
    remembered = layout.folder / "regions" / "rows"
    known = remembered.read_text().strip() if remembered.exists() else ""
    if not known and any(layout.region_home(region, SHOP).exists() for region in REGIONS):
        known = DEMO
    if asked and known and asked != known:
        raise DatabaseUnusable(
            f"the regions of {layout.folder} keep their rows in {known}; "
            "choose another --data-dir, or `catalyst dev --clean`"
        )
    kind = known or asked or DEMO
    if kind == POSTGRES:
        _reachable(layout)
    remembered.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    remembered.write_text(kind)
    return kind


def config(layout: Layout, region: Region, address: Address) -> dict[str, Any]:
    """The promoter's configuration in one region: its own server, and the way to the others'."""
    own = {"address": layout.address(region.part(SHOP)), "folder": str(layout.pair / region.cluster)}
    others = {
        other.cluster: {"address": address("peers", other.part(SHOP))} for other in REGIONS if other != region
    }  # fmt: skip
    return {
        "regions": {region.cluster: own, **others},
        "bin": str(Path(cluster.program("pg_ctl")).parent),
        # Without the word by which a server would die with whoever starts it: that is an agent, and a command that ends.
        "prefix": [word for word in nobody.prefix("PostgreSQL") if not word.startswith("--pdeathsig")],
        "settings": SETTINGS,
    }  # fmt: skip - one object


def url(layout: Layout, region: Region) -> str:
    """Where the gateway of a region finds its server."""
    return f"postgresql://postgres@{layout.address(region.part(SHOP))}/postgres?sslmode=disable"


def found(layout: Layout, address: Callable[[Region], Address]) -> None:
    """Make the first copy, in the first region; nothing happens where it is there. Raises DatabaseUnusable."""
    for region in REGIONS:
        stop(layout, region)
        home = layout.pair / region.cluster
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        _file(layout, region).write_text(json.dumps(config(layout, region, address(region))))
    _reachable(layout)
    _do(layout, REGIONS[0], "init")


def start(layout: Layout, region: Region) -> None:
    """Start a region's server as a standby, as its machine does; nothing happens where it has no copy yet."""
    if (layout.pair / region.cluster / "data" / "PG_VERSION").exists():
        with suppress(DatabaseUnusable):  # a copy that is no use: its agent sees to it
            _do(layout, region, "start")


def processes(layout: Layout, region: Region) -> list[int]:
    """Every process that works in the region's data folder."""
    data, known = (layout.pair / region.cluster / "data").resolve(), []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if Path(process.cwd()) == data:
                known.append(process.pid)
    return known


def send(layout: Layout, region: Region, number: int) -> None:
    """Send a signal to all processes of a region's server."""
    for pid in processes(layout, region):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def stop(layout: Layout, region: Region) -> None:
    """End a region's server: in peace, and what does not end so at once."""
    deadline = time.monotonic() + STOP_WITHIN
    send(layout, region, signal.SIGCONT)
    with suppress(OSError, ValueError):
        os.kill(_postmaster(layout, region), signal.SIGINT)
    while processes(layout, region):
        if time.monotonic() > deadline:
            send(layout, region, signal.SIGKILL)
        time.sleep(0.05)


def _postmaster(layout: Layout, region: Region) -> int:
    pid = int((layout.pair / region.cluster / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
    if pid not in processes(layout, region):
        raise ValueError("another process has that number by now")
    return pid


def _reachable(layout: Layout) -> None:
    layout.pair.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        nobody.open_way(layout.folder, layout.pair, "PostgreSQL")
        nobody.prefix("PostgreSQL")
    except nobody.CannotDescend as error:
        raise DatabaseUnusable(str(error)) from error
    cluster.program("pg_ctl")


def _do(layout: Layout, region: Region, what: str) -> None:
    command = [
        sys.executable, "-m", PROGRAM, what, "--config", str(_file(layout, region)), "--region", region.cluster
    ]  # fmt: skip
    done = subprocess.run(
        command, env=recipes.base_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        said: Mapping[str, str] = {"init": "made", "start": "started"}
        raise DatabaseUnusable(f"the database of {region.cluster} was not {said[what]}: {done.stderr.strip()[-500:]}")


def _file(layout: Layout, region: Region) -> Path:
    return layout.folder / "regions" / f"{region.cluster}.promoter.json"
