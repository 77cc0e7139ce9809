"""The processes of `catalyst dev`: started in sessions of their own, watched, ended, and found again after a kill -9."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from catalyst_mesh.waits import ended

from .kernel import die_with_parent
from .zygote import Forked, Zygote

STOP_WITHIN = 25.0
"""Seconds from SIGTERM to SIGKILL; a daemon's own bound."""

REFUSALS = 3
"""Starts that end with a code of failure, until nobody waits for a further one. A child that was killed did not refuse."""


@dataclass
class Child:
    """One process that is kept running until it is stopped."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    process: asyncio.subprocess.Process | Forked | None = None
    restarts: int = 0
    refusals: int = 0
    """How often it ended by itself with a code of failure: it cannot begin."""
    wanted: bool = True
    cwd: Path | None = None
    farewell: int = signal.SIGTERM
    """What asks it to end."""
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class Children:
    """Starts children, starts them again when they die, and stops them."""

    def __init__(self, record: Path, tell: Callable[[str], None], zygote: Zygote | None = None) -> None:
        self._record = record
        self._tell = tell
        self._zygote = zygote
        self.all: list[Child] = []

    async def start(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        *,
        cwd: Path | None = None,
        farewell: int = signal.SIGTERM,
    ) -> Child:
        """Start one child and watch it; a program of Python as a fork of the zygote, where there is one."""
        child = Child(name, argv, env, log, cwd=cwd, farewell=farewell)
        self.all.append(child)
        await self._spawn(child)
        child.task = asyncio.create_task(self._watch(child), name=name)
        return child

    async def stop(self, names: Sequence[str]) -> None:
        """Ask all of `names` at once to end; SIGKILL to those that do not."""
        chosen = self._chosen(names)
        for child in chosen:
            child.wanted = False
            _signal(child, child.farewell)
            _signal(child, signal.SIGCONT)  # one that is frozen hears nothing else
        await asyncio.gather(*(self._end(child) for child in chosen))
        self._write()

    async def kill(self, names: Sequence[str]) -> None:
        """kill -9 to all of `names` and what they started, at once; they stay dead until `start_again`."""
        chosen = self._chosen(names)
        for child in chosen:
            child.wanted = False
        self.signal(names, signal.SIGKILL)
        await asyncio.gather(*(self._end(child) for child in chosen))
        self._write()

    async def start_again(self, names: Sequence[str]) -> None:
        """Start those of `names` that were killed, and watch them."""
        for child in self._chosen(names):
            if not child.wanted:
                child.wanted = True
                await self._spawn(child)
                child.task = asyncio.create_task(self._watch(child), name=child.name)

    def signal(self, names: Sequence[str], number: int) -> None:
        """Send a signal to all of `names` and what they started: SIGSTOP freezes them, SIGCONT lets them go on."""
        pids = [child.process.pid for child in self._chosen(names) if _is_alive(child) and child.process is not None]
        for pid in with_children(pids):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def gave_up(self, name: str) -> bool:
        """Whether a child refused so often that it will not come up by itself."""
        return any(child.refusals >= REFUSALS for child in self._chosen([name]))

    def has(self, name: str) -> bool:
        """Whether there is a child of that name, dead or alive."""
        return bool(self._chosen([name]))

    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        return {c.name: c.process.pid for c in self.all if c.process and _is_alive(c)}

    def _chosen(self, names: Sequence[str]) -> list[Child]:
        return [child for child in self.all if child.name in names]

    async def _spawn(self, child: Child) -> None:
        child.log.parent.mkdir(parents=True, exist_ok=True)
        if self._zygote is not None and tuple(child.argv[:2]) == (sys.executable, "-m"):
            _, _, module, *words = child.argv
            child.process = await self._zygote.fork(module, words, child.env, child.log)
        else:
            await self._exec(child)
        self._write()

    async def _exec(self, child: Child) -> None:
        with child.log.open("ab") as log:
            child.process = await asyncio.create_subprocess_exec(
                *child.argv,
                env=dict(child.env),
                cwd=child.cwd,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for us alone
                preexec_fn=die_with_parent,
            )

    async def _watch(self, child: Child) -> None:
        pause = 0.2
        while child.process is not None:
            code = await child.process.wait()
            if not child.wanted:
                return
            child.restarts += 1
            child.refusals += code > 0
            self._tell(f"{child.name} ended ({_how(code)}), starting it again; log: {child.log}")
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)
            if child.wanted:
                await self._spawn(child)

    async def _end(self, child: Child) -> None:
        if child.process is not None:
            try:
                async with asyncio.timeout(STOP_WITHIN):
                    await child.process.wait()
            except TimeoutError:
                self._tell(f"{child.name} does not end, killing it")
                _signal(child, signal.SIGKILL)
                await child.process.wait()
        if child.task is not None:
            await ended(child.task)

    def _write(self) -> None:
        rows = []
        extra = {"zygote": self._zygote.pid} if self._zygote and self._zygote.pid else {}
        for name, pid in {**extra, **self.pids()}.items():
            with suppress(psutil.NoSuchProcess):
                rows.append({"name": name, "pid": pid, "started": psutil.Process(pid).create_time()})
        temporary = self._record.with_suffix(".new")
        temporary.write_text(json.dumps(rows))
        temporary.replace(self._record)


def end_left_over(record: Path) -> list[str]:
    """End what an earlier dev left when it was killed; the names. A pid that belongs to somebody else now is spared."""
    try:
        rows = json.loads(record.read_text())
    except (OSError, ValueError):
        return []
    found = []
    for row in rows:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(row["pid"])
            if abs(process.create_time() - row["started"]) < 0.1:
                process.terminate()
                process.resume()
                found.append((row["name"], process))
    _, alive = psutil.wait_procs([process for _, process in found], timeout=STOP_WITHIN)
    for process in alive:
        process.kill()
    record.unlink(missing_ok=True)
    return [name for name, _ in found]


def with_children(pids: Sequence[int]) -> list[int]:
    """The processes and all that they have started, each once: a server may be many processes."""
    found = set(pids)
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            found |= {child.pid for child in psutil.Process(pid).children(recursive=True)}
    return sorted(found)


def pss_mib(pids: Sequence[int]) -> float:
    """Proportional memory of `pids` together, in MiB; resident memory where the system knows no PSS."""
    total = 0
    for pid in pids:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            memory = psutil.Process(pid).memory_full_info()
            total += getattr(memory, "pss", memory.rss)
    return total / 2**20


def _is_alive(child: Child) -> bool:
    return child.process is not None and child.process.returncode is None


def _signal(child: Child, number: int) -> None:
    if child.process is not None and _is_alive(child):
        with suppress(ProcessLookupError):
            os.kill(child.process.pid, number)


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit {code}"
