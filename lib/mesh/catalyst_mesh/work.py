"""One transaction: lock, decide, save, outbox, answer kept under `request_id`.

Invariants
  one effect   two calls of one caller with one `request_id` have one effect and get the same answer;
  one fact     a change and its outbox rows are committed together or not at all;
  no lost race a step that lost a race to another writer decides anew on what the winner left; whether it lost is judged
               by the version that it read, never by what stands there when it writes.
"""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any, Generic, TypeVar
from uuid import uuid4

from catalyst_sdk import Code, Decision, Refused
from google.protobuf import symbol_database
from google.protobuf.message import Message
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Insert,
    MetaData,
    Table,
    and_,
    bindparam,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import UpdateBase

from .bell import OUTBOX, Bell
from .calls import Call, current
from .database import Database
from .facts import Emitted, aggregate_of, version_of
from .failpoints import Failpoints
from .ready import Found, Ready
from .sealing import Sealer, sealed_at

TRIES = 12
"""How often a step decides anew before the caller is told that the resource is contended."""

_ALONE = Ready(select(func.pg_advisory_xact_lock(bindparam("number", type_=BigInteger))))


class LostRace(Exception):
    """Another writer was faster; decide again."""


class RequestIdReused(Refused):
    code, reason = Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED"
    message = "request_id {request_id} was used for another request of {method}"
    field = "request_id"


class Contended(Refused):
    code, reason, message = Code.ABORTED, "CONTENDED", "other writers kept changing this resource; try again"


class Transaction:
    """One open transaction. A daemon's `Store` adds what it locks, reads and saves."""

    def __init__(self, sql: AsyncConnection, now: datetime, *, has_row_locks: bool) -> None:
        self.sql = sql
        self.now = now
        self.has_row_locks = has_row_locks
        self.told: list[object] = []
        self.written = 0
        """How many of them stand in the outbox."""
        self.wrote: set[str] = set()
        """Tables with rows that somebody works on, for whom the bell rings after the commit; see `bell`."""
        self._read: dict[tuple[Any, ...], int] = {}

    async def write(self, statement: UpdateBase | Ready, given: Mapping[str, Any] | None = None) -> None:
        """Run a statement that must change exactly one row. Raises LostRace where it does not.

        given   values of its parameters, where it was made before
        """
        await self.write_quietly(statement, given)
        written = statement.statement if isinstance(statement, Ready) else statement
        if isinstance(written, UpdateBase) and isinstance(written.table, Table):
            self.wrote.add(written.table.name)

    async def write_quietly(self, statement: UpdateBase | Ready, given: Mapping[str, Any] | None = None) -> None:
        """As `write`, for rows that nobody works on: no bell rings."""
        try:
            if isinstance(statement, Ready):
                changed = await statement.count(self.sql, given)
            else:
                changed = (await self.sql.execute(statement, given)).rowcount
        except IntegrityError as error:
            if _broken_rule(error):
                raise
            raise LostRace from error
        if changed != 1:
            raise LostRace

    def seen(self, table: Table, row: Mapping[Any, Any]) -> None:
        """Remember at which `version` a row was read: what is decided on it is saved only if it still stands there."""
        self._read[_key(table, row)] = row["version"]

    async def take(self, table: Table, row: Mapping[str, Any]) -> None:
        """Take a row from the version that was `seen` to its `version`; insert it where none was seen.

        The version that was seen itself means that nothing was decided, and nothing is written. Raises LostRace where
        another writer changed or made the row meanwhile.
        """
        key = _key(table, row)
        before = self._read.get(key)
        if before == row["version"]:
            return
        first, next_one = _taking(table)
        if before is None:
            await self.write(first, row)
        else:
            at = {_at(column.name): row[column.name] for column in table.primary_key.columns}
            await self.write(next_one, {**row, **at, _at("version"): before})
        self._read[key] = row["version"]

    async def alone(self, *words: str) -> None:
        """Let no other transaction that asks with the same words pass here before the commit.

        For rules over several rows, such as a quota, which no version of one row can guard. SQLite has one writer anyway.
        """
        if self.has_row_locks:
            number = int.from_bytes(hashlib.blake2b("\0".join(words).encode(), digest_size=8).digest(), signed=True)
            await _ALONE.rows(self.sql, {"number": number})

    def emit(self, *facts: object) -> None:
        """Tell `facts` with the commit of this transaction."""
        self.told.extend(facts)

    async def save(self, state: Any) -> None:
        """Write a decided state. A daemon's store says how."""
        raise NotImplementedError(f"{type(self).__name__} saves no {type(state).__name__}")


T = TypeVar("T", bound=Transaction)
S = TypeVar("S")
M = TypeVar("M", bound=Message)


