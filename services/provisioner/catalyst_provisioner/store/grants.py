"""Rows of grants."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from catalyst_mesh import Transaction
from sqlalchemy import ColumnElement, Select, insert, select, update

from ..domain.grants import ACTIVE, SHOWN, Grant
from .tables import grants as t


class GrantRows(Transaction):
    """Grants. Whoever changes one holds its Sovereign's row."""

    async def grant(self, sovereign: str, id: str) -> Grant | None:
        """One that was given, by name."""
        return await self._grant((t.c.sovereign == sovereign) & (t.c.id == id) & t.c.state.in_(SHOWN))

    async def grant_asked(self, key: str) -> Grant | None:
        """One by who asked for what."""
        return await self._grant(t.c.key == key)

    async def grant_of(self, sovereign: str, cluster: str, command: int) -> Grant | None:
        """One by the last command about it."""
        return await self._grant((t.c.sovereign == sovereign) & (t.c.cluster == cluster) & (t.c.command == command))

    async def keep_grant(self, grant: Grant, *, fresh: bool = False) -> None:
        """Write one."""
        values = asdict(grant)
        await self.write(insert(t).values(values) if fresh else update(t).where(t.c.id == grant.id).values(values))

    async def grants_before(
        self, sovereign: str, id: str, limit: int, *, state: str = "", cluster: str = "", grantee: str = ""
    ) -> list[Grant]:
        """Those that were given, the newest first; ids sort by their moment. `state` as it is shown."""
        query = select(t).where((t.c.sovereign == sovereign) & t.c.state.in_(SHOWN)).order_by(t.c.id.desc())
        for column, value in ((t.c.cluster, cluster), (t.c.grantee, grantee)):
            query = query.where(column == value) if value else query
        query = query.where(t.c.id < id) if id else query
        query = query.where(_stands(state, self.now)) if state else query
        return await self._grants(query.limit(limit))

    async def grants_to_end(self, sovereign: str, cluster: str = "") -> Sequence[Grant]:
        """Those that nobody may use any more once their cluster is gone; an empty cluster: of all."""
        query = select(t).where((t.c.sovereign == sovereign) & (t.c.state != "revoked") & (t.c.state != "refused"))
        return await self._grants(query.where(t.c.cluster == cluster) if cluster else query)

    async def grants_unfetched(self, before: datetime) -> Sequence[Grant]:
        """Those that are minted, older than `before`, and were not answered."""
        return await self._grants(
            select(t).where((t.c.state == ACTIVE) & t.c.token.is_not(None) & (t.c.created_at < before))
        )

    async def _grant(self, where: ColumnElement[bool]) -> Grant | None:
        return next(iter(await self._grants(select(t).where(where))), None)

    async def _grants(self, query: Select[tuple[object, ...]]) -> list[Grant]:
        return [Grant(**row) for row in (await self.sql.execute(query)).mappings()]


def _stands(state: str, now: datetime) -> ColumnElement[bool]:
    open = t.c.state.in_((ACTIVE, "revoking"))
    if state == "expired":
        return open & (t.c.expires_at <= now)
    return (t.c.state == state) & ((t.c.expires_at > now) if state in (ACTIVE, "revoking") else t.c.state.is_not(None))
