"""The statements of a transition, made once and then only given values: making them anew cost as much as running them."""

from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import BindParameter, Table, bindparam, update
from sqlalchemy.sql.dml import ReturningUpdate, Update

from .leasing import LeaseTerms
from .tables import Tables

Key = tuple[object, ...]


class Statements:
    """Statements by the columns that they change. Values are named after their columns, conditions `at_…`."""

    def __init__(self, tables: Tables, terms: LeaseTerms) -> None:
        self._t = tables
        self._terms = terms
        self._made: dict[Key, Any] = {}

    def move_run(self, columns: Collection[str], *, guarded: bool, leased: bool) -> ReturningUpdate[tuple[int]]:
        """Change a run that is still where it was read: `at_id`, `at_seq`, and its seq by `notes`.

        guarded  only if owner and fence are `at_owner` and `at_fence` (None: nobody's)
        leased   and renew the lease
        """
        t = self._t.run

        def make() -> ReturningUpdate[tuple[int]]:
            where = (t.c.id == bindparam("at_id")) & (t.c.seq == bindparam("at_seq"))
            if guarded:
                where &= t.c.owner.is_not_distinct_from(bindparam("at_owner")) & (t.c.fence == bindparam("at_fence"))
            values = _values(t, columns) | {"seq": t.c.seq + bindparam("notes")}
            if leased:
                values["lease_until"] = self._terms.until
            return update(t).where(where).values(values).returning(t.c.seq)

        made: ReturningUpdate[tuple[int]] = self._once(("run", *sorted(columns), guarded, leased), make)
        return made

    def move_steps(self, columns: Collection[str]) -> Update:
        """Change the steps `at_names` of the run `at_run`."""
        t = self._t.step

        def make() -> Update:
            names = t.c.name.in_(bindparam("at_names", expanding=True))
            return update(t).where((t.c.run_id == bindparam("at_run")) & names).values(_values(t, columns))

        made: Update = self._once(("step", *sorted(columns)), make)
        return made

    def touch_run(self, columns: Collection[str]) -> ReturningUpdate[Any]:
        """Renew the lease of the run `at_id` for `at_owner` and `at_fence`, unless the transaction marked `stamp` did."""
        t = self._t.run

        def make() -> ReturningUpdate[Any]:
            mine = (t.c.id == bindparam("at_id")) & (t.c.owner == bindparam("at_owner"))
            mine &= (t.c.fence == bindparam("at_fence")) & (t.c.stamp != bindparam("stamp"))
            values = _values(t, {"stamp", *columns}) | {"lease_until": self._terms.until}
            return update(t).where(mine).values(values).returning(t.c.log_lines, t.c.log_bytes)

        made: ReturningUpdate[Any] = self._once(("touch", *sorted(columns)), make)
        return made

    def _once(self, key: Key, make: Callable[[], Any]) -> Any:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def _values(table: Table, columns: Collection[str]) -> dict[str, BindParameter[Any] | Any]:
    return {name: bindparam(name, type_=table.c[name].type) for name in columns}
