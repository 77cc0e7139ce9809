"""Things in the store: the model that is read, one that is built beside it, and what was read of old ones.

Invariants
  newest wins   a row is written by one statement that compares the ranks, so that writers of two replicas cannot take it back;
  ends with it  what stands beside a thing is ended by whichever of the two is told last.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from catalyst_mesh import Transaction
from catalyst_mesh.readers import NOBODY_S, WS, Reader
from sqlalchemy import ColumnElement, Row, Text, and_, false, func, insert, or_, select, type_coerce, update
from sqlalchemy.dialects import postgresql, sqlite

from .tables import read_model, stream_event, thing
from .things import SCHEMA, Fact, all_beside, newer, of_event

LIVE, BUILDING, OLD = "LIVE", "BUILDING", "OLD"
_live_id = select(read_model.c.id).where(read_model.c.state == LIVE).scalar_subquery()
_LIVE_MODEL = select(read_model).where(read_model.c.state == LIVE)
_BUILDING_MODEL = select(read_model).where(read_model.c.state == BUILDING).order_by(read_model.c.id).limit(1)
IS_OLD = thing.c.model.in_(select(read_model.c.id).where(read_model.c.state == OLD))
"""Rows of models that nobody reads any more."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model.

    copied    key of the last thing that it got from the live model; None once it has all of them
    replayed  number of the last event that it was told
    """

    id: int
    schema: int
    copied: str | None
    replayed: int


@cache
def _folding(*, has_row_locks: bool) -> Any:
    put = (postgresql if has_row_locks else sqlite).insert(thing)
    new = put.excluded
    is_newer = _is_older_than(new.major, new.minor)
    changed = {c.name: new[c.name] for c in thing.c if c.name not in ("model", "key")}
    return put.on_conflict_do_update(index_elements=["model", "key"], set_=changed, where=is_newer)


def _is_older_than(major: Any, minor: Any) -> ColumnElement[bool]:
    """Whether what stands in a row was told before the word of that rank."""
    return or_(thing.c.major < major, and_(thing.c.major == major, thing.c.minor < minor))


class Shelves(Transaction):
    """Reads and writes things."""

    async def live(self) -> Model:
        """The model that is read."""
        return _model((await self.sql.execute(_LIVE_MODEL)).one())

    async def building(self) -> Model | None:
        """The model that is built beside it."""
        row = (await self.sql.execute(_BUILDING_MODEL)).one_or_none()
        return None if row is None else _model(row)

    async def wish_rebuild(self) -> Model:
        """Have a model built, unless one is; the one."""
        if (known := await self.building()) is not None:
            return known
        await self.sql.execute(insert(read_model).values(schema=SCHEMA, state=BUILDING, copied="", replayed=0))
        self.wrote.add(read_model.name)
        return _model((await self.sql.execute(_BUILDING_MODEL)).one())

    async def reach(self, model: int, *, copied: str | None, replayed: int) -> None:
        """Note how far a model has come."""
        mine = read_model.c.id == model
        await self.sql.execute(update(read_model).where(mine).values(copied=copied, replayed=replayed))

    async def swap(self, model: int) -> None:
        """Have `model` read from now on, and the one before no more."""
        t = read_model
        await self.sql.execute(update(t).where(t.c.state == LIVE).values(state=OLD))
        await self.sql.execute(update(t).where(t.c.id == model).values(state=LIVE))
        self.wrote.add(t.name)

    async def fold(self, model: int, fact: Fact) -> bool:
        """Tell a model a fact; False where it knows a newer one."""
        put = _folding(has_row_locks=self.has_row_locks)
        is_news = bool((await self.sql.execute(put, self._row(model, fact))).rowcount == 1)
        if is_news:
            await self._end_beside(model, [fact])
        return is_news

    async def fold_all(self, model: int, facts: Sequence[Fact]) -> None:
        """Tell a model many facts at once."""
        newest: dict[str, Fact] = {}
        for fact in facts:
            newest[fact.key] = newer(newest.get(fact.key), fact)
        if newest:
            rows = [self._row(model, fact) for fact in newest.values()]
            await self.sql.execute(_folding(has_row_locks=self.has_row_locks), rows)
            await self._end_beside(model, list(newest.values()))

    async def _end_beside(self, model: int, told: Sequence[Fact]) -> None:
        """End what stands beside things that are no more, as far as it is older than their end."""
        t = thing
        about = sorted({fact.aggregate for fact in told if fact.is_beside or (fact.is_gone and fact.aggregate)})
        if not about:
            return
        gone = select(t.c.key, t.c.major, t.c.minor).where(
            t.c.model == model, t.c.key.in_(about), t.c.deleted_at.is_not(None)
        )
        for key, major, minor in (await self.sql.execute(gone)).all():
            over = (
                t.c.model == model,
                t.c.key.in_(all_beside(key)),
                t.c.deleted_at.is_(None),
                _is_older_than(major, minor),
            )
            await self.sql.execute(update(t).where(*over).values(deleted_at=self.now))

    def _row(self, model: int, fact: Fact) -> dict[str, Any]:
        return {
            "model": model,
            "key": fact.key,
            "kind": fact.kind,
            "name": fact.name,
            "environment": fact.environment,
            "organization": fact.organization,
            "subject": fact.subject,
            "major": fact.rank[0],
            "minor": fact.rank[1],
            "version": fact.version,
            "time": fact.time,
            "body": dict(fact.body),
            "deleted_at": self.now if fact.is_gone else None,
        }  # fmt: skip - one row

    async def facts_after(self, key: str, limit: int) -> list[Fact]:
        """Things of the live model with higher keys, those that are no more included."""
        query = select(thing).where(thing.c.model == _live_id, thing.c.key > key).order_by(thing.c.key).limit(limit)
        return [_fact(row) for row in (await self.sql.execute(query)).mappings()]

    async def facts_of(self, environment: str) -> list[Fact]:
        """What is known of the objects of an Environment, those that are no more included."""
        query = select(thing).where(
            thing.c.model == _live_id, thing.c.environment == environment, thing.c.key.like("ws/%")
        )
        return [_fact(row) for row in (await self.sql.execute(query)).mappings()]

    async def facts_told_after(self, number: int, limit: int) -> tuple[int | None, list[Fact]]:
        """What the next events say, and the number of the last of them; None where there are no more."""
        t = stream_event
        query = select(t).where(t.c.number > number).order_by(t.c.number).limit(limit)
        rows = (await self.sql.execute(query)).mappings().all()
        facts = [_of_event(row) for row in rows if not row["subject"].startswith("ws.")]
        return (int(rows[-1]["number"]) if rows else None), facts

    async def things(
        self, *where: ColumnElement[bool], after: str = "", limit: int, with_gone: bool = False
    ) -> Sequence[Mapping[str, Any]]:
        """Things of the live model by their keys."""
        query = (
            select(thing)
            .where(thing.c.model == _live_id, thing.c.key > after, *where)
            .order_by(thing.c.key)
            .limit(limit)
        )
        if not with_gone:
            query = query.where(thing.c.deleted_at.is_(None))
        return [dict(row) for row in (await self.sql.execute(query)).mappings()]


def matching(text: str) -> ColumnElement[bool]:
    """Things with `text` in their name or in what is told of them."""
    return or_(
        func.lower(thing.c.key).contains(text.lower(), autoescape=True),
        func.lower(thing.c.body).contains(text.lower(), autoescape=True),
    )


def installed_from(blueprint: str) -> ColumnElement[bool]:
    """Applications of a Blueprint, `blueprints/bp-ghost`: each of their facts names it, as canonical text of JSON does."""
    return type_coerce(thing.c.body, Text).contains(f'"blueprint":{json.dumps(blueprint)}', autoescape=True)


def readable(reader: Reader) -> ColumnElement[bool]:
    """Things that `reader` may read, as `Reader.may_hear` says it of each."""
    t = thing
    of_own = [
        and_(t.c.organization == org, or_(t.c.kind.in_(kinds), t.c.key.startswith("ws/") if WS in kinds else false()))
        for org, kinds in reader.by_organization().items()
    ]
    return or_(
        t.c.kind.in_(reader.everything),
        and_(t.c.organization == NOBODY_S, t.c.kind.in_(reader.anybody_s), t.c.key.not_like("ws/%")),
        *of_own,
    )


def _model(row: Row[Any]) -> Model:
    return Model(row.id, row.schema, row.copied, row.replayed)


def _fact(row: Mapping[Any, Any]) -> Fact:
    return Fact(
        key=row["key"], kind=row["kind"], name=row["name"], environment=row["environment"], organization=row["organization"],
        subject=row["subject"], rank=(row["major"], row["minor"]), version=row["version"], time=row["time"],
        body=row["body"], is_gone=row["deleted_at"] is not None,
    )  # fmt: skip


def _of_event(row: Mapping[Any, Any]) -> Fact:
    return of_event(row["subject"], row["aggregate"], row["body"], rank=rank_of(row), time=row["time"])


def rank_of(row: Mapping[Any, Any]) -> tuple[int, int]:
    """Of an event that was kept before ranks were, its version must do."""
    return row["major"], row["minor"] or row["version"]
