"""The cells of dev, and what may be done to them: each is a process of its own, with a folder and an identity.

A cell that was killed stays dead until it is started; one that is wiped comes back empty, as another one: what it knew is
lost, and agents that remember more quarantine it.
"""

import signal
from collections.abc import Sequence
from typing import Any

from . import cell_servers, recipes
from .cell_servers import CellServer
from .control import Calls, NotThere
from .layout import CELLS, Layout
from .processes import Children


class Cells:
    """All cells of one dev."""

    def __init__(self, layout: Layout, children: Children, servers: Sequence[CellServer]) -> None:
        self._layout = layout
        self._servers = {server.name: server for server in servers}
        self._children = children
        self._frozen: set[str] = set()

    async def start_all(self) -> None:
        """Start every cell."""
        layout = self._layout
        for name, server in self._servers.items():
            log, words = layout.logs / f"{name}.log", cell_servers.command(layout, server)
            await self._children.start(name, words, recipes.base_environment(), log)

    def calls(self) -> Calls:
        """What the control port offers."""
        return {
            "cell.kill": self._kill, "cell.pause": self._pause, "cell.resume": self._resume, "cell.wipe": self._wipe,
            "cell.start": self._start,
        }  # fmt: skip

    def rows(self) -> list[dict[str, Any]]:
        """Every cell with where it is and how it is."""
        layout, pids = self._layout, self._children.pids()
        return [
            {
                "name": name,
                "state": self._state(name, pids),
                "pid": pids.get(name),
                "address": layout.address(name),
                "zone": recipes.WITNESS_ZONE,
                "key_name": recipes.WITNESS_KEY,
                "key_file": str(recipes.tsig_key(layout)),
                "folder": str(recipes.cell_home(layout, name)),
                "log": str(layout.logs / f"{name}.log"),
            }
            for name in CELLS
        ]  # fmt: skip - one cell

    def _state(self, name: str, pids: dict[str, int]) -> str:
        if name not in pids:
            return "dead"
        return "frozen" if name in self._frozen else "up"

    async def _kill(self, name: str) -> dict[str, Any]:
        """kill -9; what it has acknowledged is on its disk."""
        self._check(name)
        await self._children.kill([name])
        self._frozen.discard(name)
        return self._row(name)

    async def _pause(self, name: str) -> dict[str, Any]:
        """Freeze it: connections are taken by the kernel, and nobody answers."""
        self._check(name, alive=True)
        self._children.signal([name], signal.SIGSTOP)
        self._frozen.add(name)
        return self._row(name)

    async def _resume(self, name: str) -> dict[str, Any]:
        self._check(name, alive=True)
        self._children.signal([name], signal.SIGCONT)
        self._frozen.discard(name)
        return self._row(name)

    async def _wipe(self, name: str) -> dict[str, Any]:
        """Take away all that it has, and start it."""
        await self._kill(name)
        server = self._servers[name]
        cell_servers.wipe(server)
        cell_servers.command(self._layout, server)  # makes its folder anew
        return await self._start(name)

    async def _start(self, name: str) -> dict[str, Any]:
        self._check(name)
        await self._children.start_again([name])
        return self._row(name)

    def _row(self, name: str) -> dict[str, Any]:
        return next(row for row in self.rows() if row["name"] == name)

    def _check(self, name: str, *, alive: bool = False) -> None:
        if name not in CELLS:
            raise NotThere(f"there is no cell {name}", f"name one of {', '.join(CELLS)}")
        if alive and name not in self._children.pids():
            raise NotThere(f"{name} is dead", f"catalyst dev cell start {name}", "FAILED_PRECONDITION")
