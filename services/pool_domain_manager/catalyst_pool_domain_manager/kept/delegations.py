"""Rows of delegations."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from catalyst_mesh import Json, Transaction, UtcTime
from catalyst_sdk.registrar import DnsKey, DsRecord, Glue, Target
from sqlalchemy import BigInteger, Boolean, Column, Table, Text, func, select

from catalyst_pool_domain_manager.domain.delegations import Delegation, Observed, Parent, Snapshot, State

from .rows import conditions_in, conditions_out, plain
from .tables import metadata

t = Table(
    "delegation",
    metadata,
    Column("zone", Text, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("parent", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("rested", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("plan_until", UtcTime),
    Column("run", Text, nullable=False),
    Column("wished", Json),
    Column("observed", Json, nullable=False),
    Column("snapshot", Json),
    Column("rollback_until", UtcTime),
    Column("retain_until", UtcTime),
    Column("reason", Text, nullable=False),
    Column("automatic", Boolean, nullable=False),
    Column("task", Text, nullable=False),
    Column("misses", Json, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("observed_generation", BigInteger, nullable=False),
    Column("conditions", Json, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("version", BigInteger, nullable=False),
)  # fmt: skip - reads as a table


class DelegationRows(Transaction):
    """Delegations of the zones that are kept here."""

    async def delegation(self, zone: str, *, lock: bool = False) -> Delegation | None:
        """One delegation; with `lock`, others keep off it until the commit."""
        query = select(t).where(t.c.zone == zone)
        row = (await self.sql.execute(query.with_for_update() if lock and self.has_row_locks else query)).mappings()
        found = row.one_or_none()
        if found is None:
            return None
        self.seen(t, found)
        return _delegation(found)

    async def delegations_of_all(self, zones: Sequence[str]) -> dict[str, Delegation]:
        """Delegations of some zones, by zone."""
        rows = (await self.sql.execute(select(t).where(t.c.zone.in_(zones)))).mappings()
        return {row["zone"]: _delegation(row) for row in rows}

    async def user_of_account(self, account: str) -> str:
        """A delegation that is planned or moved by an account, or can be taken back by it; empty where none is."""
        planned = (t.c.state == str(State.PLANNED)) & (t.c.plan_until > self.now)
        needed = planned | (t.c.run != "") | (t.c.rollback_until > self.now)
        query = select(t.c.zone).where((t.c.account == account) & needed).limit(1)
        found = (await self.sql.execute(query)).scalar_one_or_none()
        return f"zones/{found}/delegation" if found else ""

    async def delegations_by_state(self) -> dict[str, int]:
        """How many there are by state."""
        query = select(t.c.state, func.count()).group_by(t.c.state)
        return {state: int(count) for state, count in await self.sql.execute(query)}

    async def save_delegation(self, d: Delegation) -> None:
        """Write a decided state. Raises LostRace."""
        await self.take(
            t,
            {
                **plain(d),
                "parent": str(d.parent),
                "state": str(d.state),
                "rested": str(d.rested),
                "wished": _in(d.wished),
                "misses": dict(d.misses),
                "conditions": conditions_in(d.conditions),
                "observed": [{**plain(o), "records": _in(o.records), "at": o.at.isoformat()} for o in d.observed],
                "snapshot": {**plain(d.snapshot), "records": _in(d.snapshot.records), "at": d.snapshot.at.isoformat()}
                if d.snapshot
                else None,
            },
        )  # fmt: skip - one row


def target_in(target: Target) -> dict[str, Any]:
    """What a parent shows, as JSON."""
    return asdict(target)


def target_out(raw: Mapping[str, Any]) -> Target:
    """What a parent shows, of JSON."""
    return Target(
        tuple(raw["ns"]),
        tuple(DsRecord(**ds) for ds in raw["ds"]),
        tuple(Glue(glue["host"], tuple(glue["addresses"])) for glue in raw["glue"]),
        tuple(DnsKey(**key) for key in raw["keys"]),
    )


def _in(target: Target | None) -> dict[str, Any] | None:
    return target_in(target) if target else None


def _out(raw: Mapping[str, Any] | None) -> Target | None:
    return target_out(raw) if raw else None


def _delegation(row: Any) -> Delegation:
    kept = row["snapshot"]
    return Delegation(
        **{
            **row,
            "parent": Parent(row["parent"]),
            "state": State(row["state"]),
            "rested": State(row["rested"]),
            "wished": _out(row["wished"]),
            "conditions": conditions_out(row["conditions"]),
            "observed": tuple(
                Observed(**{**o, "records": _out(o["records"]), "at": datetime.fromisoformat(o["at"])})
                for o in row["observed"]
            ),
            "snapshot": Snapshot(
                **{**kept, "records": target_out(kept["records"]), "at": datetime.fromisoformat(kept["at"])}
            )
            if kept
            else None,
        }
    )  # fmt: skip - one row
