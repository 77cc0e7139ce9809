"""Zones on disk: SQLite, synced before anybody is answered, read again after a kill -9."""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from catalyst_sdk.dns import RecordSet
from catalyst_sdk.dns_rules import Key

from .zones import Csk, Zone

_FORMAT = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS zone (name TEXT PRIMARY KEY, owner TEXT NOT NULL, uid TEXT NOT NULL,
  serial INTEGER NOT NULL, revision INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS csk (zone TEXT NOT NULL REFERENCES zone ON DELETE CASCADE, position INTEGER NOT NULL,
  private BLOB NOT NULL, public TEXT NOT NULL, tag INTEGER NOT NULL, ds TEXT NOT NULL, active INTEGER NOT NULL,
  PRIMARY KEY (zone, position));
CREATE TABLE IF NOT EXISTS rrset (zone TEXT NOT NULL REFERENCES zone ON DELETE CASCADE, name TEXT NOT NULL,
  type TEXT NOT NULL, ttl INTEGER NOT NULL, records TEXT NOT NULL, PRIMARY KEY (zone, name, type));
CREATE TABLE IF NOT EXISTS renounced (zone TEXT PRIMARY KEY REFERENCES zone ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class FolderUnusable(Exception):
    """The folder cannot be this server's."""


class ZoneStore:
    """All zones of one server. Its file holds private keys, so nobody else may read it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Two servers on one file would each answer from what they remember: no longer one register.
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise FolderUnusable(f"another server works in {folder}") from error
        path = folder / "zones.sqlite3"
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            self._db.execute(f"PRAGMA {pragma}")
        self._prepare(path)

    def load(self) -> Iterator[Zone]:
        """Every zone."""
        rows = self._db.execute(
            "SELECT name, owner, uid, serial, revision, name IN (SELECT zone FROM renounced) FROM zone"
        ).fetchall()
        for name, owner, uid, serial, revision, renounced in rows:
            keys, records = self._keys(name), self._records(name)
            yield Zone(name, owner, uid, serial, revision, keys, records, bool(renounced))

    def save(self, before: Zone | None, after: Zone, touched: Iterable[Key]) -> None:
        """Write what differs. Returns once it is on disk."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._save_zone(before, after)
            for key in touched:
                self._save_set(after, key)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    def delete(self, name: str) -> None:
        """Forget a zone and its keys."""
        self._db.execute("DELETE FROM zone WHERE name = ?", (name,))

    def fact(self, name: str, default: str) -> str:
        """A fact about this server, drawn once: `default` where it has none yet."""
        self._db.execute("INSERT OR IGNORE INTO fact VALUES (?, ?)", (name, default))
        return str(self._db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()[0])

    def close(self) -> None:
        """Close the file; another server may have the folder."""
        self._db.close()
        os.close(self._lock)

    def _prepare(self, path: Path) -> None:
        known = self._db.execute("PRAGMA user_version").fetchone()[0]
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and known != _FORMAT:
            raise FolderUnusable(f"{path} has format {known}, this server reads {_FORMAT}: give it another folder")
        self._db.executescript(f"{_SCHEMA} PRAGMA user_version = {_FORMAT};")

    def _keys(self, zone: str) -> tuple[Csk, ...]:
        rows = self._db.execute(
            "SELECT private, public, tag, ds, active FROM csk WHERE zone = ? ORDER BY position", (zone,)
        )
        return tuple(Csk(private, public, tag, ds, bool(active)) for private, public, tag, ds, active in rows)

    def _records(self, zone: str) -> dict[Key, RecordSet]:
        rows = self._db.execute("SELECT name, type, ttl, records FROM rrset WHERE zone = ?", (zone,))
        return {(name, kind): RecordSet(name, kind, ttl, tuple(json.loads(data))) for name, kind, ttl, data in rows}

    def _save_zone(self, before: Zone | None, after: Zone) -> None:
        self._db.execute(
            "INSERT INTO zone VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, "
            "uid = excluded.uid, serial = excluded.serial, revision = excluded.revision",
            (after.name, after.owner, after.uid, after.serial, after.revision),
        )
        if after.renounced:
            self._db.execute("INSERT OR IGNORE INTO renounced VALUES (?)", (after.name,))
        elif before is not None and before.renounced:
            self._db.execute("DELETE FROM renounced WHERE zone = ?", (after.name,))
        if before is None or before.keys != after.keys:
            self._db.execute("DELETE FROM csk WHERE zone = ?", (after.name,))
            keys = [(after.name, n, k.private, k.public, k.tag, k.ds, k.active) for n, k in enumerate(after.keys)]
            self._db.executemany("INSERT INTO csk VALUES (?, ?, ?, ?, ?, ?, ?)", keys)

    def _save_set(self, after: Zone, key: Key) -> None:
        rrset = after.records.get(key)
        if rrset is None:
            self._db.execute("DELETE FROM rrset WHERE zone = ? AND name = ? AND type = ?", (after.name, *key))
            return
        row = (after.name, rrset.name, rrset.type, rrset.ttl, json.dumps(rrset.records))
        self._db.execute("INSERT OR REPLACE INTO rrset VALUES (?, ?, ?, ?, ?)", row)
