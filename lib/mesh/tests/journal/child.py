"""A replica of its own process, to be killed, frozen and stopped: `python child.py <url> <folder> <lease seconds>`.

Effects are lines of the file `effects` in the folder, appended in one write each, so that they survive any death.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from catalyst_mesh import Database
from catalyst_mesh.journal import Context, Engine, Kind, Step
from catalyst_testkit import eventually

STEPS = 48
WIDTH = 8


class Effects:
    """A folder that remembers what was done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str) -> None:
        with os.fdopen(os.open(self.folder / "effects", os.O_CREAT | os.O_APPEND | os.O_WRONLY), "w") as file:
            file.write(f"{name}\n")

    def all(self) -> list[str]:
        file = self.folder / "effects"
        return file.read_text().split() if file.exists() else []


def forty_eight(folder: Path) -> Kind:
    """48 steps, six in a row and eight beside one another, each with one effect and a check."""
    effects = Effects(folder)

    async def run(ctx: Context) -> None:
        await asyncio.sleep(0.01)
        effects.add(ctx.step.name)
        await asyncio.sleep(0.01)

    async def check(ctx: Context) -> str | None:
        return "found" if ctx.step.name in effects.all() else None

    def graph(_input: Mapping[str, Any]) -> Iterator[Step]:
        for n in range(STEPS):
            needs = (f"s{n - WIDTH}",) if n >= WIDTH else ()
            yield Step(f"s{n}", run, check=check, needs=needs)

    return Kind("forty-eight", graph, takeovers=100)


def freezer(folder: Path) -> Kind:
    """One step, in which its first holder waits for the file `go`, and then notes how the journal receives it."""
    effects = Effects(folder)

    async def run(ctx: Context) -> None:
        effects.add(f"entered-{ctx.attempt}")
        try:
            if ctx.attempt == 1:
                await eventually((folder / "go").exists, within=60)
            await ctx.emit("resource.created", f"attempt {ctx.attempt}")
        except BaseException as error:
            effects.add(type(error).__name__)
            raise

    return Kind("freezer", lambda _input: [Step("a", run)])


def kinds(folder: Path) -> list[Kind]:
    return [forty_eight(folder), freezer(folder)]


async def main(url: str, folder: str, lease: str) -> None:
    db = await Database.open(url)
    ttl = timedelta(seconds=float(lease))
    engine = Engine(db, kinds=kinds(Path(folder)), lease=ttl, poll=0.05, concurrency=4, replica=f"pid{os.getpid()}")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await engine.run(stop)
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
