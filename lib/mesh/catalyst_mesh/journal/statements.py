"""The statements of a transition, made once and then only given values: making them anew cost as much as running them."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    BindParameter,
    Table,
    TableValuedAlias,
    Text,
    bindparam,
    cast,
    column,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.types import TypeDecorator

from ..ready import Ready
from .leasing import LeaseTerms
from .tables import Tables

Key = tuple[object, ...]
EVENT_COLUMNS = ("seq", "at", "type", "step", "attempt", "level", "code", "message", "data")
_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own


class Statements:
    """Statements by the columns that they change. Conditions are named `at_…`, new values as by `to`."""

    def __init__(self, tables: Tables, terms: LeaseTerms) -> None:
        self._t = tables
        self._terms = terms
        self._made: dict[Key, Ready] = {}
        self.tell = Ready(insert(tables.event))
        """Add an event."""

    def move_run(self, columns: Collection[str], *, guarded: bool, leased: bool) -> Ready:
        """Change a run that is still where it was read: `at_id`, `at_seq`, and its seq by `notes`.

        guarded  only if owner and fence are `at_owner` and `at_fence` (None: nobody's)
        leased   and renew the lease
        """
        key = ("run", *sorted(columns), guarded, leased)
        return self._once(key, lambda: Ready(self._moved_run(columns, guarded=guarded, leased=leased)))

    def _moved_run(self, columns: Collection[str], *, guarded: bool, leased: bool) -> ReturningUpdate[tuple[str]]:
        t = self._t.run
        where = (t.c.id == bindparam("at_id")) & (t.c.seq == bindparam("at_seq"))
        if guarded:
            where &= t.c.owner.is_not_distinct_from(bindparam("at_owner")) & (t.c.fence == bindparam("at_fence"))
        values = _values(t, columns) | {"seq": t.c.seq + bindparam("notes")}
        if leased:
            values["lease_until"] = self._terms.until
        return update(t).where(where).values(values).returning(t.c.id)

    def move_steps(self, columns: Collection[str]) -> Ready:
        """Change the step `at_name` of the run `at_run`."""
        t = self._t.step

        def make() -> Ready:
            mine = (t.c.run_id == bindparam("at_run")) & (t.c.name == bindparam("at_name"))
            return Ready(update(t).where(mine).values(_values(t, columns)))

        return self._once(("step", *sorted(columns)), make)

    def transition(self, columns: Collection[str], of_steps: Collection[str], *, guarded: bool, leased: bool) -> Ready:
        """`move_run`, and beside it, only if that did, the `steps` and the `events`: all in one statement, for PostgreSQL.

        of_steps         columns that change in steps; none: no step does
        steps, events    as `document` writes them
        """

        def make() -> Ready:
            fenced = self._moved_run(columns, guarded=guarded, leased=leased).cte("fenced")
            beside = [self._told(fenced)]
            if of_steps:
                beside.append(self._moved(fenced, sorted(of_steps)))
            return Ready(select(fenced.c.id).add_cte(*beside))

        key = ("transition", *sorted(columns), "of steps", *sorted(of_steps), guarded, leased)
        return self._once(key, make)

    def _moved(self, fenced: CTE, columns: Sequence[str]) -> CTE:
        t, rows = self._t.step, _rows_of(self._t.step, "steps", ("name", *columns))
        mine = (t.c.run_id == fenced.c.id) & (t.c.name == rows.c.name)
        return update(t).where(mine).values({name: rows.c[name] for name in columns}).returning(t.c.name).cte("moved")

    def _told(self, fenced: CTE) -> CTE:
        t, rows = self._t.event, _rows_of(self._t.event, "events", EVENT_COLUMNS)
        # Every row of `rows` for the one row of `fenced`; for none, where there is none.
        found = select(fenced.c.id, *rows.c).select_from(fenced.join(rows, true()))
        return insert(t).from_select(["run_id", *EVENT_COLUMNS], found).returning(t.c.seq).cte("told")

    def touch_run(self, columns: Collection[str]) -> Ready:
        """Renew the lease of the run `at_id` for `at_owner` and `at_fence`, unless the transaction marked `to_stamp` did."""
        t = self._t.run

        def make() -> Ready:
            mine = (t.c.id == bindparam("at_id")) & (t.c.owner == bindparam("at_owner"))
            mine &= (t.c.fence == bindparam("at_fence")) & (t.c.stamp != bindparam("to_stamp"))
            values = _values(t, {"stamp", *columns}) | {"lease_until": self._terms.until}
            return Ready(update(t).where(mine).values(values).returning(t.c.log_lines, t.c.log_bytes))

        return self._once(("touch", *sorted(columns)), make)

    def document(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> str:
        """Rows of `table` as one value, however many there are."""
        return json.dumps(
            [{n: _bound(table, n, v) for n, v in row.items()} for row in rows], default=datetime.isoformat
        )

    def _once(self, key: Key, make: Callable[[], Ready]) -> Ready:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def to(values: Mapping[str, Any]) -> dict[str, Any]:
    """New values of columns, as parameters.

    Not under the columns' own names: a parameter that is called as a column is set in every table that has such a one.
    """
    return {f"to_{name}": value for name, value in values.items()}


def _values(table: Table, columns: Collection[str]) -> dict[str, BindParameter[Any] | Any]:
    return {name: bindparam(f"to_{name}", type_=table.c[name].type) for name in columns}


def _rows_of(table: Table, document: str, columns: Collection[str]) -> TableValuedAlias:
    """The rows of the parameter `document`, with these columns of `table`."""
    typed = [column(name, table.c[name].type) for name in columns]
    rows = func.json_to_recordset(cast(bindparam(document, type_=Text), postgresql.JSON)).table_valued(*typed)
    return rows.render_derived(name=f"{document}_given", with_types=True)


def _bound(table: Table, name: str, value: Any) -> Any:
    kind = table.c[name].type
    return kind.process_bind_param(value, _POSTGRESQL) if isinstance(kind, TypeDecorator) else value
