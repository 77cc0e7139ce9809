"""What queries read: for each kind of question one statement a request, whatever asks it how often (no N+1)."""

from collections.abc import Sequence
from typing import Any

from catalyst_mesh import Caller, Work
from catalyst_mesh.readers import Reader
from catalyst_sdk import Code, Refused
from sqlalchemy import ColumnElement, func, select
from strawberry.dataloader import DataLoader

from ..store import Store
from ..tables import stream_event, thing
from .folding import APPLICATION, Kind, Row, folded

MOST_EVENTS = 100
"""Events of one thing that are read at most."""
MOST_BESIDE = 1000
"""Applications of the Environments of one query among which users of another are looked for."""


class ThingNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "THING_NOT_FOUND", "there is no {key}"


class Reads:
    """The reads of one request of one person."""

    def __init__(self, work: Work[Store], person: Caller) -> None:
        self.work = work
        self.person = person
        self.reader = Reader.of(person)
        self.things: DataLoader[str, Row | None] = DataLoader(load_fn=self._things)
        self.events: DataLoader[str, Sequence[Row]] = DataLoader(load_fn=self._events)
        self.beside: DataLoader[str, Sequence[tuple[Row, Row]]] = DataLoader(load_fn=self._beside)
        self.told: DataLoader[tuple[Kind, str], Sequence[Row]] = DataLoader(load_fn=self._told)

    def may_read(self, row: Row) -> bool:
        """Whether a thing or event is the person's to read."""
        return self.reader.may_hear(row["subject"], row["organization"])

    async def _things(self, keys: list[str]) -> list[Row | None]:
        """Things by their keys. A foreign one is as absent as one that never was."""
        async with self.work.reading() as tx:
            rows = await tx.things(thing.c.key.in_(keys), limit=len(keys))
        found = {row["key"]: row for row in rows if self.may_read(row)}
        return [found.get(key) for key in keys]

    async def _events(self, keys: list[str]) -> list[Sequence[Row]]:
        """The newest events of each of several things, the newest first."""
        found = await self._newest(keys)
        return [[row for row in found[key] if self.may_read(row)] for key in keys]

    async def _told(self, wishes: list[tuple[Kind, str]]) -> list[Sequence[Row]]:
        """What was told of each of several things by events of a kind, the oldest first."""
        by_kind: dict[Kind, list[str]] = {}
        for kind, key in wishes:
            by_kind.setdefault(kind, []).append(key)
        found = {kind: await self._newest(keys, kind.tells()) for kind, keys in by_kind.items()}
        return [[row for row in reversed(found[kind][key]) if self.may_read(row)] for kind, key in wishes]

    async def _beside(self, environments: list[str]) -> list[Sequence[tuple[Row, Row]]]:
        """The Applications of each of several Environments with what was told of them, by name."""
        mine = thing.c.environment.in_(environments)
        async with self.work.reading() as tx:
            rows = await tx.things(thing.c.kind == APPLICATION.name, mine, limit=MOST_BESIDE)
        rows = [row for row in rows if self.may_read(row)]
        told = await self._told([(APPLICATION, row["key"]) for row in rows])
        both = [(row, folded(events or [row])) for row, events in zip(rows, told, strict=True)]
        return [[one for one in both if one[0]["environment"] == environment] for environment in environments]

    async def _newest(self, keys: list[str], *where: ColumnElement[bool]) -> dict[str, list[Row]]:
        """The newest events of things, as many as are read at most, by their keys."""
        t = stream_event
        place = func.row_number().over(partition_by=t.c.aggregate, order_by=t.c.number.desc()).label("place")
        some = select(t, place).where(t.c.aggregate.in_(keys), *where).subquery()
        query = select(some).where(some.c.place <= MOST_EVENTS).order_by(some.c.number.desc())
        async with self.work.reading() as tx:
            rows: Sequence[Any] = (await tx.sql.execute(query)).mappings().all()
        found: dict[str, list[Row]] = {key: [] for key in keys}
        for row in map(dict, rows):
            found[row["aggregate"]].append(row)
        return found
