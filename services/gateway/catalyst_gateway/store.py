"""The read model of events: what happened, in one order, for browsers that come and go.

Rows are numbered by this gateway. The incarnation is drawn when the store is made, so that a client that comes back with
a number of another store (a wiped one, another replica's) is told to begin anew instead of missing events.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from catalyst_mesh import ROW_NUMBER, Json, Transaction, UtcTime, chassis_tables
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, func, insert, select
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
chassis_tables(metadata)


class Store(Transaction):
    """Reads and writes the model."""

    async def incarnation(self) -> str:
        """The name of this store; drawn at its first use."""
        known = (await self.sql.execute(select(incarnation.c.id))).scalar_one_or_none()
        if known:
            return str(known)
        drawn = uuid4().hex[:8]
        await self.sql.execute(insert(incarnation).values(id=drawn))
        return drawn

    async def add(self, row: Mapping[str, Any]) -> bool:
        """Keep one event; False where it was there already."""
        dialect = postgresql if self.has_row_locks else sqlite
        statement = dialect.insert(stream_event).values(row).on_conflict_do_nothing(index_elements=["event_id"])
        return (await self.sql.execute(statement)).rowcount == 1

    async def after(self, number: int, prefix: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """Events with a higher number whose subject begins with `prefix`."""
        t = stream_event
        query = select(t).where(t.c.number > number).order_by(t.c.number).limit(limit)
        if prefix:
            query = query.where(t.c.subject.startswith(prefix, autoescape=True))
        return [dict(row) for row in (await self.sql.execute(query)).mappings()]

    async def last(self) -> int:
        """The highest number; 0 for an empty store."""
        return int((await self.sql.execute(select(func.coalesce(func.max(stream_event.c.number), 0)))).scalar_one())
