"""The journal's tables, which stand in the schema of each daemon that has runs."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, Table, Text, UniqueConstraint

from ..database import Json, UtcTime


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables by name."""

    run: Table
    step: Table
    event: Table
    signal: Table
    once: Table
    log: Table


def journal_tables(metadata: MetaData) -> Tables:
    """Add the journal's tables to `metadata`."""
    return Tables(
        run=_run(metadata),
        step=_step(metadata),
        event=_event(metadata),
        signal=_signal(metadata),
        once=_once(metadata),
        log=_log(metadata),
    )


def _run(metadata: MetaData) -> Table:
    return Table(
        "journal_run", metadata,
        Column("id", Text, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("key", Text, nullable=False),
        # The subject while the run has not ended, else null: at most one such run per subject, by constraint.
        Column("holds", Text, unique=True),
        Column("input", Json),
        Column("started_by", Text, nullable=False),
        # Of the call that started it, whose trace its steps go on; empty where nobody's did.
        Column("traceparent", Text, nullable=False, server_default=""),
        Column("state", Text, nullable=False),
        Column("seq", BigInteger, nullable=False),
        Column("cancel_mode", Text, nullable=False),
        Column("paused_because", Text, nullable=False),
        Column("paused_step", Text, nullable=False),
        Column("paused_at", UtcTime),
        Column("failure", Json),
        Column("takeovers", Integer, nullable=False),
        Column("owner", Text),
        Column("fence", BigInteger, nullable=False),
        # Who wrote last, transaction by transaction: how a holder finds out what became of an unknown commit.
        Column("stamp", Text, nullable=False),
        # Milliseconds since 1970 on the database's clock, the only one that all replicas share.
        Column("lease_until", BigInteger, nullable=False),
        # When the run has work for anybody; stays in the past while it is held, so that it can be taken over.
        Column("wake_at", UtcTime),
        Column("log_lines", BigInteger, nullable=False),
        Column("log_bytes", BigInteger, nullable=False),
        Column("created_at", UtcTime, nullable=False),
        Column("started_at", UtcTime),
        Column("finished_at", UtcTime),
        UniqueConstraint("kind", "key", name="journal_run_key"),
        Index("journal_run_due", "wake_at"),
        Index("journal_run_owner", "owner"),
        Index("journal_run_subject", "subject", "id"),
    )  # fmt: skip


def _step(metadata: MetaData) -> Table:
    return Table(
        "journal_step", metadata,
        Column("run_id", Text, ForeignKey("journal_run.id", ondelete="CASCADE"), primary_key=True),
        Column("name", Text, primary_key=True),
        Column("position", Integer, nullable=False),
        Column("needs", Json, nullable=False),
        Column("state", Text, nullable=False),
        Column("optional", Boolean, nullable=False),
        Column("skippable", Boolean, nullable=False),
        Column("checkable", Boolean, nullable=False),
        Column("undoable", Boolean, nullable=False),
        Column("compensate_on_cancel", Boolean, nullable=False),
        Column("phase", Text, nullable=False),
        Column("cluster", Text, nullable=False),
        Column("component", Text, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("tries", Integer, nullable=False),
        Column("waits", Text, nullable=False),
        Column("signal", Text, nullable=False),
        Column("wake_at", UtcTime),
        Column("deadline", UtcTime),
        Column("output", Json),
        Column("failure", Json),
        Column("blocked_by", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("started_at", UtcTime),
        Column("finished_at", UtcTime),
    )  # fmt: skip


def _event(metadata: MetaData) -> Table:
    return Table(
        "journal_event", metadata,
        Column("run_id", Text, ForeignKey("journal_run.id", ondelete="CASCADE"), primary_key=True),
        Column("seq", BigInteger, primary_key=True, autoincrement=False),
        Column("at", UtcTime, nullable=False),
        Column("type", Text, nullable=False),
        Column("step", Text, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("level", Text, nullable=False),
        Column("code", Text, nullable=False),
        Column("message", Text, nullable=False),
        Column("data", Json, nullable=False),
    )  # fmt: skip


def _signal(metadata: MetaData) -> Table:
    return Table(
        "journal_signal", metadata,
        Column("run_id", Text, ForeignKey("journal_run.id", ondelete="CASCADE"), primary_key=True),
        Column("seq", BigInteger, primary_key=True, autoincrement=False),
        Column("name", Text, nullable=False),
        Column("payload", Json),
        Column("sent_by", Text, nullable=False),
        Column("sent_at", UtcTime, nullable=False),
        Column("taken_by", Text, nullable=False),
    )  # fmt: skip


def _once(metadata: MetaData) -> Table:
    return Table(
        "journal_once", metadata,
        Column("run_id", Text, ForeignKey("journal_run.id", ondelete="CASCADE"), primary_key=True),
        Column("step", Text, primary_key=True),
        Column("name", Text, primary_key=True),
        # Written before the effect where there is a check for it, so that a crash between the two is noticed.
        Column("done", Boolean, nullable=False),
        Column("result", Json),
        Column("at", UtcTime, nullable=False),
    )  # fmt: skip


def _log(metadata: MetaData) -> Table:
    return Table(
        "journal_log", metadata,
        Column("run_id", Text, ForeignKey("journal_run.id", ondelete="CASCADE"), primary_key=True),
        Column("number", BigInteger, primary_key=True, autoincrement=False),
        Column("at", UtcTime, nullable=False),
        Column("step", Text, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("level", Text, nullable=False),
        Column("text", Text, nullable=False),
        Index("journal_log_step", "run_id", "step", "number"),
    )  # fmt: skip
