"""Rows of what was made true last."""

from catalyst_mesh import Transaction
from sqlalchemy import insert, select, update

from ..domain import applied
from ..domain.applied import Applied
from .tables import applied as t


class AppliedRows(Transaction):
    """One row a Sovereign."""

    async def applied_state(self, sovereign: str) -> Applied | None:
        """What the last successful run made true; None where none has, or none since this is kept."""
        body = (await self.sql.execute(select(t.c.body).where(t.c.sovereign == sovereign))).scalar_one_or_none()
        return applied.read(body) if body else None

    async def keep_applied(self, sovereign: str, state: Applied) -> None:
        """A run has ended well."""
        row = {"body": state.plain(), "updated_at": self.now}
        mine = t.c.sovereign == sovereign
        if (await self.sql.execute(select(t.c.sovereign).where(mine))).first():
            await self.write(update(t).where(mine).values(row))
        else:
            await self.write(insert(t).values({"sovereign": sovereign, **row}))
