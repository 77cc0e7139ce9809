"""The read model of events: what happened, in one order, for browsers that come and go.

Rows are numbered by the gateway, all replicas together. The incarnation is drawn when the store is made, so that a client
that comes back with a number of another store (a wiped one) is told to begin anew instead of missing events.

Invariant
  in order   numbers become visible in the order in which they are given: a reader that has seen one never misses a lower
             one. Sequences of PostgreSQL do not promise that, so writers take turns.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from catalyst_mesh.readers import UNKNOWN, whose
from catalyst_mesh.retention import Rule
from sqlalchemy import Integer, bindparam, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from . import kept
from .kept import Kept
from .shelves import IS_OLD, Shelves, rank_of
from .tables import audit_line, incarnation, metadata, stream_event, stream_position, thing
from .things import Fact, of_event

__all__ = ["Store", "metadata", "rules", "stream_event"]
KEPT = timedelta(days=14)
"""For so long what happened can be read again: longer than any daemon may send it again, or it would be told twice."""
AUDIT_KEPT = timedelta(days=90)
TOMBSTONES_KEPT = timedelta(hours=24)
# Statements on the way of each event to the browsers are made once: to make one costs as much as to run it.
_AFTER = (
    select(stream_event).where(stream_event.c.number > bindparam("after")).order_by(stream_event.c.number)
    .limit(bindparam("most", type_=Integer))
)  # fmt: skip

_LAST = select(func.coalesce(func.max(stream_event.c.number), 0))
_FIRST = select(func.coalesce(func.min(stream_event.c.number), 0))


@cache
def _adding(*, has_row_locks: bool) -> Any:
    insert = (postgresql if has_row_locks else sqlite).insert(stream_event)
    return insert.on_conflict_do_nothing(index_elements=["event_id"])


@cache
def _standing(*, has_row_locks: bool) -> Any:
    insert = (postgresql if has_row_locks else sqlite).insert(stream_position)
    changed = {name: insert.excluded[name] for name in ("life", "sequence")}
    return insert.on_conflict_do_update(index_elements=["service"], set_=changed)


class Store(Shelves, Kept):
    """Reads and writes what happened, what stands, and who asked."""

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

    async def tell(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Keep events, and what each says of its thing, unless they are kept already; how many were new."""
        model, new = (await self.live()).id, 0
        for row in rows:
            if await self.add(row):
                fact = of_event(row["subject"], row["aggregate"], row["body"], rank=rank_of(row), time=row["time"])
                await self.fold(model, fact)
                new += 1
        return new

    async def tell_runtime(self, facts: Sequence[tuple[str, Fact]]) -> list[Fact]:
        """Keep what was told of objects, each with the id of its message; those that were newer than what was known."""
        model = (await self.live()).id
        changed = [(event_id, fact) for event_id, fact in facts if await self.fold(model, fact)]
        for event_id, fact in changed:
            row = {
                "event_id": event_id,
                "subject": fact.subject,
                "aggregate": fact.key,
                "version": fact.version,
                "time": fact.time,
                "body": dict(fact.body),
                "organization": fact.organization,
                "major": fact.rank[0],
                "minor": fact.rank[1],
            }  # fmt: skip - one row
            await self.add(row)
        return [fact for _, fact in changed]

    async def known(self, ids: Sequence[str]) -> frozenset[str]:
        """Those of `ids` that are kept."""
        t = stream_event
        return frozenset((await self.sql.execute(select(t.c.event_id).where(t.c.event_id.in_(ids)))).scalars())

    async def after(self, number: int, prefixes: Sequence[str], limit: int) -> Sequence[Mapping[str, Any]]:
        """Events with a higher number whose subject begins with one of `prefixes`; with none of them, all."""
        query = _AFTER
        if prefixes:
            query = query.where(or_(*(stream_event.c.subject.startswith(p, autoescape=True) for p in prefixes)))
        rows = await self.sql.execute(query, {"after": number, "most": limit})
        return [dict(row) for row in rows.mappings()]

    async def before(
        self, number: int | None, prefix: str, limit: int, *, about: str = ""
    ) -> Sequence[Mapping[str, Any]]:
        """Events with a lower number, the newest first, whose subject begins with `prefix`.

        about   only those of this resource and of what lies below it
        """
        t = stream_event
        query = select(t).order_by(t.c.number.desc()).limit(limit)
        if prefix:
            query = query.where(t.c.subject.startswith(prefix, autoescape=True))
        if about:
            query = query.where((t.c.aggregate == about) | t.c.aggregate.startswith(f"{about}/", autoescape=True))
        rows = await self.sql.execute(query if number is None else query.where(t.c.number < number))
        return [dict(row) for row in rows.mappings()]

    async def last(self) -> int:
        """The highest number; 0 for an empty store."""
        return int((await self.sql.execute(_LAST)).scalar_one())

    async def first(self) -> int:
        """The lowest number that is kept; 0 for an empty store."""
        return int((await self.sql.execute(_FIRST)).scalar_one())

    async def find_owners(self, after: int, limit: int) -> int | None:
        """Write down whose events are that were kept by a release that did not say so, of `limit` with higher numbers.

        The number up to which that is done; None where there is nothing more.
        """
        t = stream_event
        query = (
            select(t.c.number, t.c.subject, t.c.aggregate, t.c.body)
            .where(t.c.organization == UNKNOWN, t.c.number > after).order_by(t.c.number).limit(limit)
        )  # fmt: skip
        rows = (await self.sql.execute(query)).mappings().all()
        for row in rows:
            found = whose(row["subject"], row["aggregate"], row["body"])
            await self.sql.execute(update(t).where(t.c.number == row["number"]).values(organization=found))
        return int(rows[-1]["number"]) if rows else None

    async def audit(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Keep lines of calls."""
        await self.sql.execute(insert(audit_line), list(lines))

    async def audited(self, before: int | None, given: Mapping[str, str], limit: int) -> Sequence[Mapping[str, Any]]:
        """Lines with a lower number, the newest first; `given` are columns with the value that they must have."""
        t = audit_line
        query = (
            select(t)
            .order_by(t.c.number.desc())
            .limit(limit)
            .where(*(t.c[name] == value for name, value in given.items()))
        )
        rows = await self.sql.execute(query if before is None else query.where(t.c.number < before))
        return [dict(row) for row in rows.mappings()]


def rules() -> tuple[Rule, ...]:
    """What is swept of these tables. The newest row stays, or SQLite would give its number again."""
    t = stream_event
    newest = select(func.max(t.c.number)).scalar_subquery()
    last_line = select(func.max(audit_line.c.number)).scalar_subquery()
    return (
        Rule(t, t.c.time, KEPT, t.c.number < newest),
        Rule(audit_line, audit_line.c.time, AUDIT_KEPT, audit_line.c.number < last_line),
        Rule(thing, thing.c.deleted_at, TOMBSTONES_KEPT, thing.c.deleted_at.is_not(None)),
        Rule(thing, thing.c.time, timedelta(0), IS_OLD),
        *kept.rules(),
    )
