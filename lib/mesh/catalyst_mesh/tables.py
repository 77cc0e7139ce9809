"""The chassis' own tables, which stand in the schema of every daemon."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text

from .database import UtcTime
from .sealing import SEALED

# SQLite numbers a row by itself only where the key is exactly INTEGER.
ROW_NUMBER = BigInteger().with_variant(Integer(), "sqlite")


def chassis_tables(metadata: MetaData) -> None:
    """Add outbox, inbox, the inbox's memory of order, idempotency and lease tables to `metadata`."""
    Table(
        "outbox",
        metadata,
        Column("number", ROW_NUMBER, primary_key=True, autoincrement=True),
        Column("event_id", Text, nullable=False, unique=True),
        Column("subject", Text, nullable=False),
        Column("aggregate", Text, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("schema", Text, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("traceparent", Text, nullable=False, default=""),
        Column("created_at", UtcTime, nullable=False),
        # Cleared by a replay, which keeps the first moment beside it: the age of a row must not begin anew.
        Column("published_at", UtcTime),
        Column("first_published_at", UtcTime),
        Column("replays", Integer, nullable=False, default=0, server_default="0"),
        Index("outbox_pending", "published_at", "number"),
        Index("outbox_aggregate", "aggregate", "number"),
    )  # fmt: skip - reads as a table
    Table(
        "inbox", metadata,
        Column("consumer", Text, primary_key=True),
        Column("event_id", Text, primary_key=True),
        Column("handled_at", UtcTime, nullable=False),
    )  # fmt: skip
    Table(
        "inbox_seen", metadata,
        Column("consumer", Text, primary_key=True),
        Column("aggregate", Text, primary_key=True),
        # Number in the outbox of the daemon that told it: versions start anew with an aggregate that is made again, and
        # two events may share one.
        Column("number", BigInteger, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("seen_at", UtcTime, nullable=False),
    )  # fmt: skip
    Table(
        "idempotency", metadata,
        Column("principal", Text, primary_key=True),
        Column("method", Text, primary_key=True),
        Column("request_id", Text, primary_key=True),
        Column("request_hash", LargeBinary, nullable=False),
        Column("answer_type", Text, nullable=False),
        Column("answer", LargeBinary, nullable=False, info=SEALED),
        Column("created_at", UtcTime, nullable=False),
    )  # fmt: skip
    Table(
        "lease", metadata,
        Column("name", Text, primary_key=True),
        Column("holder", Text, nullable=False),
        Column("fence", BigInteger, nullable=False),
        Column("until", UtcTime, nullable=False),
    )  # fmt: skip
