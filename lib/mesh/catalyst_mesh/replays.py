"""Sending events again. Only rows are marked here; the relay, which knows the order of an aggregate, sends them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, MetaData, Table, func, select, update

from .database import Database
from .retention import OUTBOX_KEPT


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which events are sent again."""

    since: datetime
    """Published at or after this moment: the stream may have lost what was created long before."""
    subject_prefix: str = ""
    aggregate: str = ""


class Replays:
    """The outbox of one daemon, as what can be sent again."""

    def __init__(self, db: Database, metadata: MetaData) -> None:
        self._db = db
        self._t: Table = metadata.tables["outbox"]

    async def mark(self, chosen: Chosen, *, validate_only: bool) -> int:
        """Let the relay send them again; how many. What still waits to be sent is not counted: it comes anyway."""
        t = self._t
        if validate_only:
            async with self._db.read() as sql:
                matching = self._matches(chosen, await self._db.now(sql))
                query = select(func.count()).select_from(t).where(matching)
                return int((await sql.execute(query)).scalar_one())
        # The age of a row must not begin anew: its inbox rows elsewhere are swept by theirs (`retention`).
        first = func.coalesce(t.c.first_published_at, t.c.published_at)
        again: Mapping[str, object] = {
            "published_at": None, "first_published_at": first, "replays": t.c.replays + 1
        }  # fmt: skip
        async with self._db.begin() as sql:
            matching = self._matches(chosen, await self._db.now(sql))
            return (await sql.execute(update(t).where(matching).values(again))).rowcount

    async def page(self, after: int, size: int) -> Sequence[Mapping[str, Any]]:
        """At most `size` published events behind the number `after`, the oldest first."""
        t = self._t
        query = select(t).where(t.c.published_at.is_not(None), t.c.number > after).order_by(t.c.number).limit(size)
        async with self._db.read() as sql:
            return [dict(row) for row in (await sql.execute(query)).mappings()]

    async def oldest(self) -> datetime | None:
        """When the oldest event that is kept was published first."""
        t = self._t
        async with self._db.read() as sql:
            query = select(func.min(func.coalesce(t.c.first_published_at, t.c.published_at)))
            found: datetime | None = (await sql.execute(query)).scalar_one()
            return found

    def _matches(self, chosen: Chosen, now: datetime) -> ColumnElement[bool]:
        t = self._t
        found: ColumnElement[bool] = t.c.published_at >= chosen.since
        # The newest row is kept for its number alone, longer than its consumers remember that they had it.
        found &= func.coalesce(t.c.first_published_at, t.c.published_at) >= now - OUTBOX_KEPT
        if chosen.subject_prefix:
            found &= t.c.subject.startswith(chosen.subject_prefix, autoescape=True)
        if chosen.aggregate:
            found &= t.c.aggregate == chosen.aggregate
        return found
