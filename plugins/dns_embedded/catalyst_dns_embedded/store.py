"""Zones on disk: SQLite, synced before anybody is answered, read again after a kill -9."""

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from catalyst_sdk.dns import RecordSet

from .zones import Key, Zone

_SCHEMA = """
CREATE TABLE IF NOT EXISTS zone (name TEXT PRIMARY KEY, owner TEXT NOT NULL, serial INTEGER NOT NULL,
  revision INTEGER NOT NULL, key BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS rrset (zone TEXT NOT NULL REFERENCES zone ON DELETE CASCADE, name TEXT NOT NULL,
  type TEXT NOT NULL, ttl INTEGER NOT NULL, records TEXT NOT NULL, PRIMARY KEY (zone, name, type));
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class ZoneStore:
    """All zones of one server. Its file holds private keys, so nobody else may read it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / "zones.sqlite3"
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SCHEMA)

    def load(self) -> Iterator[Zone]:
        """Every zone."""
        for name, owner, serial, revision, key in self._db.execute("SELECT * FROM zone").fetchall():
            rows = self._db.execute("SELECT name, type, ttl, records FROM rrset WHERE zone = ?", (name,))
            records: dict[Key, RecordSet] = {
                (n, t): RecordSet(n, t, ttl, tuple(json.loads(data))) for n, t, ttl, data in rows
            }
            yield Zone(name, owner, serial, revision, key, records)

    def save(self, before: Zone | None, after: Zone) -> None:
        """Write what differs. Returns once it is on disk."""
        known = before.records if before else {}
        gone = known.keys() - after.records.keys()
        new = [r for key, r in after.records.items() if known.get(key) != r]
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute(
                "INSERT INTO zone VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, "
                "serial = excluded.serial, revision = excluded.revision, key = excluded.key",
                (after.name, after.owner, after.serial, after.revision, after.key),
            )
            self._db.executemany(
                "DELETE FROM rrset WHERE zone = ? AND name = ? AND type = ?", [(after.name, *key) for key in gone]
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO rrset VALUES (?, ?, ?, ?, ?)",
                [(after.name, r.name, r.type, r.ttl, json.dumps(r.records)) for r in new],
            )
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    def delete(self, name: str) -> None:
        """Forget a zone and its key."""
        self._db.execute("DELETE FROM zone WHERE name = ?", (name,))

    def fact(self, name: str, default: str) -> str:
        """A fact about this server, drawn once: `default` where it has none yet."""
        self._db.execute("INSERT OR IGNORE INTO fact VALUES (?, ?)", (name, default))
        return str(self._db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._db.close()
