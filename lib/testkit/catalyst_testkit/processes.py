"""Daemons as processes of their own, to be killed, frozen, stopped and started again; several replicas on one database."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc
import httpx
from catalyst_mesh import Issuer, connect
from catalyst_mesh.failpoints import VARIABLE

from .daemons import PATIENCE
from .servers import free_port
from .waiting import eventually

Stub = TypeVar("Stub")
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONDONTWRITEBYTECODE")


class Nursery:
    """Our side of `catalyst_testkit.nursery`."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._born: queue.Queue[int] = queue.Queue()
        self._codes: dict[int, int] = {}
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._ready.wait(600), "the nursery's modules are imported"

    def fork(self, program: str, env: Mapping[str, str], log: Path, args: Sequence[str] = ()) -> int:
        """Start `program` with these arguments; its process id."""
        assert self._process.stdin is not None
        told = {"program": program, "args": list(args), "env": dict(env), "log": str(log)}
        self._process.stdin.write(json.dumps(told).encode() + b"\n")
        self._process.stdin.flush()
        return self._born.get(timeout=120)

    def code(self, pid: int) -> int | None:
        """The exit code of a child, negative for a signal; None while it lives."""
        return self._codes.get(pid)

    def close(self) -> None:
        """End it; its children are killed with it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._reader.join(60)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            if "pid" in told:
                self._codes.pop(told["pid"], None)  # of a child before, whose number was given away again
                self._born.put(told["pid"])
            elif "ended" in told:
                self._codes[told["ended"]] = told["code"]
            else:
                self._ready.set()


@contextmanager
def nursery(*modules: str, path: Sequence[Path] = ()) -> Iterator[Nursery]:
    """A nursery that has imported `modules`, from `path` before anywhere else, for the block."""
    command = [sys.executable, "-m", "catalyst_testkit.nursery", *modules]
    env = {**os.environ, **({"PYTHONPATH": os.pathsep.join(map(str, path))} if path else {})}
    opened = Nursery(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env))
    try:
        yield opened
    finally:
        opened.close()


@dataclass
class Child:
    """A program of a suite's own as a process; it prints `serving`, on a line, once it serves."""

    nursery: Nursery
    program: Path
    log: Path
    pid: int = 0

    async def serves(self, *args: str, within: float = 60) -> bool:
        """Start it with these arguments; whether it serves now, or has ended instead."""
        before = self.log.stat().st_size if self.log.exists() else 0

        def said() -> bool:
            return b"serving" in self.log.read_bytes()[before:].splitlines()

        self.pid = self.nursery.fork(str(self.program), os.environ, self.log, args)
        await eventually(lambda: said() or self.code is not None, within=within, what=f"{self.program.name} serves")
        return self.code is None

    @property
    def code(self) -> int | None:
        """Its exit code, negative for a signal; None while it lives."""
        return self.nursery.code(self.pid)

    async def ended(self, within: float = 60) -> int:
        """Wait for its end; its exit code."""
        await eventually(lambda: self.code is not None, within=within, what=f"{self.program.name} has ended")
        assert self.code is not None
        return self.code

    async def kill(self) -> None:
        """kill -9, if it lives, and wait until it is gone."""
        if self.pid and self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            await self.ended()


@dataclass
class Replica:
    """One process of a daemon; a restarted one keeps its ports."""

    nursery: Nursery
    program: str
    env: Mapping[str, str]
    log: Path
    port: int
    side: int
    pid: int = 0

    def start(self, failpoints: str = "") -> None:
        """Start, or start again; with `failpoints`, it dies or freezes where they say."""
        armed = {VARIABLE: failpoints} if failpoints else {}
        self.pid = self.nursery.fork(self.program, {**self.env, **armed}, self.log)

    @property
    def code(self) -> int | None:
        """Its exit code, negative for a signal; None while it lives."""
        return self.nursery.code(self.pid)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it lives."""
        if self.code is None:
            os.kill(self.pid, number)

    async def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        await self.ended(within=60)

    async def ended(self, within: float) -> int:
        """Wait for its end; its exit code."""
        await eventually(lambda: self.code is not None, within=within, what=f"{self.program} has ended")
        assert self.code is not None
        return self.code

    async def serves(self, within: float = 60) -> None:
        """Wait until it answers. Raises AssertionError as soon as it has ended instead."""

        async def answers_or_ended() -> bool:
            if self.code is not None:
                return True
            try:
                return (await http.get(f"http://127.0.0.1:{self.side}/livez")).status_code == 200
            except httpx.TransportError:
                return False

        async with httpx.AsyncClient(verify=False) as http:  # noqa: S501 - no TLS on loopback
            await eventually(answers_or_ended, within=within, what=f"{self.program} serves")  # type: ignore[arg-type]  # T is bool
        assert self.code is None, f"{self.program} ended with {self.code}:\n{self.log.read_text()[-3000:]}"


@dataclass
class Replicas:
    """Several replicas of one daemon on one database."""

    nursery: Nursery
    program: str
    prefix: str
    """Of its settings: `CATALYST_PDM_`."""
    home: Path
    settings: Mapping[str, Any]
    all: list[Replica] = field(default_factory=list)
    _channels: list[grpc.aio.Channel] = field(default_factory=list)

    @property
    def issuer(self) -> Issuer:
        """Signs tokens that the replicas trust."""
        return Issuer.open(self.home / "issuer")

    async def start(self, count: int) -> None:
        """Add and start so many; the first alone, so that the schema is there for the others."""
        for _ in range(count):
            self.all.append(self._replica(len(self.all)))
            self.all[-1].start()
            if len(self.all) == 1:
                await self.all[0].serves()
        for replica in self.all:
            await replica.serves()

    def stub(
        self,
        stub: Callable[[grpc.aio.Channel], Stub],
        replica: Replica,
        subject: str = "somebody",
        *,
        roles: Iterable[str] = (),
        groups: Iterable[str] = (),
        service: str = "",
    ) -> Stub:
        """A generated stub on one replica, with the deadline and the retries that every client of ours has."""
        token = self.issuer.token(subject, roles=roles, groups=groups, service=service)
        channel = connect(f"127.0.0.1:{replica.port}", token=lambda: token, deadline=PATIENCE)
        self._channels.append(channel)
        return stub(channel)

    async def close(self) -> None:
        """Close all channels and kill what lives."""
        for channel in self._channels:
            await channel.close(None)
        for replica in self.all:
            await replica.kill()

    def logs(self) -> str:
        """What all of them have said."""
        return "".join(replica.log.read_text() for replica in self.all if replica.log.exists())

    def _replica(self, number: int) -> Replica:
        port, side = free_port(), free_port()
        (self.home / "token").write_text(self.issuer.token("test-daemon", service="test"))
        values = {
            "listen": f"127.0.0.1:{port}", "side_listen": f"127.0.0.1:{side}", "data_folder": self.home,
            "jwks_file": self.home / "issuer" / "jwks.json", "token_file": self.home / "token", "drain_seconds": 0.5,
            **self.settings,
        }  # fmt: skip
        env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        for name, value in values.items():
            env[f"{self.prefix}{name.upper()}"] = json.dumps(value) if isinstance(value, dict) else str(value)
        return Replica(self.nursery, self.program, env, self.home / f"replica-{number}.log", port, side)
