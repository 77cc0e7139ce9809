"""Rows of accounts at registrars."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from catalyst_mesh import SEALED, Json, Transaction, UtcTime
from catalyst_sdk.registrar import Access, Obstacle
from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table, Text, delete, select

from catalyst_pool_domain_manager.domain.registrars import Account, Check

from .rows import plain
from .tables import metadata

t = Table(
    "registrar_account", metadata,
    Column("id", Text, primary_key=True), Column("uid", Text, nullable=False),
    Column("registrar", Text, nullable=False), Column("owner", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False, info=SEALED), Column("secret_ref", Text, nullable=False),
    Column("check", Json), Column("checked_at", UtcTime),
    Column("created_at", UtcTime, nullable=False), Column("updated_at", UtcTime, nullable=False),
    Column("version", BigInteger, nullable=False),
    Index("registrar_account_owner", "owner"),
)  # fmt: skip


class AccountRows(Transaction):
    """Accounts at registrars."""

    async def account(self, id: str, *, lock: bool = False) -> Account | None:
        """One account."""
        query = select(t).where(t.c.id == id)
        query = query.with_for_update() if lock and self.has_row_locks else query
        row = (await self.sql.execute(query)).mappings().one_or_none()
        if row is None:
            return None
        self.seen(t, row)
        return _account(row)

    async def accounts(self, after: str, limit: int, owners: Sequence[str] | None) -> Sequence[Account]:
        """Accounts by id; owners None: everybody's."""
        query = select(t).where(t.c.id > after).order_by(t.c.id).limit(limit)
        if owners is not None:
            query = query.where(t.c.owner.in_(owners))
        return [_account(row) for row in (await self.sql.execute(query)).mappings()]

    async def save_account(self, a: Account) -> None:
        """Write a decided state. Raises LostRace."""
        check = {"domain": a.check.domain, "access": asdict(a.check.access)} if a.check else None
        await self.take(t, {**plain(a), "check": check})

    async def forget_account(self, a: Account) -> None:
        """Delete an account and its sealed credential. Raises LostRace."""
        await self.write(delete(t).where((t.c.id == a.id) & (t.c.version == a.version)))


def _account(row: Any) -> Account:
    return Account(**{**row, "check": _check(row["check"]) if row["check"] else None})


def _check(raw: Any) -> Check:
    access = raw["access"]
    obstacles = tuple(Obstacle(**one) for one in access["obstacles"])
    return Check(raw["domain"], Access(**{**access, "obstacles": obstacles}))
