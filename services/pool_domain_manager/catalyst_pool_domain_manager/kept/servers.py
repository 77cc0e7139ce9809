"""Rows of name-server sets."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from catalyst_mesh import Transaction
from sqlalchemy import delete, select

from catalyst_pool_domain_manager.domain.server_sets import Endpoint, Glue, ServerSet

from .rows import plain
from .tables import server_sets as t
from .tables import zones


class ServerSetRows(Transaction):
    """Name-server sets."""

    async def server_set(self, id: str, *, lock: bool = False) -> ServerSet | None:
        """One set."""
        query = select(t).where(t.c.id == id)
        query = query.with_for_update() if lock and self.has_row_locks else query
        row = (await self.sql.execute(query)).mappings().one_or_none()
        if row is None:
            return None
        self.seen(t, row)
        return _set(row)

    async def server_sets(self, after: str = "", limit: int = 1000) -> Sequence[ServerSet]:
        """Sets by id."""
        query = select(t).where(t.c.id > after).order_by(t.c.id).limit(limit)
        return [_set(row) for row in (await self.sql.execute(query)).mappings()]

    async def user_of_set(self, name: str) -> str:
        """A zone that has these servers; empty where none has."""
        query = select(zones.c.domain).where(zones.c.name_server_set == name).limit(1)
        found = (await self.sql.execute(query)).scalar_one_or_none()
        return f"zones/{found}" if found else ""

    async def save_server_set(self, s: ServerSet) -> None:
        """Write a decided state. Raises LostRace."""
        lists = {name: [asdict(e) for e in getattr(s, name)] for name in ("polled", "targets", "also_notify", "glue")}
        await self.take(t, {**plain(s), "published": list(s.published), **lists})

    async def forget_server_set(self, s: ServerSet) -> None:
        """Delete a set. Raises LostRace."""
        await self.write(delete(t).where((t.c.id == s.id) & (t.c.version == s.version)))


def _set(row: Any) -> ServerSet:
    lists = {n: tuple(_endpoint(e) for e in row[n]) for n in ("polled", "targets", "also_notify")}
    glue = tuple(Glue(g["host"], tuple(g["addresses"])) for g in row["glue"])
    return ServerSet(**{**row, "published": tuple(row["published"]), **lists, "glue": glue})


def _endpoint(raw: Any) -> Endpoint:
    return Endpoint(raw["host"], tuple(raw["addresses"]), raw["port"])
