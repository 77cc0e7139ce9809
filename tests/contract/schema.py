"""The schema of each daemon, as one revision leaves it, and what may become of it in the next.

A revision may add: tables, columns that are null or have a default, indexes. It may not drop, rename or narrow, unless its
docstring begins with `contract:`, and then it adds nothing: the release before must run on what the next one has made.
"""

import ast
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Table, inspect
from sqlalchemy import types as kinds
from sqlalchemy.dialects import postgresql

from .contracts import ROOT

FOLDER = Path(__file__).with_name("schemas")
PACKAGES = sorted(path.parents[1].name for path in ROOT.glob("services/*/catalyst_*/migrations/versions"))
Shape = Mapping[str, Mapping[str, Mapping[str, Any]]]


def revisions(package: str) -> list[Path]:
    """Files of a daemon's revisions, in their order."""
    return sorted(next(ROOT.glob(f"services/*/{package}/migrations/versions")).glob("[0-9]*.py"))


def number(revision: Path) -> str:
    return revision.stem.split("_")[0]


def is_contracting(revision: Path) -> bool:
    """Whether the revision says that it takes away."""
    return (ast.get_docstring(ast.parse(revision.read_text())) or "").startswith("contract:")


def shape(connection: Connection) -> Shape:
    """Tables with their columns: type, and whether a writer must give a value."""
    told = inspect(connection)
    return {
        name: {
            c["name"]: {"type": str(c["type"]), "needed": not c["nullable"] and not _has_default(c)}
            for c in told.get_columns(name)
        }
        for name in sorted(told.get_table_names())
        if name != "alembic_version"
    }


def _has_default(column: Mapping[str, Any]) -> bool:
    numbered = column.get("autoincrement") is True or bool(column.get("primary_key") and "INT" in str(column["type"]))
    return column["default"] is not None or numbered


def released(package: str) -> Shape:
    """The shape on SQLite that the last release left; written by hand of whoever releases."""
    found: Shape = json.loads((FOLDER / f"{package}.json").read_text())
    return found


def narrowed(old: Shape, new: Shape) -> list[str]:
    """What a release that knows `old` would stumble over in `new`."""
    found = [f"{table} is gone" for table in old if table not in new]
    for table in old.keys() & new.keys():
        before, after = old[table], new[table]
        found += [f"{table}.{c} is gone" for c in before if c not in after]
        both = before.keys() & after.keys()
        found += [f"{table}.{c} is {after[c]['type']} now" for c in both if before[c]["type"] != after[c]["type"]]
        needed = [c for c, one in after.items() if one["needed"] and not before.get(c, {}).get("needed")]
        found += [f"{table}.{c} must be given now" for c in needed]
    return sorted(found)


def added(old: Shape, new: Shape) -> list[str]:
    """Tables and columns that were not there."""
    return sorted(
        [table for table in new if table not in old]
        + [f"{table}.{c}" for table in old.keys() & new.keys() for c in new[table] if c not in old[table]]
    )


def reflected(connection: Connection) -> list[Table]:
    """The tables as the database has them, referred ones first."""
    metadata = MetaData()
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name != "alembic_version"]


def row_of(table: Table, mark: int = 1) -> dict[str, Any]:
    """A row with a value for each column; equal marks give equal values, so that references hold."""
    return {column.name: _value(column, mark) for column in table.columns}


def _value(column: Column[Any], mark: int) -> Any:
    if isinstance(column.type, kinds.DateTime | postgresql.TIMESTAMP):
        moment = datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=mark)
        return moment if getattr(column.type, "timezone", False) else moment.replace(tzinfo=None)
    if isinstance(column.type, kinds.Boolean):
        return False
    if isinstance(column.type, kinds.Integer | kinds.Numeric | kinds.Float):
        return mark
    if isinstance(column.type, kinds.LargeBinary):
        return b"x%d" % mark
    return f"x{mark}"
