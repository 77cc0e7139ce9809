"""Leases on work that one replica does at a time: rows with a fencing number.

Invariants
  one holder   at any moment by the database's clock at most one replica holds a lease that has not ended;
  fences grow  `fence` rises with each change of holder, so that an effect can refuse a former holder.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import MetaData, Table, insert, select, update
from sqlalchemy.exc import IntegrityError

from .database import Database, is_outage

TTL = timedelta(seconds=10)


class Leases:
    """The leases of one replica of a daemon."""

    def __init__(self, db: Database, metadata: MetaData, *, replica: str = "", ttl: timedelta = TTL) -> None:
        self._db = db
        self._t: Table = metadata.tables["lease"]
        self.replica = replica or uuid4().hex[:12]
        self.ttl = ttl

    async def acquire(self, name: str) -> int | None:
        """Take or renew the lease; its fence, or None while another replica holds it."""
        try:
            async with self._db.begin() as sql:
                now = await self._db.now(sql)
                query = select(self._t).where(self._t.c.name == name)
                row = (
                    (await sql.execute(query.with_for_update() if self._db.has_row_locks else query))
                    .mappings()
                    .one_or_none()
                )
                if row is None:
                    await sql.execute(
                        insert(self._t).values(name=name, holder=self.replica, fence=1, until=now + self.ttl)
                    )
                    return 1
                if row["holder"] != self.replica and row["until"] > now:
                    return None
                fence: int = int(row["fence"]) + (row["holder"] != self.replica)
                values = {"holder": self.replica, "fence": fence, "until": now + self.ttl}
                await sql.execute(update(self._t).where(self._t.c.name == name).values(values))
                return fence
        except IntegrityError:  # another replica was the first to insert
            return None

    async def release(self, name: str) -> None:
        """Give the lease back, so that another replica need not wait for its end."""
        with suppress(Exception):
            async with self._db.begin() as sql:
                mine = (self._t.c.name == name) & (self._t.c.holder == self.replica)
                # The row stays: its fence must go on growing.
                await sql.execute(update(self._t).where(mine).values(until=await self._db.now(sql)))

    async def held(self, name: str, stop: asyncio.Event) -> int | None:
        """Wait until this replica holds the lease; None when `stop` came first."""
        while not stop.is_set():
            try:
                fence = await self.acquire(name)
            except Exception as error:
                if not is_outage(error):
                    raise
                fence = None
            if fence is not None:
                return fence
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self.ttl.total_seconds() / 3)
        return None
