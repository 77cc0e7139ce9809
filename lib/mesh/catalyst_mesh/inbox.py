"""What one consumer has handled: which events, and how far it is with each aggregate. See `consumer` for the invariants."""

from collections.abc import Collection, Sequence
from enum import Enum, auto
from typing import Any

from sqlalchemy import Column, ColumnElement, MetaData, Table, Text, any_, insert, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import IntegrityError

from . import chains
from .facts import Told
from .work import LostRace, Transaction


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
        return _place(told, seen, subjects)

    async def moved(self, tx: Transaction, told: Told) -> None:
        """The aggregate has come as far as this event; never backwards."""
        if not told.number:
            return
        await self._move(tx, [told])

    async def ahead(self, tx: Transaction, all_told: Sequence[Told]) -> "Ahead":
        """What is known about all of these events, asked at once."""
        inbox, seen = self._inbox, self._seen
        ids = {told.event_id for told in all_told}
        mine = (inbox.c.consumer == self._consumer) & _is_one_of(tx, inbox.c.event_id, ids)
        known = set((await tx.sql.execute(select(inbox.c.event_id).where(mine))).scalars())
        aggregates = {told.aggregate for told in all_told if told.number}
        if not aggregates:
            return Ahead(self, known, {})
        theirs = (seen.c.consumer == self._consumer) & _is_one_of(tx, seen.c.aggregate, aggregates)
        numbers = (await tx.sql.execute(select(seen.c.aggregate, seen.c.number).where(theirs))).all()
        return Ahead(self, known, {row.aggregate: row.number for row in numbers})

    async def write(self, tx: Transaction, handled: Sequence[Told]) -> None:
        """Write the rows of events that are handled in this transaction, and how far their aggregates have come.

        Raises LostRace where another replica has handled one of them meanwhile.
        """
        if not handled:
            return
        same = {"consumer": self._consumer, "handled_at": tx.now}
        try:
            await tx.sql.execute(insert(self._inbox), [{**same, "event_id": told.event_id} for told in handled])
        except IntegrityError as error:
            raise LostRace from error
        # The last one of each aggregate; they stand in their order.
        furthest = {told.aggregate: told for told in handled if told.number}
        if furthest:
            await self._move(tx, list(furthest.values()))

    async def _move(self, tx: Transaction, all_told: Sequence[Told]) -> None:
        rows = [
            {
                "consumer": self._consumer, "aggregate": told.aggregate, "number": told.number,
                "version": told.version, "seen_at": tx.now,
            }
            for told in all_told
        ]  # fmt: skip
        fresh = _insert(tx, self._seen)
        further = {name: fresh.excluded[name] for name in ("number", "version", "seen_at")}
        statement = fresh.on_conflict_do_update(
            index_elements=["consumer", "aggregate"], set_=further, where=self._seen.c.number < fresh.excluded.number
        )
        await tx.sql.execute(statement, rows)


class Ahead:
    """The inbox as a run of events sees it: what stood there before, and what the run adds."""

    def __init__(self, inbox: Inbox, known: set[str], numbers: dict[str, int]) -> None:
        self._inbox = inbox
        self._known = known
        self._numbers = numbers
        self._handled: list[Told] = []

    def has(self, told: Told) -> bool:
        """Whether the event has had its effect."""
        return told.event_id in self._known

    def place(self, told: Told, subjects: Collection[str]) -> Place:
        """As `Inbox.place`."""
        return _place(told, self._numbers.get(told.aggregate, 0), subjects) if told.number else Place.NEXT

    def moved(self, told: Told) -> None:
        """The event has its effect in this run."""
        self._known.add(told.event_id)
        self._handled.append(told)
        if told.number:
            self._numbers[told.aggregate] = told.number

    async def write(self, tx: Transaction) -> None:
        """Write what the run added. Raises LostRace."""
        await self._inbox.write(tx, self._handled)


def _place(told: Told, seen: int, subjects: Collection[str]) -> Place:
    if told.number < seen:
        return Place.LATE
    return Place.BEHIND_A_GAP if chains.wanted(told.previous, subjects) > seen else Place.NEXT


def _is_one_of(tx: Transaction, column: Column[str], values: Collection[str]) -> ColumnElement[bool]:
    """On PostgreSQL as one list: a place for each value would be written into the statement each time anew."""
    if tx.has_row_locks:
        return column == any_(literal(list(values), ARRAY(Text)))
    return column.in_(values)


def _insert(tx: Transaction, table: Table) -> Any:
    return (postgresql if tx.has_row_locks else sqlite).insert(table)
