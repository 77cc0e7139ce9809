"""Rows of what checks of propagation came to."""

from catalyst_mesh import Transaction, UtcTime
from sqlalchemy import BigInteger, Boolean, Column, Table, Text, select

from catalyst_pool_domain_manager.domain.propagation import Outcome

from .rows import plain
from .tables import metadata

t = Table(
    "propagation", metadata,
    Column("zone", Text, primary_key=True), Column("uid", Text, nullable=False),
    Column("delegated", Boolean, nullable=False), Column("consistent", Boolean, nullable=False),
    Column("serial", BigInteger, nullable=False), Column("at", UtcTime, nullable=False),
    Column("version", BigInteger, nullable=False),
)  # fmt: skip


class PropagationRows(Transaction):
    """The last outcome of each zone."""

    async def outcome(self, zone: str) -> Outcome | None:
        """Of one zone."""
        row = (await self.sql.execute(select(t).where(t.c.zone == zone))).mappings().one_or_none()
        if row is None:
            return None
        self.seen(t, row)
        return Outcome(**row)

    async def save_outcome(self, found: Outcome) -> None:
        """Write a decided state. Raises LostRace."""
        await self.take(t, plain(found))
