"""Loads and writes runs. One decision is one transaction, and its first statement is fence, lease renewal, lock and
event number in one.

Invariants
  one writer   a decision is written only on the very flow that it was made from: `seq` has not moved;
  fenced       a holder's decision is written only while owner and fence are its own;
  no gaps      the events of a run are numbered 1, 2, 3, …, because the number is taken under the run's row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Executable, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult, RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from . import views
from .draft import Decided
from .graph import Kind
from .leasing import LeaseTerms
from .refusals import RunNotFound
from .statements import Statements
from .states import Flow, Run, RunState, Signal, StepState, StepView, Waits
from .tables import Tables

Hook = Callable[[str], None]
"""Called with the name of a point before and after each statement and effect; a test makes it raise."""

_RUN_COLUMNS = tuple(f.name for f in fields(Run) if f.name != "seq")
_STEP_COLUMNS = tuple(f.name for f in fields(StepView) if f.name != "needs")
_ENDINGS = {"run.succeeded", "run.failed", "run.cancelled"}


def no_hook(_point: str) -> None:
    """Nothing happens at any point."""


@dataclass(frozen=True, slots=True)
class Guard:
    """On whom the write depends: the holder of the run (None: nobody holds it) and its fence; and the mark by which the
    writer recognizes its own transaction afterwards."""

    owner: str | None
    fence: int
    stamp: str


class Store:
    """All SQL on runs that changes or loads them whole."""

    def __init__(self, tables: Tables, kinds: Mapping[str, Kind], terms: LeaseTerms, hook: Hook) -> None:
        self.tables = tables
        self.kinds = kinds
        self.terms = terms
        self.hook = hook
        self._statements = Statements(tables, terms)

    async def run(
        self,
        sql: AsyncConnection,
        point: str,
        statement: Executable,
        given: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> CursorResult[Any]:
        """Execute one statement between its two points."""
        self.hook(f"{point}.before")
        result = await sql.execute(statement, given)
        self.hook(f"{point}.after")
        return result

    async def load(self, sql: AsyncConnection, run_id: str, *, lock: bool = False) -> Flow:
        """The run with its steps and signals; with `lock`, nobody else writes it until the commit. Raises RunNotFound."""
        query = select(self.tables.run).where(self.tables.run.c.id == run_id)
        row = (await sql.execute(query.with_for_update() if lock else query)).mappings().one_or_none()
        if row is None:
            raise RunNotFound(run=run_id)
        return (await self.complete(sql, [row]))[0]

    async def complete(self, sql: AsyncConnection, rows: Sequence[RowMapping]) -> list[Flow]:
        """The flows of these rows of `journal_run`."""
        steps, signals = self.tables.step, self.tables.signal
        ids = [row["id"] for row in rows]
        of_steps = select(steps).where(steps.c.run_id.in_(ids)).order_by(steps.c.run_id, steps.c.position)
        of_signals = select(signals).where(signals.c.run_id.in_(ids)).order_by(signals.c.run_id, signals.c.seq)
        found: dict[str, dict[str, StepView]] = {run_id: {} for run_id in ids}
        for row in (await sql.execute(of_steps)).mappings():
            found[row["run_id"]][row["name"]] = _step_of(row)
        sent: dict[str, list[Signal]] = {run_id: [] for run_id in ids}
        for row in (await sql.execute(of_signals)).mappings():
            sent[row["run_id"]].append(Signal(**{f.name: row[f.name] for f in fields(Signal)}))
        return [Flow(run_of(row), found[row["id"]], tuple(sent[row["id"]])) for row in rows]

    async def create(self, sql: AsyncConnection, decided: Decided, now: datetime) -> Flow | None:
        """Store a new run. None: its key or its subject is taken."""
        flow, run = decided.flow, decided.flow.run
        values = {name: _plain(getattr(run, name)) for name in _RUN_COLUMNS}
        row = values | {"holds": run.subject, "stamp": "", "lease_until": 0, "log_lines": 0, "log_bytes": 0}
        row["seq"] = len(decided.notes)
        statement = self.insert_unless_there(sql, row).returning(self.tables.run.c.id)
        if (await self.run(sql, "create.run", statement)).one_or_none() is None:
            return None
        steps = [_step_row(run.id, step) for step in flow.steps.values()]
        if steps:
            await self.run(sql, "create.steps", insert(self.tables.step), steps)
        new = replace(flow, run=replace(run, seq=len(decided.notes)))
        await self._tell(sql, flow, new, decided, now)
        return new

    async def write(
        self, sql: AsyncConnection, old: Flow, decided: Decided, now: datetime, *, guard: Guard | None = None
    ) -> Flow | None:
        """Write a decision that was made from `old`. None: the flow moved, or is not the writer's any more."""
        new = decided.flow
        seq = await self._move_run(sql, old.run, new.run, len(decided.notes), guard)
        if seq is None:
            return None
        new = replace(new, run=replace(new.run, seq=seq))
        await self._write_steps(sql, old, new)
        await self._write_signals(sql, old, new)
        await self._tell(sql, old, new, decided, now)
        return new

    def insert_unless_there(self, sql: AsyncConnection, row: Mapping[str, Any]) -> Any:
        """An INSERT of a run that does nothing where a unique key is taken, in the database's dialect."""
        dialect = postgresql if sql.dialect.name == "postgresql" else sqlite
        return dialect.insert(self.tables.run).values(**row).on_conflict_do_nothing()

    async def touch(self, sql: AsyncConnection, run_id: str, guard: Guard, **values: Any) -> RowMapping | None:
        """Fence and renew the lease without an event. None: fenced, or this very transaction was committed before."""
        given = {"at_id": run_id, "at_owner": guard.owner, "at_fence": guard.fence, "stamp": guard.stamp} | values
        result = await self.run(sql, "fence", self._statements.touch_run(values.keys()), given)
        return result.mappings().one_or_none()

    async def _move_run(self, sql: AsyncConnection, old: Run, new: Run, notes: int, guard: Guard | None) -> int | None:
        values = {n: _plain(getattr(new, n)) for n in _RUN_COLUMNS if getattr(new, n) != getattr(old, n)}
        if old.state.ended != new.state.ended:
            values["holds"] = None if new.state.ended else new.subject
        if new.owner is None:
            values["lease_until"] = 0
        if guard:
            values["stamp"] = guard.stamp
        leased = guard is not None and new.owner is not None
        statement = self._statements.move_run(values.keys(), guarded=guard is not None, leased=leased)
        values |= {"at_id": old.id, "at_seq": old.seq, "notes": notes}
        if guard:
            values |= {"at_owner": guard.owner, "at_fence": guard.fence}
        seq: int | None = (await self.run(sql, "fence", statement, values)).scalar_one_or_none()
        return seq

    async def _write_steps(self, sql: AsyncConnection, old: Flow, new: Flow) -> None:
        groups: dict[str, tuple[dict[str, Any], list[str]]] = {}
        for name, step in new.steps.items():
            if step is not old.steps[name] and (values := _differing(old.steps[name], step)):
                groups.setdefault(repr(values), (values, []))[1].append(name)
        for values, names in groups.values():
            given = values | {"at_run": new.run.id, "at_names": names}
            await self.run(sql, "steps", self._statements.move_steps(values.keys()), given)
            if values.get("state") == StepState.UNDONE:  # its effects are gone, and with them what was done once
                once = self.tables.once
                await self.run(sql, "once", delete(once).where((once.c.run_id == new.run.id) & once.c.step.in_(names)))

    async def _write_signals(self, sql: AsyncConnection, old: Flow, new: Flow) -> None:
        if old.signals is new.signals:
            return
        t = self.tables.signal
        before, after = {s.seq: s for s in old.signals}, {s.seq: s for s in new.signals}
        if gone := before.keys() - after.keys():
            await self.run(sql, "signals", delete(t).where((t.c.run_id == new.run.id) & t.c.seq.in_(sorted(gone))))
        for seq, signal in after.items():
            if seq not in before:
                row = {f.name: getattr(signal, f.name) for f in fields(Signal)}
                await self.run(sql, "signals", insert(t).values(run_id=new.run.id, **row))
            elif signal != before[seq]:
                mine = (t.c.run_id == new.run.id) & (t.c.seq == seq)
                await self.run(sql, "signals", update(t).where(mine).values(taken_by=signal.taken_by))

    async def _tell(self, sql: AsyncConnection, old: Flow, new: Flow, decided: Decided, now: datetime) -> None:
        first = new.run.seq - len(decided.notes) + 1
        events = [views.event(new.run.id, first + i, now, note) for i, note in enumerate(decided.notes)]
        if not events:
            return
        rows = [{n: getattr(e, n) for n in _EVENT_COLUMNS} | {"run_id": e.run, "data": dict(e.data)} for e in events]
        await self.run(sql, "events", insert(self.tables.event), rows)
        kind = self.kinds.get(new.run.kind)
        if kind is not None and (kind.transition or kind.settled):
            await self._call_back(sql, kind, views.view(new), events)

    async def _call_back(
        self, sql: AsyncConnection, kind: Kind, run: views.RunView, events: Sequence[views.EventView]
    ) -> None:
        if kind.transition:
            for event in events:
                await kind.transition(sql, run, event)
        if kind.settled and any(event.code in _ENDINGS for event in events):
            await kind.settled(sql, run)


_EVENT_COLUMNS = ("seq", "at", "type", "step", "attempt", "level", "code", "message")


def run_of(row: RowMapping) -> Run:
    """The record of a row of `journal_run`."""
    values = {name: row[name] for name in _RUN_COLUMNS} | {"seq": row["seq"]}
    return Run(**values | {"state": RunState(row["state"])})


def _step_of(row: RowMapping) -> StepView:
    values = {name: row[name] for name in _STEP_COLUMNS}
    values |= {"state": StepState(row["state"]), "waits": Waits(row["waits"]), "needs": tuple(row["needs"])}
    return StepView(**values)


def _step_row(run_id: str, step: StepView) -> dict[str, Any]:
    values = {name: _plain(getattr(step, name)) for name in _STEP_COLUMNS}
    return values | {"run_id": run_id, "needs": list(step.needs)}


def _differing(old: StepView, new: StepView) -> dict[str, Any]:
    return {n: _plain(getattr(new, n)) for n in _STEP_COLUMNS if getattr(new, n) != getattr(old, n)}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, StrEnum) else value
