"""The agent, wired: listener, line home, tree, time. Ends when its server is deleted, powered off or told to stop."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import commands, description, identity, reports
from .cluster import Cluster
from .description import Description
from .listener import listen
from .pages import Page, Site, answer
from .tree import NotPulled, look, pull, pull_workloads
from .uplink import Uplink

TREE_INTERVAL = 15.0
"""Simulated seconds between two looks at the tree; never below SHORTEST_INTERVAL real ones."""
SHORTEST_INTERVAL = 0.5
LOOK_AROUND = 0.5
"""Seconds between two looks at what the cloud says about the server."""
LONGEST_REST = 5.0
SLOWEST_PULL = 30.0
"""Longest pause between two tries to have the files of Applications, in seconds."""
KUBE = f"{__package__}.kube"


class Agent:
    """One simulated cluster and what it does beside talking."""

    def __init__(self, folder: Path, here: Description, making: identity.Making) -> None:
        self._folder = folder
        self._cluster = Cluster(folder, here, time.time)
        self._uplink = Uplink(folder, self._cluster, self._obey, making)
        self._tree_changed = asyncio.Event()
        self._workloads_changed = asyncio.Event()
        self._stirred = asyncio.Event()
        self._last_problem = ""
        self._api: subprocess.Popen[bytes] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Be the cluster until `stop`."""
        self._cluster.begin()
        self._serve_api()
        works = (self._serve(), self._uplink.run(), self._pull(), self._pull_workloads(), self._move(), _until(stop))
        tasks = {asyncio.create_task(work) for work in works}
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()  # a bug ends the process with its traceback in agent.log, and the keeper starts it again

    async def look_around(self, stop: asyncio.Event) -> None:
        """Notice what the cloud did: nodes that came and went, the end of this server."""
        while not stop.is_set():
            here = description.read(self._folder)
            if here is None or not here.is_on:
                stop.set()
            elif here != self._cluster.here:
                self._cluster.here = here
                self._stirred.set()
            await asyncio.sleep(LOOK_AROUND)

    async def _serve(self) -> None:
        while True:
            here = self._cluster.here
            try:
                server = await listen(here.address, here.port, self._page)
            except OSError as error:
                # Somebody else may sit on the address for a moment, such as this server's former process.
                self._complain(f"{here.address}:{here.port} cannot be bound: {error.strerror}")
                await asyncio.sleep(0.2)
                continue
            async with server:
                await server.serve_forever()

    async def _move(self) -> None:
        while True:
            rest = self._cluster.move()
            self._stirred.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(LONGEST_REST, LONGEST_REST if rest is None else rest)):
                    await self._stirred.wait()

    async def _pull(self) -> None:
        seen = ""
        interval = max(SHORTEST_INTERVAL, TREE_INTERVAL * self._cluster.here.time_scale)
        while True:
            self._tree_changed.clear()
            with contextlib.suppress(NotPulled):
                seen = await self._pull_once(seen)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval if self._uplink.identity else SHORTEST_INTERVAL / 5):
                    await self._tree_changed.wait()
                seen = ""

    async def _pull_once(self, seen: str) -> str:
        who = self._uplink.identity
        if who is None or not who.tree.url or self._cluster.memory.suspended or not self._cluster.is_booted:
            return ""
        try:
            now = await look(who.tree)
            if now != seen:
                self._cluster.take_over(await pull(who.tree, self._folder / "tree"))
                self._stirred.set()
        except NotPulled as problem:
            self._complain(f"the tree is not pulled: {problem}")
            raise
        self._last_problem = ""
        return now

    async def _pull_workloads(self) -> None:
        """Bring the commits here that are wished; what could not be had is tried again, later each time."""
        shortest = max(SHORTEST_INTERVAL, TREE_INTERVAL * self._cluster.here.time_scale)
        pause = shortest
        while True:
            self._workloads_changed.clear()
            hosted = self._cluster.memory.workloads
            if hosted.to_pull() and self._cluster.is_booted and not self._cluster.memory.suspended:
                with contextlib.suppress(NotPulled):
                    for one, wishes, problem in await pull_workloads(hosted, self._folder / "applications"):
                        self._cluster.pulled(one, wishes, problem)
                    self._stirred.set()
                pause = min(SLOWEST_PULL, pause * 2)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause if hosted.to_pull() else None):
                    await self._workloads_changed.wait()
                pause = shortest

    def _obey(self, command: commands.Command) -> reports.Report | None:
        who = self._uplink.identity
        if who and command.HasField("tree"):
            self._uplink.pull_from(commands.next_tree(who.tree, command.tree))
        answer = commands.obey(command, self._cluster)
        if command.WhichOneof("command") in ("tree", "reconcile"):
            self._tree_changed.set()
            self._stirred.set()
        if command.HasField("reboot"):
            self._stirred.set()
        if command.HasField("workloads"):
            self._workloads_changed.set()
            self._stirred.set()
        self._serve_api()
        return answer

    def _serve_api(self) -> None:
        """Have a process serve the Kubernetes API, where somebody has access; it ends with us, however we end."""
        if self._cluster.memory.grants and (self._api is None or self._api.poll() is not None):
            command = [sys.executable, "-m", KUBE, str(self._folder)]
            self._api = subprocess.Popen(command, stdin=subprocess.PIPE)

    def _page(self, host: str, path: str) -> Page:
        who, here = self._uplink.identity, self._cluster.here
        name = here.cluster.rsplit("/", 1)[-1]
        site = Site(who.fqdn if who else "", name, here.region, here.name, self._cluster.releases)
        return answer(site, host, path)

    def _complain(self, problem: str) -> None:
        """Say it once, at home and in the log."""
        if problem != self._last_problem:
            self._last_problem = problem
            self._cluster.warn(problem)
            print(f"simulated agent: {problem}", flush=True)  # noqa: T201 - agent.log


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()


async def _live(folder: Path, here: Description, making: identity.Making) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sent in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sent, stop.set)
    agent = Agent(folder, here, making)
    watching = asyncio.create_task(agent.look_around(stop))
    try:
        await agent.run(stop)
    finally:
        watching.cancel()


def main(folder: Path, making: identity.Making) -> None:
    """Run in this process until the server is gone. `making` is where key and request come from, if not there yet."""
    here = description.read(folder)
    if here is not None:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_live(folder, here, making))
