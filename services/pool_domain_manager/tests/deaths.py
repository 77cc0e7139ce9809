"""Real deaths: a daemon that is a process of its own ends by SIGKILL at a point of its work, and another replica goes on."""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from catalyst_mesh import Database, Issuer
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon
from catalyst_testkit.processes import Replica, Replicas
from sqlalchemy import text


class Process(RunningDaemon):
    """A daemon that is a process of its own."""

    def __init__(self, replica: Replica, issuer: Issuer) -> None:
        super().__init__(None, issuer)  # type: ignore[arg-type]  # nothing of it is in this process
        self._replica = replica

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self._replica.port}"


class Line:
    """Two replicas of which one lives at a time: the one that comes next goes on with what the dead one left."""

    def __init__(self, replicas: Replicas, database: str) -> None:
        self._replicas = replicas
        self._database = database
        self.deaths = 0

    @property
    def _living(self) -> Replica:
        return self._replicas.all[self.deaths % 2]

    async def next(self, failpoints: str = "") -> Process:
        """The next one serves; it dies at `failpoints`."""
        await self.let_leases_end()
        self._living.start(failpoints)
        await self._living.serves()
        return Process(self._living, self._replicas.issuer)

    async def died(self, point: str) -> None:
        """The one that lives ends by the signal that its point sends."""
        replica = self._living
        await eventually(lambda: replica.code is not None, within=60, what=f"it dies at {point}")
        assert replica.code == -signal.SIGKILL, self._replicas.logs()[-3000:]
        self.deaths += 1

    async def lives_through(self, points: Sequence[str], begin: Callable[[Process], Awaitable[Any]]) -> Process:
        """Begin, and die at each point; the replica that is there at the end."""
        alive = await self.next(f"{points[0]}=kill")
        await begin(alive)
        await alive.close()
        await self.died(points[0])
        for point in points[1:]:
            await self.let_leases_end()
            self._living.start(f"{point}=kill")  # and may be there before anybody sees it serve
            await self.died(point)
        return await self.next()

    async def rest(self, alive: Process) -> None:
        """The one that lives goes too; the next one finds nothing half done."""
        await alive.close()
        await self._living.kill()

    async def told(self, aggregate: str) -> list[str]:
        """What was told of it, in order."""
        async with self._db() as db, db.read() as sql:
            query = text("SELECT subject FROM outbox WHERE aggregate = :it ORDER BY number")
            return [subject.rpartition(".")[2] for (subject,) in await sql.execute(query, {"it": aggregate})]

    async def let_leases_end(self) -> None:
        """What time does after a death."""
        async with self._db() as db, db.begin() as sql:
            await sql.execute(text("UPDATE journal_run SET lease_until = 0"))
            await sql.execute(text("UPDATE lease SET until = '2000-01-01 00:00:00.000000+00:00'"))

    async def holds(self, lease: str) -> bool:
        """Whether somebody has this lease."""
        async with self._db() as db, db.read() as sql:
            until = await sql.execute(text("SELECT until FROM lease WHERE name = :it"), {"it": lease})
            return not str(until.scalar_one_or_none() or "2000-").startswith("2000-")

    @asynccontextmanager
    async def _db(self) -> AsyncIterator[Database]:
        db = await Database.open(self._database)
        try:
            yield db
        finally:
            await db.close()
