"""The ledger: what was made at clouds, or was about to be.

Invariants
  intent first   a row is committed before the create is asked for, and its id as soon as it is told;
  one revision   each change of a Sovereign's rows raises its ledger's revision by one;
  kept           rows stay when their resource is gone, so that nobody can say it never was.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from catalyst_mesh import Transaction
from catalyst_sdk.cloud import LedgerRow, Price
from sqlalchemy import ColumnElement, func, insert, select, update

from .tables import facts
from .tables import ledger as t

INTENDED, CREATED, DELETING, GONE = "intended", "created", "deleting", "gone"
REVISION = "ledger_revision"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row."""

    sovereign: str
    kind: str
    name: str
    position: int
    cluster: str
    region: str
    labels: Mapping[str, str]
    provider: str
    credential: str
    resource_id: str
    state: str
    price: Mapping[str, Any] | None
    run: str
    leftover: bool
    created_at: datetime
    updated_at: datetime
    manager: str = ""
    """Who keeps it; empty: the plugin of its provider."""

    @property
    def row(self) -> LedgerRow:
        """As the contract of clouds shows it."""
        price = Price(**self.price) if self.price else None
        return LedgerRow(self.kind, self.name, self.region, self.labels, self.resource_id, price)


class LedgerRows(Transaction):
    """The ledger."""

    async def entries(self, sovereign: str, cluster: str = "", *, gone: bool = False) -> list[Entry]:
        """Rows in the order of intent; with `gone`, also those whose resource is gone."""
        query = select(t).where(t.c.sovereign == sovereign).order_by(t.c.position)
        query = query.where(t.c.cluster == cluster) if cluster else query
        query = query if gone else query.where(t.c.state != GONE)
        return [Entry(**row) for row in (await self.sql.execute(query)).mappings()]

    async def intend(self, sovereign: str, cluster: str, row: LedgerRow, *, provider: str, credential: str, run: str,
                     leftover: bool = False) -> None:  # fmt: skip
        """Write an intent; the same intent of what is not gone changes nothing."""
        mine = _one(sovereign, row.kind, row.name)
        known = (await self.sql.execute(select(t).where(mine))).mappings().one_or_none()
        if known is not None and known["state"] != GONE:
            return
        last = select(func.coalesce(func.max(t.c.position), 0)).where(t.c.sovereign == sovereign)
        values = {
            "sovereign": sovereign,
            "kind": row.kind,
            "name": row.name,
            "position": (await self.sql.execute(last)).scalar_one() + 1,
            "cluster": cluster,
            "region": row.region,
            "labels": dict(row.labels),
            "provider": provider,
            "credential": credential,
            "resource_id": row.id,
            "state": CREATED if row.id else INTENDED,
            "price": asdict(row.price) if row.price else None,
            "run": run,
            "leftover": leftover,
            "manager": "",
            "created_at": self.now,
            "updated_at": self.now,
        }
        await self.write(insert(t).values(values) if known is None else update(t).where(mine).values(values))
        await self._revised(sovereign)

    async def give(self, sovereign: str, cluster: str, names: Iterable[str], manager: str) -> None:
        """Make `manager` the one that keeps these resources of a cluster."""
        mine = (t.c.sovereign == sovereign) & (t.c.cluster == cluster) & t.c.name.in_(list(names)) & (t.c.state != GONE)
        changed = await self.sql.execute(update(t).where(mine & (t.c.manager != manager)).values(manager=manager))
        if changed.rowcount:
            await self._revised(sovereign)

    async def created(self, sovereign: str, *, kind: str, name: str, id: str, run: str) -> None:
        """Write the id that the cloud told."""
        values = {"resource_id": id, "state": CREATED, "run": run, "updated_at": self.now}
        await self.write(update(t).where(_one(sovereign, kind, name)).values(values))
        await self._revised(sovereign)

    async def gone(self, sovereign: str, *, kind: str, name: str, run: str) -> None:
        """The cloud no longer has it."""
        mine = _one(sovereign, kind, name) & (t.c.state != GONE)
        result = await self.sql.execute(update(t).where(mine).values(state=GONE, run=run, updated_at=self.now))
        if result.rowcount:
            await self._revised(sovereign)

    async def ledger_revision(self, sovereign: str) -> int:
        """Rises with each change."""
        mine = (facts.c.sovereign == sovereign) & (facts.c.fact == REVISION)
        return int((await self.sql.execute(select(facts.c.value).where(mine))).scalar_one_or_none() or 0)

    async def _revised(self, sovereign: str) -> None:
        revision = await self.ledger_revision(sovereign) + 1
        mine = (facts.c.sovereign == sovereign) & (facts.c.fact == REVISION)
        row = {"sovereign": sovereign, "fact": REVISION, "value": revision, "at": self.now}
        await self.write(insert(facts).values(row) if revision == 1 else update(facts).where(mine).values(row))


def _one(sovereign: str, kind: str, name: str) -> ColumnElement[bool]:
    return (t.c.sovereign == sovereign) & (t.c.kind == kind) & (t.c.name == name)
