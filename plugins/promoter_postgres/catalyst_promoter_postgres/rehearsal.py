"""A standby's promotion, tried on a copy: made of the region's own standby, in a folder beside it, reached by a socket in that
folder and by nothing else. The standby, its primary and everybody's writes go on as they are.
"""

import os
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.continuum import Rehearsed

from .place import PROVIDER, Configured, Place
from .questions import Line
from .server import Server

FOLDER = "rehearsal"
ALONE = {"listen_addresses": "", "primary_conninfo": "", "synchronous_standby_names": ""}
"""Settings by which the copy follows nobody, waits for nobody and is found by nobody."""
PROMOTE = 30


class Rehearsal:
    """One copy of one region's standby."""

    def __init__(self, configured: Configured, line: Line, place: Place) -> None:
        if place.folder is None:
            raise Permanent("NOT_HERE", f"the server of {place.region} runs on another machine", provider=PROVIDER)
        self._line = line
        self._standby = place
        self._home = place.folder / FOLDER
        self._copy = replace(place, host=str(self._home), folder=self._home)
        self._server = Server(configured, self._copy)
        self._took: dict[str, float] = {}

    async def run(self) -> Rehearsed:
        """Copy, promote, write and give up; whatever becomes of it, nothing of it stays."""
        await self._cleared()
        try:
            await self._timed("clone", self._cloned)
            await self._timed("promote", self._promoted)
            await self._timed("verify", self._verified)
        except (Temporary, Permanent) as failure:
            await self._cleared()
            return Rehearsed(False, self._took, str(failure))
        await self._timed("clean", self._cleared)
        return Rehearsed(True, self._took)

    async def _cloned(self) -> None:
        self._home.mkdir(mode=0o700)
        owner = self._home.parent.stat()
        if self._home.stat().st_uid != owner.st_uid:
            os.chown(self._home, owner.st_uid, owner.st_gid)
        await self._server.clone(self._line.source(self._standby))

    async def _promoted(self) -> None:
        await self._server.start(ALONE)
        async with self._line.to(self._copy) as sql:
            if not await sql.fetchval("SELECT pg_promote(true, $1)", PROMOTE, timeout=PROMOTE + 5):
                raise Temporary("the copy is still in recovery", provider=PROVIDER)

    async def _verified(self) -> None:
        async with self._line.to(self._copy) as sql:
            await sql.execute("CREATE SCHEMA IF NOT EXISTS catalyst")
            await sql.execute("CREATE TABLE catalyst.rehearsal (n bigint PRIMARY KEY)")
            await sql.execute("INSERT INTO catalyst.rehearsal VALUES (7)")
            if await sql.fetchval("SELECT n FROM catalyst.rehearsal") != 7:
                raise Temporary("what was written to the copy is not there", provider=PROVIDER)

    async def _cleared(self) -> None:
        if self._home.exists():
            await self._server.stop()
            shutil.rmtree(self._home)

    async def _timed(self, part: str, work: Callable[[], Awaitable[None]]) -> None:
        began = time.monotonic()
        await work()
        self._took[part] = time.monotonic() - began
