"""A fake project of Hetzner Cloud: rows of one SQLite file, shared by the fake provider and the fake API.

Written from public documentation of the API and of the provider. Only the standard library: the provider's process has
an environment of its own. Calls come in parallel, from several processes.
"""

import ipaddress
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CODES = {
    "capacity": ("resource_unavailable", "server location disabled"),
    "quota": ("resource_limit_exceeded", "server limit exceeded"),
    "rate_limit": ("rate_limit_exceeded", "limit of 3600 requests per hour reached"),
    "server_error": ("service_error", "an internal error occurred"),
    "lost_reply": ("timeout", "timeout awaiting response headers"),
}
"""Fault to the API's code and a sentence."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS resource (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT, name TEXT, doc TEXT, UNIQUE (kind, name));
CREATE TABLE IF NOT EXISTS fault (id INTEGER PRIMARY KEY, effect TEXT);
CREATE TABLE IF NOT EXISTS call (id INTEGER PRIMARY KEY, verb TEXT, kind TEXT, name TEXT);
"""


class Refused(Exception):
    """The API says no."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} ({code}, 0a1b2c3d4e5f)")
        self.code = code
        self.message = message


class World:
    """One project."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as sql:
            sql.executescript(SCHEMA)

    def create(self, kind: str, doc: Mapping[str, Any]) -> int:
        """Make a resource; its id. Names are unique within a kind, and a key's content within the project."""
        with self._open() as sql:
            effect = self._met(sql)
            if effect not in ("", "lost_reply"):
                raise Refused(*CODES[effect])
            if self._taken(sql, kind, doc):
                raise Refused("uniqueness_error", f"{kind} {doc['name']} is already used")
            whole = dict(doc)
            if kind == "server":
                self._address(sql, whole)
            cursor = sql.execute(
                "INSERT INTO resource (kind, name, doc) VALUES (?, ?, ?)", (kind, doc["name"], json.dumps(whole))
            )
            sql.execute("INSERT INTO call (verb, kind, name) VALUES ('create', ?, ?)", (kind, doc["name"]))
            id = int(cursor.lastrowid or 0)
        if effect:
            raise Refused(*CODES[effect])
        return id

    def get(self, kind: str, id: int) -> dict[str, Any] | None:
        """A resource, with its id."""
        with self._open() as sql:
            row = sql.execute("SELECT doc FROM resource WHERE kind = ? AND id = ?", (kind, id)).fetchone()
        return {**json.loads(row[0]), "id": id} if row else None

    def all(self, kind: str = "") -> list[tuple[str, dict[str, Any]]]:
        """Kind and resource of everything, or of one kind, in the order in which it was made."""
        with self._open() as sql:
            rows = sql.execute("SELECT kind, id, doc FROM resource ORDER BY id").fetchall()
        return [(k, {**json.loads(doc), "id": id}) for k, id, doc in rows if kind in ("", k)]

    def update(self, kind: str, id: int, **changes: Any) -> None:
        """Change some of its values."""
        with self._open() as sql:
            doc = json.loads(self._row(sql, kind, id))
            doc.update(changes)
            sql.execute("UPDATE resource SET doc = ?, name = ? WHERE id = ?", (json.dumps(doc), doc["name"], id))

    def put_part(self, kind: str, id: int, key: str, name: str, part: Mapping[str, Any]) -> None:
        """Put a part into a resource, or a new one in its place."""
        with self._open() as sql:
            doc = json.loads(self._row(sql, kind, id))
            doc.setdefault(key, {})[name] = dict(part)
            sql.execute("UPDATE resource SET doc = ? WHERE id = ?", (json.dumps(doc), id))

    def drop_part(self, kind: str, id: int, key: str, name: str) -> None:
        """Take a part away, if both are there."""
        with self._open() as sql:
            row = sql.execute("SELECT doc FROM resource WHERE kind = ? AND id = ?", (kind, id)).fetchone()
            if row:
                doc = json.loads(row[0])
                doc.get(key, {}).pop(name, None)
                sql.execute("UPDATE resource SET doc = ? WHERE id = ?", (json.dumps(doc), id))

    def delete(self, kind: str, id: int) -> None:
        """Delete what is not protected and not in use; what is gone already is no error."""
        with self._open() as sql:
            row = sql.execute("SELECT doc FROM resource WHERE kind = ? AND id = ?", (kind, id)).fetchone()
            if row is None:
                return
            doc = json.loads(row[0])
            if doc.get("delete_protection"):
                raise Refused("protected", f"{kind} is delete protected")
            users = [json.loads(d) for (d,) in sql.execute("SELECT doc FROM resource WHERE kind = 'server'")]
            if kind == "firewall" and any(id in (user.get("firewall_ids") or ()) for user in users):
                raise Refused("resource_in_use", "firewall is still in use")
            sql.execute("DELETE FROM resource WHERE id = ?", (id,))
            sql.execute("INSERT INTO call (verb, kind, name) VALUES ('delete', ?, ?)", (kind, doc["name"]))

    def arm(self, effect: str) -> None:
        """Let the next create meet a fault."""
        with self._open() as sql:
            sql.execute("INSERT INTO fault (effect) VALUES (?)", (effect,))

    def calls(self, verb: str, kind: str = "") -> list[str]:
        """Names in the order of the calls."""
        with self._open() as sql:
            rows = sql.execute("SELECT kind, name FROM call WHERE verb = ? ORDER BY id", (verb,)).fetchall()
        return [name for k, name in rows if kind in ("", k)]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        sql = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        try:
            sql.execute("BEGIN IMMEDIATE")
            yield sql
            if sql.in_transaction:
                sql.execute("COMMIT")
        finally:
            sql.close()

    @staticmethod
    def _met(sql: sqlite3.Connection) -> str:
        row = sql.execute("SELECT id, effect FROM fault ORDER BY id LIMIT 1").fetchone()
        if row is None:
            return ""
        sql.execute("DELETE FROM fault WHERE id = ?", (row[0],))
        sql.execute("COMMIT")
        sql.execute("BEGIN IMMEDIATE")
        return str(row[1])

    @staticmethod
    def _taken(sql: sqlite3.Connection, kind: str, doc: Mapping[str, Any]) -> bool:
        docs = [json.loads(d) for (d,) in sql.execute("SELECT doc FROM resource WHERE kind = ?", (kind,))]
        key = str(doc.get("public_key", "")).split()[1:2]
        same_key = kind == "ssh_key" and key in [str(d.get("public_key", "")).split()[1:2] for d in docs]
        return same_key or doc["name"] in [d["name"] for d in docs]

    @staticmethod
    def _address(sql: sqlite3.Connection, doc: dict[str, Any]) -> None:
        """Public addresses, and a private one in each network where none was asked for."""
        count = sql.execute("SELECT count(*) FROM call WHERE kind = 'server'").fetchone()[0]
        doc.update(ipv4_address=f"198.51.100.{count + 1}", ipv6_address=f"2001:db8:{count + 1}::1", status="running")
        servers = [json.loads(d) for (d,) in sql.execute("SELECT doc FROM resource WHERE kind = 'server'")]
        for one in doc.get("network") or ():
            if not one.get("ip"):
                row = sql.execute("SELECT doc FROM resource WHERE id = ?", (one["network_id"],)).fetchone()
                subnet = next(iter(json.loads(row[0])["subnets"]))
                used = {n["ip"] for server in servers for n in server.get("network") or ()}
                free = (str(ip) for ip in list(ipaddress.ip_network(subnet).hosts())[20:])
                one["ip"] = next(ip for ip in free if ip not in used)

    @staticmethod
    def _row(sql: sqlite3.Connection, kind: str, id: int) -> str:
        row = sql.execute("SELECT doc FROM resource WHERE kind = ? AND id = ?", (kind, id)).fetchone()
        if row is None:
            raise Refused("not_found", f"{kind} with ID '{id}' not found")
        return str(row[0])