class Work(Generic[T]):
    """Runs steps in transactions of store type `T`."""

    def __init__(
        self,
        db: Database,
        store: Callable[..., T],
        *,
        metadata: MetaData,
        emitted: Sequence[Emitted] = (),
        sealer: Sealer | None = None,
        kept: Table | None = None,
    ) -> None:
        """`kept` is a table with columns of the outbox: a copy of what is told stays there for as long as its daemon says."""
        self.db = db
        self._store = store
        self._emitted = {e.fact: e for e in emitted}
        self.sealer = sealer
        """Seals the answers that are kept; None: they are kept as they are."""
        self._tell = Ready(_telling(db, metadata.tables[OUTBOX], emitted))
        self._copy = None if kept is None else (Ready(insert(kept)), [column.name for column in kept.c])
        self._kept = _Kept(metadata.tables["idempotency"], db.moment)
        self.bell = Bell()
        """Rings after each commit for the tables that were written."""
        self.committed = self.bell.listener(OUTBOX)
        """Set after each commit that told something; the relay waits for it."""
        self.failpoints: Failpoints | None = None
        """Where tests have this process end; see `failpoints`."""

    async def run(self, step: Callable[[T], Awaitable[Decision[S]]], answer: Callable[[S], M]) -> M:
        """Lock, decide, save and answer once for the current call. Raises what `step` refuses with."""
        call = current()
        for attempt in range(TRIES):
            try:
                async with self._transaction(call) as (tx, known):
                    if known is not None:
                        return self._opened(known, call)  # type: ignore[return-value]  # the type was kept beside the answer
                    decision = await step(tx)
                    if decision.state is not None:
                        await tx.save(decision.state)
                    tx.emit(*decision.events)
                    message = answer(decision.state)
                    await self._keep_answer(tx, call, message)
                return message
            except LostRace:
                await asyncio.sleep(random.uniform(0, 0.002 * 2 ** min(attempt, 6)))  # noqa: S311 - jitter, no secret
            except Refused:
                if not call.request_id:
                    raise
                # Its twin may have been faster, and what refuses this call is the twin's own effect.
                async with self.db.read() as sql:
                    _, known = await self._kept.ask(sql, call, self.db)
                if known is not None:
                    return self._opened(known, call)  # type: ignore[return-value]  # as above
                raise
        raise Contended

    async def rehearse(self, step: Callable[[T], Awaitable[Decision[S]]], answer: Callable[[S], M]) -> M:
        """What `run` would answer (AIP-163): the same decision on the same view, nothing written, nothing kept."""
        async with self.reading() as tx:
            return answer((await step(tx)).state)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[T]:
        """A transaction for workers and consumers: what it tells goes to the outbox with its commit."""
        async with self._transaction(None) as (tx, _):
            yield tx

    @asynccontextmanager
    async def _transaction(self, call: Call | None) -> AsyncIterator[tuple[T, Found | None]]:
        """A transaction, and the answer that is kept for `call`."""
        async with self.db.begin() as sql:
            try:
                now, known = await self._kept.ask(sql, call, self.db)
                tx = self._store(sql, now, has_row_locks=self.db.has_row_locks)
                yield tx, known
                await self.tell(tx)
                if self.failpoints:
                    self.failpoints.hit("work.before_commit")
            except DBAPIError as error:
                if _lost_race(error):
                    raise LostRace from error
                raise
        if self.failpoints:
            self.failpoints.hit("work.after_commit")
        self.bell.ring(*tx.wrote, *([OUTBOX] if tx.told else ()))

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[T]:
        """A consistent view without any write."""
        async with self.db.read() as sql:
            yield self._store(sql, await self.db.now(sql), has_row_locks=self.db.has_row_locks)

    async def again(self, step: Callable[[T], Awaitable[S]]) -> S:
        """Run a worker's step in a transaction, deciding anew after a lost race."""
        for attempt in range(TRIES):
            try:
                async with self.transaction() as tx:
                    return await step(tx)
            except LostRace:
                await asyncio.sleep(random.uniform(0, 0.002 * 2 ** min(attempt, 6)))  # noqa: S311 - jitter, no secret
        raise Contended

    async def tell(self, tx: Transaction) -> None:
        """Write what `tx` has told so far, under the trace of the current call; the commit does so for the rest."""
        fresh, tx.written = tx.told[tx.written :], len(tx.told)
        await self.write_outbox(tx.sql, tx.now, fresh)

    async def write_outbox(self, sql: AsyncConnection, now: datetime, facts: Sequence[object]) -> None:
        """Put `facts` into the outbox of an open transaction; for code that holds a bare connection."""
        if not facts:
            return
        rows = [self._row(fact, now) for fact in facts]
        await self._tell.each(sql, rows)
        if self._copy is not None:
            statement, columns = self._copy
            await statement.each(sql, [{name: row[name] for name in columns} for row in rows])

    def _row(self, fact: object, now: datetime) -> dict[str, Any]:
        emitted = self._emitted[type(fact)]
        message = emitted.to_message(fact)
        return {
            "event_id": emitted.event_id(fact) if emitted.event_id else str(uuid4()),
            "subject": emitted.subject,
            "aggregate": aggregate_of(message),
            "version": version_of(message),
            "schema": message.DESCRIPTOR.full_name,
            "body": message.SerializeToString(deterministic=True),
            "traceparent": current().traceparent,
            "created_at": now,
        }

    def _opened(self, known: Found, call: Call) -> Message:
        """The answer of a row. Raises RequestIdReused where it was given to another request."""
        if known["request_hash"] != call.request_hash:
            raise RequestIdReused(request_id=call.request_id, method=call.method)
        answer: bytes = known["answer"]
        body = self.sealer.open(answer, self._answers_place(call)) if self.sealer else answer
        return symbol_database.Default().GetSymbol(known["answer_type"]).FromString(body)

    def _answers_place(self, call: Call) -> bytes:
        return sealed_at(self._kept.answer, call.caller.subject, call.method, call.request_id)

    async def _keep_answer(self, tx: T, call: Call, message: Message) -> None:
        if not call.request_id:
            return
        body = message.SerializeToString(deterministic=True)
        row = {
            "principal": call.caller.subject,
            "method": call.method,
            "request_id": call.request_id,
            "request_hash": call.request_hash,
            "answer_type": message.DESCRIPTOR.full_name,
            # An answer may hold a secret (a reservation token), so it is kept sealed.
            "answer": self.sealer.seal(body, self._answers_place(call)) if self.sealer else body,
            "created_at": tx.now,
        }
        await tx.write_quietly(self._kept.keep, row)


