"""Rows of plans."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from catalyst_mesh import Transaction
from sqlalchemy import select

from catalyst_pool_domain_manager.domain.changes import Base, Finding, Step
from catalyst_pool_domain_manager.domain.plans import ZONE_PLAN, Plan, State

from .rows import plain, set_in, set_out
from .tables import plans as t

_BODY = ("base", "changes", "safety", "extra")


class PlanRows(Transaction):
    """Plans of zones and of their delegations."""

    async def plan(self, zone: str, id: str) -> Plan | None:
        """One plan."""
        row = (await self.sql.execute(select(t).where(t.c.zone == zone, t.c.id == id))).mappings().one_or_none()
        if row is None:
            return None
        self.seen(t, row)
        return _plan(row)

    async def plans_before(self, zone: str, id: str | None, limit: int) -> Sequence[Plan]:
        """Plans of a zone, the newest first; ids sort by their moment."""
        query = select(t).where(t.c.zone == zone).order_by(t.c.id.desc()).limit(limit)
        query = query.where(t.c.id < id) if id else query
        return [_plan(row) for row in (await self.sql.execute(query)).mappings()]

    async def plan_under_way(self, zone: str) -> Plan | None:
        """The plan whose changes stand in the wish and are being carried out; at most one of a zone is."""
        query = select(t).where(t.c.zone == zone, t.c.kind == ZONE_PLAN, t.c.state == State.APPLYING).limit(1)
        row = (await self.sql.execute(query)).mappings().one_or_none()
        return _plan(row) if row else None

    async def save_plan(self, plan: Plan) -> None:
        """Write a decided state. Raises LostRace."""
        row = {name: value for name, value in plain(plan).items() if name not in _BODY}
        body = {
            "base": asdict(plan.base), "extra": dict(plan.extra), "safety": [asdict(f) for f in plan.safety],
            "changes": [
                {"before": set_in(s.before), "after": set_in(s.after), "warning": s.warning} for s in plan.changes
            ],
        }  # fmt: skip
        await self.take(t, {**row, "state": str(plan.state), "body": body})


def _plan(row: Any) -> Plan:
    rest = {name: value for name, value in row.items() if name != "body"}
    body = row["body"]
    return Plan(
        **{**rest, "state": State(row["state"])},
        base=Base(**body["base"]),
        extra=body["extra"],
        safety=tuple(Finding(**{**f, "changes": tuple(f["changes"])}) for f in body["safety"]),
        changes=tuple(Step(set_out(s["before"]), set_out(s["after"]), s["warning"]) for s in body["changes"]),
    )
