"""One process that has imported what all of dev's programs share, and forks them: seven daemons, one copy of the libraries.

Each daemon and each cell is a process of its own all the same: it can be killed, and is started again. The zygote makes no
channel, no thread and no event loop, so a fork finds nothing half-done (gRPC must not have been used before a fork).

Wire: JSON lines. In: `{"number", "module", "words", "env", "log"}`. Out: `{"pid", "number"}` for each, and `{"ended", "code"}`
when a child has ended.
"""

import asyncio
import gc
import importlib
import json
import os
import runpy
import select
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

from .kernel import die_with_parent, rename
from .layout import PACKAGES

PRELOADED = (
    *(f"{package}.app" for package in PACKAGES.values()),
    "catalyst_mesh.migrations",
    "catalyst_mesh.journal",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "uvloop",
    "dns.asyncquery",
    *(f"catalyst_dns_embedded.{part}" for part in ("control", "server", "signing", "tree", "withheld")),
)  # fmt: skip - modules, not wiring
"""Importing a composition root wires nothing; that is a rule of the house."""


WITHIN = 120.0
"""Seconds within which a child is born, even while the zygote still imports on a slow machine."""


class Forked:
    """A child of the zygote, with the face of a subprocess."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = asyncio.Event()

    def end(self, code: int) -> None:
        """The zygote saw it end."""
        self.returncode = code
        self._ended.set()

    async def wait(self) -> int:
        """Its exit code, negative for a signal."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode


class Zygote:
    """The supervisor's side."""

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        self._log = log
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._numbers = count()
        self._asked: dict[int, asyncio.Future[Forked]] = {}
        """Who waits for a child, by the number of the wish: one that was given up must not be another's."""
        self._children: dict[int, Forked] = {}
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The zygote's own process id."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def warm(self) -> None:
        """Start it, so that it imports while others are made ready."""
        async with self._turn:
            await self._running()

    async def fork(self, module: str, words: Sequence[str], env: Mapping[str, str], log: Path) -> Forked:
        """Start `python -m module words…` as a fork. A zygote that died is started again."""
        async with self._turn:
            process = await self._running()
            assert process.stdin is not None
            number = next(self._numbers)
            # The child itself and not its process id: it may have ended before we come to look.
            born: asyncio.Future[Forked] = asyncio.get_running_loop().create_future()
            self._asked[number] = born
            told = {"number": number, "module": module, "words": list(words), "env": dict(env), "log": str(log)}
            process.stdin.write(json.dumps(told).encode() + b"\n")
            try:
                async with asyncio.timeout(WITHIN):
                    await process.stdin.drain()
                    return await born
            finally:
                del self._asked[number]

    async def stop(self) -> None:
        """End it; its children are stopped before."""
        if self._process is not None and self._process.returncode is None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            await self._process.wait()
        if self._reading is not None:
            await self._reading

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "catalyst_cli.dev.zygote",
                    env=dict(self._environment),
                    stderr=log,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    start_new_session=True,
                    preexec_fn=die_with_parent,
                )  # fmt: skip - one call
            self._reading = asyncio.create_task(self._read(self._process))
        return self._process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            told = json.loads(line)
            if "pid" in told:
                self._children[told["pid"]] = child = Forked(told["pid"])
                born = self._asked.get(told["number"])
                if born is None or born.done():
                    with suppress(ProcessLookupError):
                        os.kill(child.pid, signal.SIGTERM)  # nobody waits for it any more
                else:
                    born.set_result(child)
            else:
                self._children.pop(told["ended"]).end(told["code"])
        await process.wait()
        for born in self._asked.values():
            if not born.done():
                born.set_exception(ConnectionError("the process that daemons are forks of has died"))
        for child in self._children.values():
            child.end(-signal.SIGKILL)  # children do not outlive it
        self._children.clear()


def main() -> None:
    """The zygote's own loop: import, then fork as told until the input ends."""
    gc.disable()  # it would look at all modules again and again, which takes as long as half the imports
    for module in PRELOADED:
        # A daemon that cannot be imported says so itself, in its own log, and keeps none of the others from starting.
        with suppress(Exception):
            importlib.import_module(module)
    # What is shared stays shared: the collector writes into what it looks at. What is garbage by now stays as well, since
    # children would put what is theirs into the holes that it left, and copy the pages around them.
    gc.freeze()
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    pending = b""
    while True:
        ready, _, _ = select.select([0, wake], [], [])
        if wake in ready:
            os.read(wake, 64)
            _reap()
        if 0 in ready:
            data = os.read(0, 65536)
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                _fork(json.loads(line), (wake, woken))


def _fork(told: Mapping[str, object], ours: tuple[int, int]) -> None:
    pid = os.fork()
    if pid:
        _say({"pid": pid, "number": int(str(told["number"]))})
        return
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for fd in ours:
        os.close(fd)
    gc.enable()
    _become(str(told["module"]), list(told["words"]), dict(told["env"]), str(told["log"]))  # type: ignore[call-overload]


def _become(module: str, words: list[str], env: dict[str, str], log: str) -> None:
    """The rest of a child's life."""
    code = 1
    try:
        os.setsid()
        die_with_parent()
        rename(module.removeprefix("catalyst_"))
        out, null = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), os.open(os.devnull, os.O_RDONLY)
        for fd, target in ((null, 0), (out, 1), (out, 2)):
            os.dup2(fd, target)
        os.environ.clear()
        os.environ.update(env)
        sys.argv = [module, *words]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            os.write(2, f"{end.code}\n".encode())
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _reap() -> None:
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            _say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _say(told: Mapping[str, int]) -> None:
    os.write(1, json.dumps(told).encode() + b"\n")


if __name__ == "__main__":
    main()
