"""Rows of backends."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from catalyst_mesh import Transaction
from sqlalchemy import delete, select

from catalyst_pool_domain_manager.domain.backends import Backend
from catalyst_pool_domain_manager.domain.hosting import Thresholds

from .agenda import Agenda, agenda
from .rows import conditions_in, conditions_out, plain
from .tables import backends as t
from .tables import zones


class BackendRows(Transaction):
    """Backends."""

    async def backend(self, id: str) -> Backend | None:
        """One backend."""
        row = (await self.sql.execute(select(t).where(t.c.id == id))).mappings().one_or_none()
        if row is None:
            return None
        self.seen(t, row)
        return _backend(row)

    async def backends(self, after: str = "", limit: int = 1000) -> Sequence[Backend]:
        """Backends by id."""
        query = select(t).where(t.c.id > after).order_by(t.c.id).limit(limit)
        return [_backend(row) for row in (await self.sql.execute(query)).mappings()]

    async def backends_due(self) -> Agenda[str]:
        """Those that are to be probed."""
        query = select(t.c.id, t.c.not_before).where(t.c.observed_generation < t.c.generation)
        return agenda([(id, not_before) for id, not_before in await self.sql.execute(query)], self.now)

    async def zone_at(self, backend: str) -> str:
        """A zone that is kept there; empty where none is."""
        found = (
            await self.sql.execute(select(zones.c.domain).where(zones.c.backend == backend).limit(1))
        ).scalar_one_or_none()
        return f"zones/{found}" if found else ""

    async def save_backend(self, b: Backend) -> None:
        """Write a decided state. Raises LostRace."""
        row = {
            **plain(b), "config": dict(b.config), "thresholds": asdict(b.thresholds) if b.thresholds else None,
            "capabilities": dict(b.capabilities) if b.capabilities is not None else None,
            "conditions": conditions_in(b.conditions),
        }  # fmt: skip
        await self.take(t, row)

    async def forget_backend(self, b: Backend) -> None:
        """Delete one. Raises LostRace."""
        await self.write(delete(t).where((t.c.id == b.id) & (t.c.version == b.version)))


def _backend(row: Any) -> Backend:
    thresholds = Thresholds(**row["thresholds"]) if row["thresholds"] else None
    return Backend(**{**row, "thresholds": thresholds, "conditions": conditions_out(row["conditions"])})
