"""Which standbys a primary waits for, and which of them have each acknowledged write.

A standby has them when it has replayed what was in the log at a moment at which every commit waited for it already. PostgreSQL
shows when it waits for a standby, but not since when: the new setting reaches its processes one after the other. The process that
decides whether commits wait is the checkpointer, and it reads its settings before it takes the next checkpoint.
"""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from catalyst_sdk import Temporary
from catalyst_sdk.epochs import durable

from .place import PROVIDER, Place
from .questions import Facts, Line, lsn, number
from .server import Server

LOOKS = 50
"""Questions whether a setting is read, with a pause of 0.02 s between them."""


@dataclass(frozen=True, slots=True)
class Waited:
    """What is kept of it, beside the data: standbys, those that joined, and the position for the others."""

    sync: frozenset[str] = frozenset()
    joined: frozenset[str] = frozenset()
    mark: int = 0


class Standbys:
    """The standbys of whatever server is primary."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def wait_for(self, server: Server, place: Place, standbys: frozenset[str]) -> None:
        """Have every commit wait for all of `standbys`. Raises Temporary."""
        before = _read(server)
        # Whoever is let go is forgotten first: what is kept never promises more than the server.
        _keep(server, Waited(before.sync & standbys, before.joined & standbys, before.mark))
        text = waiting(standbys)
        server.configure({"synchronous_standby_names": text})
        server.reload()
        await self._is_read(place, text)
        fresh = standbys - before.sync
        mark = await self._mark(place) if fresh else before.mark
        _keep(server, Waited(standbys, before.joined & standbys, mark))

    def joined(self, server: Server | None, facts: Facts) -> frozenset[str]:
        """Standbys that have each acknowledged write; of a server elsewhere, those that it waits for and that stream."""
        if server is None:
            return frozenset(facts.standbys)
        kept = _read(server)
        joined = kept.joined | {n for n in kept.sync if facts.standbys.get(n, -1) >= kept.mark}
        if joined != kept.joined:
            _keep(server, Waited(kept.sync, joined, kept.mark))
        return joined

    def forget(self, server: Server) -> None:
        """It waits for nobody."""
        _keep(server, Waited())

    async def _is_read(self, place: Place, text: str) -> None:
        for _ in range(LOOKS):
            async with self._line.to(place) as sql:
                if await sql.fetchval("SHOW synchronous_standby_names") == text:
                    return
            await asyncio.sleep(0.02)
        raise Temporary(f"the server of {place.region} does not read its settings", provider=PROVIDER)

    async def _mark(self, place: Place) -> int:
        async with self._line.to(place) as sql:
            await sql.execute("CHECKPOINT", timeout=60)
            return number(await sql.fetchval("SELECT pg_current_wal_flush_lsn()::text"))


def waiting(standbys: Iterable[str]) -> str:
    """The setting that has commits wait for all of them."""
    names = sorted(standbys)
    quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
    return f"FIRST {len(names)} ({quoted})" if names else ""


def _file(server: Server) -> Path:
    return server.data.parent / "standbys.json"


def _read(server: Server) -> Waited:
    try:
        raw = json.loads(_file(server).read_text())
    except FileNotFoundError:
        return Waited()
    return Waited(frozenset(raw["sync"]), frozenset(raw["joined"]), number(raw["mark"]))


def _keep(server: Server, now: Waited) -> None:
    raw = {"sync": sorted(now.sync), "joined": sorted(now.joined), "mark": lsn(now.mark)}
    durable(_file(server), json.dumps(raw))
