"""Log and standing on disk: SQLite, synced before anybody is answered, read again after a kill -9."""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .behind import Entry
from .standing import Standing, Turn

_FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (position INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, kind TEXT NOT NULL, n INTEGER,
  region TEXT NOT NULL, at_ms INTEGER NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS entry_n ON entry (kind, n) WHERE n IS NOT NULL;
CREATE TABLE IF NOT EXISTS discarded (position INTEGER NOT NULL, epoch INTEGER NOT NULL, kind TEXT NOT NULL, n INTEGER,
  region TEXT NOT NULL, at_ms INTEGER NOT NULL, run TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS standing (one INTEGER PRIMARY KEY CHECK (one = 1), value TEXT NOT NULL);
"""
PROMOTED = "promoted"
"""Kind of the entry with which each epoch begins."""
_COLUMNS = "position, epoch, kind, n, region, at_ms"


class FolderUnusable(Exception):
    """The folder cannot be this database's."""


class Store:
    """The database file of one region. Every change is on disk when its call returns."""

    def __init__(self, folder: Path, region: str) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise FolderUnusable(f"another database works in {folder}") from error
        self._db = sqlite3.connect(folder / "demo.sqlite3", isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            self._db.execute(f"PRAGMA {pragma}")
        self._prepare(folder)
        self.standing = self._standing(region)
        self.last = self._last()
        self.turns: Sequence[Turn] = self._turns()

    @property
    def end(self) -> int:
        """The last position; 0 where there is no entry."""
        return self.last.position if self.last else 0

    def save(self, standing: Standing, entries: Iterable[Entry] = ()) -> None:
        """Keep a standing, and add entries to the log, or neither."""
        rows = list(entries)
        with self._transaction():
            self._insert(rows)
            self._keep(standing)
        self._know(standing, rows)

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries to the log."""
        with self._transaction():
            self._insert(entries)
        self._know(self.standing, entries)

    def cut(self, standing: Standing, after: int, run: str) -> None:
        """Take the log back to `after`, and keep a standing. What is taken away is kept aside, for people."""
        with self._transaction():
            self._db.execute("INSERT INTO discarded SELECT *, ? FROM entry WHERE position > ?", (run, after))
            self._db.execute("DELETE FROM entry WHERE position > ?", (after,))
            self._keep(standing)
        self.standing, self.last, self.turns = standing, self._last(), self._turns()

    def after(self, position: int, most: int, kind: str = "") -> list[Entry]:
        """Entries after `position`, at most so many; of one kind where it is given."""
        where, values = ("AND kind = ?", (position, kind, most)) if kind else ("", (position, most))
        sql = f"SELECT {_COLUMNS} FROM entry WHERE position > ? {where} ORDER BY position LIMIT ?"  # noqa: S608 - constants
        return [Entry(*row) for row in self._db.execute(sql, values)]

    def find(self, kind: str, n: int) -> Entry | None:
        """The entry of a number."""
        row = self._db.execute(f"SELECT {_COLUMNS} FROM entry WHERE kind = ? AND n = ?", (kind, n)).fetchone()  # noqa: S608
        return Entry(*row) if row else None

    def epoch_at(self, position: int) -> int | None:
        """The epoch of an entry; 0 before the first; None where there is none."""
        if position == 0:
            return 0
        row = self._db.execute("SELECT epoch FROM entry WHERE position = ?", (position,)).fetchone()
        return int(row[0]) if row else None

    def discarded(self) -> int:
        """How many entries were taken back in all the life of this copy."""
        return int(self._db.execute("SELECT count(*) FROM discarded").fetchone()[0])

    def close(self) -> None:
        """Close the file; another process may have the folder."""
        self._db.close()
        os.close(self._lock)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    def _insert(self, entries: Sequence[Entry]) -> None:
        rows = [(e.position, e.epoch, e.kind, e.n, e.region, e.at_ms) for e in entries]
        self._db.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)", rows)

    def _keep(self, standing: Standing) -> None:
        value = json.dumps(asdict(standing), default=sorted)
        self._db.execute("INSERT OR REPLACE INTO standing VALUES (1, ?)", (value,))

    def _know(self, standing: Standing, entries: Sequence[Entry]) -> None:
        self.standing = standing
        self.last = entries[-1] if entries else self.last
        self.turns = [*self.turns, *((e.epoch, e.position) for e in entries if e.kind == PROMOTED)]

    def _prepare(self, folder: Path) -> None:
        known = self._db.execute("PRAGMA user_version").fetchone()[0]
        if known not in (0, _FORMAT):
            raise FolderUnusable(f"{folder} has format {known}, this database reads {_FORMAT}: give it another folder")
        self._db.executescript(f"{_SCHEMA} PRAGMA user_version = {_FORMAT};")

    def _standing(self, region: str) -> Standing:
        row = self._db.execute("SELECT value FROM standing").fetchone()
        if row is None:
            return Standing(region)
        raw: dict[str, Any] = json.loads(row[0])
        if raw["region"] != region:
            self.close()
            raise FolderUnusable(f"this is the database of {raw['region']}, not of {region}")
        return Standing(**{**raw, "sync": frozenset(raw["sync"]), "joined": frozenset(raw["joined"])})

    def _last(self) -> Entry | None:
        row = self._db.execute(f"SELECT {_COLUMNS} FROM entry ORDER BY position DESC LIMIT 1").fetchone()  # noqa: S608
        return Entry(*row) if row else None

    def _turns(self) -> list[Turn]:
        sql = "SELECT epoch, position FROM entry WHERE kind = ? ORDER BY position"
        return [(int(epoch), int(position)) for epoch, position in self._db.execute(sql, (PROMOTED,))]
