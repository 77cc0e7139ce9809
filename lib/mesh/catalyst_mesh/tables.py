"""The chassis' own tables, which stand in the schema of every daemon."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text

from .database import UtcTime

# SQLite numbers a row by itself only where the key is exactly INTEGER.
ROW_NUMBER = BigInteger().with_variant(Integer(), "sqlite")


def chassis_tables(metadata: MetaData) -> None:
    """Add outbox, inbox, idempotency and lease tables to `metadata`."""
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
        Column("published_at", UtcTime),
        Index("outbox_pending", "published_at", "number"),
    )  # fmt: skip - reads as a table
    Table(
        "inbox", metadata,
        Column("consumer", Text, primary_key=True),
        Column("event_id", Text, primary_key=True),
        Column("handled_at", UtcTime, nullable=False),
    )  # fmt: skip
    Table(
        "idempotency", metadata,
        Column("principal", Text, primary_key=True),
        Column("method", Text, primary_key=True),
        Column("request_id", Text, primary_key=True),
        Column("request_hash", LargeBinary, nullable=False),
        Column("answer_type", Text, nullable=False),
        Column("answer", LargeBinary, nullable=False),
        Column("created_at", UtcTime, nullable=False),
    )  # fmt: skip
    Table(
        "lease", metadata,
        Column("name", Text, primary_key=True),
        Column("holder", Text, nullable=False),
        Column("fence", BigInteger, nullable=False),
        Column("until", UtcTime, nullable=False),
    )  # fmt: skip
