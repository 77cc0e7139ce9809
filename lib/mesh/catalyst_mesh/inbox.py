"""What one consumer has handled: which events, and how far it is with each aggregate. See `consumer` for the invariants."""

from collections.abc import Collection
from enum import Enum, auto
from typing import Any

from sqlalchemy import MetaData, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from . import chains
from .facts import Told
from .work import Transaction


class Place(Enum):
    """Where an event stands among those of its aggregate."""

    NEXT = auto()
    BEHIND_A_GAP = auto()
    """Its predecessor has not been seen."""
    LATE = auto()
    """A successor has been seen."""


class Inbox:
    """The inbox of one consumer, within the transaction of an effect."""

    def __init__(self, consumer: str, metadata: MetaData) -> None:
        self._consumer = consumer
        self._inbox: Table = metadata.tables["inbox"]
        self._seen: Table = metadata.tables["inbox_seen"]

    async def first_time(self, tx: Transaction, told: Told) -> bool:
        """Write the row of an event; False where it is there."""
        row = {"consumer": self._consumer, "event_id": told.event_id, "handled_at": tx.now}
        statement = _insert(tx, self._inbox).values(row).on_conflict_do_nothing()
        return bool((await tx.sql.execute(statement)).rowcount == 1)

    async def place(self, tx: Transaction, told: Told, subjects: Collection[str]) -> Place:
        """Where the event stands for a consumer of `subjects`. One that does not say its number is always the next."""
        if not told.number:
            return Place.NEXT
        mine = (self._seen.c.consumer == self._consumer) & (self._seen.c.aggregate == told.aggregate)
        seen = (await tx.sql.execute(select(self._seen.c.number).where(mine))).scalar_one_or_none() or 0
        if told.number < seen:
            return Place.LATE
        return Place.BEHIND_A_GAP if chains.wanted(told.previous, subjects) > seen else Place.NEXT

    async def moved(self, tx: Transaction, told: Told) -> None:
        """The aggregate has come as far as this event; never backwards."""
        if not told.number:
            return
        row = {
            "consumer": self._consumer, "aggregate": told.aggregate, "number": told.number, "version": told.version,
            "seen_at": tx.now,
        }  # fmt: skip
        insert = _insert(tx, self._seen).values(row)
        further = {name: insert.excluded[name] for name in ("number", "version", "seen_at")}
        await tx.sql.execute(
            insert.on_conflict_do_update(
                index_elements=["consumer", "aggregate"],
                set_=further,
                where=self._seen.c.number < insert.excluded.number,
            )
        )


def _insert(tx: Transaction, table: Table) -> Any:
    return (postgresql if tx.has_row_locks else sqlite).insert(table)
