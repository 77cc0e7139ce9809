"""Rows of imports."""

from collections.abc import Sequence
from typing import Any

from catalyst_mesh import Transaction
from sqlalchemy import insert, select

from catalyst_pool_domain_manager.domain.imports import Completeness, ZoneImport

from .rows import plain, set_in, set_out
from .tables import imports as t


class ImportRows(Transaction):
    """Imports; an import never changes."""

    async def zone_import(self, zone: str, id: str) -> ZoneImport | None:
        """One import."""
        row = (await self.sql.execute(select(t).where(t.c.zone == zone, t.c.id == id))).mappings().one_or_none()
        return _import(row) if row else None

    async def imports_before(self, zone: str, id: str | None, limit: int) -> Sequence[ZoneImport]:
        """Imports of a zone, the newest first."""
        query = select(t).where(t.c.zone == zone).order_by(t.c.id.desc()).limit(limit)
        query = query.where(t.c.id < id) if id else query
        return [_import(row) for row in (await self.sql.execute(query)).mappings()]

    async def keep_import(self, found: ZoneImport) -> None:
        """Store an import."""
        sets = [set_in(r) for r in found.record_sets]
        row = {**plain(found), "completeness": str(found.completeness), "record_sets": sets,
               "left_out": list(found.left_out)}  # fmt: skip
        await self.sql.execute(insert(t).values(row))


def _import(row: Any) -> ZoneImport:
    sets = tuple(r for raw in row["record_sets"] if (r := set_out(raw)) is not None)
    read = {"completeness": Completeness(row["completeness"]), "record_sets": sets, "left_out": tuple(row["left_out"])}
    return ZoneImport(**{**row, **read})
