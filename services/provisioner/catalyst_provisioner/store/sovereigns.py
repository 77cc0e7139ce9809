"""Rows of Sovereigns and of what was observed of them as a whole."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from catalyst_mesh import LostRace, Transaction
from sqlalchemy import Select, delete, insert, literal, select, update
from sqlalchemy.exc import IntegrityError

from ..domain.credentials import Credential
from ..domain.sovereign import Sovereign, State
from ..domain.sovereigns import FqdnTaken
from .tables import (
    applied,
    clusters,
    commands,
    component_lines,
    components,
    credential_records,
    enrolments,
    facts,
    grants,
    ledger,
    plans,
    reservations,
    sovereigns,
    states,
    told,
    workload_lists,
    workloads,
)

t = sovereigns
ABOUT = (
    facts, plans, ledger, clusters, components, enrolments, commands, reservations, grants, states, component_lines,
    applied, workload_lists, workloads,
)  # fmt: skip
"""Tables with rows about one Sovereign."""


class SovereignRows(Transaction):
    """Sovereigns."""

    async def lock(self, id: str) -> Sovereign | None:
        """The Sovereign, kept for this transaction until the commit."""
        return await self._one(select(t).where(t.c.id == id).with_for_update())

    async def sovereign(self, id: str) -> Sovereign | None:
        """The Sovereign as it stands."""
        return await self._one(select(t).where(t.c.id == id))

    async def _one(self, query: Select[Any]) -> Sovereign | None:
        row = (await self.sql.execute(query)).mappings().one_or_none()
        if row is None:
            return None
        self.seen(t, row)
        return _sovereign(row)

    async def sovereigns_before(
        self,
        moment: datetime | None,
        id: str,
        limit: int,
        *,
        states: Sequence[State],
        organizations: Sequence[str] | None,
    ) -> list[Sovereign]:
        """Sovereigns in one of `states`, the newest first; `organizations` None: of all."""
        query = select(t).where(t.c.state.in_(states)).order_by(t.c.created_at.desc(), t.c.id).limit(limit)
        if organizations is not None:
            query = query.where(t.c.organization.in_(organizations))
        if moment is not None:
            query = query.where((t.c.created_at < moment) | ((t.c.created_at == moment) & (t.c.id > id)))
        return [_sovereign(row) for row in (await self.sql.execute(query)).mappings()]

    async def living(self) -> list[Sovereign]:
        """All that may have something outside."""
        states = [s for s in State if s not in (State.DRAFT, State.DESTROYED)]
        rows = await self.sql.execute(select(t).where(t.c.state.in_(states)).order_by(t.c.id))
        return [_sovereign(row) for row in rows.mappings()]

    async def save(self, state: Any) -> None:
        """Take the row from what `lock` read to `state`. Raises LostRace, FqdnTaken."""
        if isinstance(state, Credential):
            await self.take(credential_records, {c.name: getattr(state, c.name) for c in credential_records.c})
        if not isinstance(state, Sovereign):
            return  # something that is only shown
        row = {c.name: getattr(state, c.name) for c in t.c if c.name != "holds"}
        row["holds"] = None if state.state is State.DESTROYED else state.fqdn
        await self.demand_fqdn(state)
        await self.take(t, row)

    async def demand_fqdn(self, state: Sovereign) -> None:
        """Raises FqdnTaken where another Sovereign holds the name."""
        other = select(t.c.id).where((t.c.holds == state.fqdn) & (t.c.id != state.id))
        if state.state is not State.DESTROYED and (await self.sql.execute(other)).scalar_one_or_none():
            raise FqdnTaken(fqdn=state.fqdn)

    async def forget(self, id: str) -> None:
        """Remove the record of a Sovereign and all rows about it; its runs stay in the journal."""
        await self.sql.execute(delete(told).where(told.c.aggregate == f"sovereigns/{id}"))
        for table in ABOUT:
            await self.sql.execute(delete(table).where(table.c.sovereign == id))
        await self.write(delete(t).where(t.c.id == id))

    async def forget_told(self, before: datetime) -> int:
        """Take away what was told of Sovereigns that were destroyed before that moment; how many rows."""
        gone = select(literal("sovereigns/") + t.c.id).where(
            (t.c.state == State.DESTROYED) & (t.c.destroyed_at < before)
        )
        return (await self.sql.execute(delete(told).where(told.c.aggregate.in_(gone)))).rowcount

    async def observe(self, id: str, fact: str, value: Any = None, *, at: datetime | None = None) -> None:
        """Write down what was seen; its moment is that of the first time with this value."""
        mine = (facts.c.sovereign == id) & (facts.c.fact == fact)
        known = (await self.sql.execute(select(facts).where(mine))).mappings().one_or_none()
        row = {"sovereign": id, "fact": fact, "value": value, "at": at or self.now}
        if known is None:
            try:
                await self.sql.execute(insert(facts).values(row))
            except IntegrityError as error:
                raise LostRace from error
        elif known["value"] != value:
            await self.sql.execute(update(facts).where(mine).values(row))

    async def unobserve(self, id: str, *names: str) -> None:
        """Take back what was seen; all of it where nothing is named."""
        mine = facts.c.sovereign == id
        await self.sql.execute(delete(facts).where(mine & facts.c.fact.in_(names) if names else mine))

    async def facts(self, id: str) -> Mapping[str, tuple[Any, datetime]]:
        """Value and moment by name."""
        rows = await self.sql.execute(select(facts).where(facts.c.sovereign == id))
        return {row["fact"]: (row["value"], row["at"]) for row in rows.mappings()}


def _sovereign(row: Any) -> Sovereign:
    values = {key: value for key, value in row.items() if key != "holds"}
    return Sovereign(**{**values, "state": State(row["state"])})