class _Kept:
    """Statements about kept answers, made once: to make one costs as much as to run it.

    moment   the database's clock as an expression, asked in the same breath; None where it is not asked
    """

    def __init__(self, t: Table, moment: ColumnElement[datetime] | None) -> None:
        self.keep = Ready(insert(t))
        self.answer = t.c.answer
        wanted = [t.c.request_hash, t.c.answer_type, t.c.answer]
        mine = [t.c[name] == bindparam(name) for name in ("principal", "method", "request_id")]
        if moment is None:
            self._find = Ready(select(*wanted).where(*mine))
        else:
            one = select(literal(1).label("one")).subquery()
            self._find = Ready(select(moment.label("now"), *wanted).select_from(one.outerjoin(t, and_(*mine))))
        self._has_moment = moment is not None

    async def ask(self, sql: AsyncConnection, call: Call | None, db: Database) -> tuple[datetime, Found | None]:
        """The present moment, and the answer that is kept for `call`."""
        if call is None or not call.request_id:
            return await db.now(sql), None
        given = {"principal": call.caller.subject, "method": call.method, "request_id": call.request_id}
        row = await self._find.row(sql, given)
        now = row["now"].astimezone(UTC) if self._has_moment and row is not None else await db.now(sql)
        return now, row if row is not None and row["answer_type"] is not None else None


def _telling(db: Database, outbox: Table, emitted: Sequence[Emitted]) -> Insert:
    """How rows get into the outbox; of facts with ids of their own, one that stands there already is told already."""
    if not any(one.event_id for one in emitted):
        return insert(outbox)
    put: Insert = (
        (postgresql if db.has_row_locks else sqlite).insert(outbox).on_conflict_do_nothing(index_elements=["event_id"])
    )
    return put


@cache
def _taking(table: Table) -> tuple[Ready, Ready]:
    """How a row of `table` is made, and how it is taken from one version to the next; made once, as above."""
    mine = [column == bindparam(_at(column.name)) for column in (*table.primary_key.columns, table.c.version)]
    return Ready(insert(table)), Ready(update(table).where(*mine))


def _at(column: str) -> str:
    """Parameter for the value that `column` has before the change; its own name is the parameter of the new one."""
    return f"at_{column}"


def _key(table: Table, row: Mapping[Any, Any]) -> tuple[Any, ...]:
    return table.name, *(row[column.name] for column in table.primary_key.columns)


def _lost_race(error: DBAPIError) -> bool:
    """Serialization failure and deadlock (SQLSTATE 40001, 40P01): PostgreSQL asks to try again."""
    return getattr(error.orig, "sqlstate", None) in {"40001", "40P01"}


def _broken_rule(error: IntegrityError) -> bool:
    """NOT NULL and CHECK: a bug of ours, which no second try would mend; all else may be another writer's doing."""
    postgresql, sqlite = getattr(error.orig, "sqlstate", None), getattr(error.orig, "sqlite_errorname", None)
    return postgresql in {"23502", "23514"} or sqlite in {"SQLITE_CONSTRAINT_NOTNULL", "SQLITE_CONSTRAINT_CHECK"}
