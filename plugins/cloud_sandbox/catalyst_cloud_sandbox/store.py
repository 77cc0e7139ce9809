"""The simulated cloud's store: one SQLite file per account, written in immediate transactions, kept over restarts."""

import fcntl
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VERSION = 2
SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, kind TEXT NOT NULL, name TEXT NOT NULL, region TEXT NOT NULL,
  labels TEXT NOT NULL, spec TEXT NOT NULL, powered INTEGER NOT NULL DEFAULT 1, UNIQUE (kind, name));
CREATE TABLE IF NOT EXISTS faults (
  id INTEGER PRIMARY KEY AUTOINCREMENT, operation TEXT NOT NULL, kind TEXT NOT NULL, region TEXT NOT NULL,
  name TEXT NOT NULL, effect TEXT NOT NULL, times INTEGER NOT NULL, delay REAL NOT NULL);
CREATE TABLE IF NOT EXISTS switches (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""
ADDED = (
    ("probability", "REAL NOT NULL DEFAULT 1"),
    ("seed", "INTEGER NOT NULL DEFAULT 0"),
    ("nth", "INTEGER NOT NULL DEFAULT 0"),
    ("matched", "INTEGER NOT NULL DEFAULT 0"),
)
"""Columns of faults that the first version of the store did not have."""
PREFIXES = {"network": "net", "firewall": "fw", "load_balancer": "lb", "server": "srv", "volume": "vol"}
"""Kinds of resource, and how their ids begin."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the simulated cloud."""

    id: str
    kind: str
    name: str
    region: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]
    powered: bool = True


class Store:
    """The file of one account. Each method runs within a transaction that the caller opened with `begin`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self._is_made():
            # Switching to WAL waits for nobody: two that do it at once would fail.
            with (file.parent / "store.lock").open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._make()

    @contextmanager
    def begin(self) -> Iterator["Transaction"]:
        """A write transaction; it waits for its turn and is rolled back when the block fails."""
        with self._connection() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(db)
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def _is_made(self) -> bool:
        if not self._file.exists():
            return False
        with self._connection() as db:
            return bool(db.execute("PRAGMA user_version").fetchone()[0] == VERSION)

    def _make(self) -> None:
        with self._connection() as db:
            self._file.chmod(0o600)
            db.execute("PRAGMA journal_mode=WAL")
            db.executescript(SCHEMA)
            known = {row["name"] for row in db.execute("PRAGMA table_info(faults)")}
            for column, kind in ADDED:
                if column not in known:
                    db.execute(f"ALTER TABLE faults ADD COLUMN {column} {kind}")
            db.execute(f"PRAGMA user_version={VERSION}")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self._file, timeout=10, isolation_level=None)
        db.row_factory = sqlite3.Row
        try:
            yield db
        finally:
            db.close()


class Transaction:
    """What can be read and written under one transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def resources(self) -> list[Resource]:
        """Every resource, in the order of creation."""
        return [_resource(row) for row in self.db.execute("SELECT * FROM resources ORDER BY seq")]

    def resource(self, id: str) -> Resource | None:
        """The resource of that id."""
        row = self.db.execute("SELECT * FROM resources WHERE id = ?", (id,)).fetchone()
        return _resource(row) if row else None

    def named(self, kind: str, name: str) -> Resource | None:
        """The resource of that kind and name; an account has at most one."""
        row = self.db.execute("SELECT * FROM resources WHERE kind = ? AND name = ?", (kind, name)).fetchone()
        return _resource(row) if row else None

    def insert(self, kind: str, name: str, region: str, labels: Mapping[str, str], spec: Mapping[str, Any]) -> Resource:
        """Keep a new resource; its id is never used again."""
        cursor = self.db.execute(
            "INSERT INTO resources (kind, name, region, labels, spec) VALUES (?, ?, ?, ?, ?)",
            (kind, name, region, json.dumps(dict(labels)), json.dumps(dict(spec))),
        )
        id = f"{PREFIXES[kind]}-{cursor.lastrowid:06d}"
        self.db.execute("UPDATE resources SET id = ? WHERE seq = ?", (id, cursor.lastrowid))
        return Resource(id, kind, name, region, labels, spec)

    def update(self, id: str, *, spec: Mapping[str, Any], powered: bool) -> None:
        """Keep a changed resource."""
        self.db.execute(
            "UPDATE resources SET spec = ?, powered = ? WHERE id = ?", (json.dumps(dict(spec)), powered, id)
        )

    def relabel(self, id: str, labels: Mapping[str, str]) -> None:
        """Keep a resource's changed labels."""
        self.db.execute("UPDATE resources SET labels = ? WHERE id = ?", (json.dumps(dict(labels)), id))

    def delete(self, id: str) -> None:
        """Forget a resource."""
        self.db.execute("DELETE FROM resources WHERE id = ?", (id,))

    @property
    def powered(self) -> bool:
        """Whether the account's servers have power at all; on from the start."""
        row = self.db.execute("SELECT value FROM switches WHERE name = 'powered'").fetchone()
        return bool(row[0]) if row else True

    def power(self, on: bool) -> None:
        """Switch the account's power."""
        self.db.execute("INSERT OR REPLACE INTO switches VALUES ('powered', ?)", (on,))


def _resource(row: sqlite3.Row) -> Resource:
    return Resource(
        row["id"],
        row["kind"],
        row["name"],
        row["region"],
        json.loads(row["labels"]),
        json.loads(row["spec"]),
        bool(row["powered"]),
    )
