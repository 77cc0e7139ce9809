"""Loads and writes runs. One decision is one transaction, and its first statement is fence, lease renewal, lock and
event number in one; on PostgreSQL the same statement writes steps and events too, on SQLite one each follows.

Invariants
  one writer   a decision is written only on the very flow that it was made from: `seq` has not moved;
  fenced       a holder's decision is written only while owner and fence are its own;
  no gaps      the events of a run are numbered 1, 2, 3, …, because the number is taken under the run's row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any

from sqlalchemy import Executable, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult, RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from ..ready import Found, Ready
from . import views
from .draft import Decided
from .leasing import LeaseTerms
from .observers import Observer
from .refusals import RunNotFound
from .statements import EVENT_COLUMNS, Statements, to
from .states import Flow, Run, RunState, Signal, StepState, StepView, Waits
from .tables import Tables

Hook = Callable[[str], None]
"""Called with the name of a point before and after each statement and effect; a test makes it raise."""

_RUN_COLUMNS = tuple(f.name for f in fields(Run) if f.name != "seq")
_STEP_COLUMNS = tuple(f.name for f in fields(StepView) if f.name != "needs")
_of_run, _of_step = attrgetter(*_RUN_COLUMNS), attrgetter(*_STEP_COLUMNS)
Moves = list[tuple[StepView, set[str]]]
"""Steps that change, and which of their columns do."""
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

    def __init__(self, tables: Tables, observers: Mapping[str, Observer], terms: LeaseTerms, hook: Hook) -> None:
        self.tables = tables
        self._observers = observers
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

    async def ready(self, sql: AsyncConnection, point: str, statement: Ready, given: Mapping[str, Any]) -> Found | None:
        """Execute one that is ready, likewise; the row that it answers."""
        self.hook(f"{point}.before")
        found = await statement.row(sql, given)
        self.hook(f"{point}.after")
        return found

    async def each(self, sql: AsyncConnection, point: str, statement: Ready, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute one that is ready with each of `rows`, likewise."""
        self.hook(f"{point}.before")
        await statement.each(sql, rows)
        self.hook(f"{point}.after")

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
        events = _events(new, decided, now)
        await self._tell(sql, run.id, events)
        await self._call_back(sql, new, events)
        return new

    async def write(
        self, sql: AsyncConnection, old: Flow, decided: Decided, now: datetime, *, guard: Guard | None = None
    ) -> Flow | None:
        """Write a decision that was made from `old`. None: the flow moved, or is not the writer's any more."""
        # The fence lets nobody pass whose seq is not the stored one, so the new one is known and need not be read.
        new = replace(decided.flow, run=replace(decided.flow.run, seq=old.run.seq + len(decided.notes)))
        events, steps = _events(new, decided, now), _moves(old, new)
        if not await self._transition(sql, old.run, new.run, steps, events, guard):
            return None
        await self._forget_undone(sql, new, steps)
        await self._write_signals(sql, old, new)
        await self._call_back(sql, new, events)
        return new

    def insert_unless_there(self, sql: AsyncConnection, row: Mapping[str, Any]) -> Any:
        """An INSERT of a run that does nothing where a unique key is taken, in the database's dialect."""
        dialect = postgresql if sql.dialect.name == "postgresql" else sqlite
        return dialect.insert(self.tables.run).values(**row).on_conflict_do_nothing()

    async def touch(self, sql: AsyncConnection, run_id: str, guard: Guard, **values: Any) -> Found | None:
        """Fence and renew the lease without an event. None: fenced, or this very transaction was committed before."""
        given = {"at_id": run_id, "at_owner": guard.owner, "at_fence": guard.fence}
        values |= {"stamp": guard.stamp}
        return await self.ready(sql, "fence", self._statements.touch_run(values.keys()), given | to(values))

    async def _transition(
        self,
        sql: AsyncConnection,
        old: Run,
        new: Run,
        steps: Moves,
        events: Sequence[views.EventView],
        guard: Guard | None,
    ) -> bool:
        """Write run, steps and events. False: fenced, and nothing was written."""
        values = {name: _plain(getattr(new, name)) for name in _differing(_RUN_COLUMNS, _of_run, old, new)}
        if old.state.ended != new.state.ended:
            values["holds"] = None if new.state.ended else new.subject
        if new.owner is None:
            values["lease_until"] = 0
        given = {"at_id": old.id, "at_seq": old.seq, "notes": len(events)}
        if guard:
            values["stamp"] = guard.stamp
            given |= {"at_owner": guard.owner, "at_fence": guard.fence}
        how = {"guarded": guard is not None, "leased": guard is not None and new.owner is not None}
        write = self._in_one if sql.dialect.name == "postgresql" else self._one_by_one
        return await write(sql, values, given, how, steps, events)

    async def _in_one(
        self,
        sql: AsyncConnection,
        values: dict[str, Any],
        given: dict[str, Any],
        how: dict[str, bool],
        steps: Moves,
        events: Sequence[views.EventView],
    ) -> bool:
        t, columns = self.tables, _columns_of(steps)
        statement = self._statements.transition(values.keys(), columns, **how)
        given = given | to(values) | {"events": self._statements.document(t.event, map(_event_row, events))}
        if steps:
            rows = [{"name": step.name} | {n: _plain(getattr(step, n)) for n in columns} for step, _ in steps]
            given["steps"] = self._statements.document(t.step, rows)
        return await self.ready(sql, "fence", statement, given) is not None

    async def _one_by_one(
        self,
        sql: AsyncConnection,
        values: dict[str, Any],
        given: dict[str, Any],
        how: dict[str, bool],
        steps: Moves,
        events: Sequence[views.EventView],
    ) -> bool:
        fence = self._statements.move_run(values.keys(), **how)
        if await self.ready(sql, "fence", fence, given | to(values)) is None:
            return False
        if steps:
            columns, run = _columns_of(steps), given["at_id"]
            rows = [
                {"at_run": run, "at_name": step.name} | to({n: _plain(getattr(step, n)) for n in columns})
                for step, _ in steps
            ]
            await self.each(sql, "steps", self._statements.move_steps(columns), rows)
        await self._tell(sql, given["at_id"], events)
        return True

    async def _forget_undone(self, sql: AsyncConnection, new: Flow, steps: Moves) -> None:
        """The effects of a step that was undone are gone, and with them what was done once."""
        names = [step.name for step, changed in steps if "state" in changed and step.state is StepState.UNDONE]
        if names:
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

    async def _tell(self, sql: AsyncConnection, run_id: str, events: Sequence[views.EventView]) -> None:
        if events:
            rows = [_event_row(event) | {"run_id": run_id} for event in events]
            await self.each(sql, "events", self._statements.tell, rows)

    async def _call_back(self, sql: AsyncConnection, new: Flow, events: Sequence[views.EventView]) -> None:
        told = self._observers.get(new.run.kind)
        if not events or told is None or not (told.transition or told.settled):
            return
        run = views.view(new)
        if told.transition:
            for event in events:
                await told.transition(sql, run, event)
        if told.settled and any(event.code in _ENDINGS for event in events):
            await told.settled(sql, run)


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


def _moves(old: Flow, new: Flow) -> Moves:
    pairs = ((step, old.steps[name]) for name, step in new.steps.items() if step is not old.steps[name])
    changes = ((step, _differing(_STEP_COLUMNS, _of_step, was, step)) for step, was in pairs)
    return [(step, changed) for step, changed in changes if changed]


def _differing(columns: Sequence[str], of: Callable[[Any], tuple[Any, ...]], old: Any, new: Any) -> set[str]:
    both = zip(columns, of(old), of(new), strict=True)
    return {name for name, was, now in both if was is not now and was != now}


def _columns_of(steps: Moves) -> list[str]:
    """What changes in any of them: all of `steps` fit one statement."""
    return sorted({name for _, changed in steps for name in changed})


def _events(new: Flow, decided: Decided, now: datetime) -> list[views.EventView]:
    first = new.run.seq - len(decided.notes) + 1
    return [views.event(new.run.id, first + i, now, note) for i, note in enumerate(decided.notes)]


def _event_row(event: views.EventView) -> dict[str, Any]:
    return {name: getattr(event, name) for name in EVENT_COLUMNS} | {"data": dict(event.data)}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, StrEnum) else value
