"""The read model of events: what happened, in one order, for browsers that come and go.

Rows are numbered by the gateway, all replicas together. The incarnation is drawn when the store is made, so that a client
that comes back with a number of another store (a wiped one) is told to begin anew instead of missing events.

Invariant
  in order   numbers become visible in the order in which they are given: a reader that has seen one never misses a lower
             one. Sequences of PostgreSQL do not promise that, so writers take turns.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from catalyst_mesh import ROW_NUMBER, Json, Transaction, UtcTime, chassis_tables
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

metadata = MetaData()
stream_event = Table(
    "stream_event",
    metadata,
    Column("number", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("event_id", Text, nullable=False, unique=True),
    Column("subject", Text, nullable=False),
    Column("aggregate", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("time", UtcTime, nullable=False),
    Column("body", Json, nullable=False),
)  # fmt: skip - reads as a table
incarnation = Table("incarnation", metadata, Column("id", Text, primary_key=True))
stream_position = Table(
    "stream_position",
    metadata,
    Column("service", Text, primary_key=True),
    Column("life", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
)  # fmt: skip - reads as a table
chassis_tables(metadata)

# Statements on the way of each event to the browsers are made once: to make one costs as much as to run it.
_AFTER = (
    select(stream_event).where(stream_event.c.number > bindparam("after")).order_by(stream_event.c.number)
    .limit(bindparam("most", type_=Integer))
)  # fmt: skip


@cache
def _adding(*, has_row_locks: bool) -> Any:
    insert = (postgresql if has_row_locks else sqlite).insert(stream_event)
    return insert.on_conflict_do_nothing(index_elements=["event_id"])


@cache
def _standing(*, has_row_locks: bool) -> Any:
    insert = (postgresql if has_row_locks else sqlite).insert(stream_position)
    changed = {name: insert.excluded[name] for name in ("life", "sequence")}
    return insert.on_conflict_do_update(index_elements=["service"], set_=changed)


class Store(Transaction):
    """Reads and writes the model."""

    async def incarnation(self) -> str:
        """The name of this store; its first migration has drawn it."""
        return str((await self.sql.execute(select(incarnation.c.id))).scalar_one())

    async def take_turn(self) -> None:
        """Before the first `add` of a transaction: nobody else adds until its commit."""
        if self.has_row_locks:  # SQLite has one writer anyway
            await self.sql.execute(select(incarnation.c.id).with_for_update())

    async def position(self, service: str, life: str) -> int:
        """Sequence of the last event that was kept of a stream; 0 where there is none of this `life` of it."""
        t = stream_position
        query = select(t.c.sequence).where((t.c.service == service) & (t.c.life == life))
        return (await self.sql.execute(query)).scalar_one_or_none() or 0

    async def stand_at(self, service: str, life: str, sequence: int) -> None:
        """Note how far a stream was read."""
        row = {"service": service, "life": life, "sequence": sequence}
        await self.sql.execute(_standing(has_row_locks=self.has_row_locks), row)

    async def add(self, row: Mapping[str, Any]) -> bool:
        """Keep one event; False where it was there already. Whoever feeds browsers hears of it with the commit."""
        is_new = (await self.sql.execute(_adding(has_row_locks=self.has_row_locks), row)).rowcount == 1
        if is_new:
            self.wrote.add(stream_event.name)
        return is_new

    async def known(self, ids: Sequence[str]) -> frozenset[str]:
        """Those of `ids` that are kept."""
        t = stream_event
        return frozenset((await self.sql.execute(select(t.c.event_id).where(t.c.event_id.in_(ids)))).scalars())

    async def after(self, number: int, prefix: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """Events with a higher number whose subject begins with `prefix`."""
        query = _AFTER
        if prefix:
            query = query.where(stream_event.c.subject.startswith(prefix, autoescape=True))
        rows = await self.sql.execute(query, {"after": number, "most": limit})
        return [dict(row) for row in rows.mappings()]

    async def last(self) -> int:
        """The highest number; 0 for an empty store."""
        return int((await self.sql.execute(select(func.coalesce(func.max(stream_event.c.number), 0)))).scalar_one())
