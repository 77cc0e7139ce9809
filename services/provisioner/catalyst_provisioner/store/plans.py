"""Rows of plans."""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from catalyst_mesh import Transaction
from sqlalchemy import insert, select, update

from .tables import plans as t

LIFE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A stored plan."""

    id: str
    sovereign: str
    intent: str
    hash: str
    body: dict[str, Any]
    state: str
    run: str
    requester: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime

    @property
    def name(self) -> str:
        """Resource name."""
        return f"sovereigns/{self.sovereign}/plans/{self.id}"

    def state_at(self, now: datetime) -> str:
        """active, applied or expired."""
        return "expired" if self.state == "active" and self.expires_at <= now else self.state


class PlanRows(Transaction):
    """Plans."""

    async def keep_plan(self, row: PlanRow) -> None:
        """Store a new plan."""
        await self.write(insert(t).values({f.name: getattr(row, f.name) for f in fields(row)}))

    async def plan(self, sovereign: str, id: str) -> PlanRow | None:
        """One plan."""
        rows = await self.sql.execute(select(t).where((t.c.sovereign == sovereign) & (t.c.id == id)))
        row = rows.mappings().one_or_none()
        return PlanRow(**row) if row else None

    async def plans_before(self, sovereign: str, id: str | None, limit: int) -> list[PlanRow]:
        """Plans, the newest first; ids sort by their moment. An empty Sovereign: of all."""
        query = select(t).order_by(t.c.id.desc()).limit(limit)
        query = query.where(t.c.sovereign == sovereign) if sovereign else query
        query = query.where(t.c.id < id) if id else query
        return [PlanRow(**row) for row in (await self.sql.execute(query)).mappings()]

    async def overdue_plans(self, limit: int = 100) -> list[PlanRow]:
        """Plans that are called active and cannot be applied any more."""
        query = select(t).where((t.c.state == "active") & (t.c.expires_at <= self.now)).order_by(t.c.id).limit(limit)
        return [PlanRow(**row) for row in (await self.sql.execute(query)).mappings()]

    async def expired(self, sovereign: str, id: str) -> None:
        """The time of a plan is over."""
        mine = (t.c.sovereign == sovereign) & (t.c.id == id)
        await self.write(update(t).where(mine).values(state="expired", updated_at=self.now))

    async def applied(self, sovereign: str, id: str, run: str) -> None:
        """A run was made of the plan."""
        mine = (t.c.sovereign == sovereign) & (t.c.id == id)
        await self.write(update(t).where(mine).values(state="applied", run=run, updated_at=self.now))
