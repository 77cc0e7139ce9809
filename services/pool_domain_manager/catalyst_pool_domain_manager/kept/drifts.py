"""Rows of drifts."""

from collections.abc import Iterable, Sequence
from typing import Any

from catalyst_mesh import Transaction
from sqlalchemy import func, insert, select

from catalyst_pool_domain_manager.domain.drifts import Drift, Kind, Sight, State

from .rows import set_in, set_out
from .tables import drifts as t


class DriftRows(Transaction):
    """Differences between wish and world."""

    async def drift(self, zone: str, number: int) -> Drift | None:
        """One record."""
        query = select(t).where(t.c.zone == zone, t.c.number == number)
        row = (await self.sql.execute(query)).mappings().one_or_none()
        if row is None:
            return None
        self.seen(t, row)
        return _drift(row)

    async def open_drifts(self, zones: Sequence[str]) -> dict[str, list[Drift]]:
        """What is open in some zones."""
        found: dict[str, list[Drift]] = {zone: [] for zone in zones}
        query = select(t).where(t.c.zone.in_(zones), t.c.closed_at.is_(None)).order_by(t.c.number)
        for row in (await self.sql.execute(query)).mappings():
            self.seen(t, row)
            found[row["zone"]].append(_drift(row))
        return found

    async def drifts_before(
        self, zone: str, number: int | None, limit: int, *, closed: bool, owners: Sequence[str] | None
    ) -> Sequence[Drift]:
        """Records, the newest first; an empty zone: of all."""
        query = select(t).order_by(t.c.number.desc()).limit(limit)
        query = query.where(t.c.zone == zone) if zone else query
        query = query.where(t.c.number < number) if number is not None else query
        query = query if closed else query.where(t.c.closed_at.is_(None))
        query = query if owners is None else query.where(t.c.owner.in_(owners))
        return [_drift(row) for row in (await self.sql.execute(query)).mappings()]

    async def drifts_by_kind(self) -> dict[str, int]:
        """How many are open of each kind."""
        query = select(t.c.kind, func.count()).where(t.c.closed_at.is_(None)).group_by(t.c.kind)
        return {kind: int(count) for kind, count in await self.sql.execute(query)}

    async def open_drift(self, d: Drift) -> Drift:
        """Store a new record, which gets its number."""
        row = _row(d)
        del row["number"]
        made = await self.sql.execute(insert(t).values(row).returning(t.c.number))
        stored = await self.drift(d.zone, int(made.scalar_one()))
        assert stored is not None, "it was just stored"
        return stored

    async def save_drift(self, d: Drift) -> None:
        """Write a decided state. Raises LostRace."""
        await self.take(t, _row(d))

    async def save_drifts(self, drifts: Iterable[Drift]) -> None:
        """Write several. Raises LostRace."""
        for d in drifts:
            await self.save_drift(d)


def _row(d: Drift) -> dict[str, Any]:
    s = d.sight
    return {
        "number": d.number, "zone": d.zone, "owner": d.owner, "kind": str(s.kind), "server": s.server,
        "record_name": s.name, "record_type": s.type, "wished": set_in(s.wished), "observed": set_in(s.observed),
        "cause": s.cause, "state": str(d.state), "plan": d.plan, "opened_at": d.opened_at, "closed_at": d.closed_at,
        "version": d.version,
    }  # fmt: skip


def _drift(row: Any) -> Drift:
    sight = Sight(
        Kind(row["kind"]), row["server"], row["record_name"], row["record_type"], set_out(row["wished"]),
        set_out(row["observed"]), row["cause"],
    )  # fmt: skip
    return Drift(
        row["number"], row["zone"], row["owner"], sight, State(row["state"]), row["opened_at"], row["closed_at"],
        row["plan"], row["version"],
    )  # fmt: skip
