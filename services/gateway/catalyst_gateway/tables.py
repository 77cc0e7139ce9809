"""The tables of the gateway: what happened, what stands, and who asked."""

from typing import Any
from uuid import uuid4

from catalyst_mesh import ROW_NUMBER, Json, UtcTime, chassis_tables
from catalyst_mesh.readers import UNKNOWN
from sqlalchemy import BigInteger, Column, Connection, Index, Integer, MetaData, Table, Text, event, insert

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
    # The Organization that it is about; a release that does not know of it writes that it is not known (`readers.UNKNOWN`).
    Column("organization", Text, nullable=False, server_default=UNKNOWN),
    # What orders the words about a thing (`things.Fact.rank`); 0 for events that were kept before that was written down.
    Column("major", BigInteger, nullable=False, server_default="0"),
    Column("minor", BigInteger, nullable=False, server_default="0"),
    Index("stream_event_time", "time"),
)  # fmt: skip - reads as a table
incarnation = Table("incarnation", metadata, Column("id", Text, primary_key=True))
stream_position = Table(
    "stream_position",
    metadata,
    Column("service", Text, primary_key=True),
    Column("life", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
)  # fmt: skip - reads as a table
read_model = Table(
    "read_model",
    metadata,
    Column("id", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("schema", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("copied", Text),
    Column("replayed", BigInteger, nullable=False),
)  # fmt: skip - reads as a table
thing = Table(
    "thing",
    metadata,
    Column("model", BigInteger, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("organization", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("major", BigInteger, nullable=False),
    Column("minor", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("time", UtcTime, nullable=False),
    Column("body", Json, nullable=False),
    Column("deleted_at", UtcTime),
    Index("thing_environment", "model", "environment", "key"),
    Index("thing_deleted", "deleted_at"),
)  # fmt: skip - reads as a table
audit_line = Table(
    "audit_line",
    metadata,
    Column("number", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("time", UtcTime, nullable=False),
    Column("subject", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("verb", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("organization", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("trace_id", Text, nullable=False),
    Index("audit_line_subject", "subject", "number"),
    Index("audit_line_organization", "organization", "number"),
    Index("audit_line_time", "time"),
)  # fmt: skip - reads as a table
chassis_tables(metadata)


@event.listens_for(incarnation, "after_create")
def _draw(_table: Table, connection: Connection, **_: Any) -> None:
    """The name of this store, drawn once, as revision 0003 does it."""
    connection.execute(insert(incarnation).values(id=uuid4().hex[:8]))


@event.listens_for(read_model, "after_create")
def _begin(_table: Table, connection: Connection, **_: Any) -> None:
    """A model of an older schema than any, as revision 0006 makes it: whoever starts first builds another one beside it."""
    connection.execute(insert(read_model).values(schema=0, state="LIVE", replayed=0))
