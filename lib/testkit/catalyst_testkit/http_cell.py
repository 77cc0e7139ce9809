"""A lease cell over HTTP, for machines without Node: `http-cas` on one SQLite file, synced to disk before each answer.

python -m catalyst_testkit.http_cell --data DIR --listen 127.0.0.1:5320 --token-file FILE

It speaks both surfaces as the Durable Object of `witness_cloudflare` does. `--consistency eventual` makes it say of itself what a
plain key-value store would have to say.
"""

import argparse
import hashlib
import hmac
import ipaddress
import json
import re
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

MOST_OCTETS = 255
_SLOT = re.compile(r"[a-z0-9.-]{1,128}")


class CellStore:
    """Values, leases and the cell's id; one writer at a time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._turn = threading.Lock()
        self._sql = sqlite3.connect(folder / "cell.db", check_same_thread=False, isolation_level=None)
        self._sql.execute("PRAGMA journal_mode = WAL")
        self._sql.execute("PRAGMA synchronous = FULL")
        self._sql.execute(
            "CREATE TABLE IF NOT EXISTS kept (kind TEXT, slot TEXT, value BLOB, PRIMARY KEY (kind, slot))"
        )
        self.id = self.change("id", "", lambda old: (old or str(uuid4()).encode(), None))[0].decode()

    def read(self, kind: str, slot: str) -> bytes | None:
        """What is kept."""
        with self._turn:
            return self._read(kind, slot)

    def change(
        self, kind: str, slot: str, decide: Callable[[bytes | None], tuple[bytes | None, Any]]
    ) -> tuple[Any, Any]:
        """Keep what `decide` makes of what is there (None: nothing is changed), and tell that and what else it says."""
        with self._turn:
            new, said = decide(self._read(kind, slot))
            if new is not None:
                self._sql.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (kind, slot, new))
            return new, said

    def close(self) -> None:
        """Close the file."""
        self._sql.close()

    def _read(self, kind: str, slot: str) -> bytes | None:
        row = self._sql.execute("SELECT value FROM kept WHERE kind = ? AND slot = ?", (kind, slot)).fetchone()
        return bytes(row[0]) if row else None


class Handler(BaseHTTPRequestHandler):
    """One connection, kept for many requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "HttpCell"

    def do_GET(self) -> None:
        self._served()

    def do_PUT(self) -> None:
        self._served()

    def do_DELETE(self) -> None:
        self._served()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged: a test has its own record."""

    def _served(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        shown = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if not hmac.compare_digest(shown.encode(), self.server.token.encode()):
            self._say(401)
            return
        surface, _, slot = self.path.lstrip("/").partition("/")
        if surface == "identity" and not slot and self.command == "GET":
            self._json(200, self.server.identity())
        elif surface not in ("cell", "lease") or not _SLOT.fullmatch(slot):
            self._say(400)  # 404 says that a slot has no value, and nothing else
        elif surface == "cell":
            self._cell(slot, body)
        else:
            self._lease(slot, body)

    def _cell(self, slot: str, body: bytes) -> None:
        kept, match = self.server.kept, self.headers.get("If-Match")
        if self.command == "GET":
            value = kept.read("cell", slot)
            self._say(404 if value is None else 200, value or b"", tag=value)
            return
        is_first = self.headers.get("If-None-Match") == "*"
        if self.command != "PUT" or is_first == bool(match) or not 0 < len(body) <= MOST_OCTETS:
            self._say(400)
            return

        def decide(old: bytes | None) -> tuple[bytes | None, bytes | None]:
            is_same = old is None if is_first else old is not None and tag_of(old) == match
            return (body, old) if is_same else (None, old)

        new, old = kept.change("cell", slot, decide)
        if new is None:
            self._say(412, tag=old)
        else:
            self._say(201 if old is None else 200, tag=new)

    def _lease(self, slot: str, body: bytes) -> None:
        kept = self.server.kept
        if self.command == "GET":
            value = kept.read("lease", slot)
            self._say(404) if value is None else self._json(200, json.loads(value))
            return
        try:
            generation = int(self.headers.get("If-Match") or "")
            wish = json.loads(body) if self.command == "PUT" else {"op": "release", "holder": self.headers["X-Holder"]}
            new, state = kept.change("lease", slot, lambda old: _leased(old, generation, wish))
        except (ValueError, KeyError, TypeError):
            self._say(400)
            return
        if new is None:
            self._json(412, state) if state else self._say(412)
        elif self.command == "DELETE":
            self._say(204)
        else:
            self._json(200, json.loads(new))

    def _json(self, status: int, body: Any) -> None:
        self._say(status, json.dumps(body).encode(), kind="application/json")

    def _say(self, status: int, body: bytes = b"", *, tag: bytes | None = None, kind: str = "text/plain") -> None:
        self.send_response(status)
        if status != 401:
            self.send_header("Catalyst-Cell", self.server.kept.id)
        if tag is not None:
            self.send_header("ETag", tag_of(tag))
        self.send_header("Content-Type", kind)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class HttpCell(ThreadingHTTPServer):
    """The server."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], kept: CellStore, token: str, consistency: str, incarnation: int
    ) -> None:
        super().__init__(address, Handler)
        self.kept = kept
        self.token = token
        self._consistency = consistency
        self._incarnation = incarnation

    def identity(self) -> dict[str, Any]:
        """Who this cell is."""
        return {
            "cellId": self.kept.id, "incarnation": self._incarnation, "consistency": self._consistency,
            "software": "http_cell",
        }  # fmt: skip


def tag_of(value: bytes) -> str:
    """The entity tag of a value."""
    return f'"{hashlib.sha256(value).hexdigest()}"'


def _leased(old: bytes | None, generation: int, wish: dict[str, Any]) -> tuple[bytes | None, dict[str, Any] | None]:
    """The lease after a wish; None: it is refused, and stays. What is expired stays too, until somebody takes it."""
    state: dict[str, Any] = json.loads(old) if old else {}
    now = datetime.now(UTC)
    holder = state.get("holder", "")
    is_over = not holder or datetime.fromisoformat(state["expiresAt"]) <= now
    may = {
        "acquire": is_over or holder == wish["holder"],
        "renew": bool(holder) and holder == wish["holder"],
        "release": bool(holder) and holder == wish["holder"],
    }[wish["op"]]
    if state.get("generation", 0) != generation or not may or not wish["holder"]:
        return None, state
    if wish["op"] == "release":
        return json.dumps({**state, "holder": "", "generation": generation + 1}).encode(), state
    after = {
        "holder": wish["holder"],
        "acquiredAt": state["acquiredAt"] if wish["op"] == "renew" else now.isoformat(),
        "expiresAt": (now + timedelta(seconds=float(wish["ttlSeconds"]))).isoformat(),
        "generation": generation + 1,
    }
    return json.dumps(after).encode(), state


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not ipaddress.ip_address(host).is_loopback:
        raise argparse.ArgumentTypeError(f"{host} is not a loopback address")
    return host, int(port)


def main(argv: list[str] | None = None) -> None:
    """Read the command line and serve until the process is ended."""
    parser = argparse.ArgumentParser(prog="catalyst_testkit.http_cell", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of this cell")
    parser.add_argument("--listen", type=_address, required=True, help="ip:port, loopback only")
    parser.add_argument("--token-file", type=Path, required=True, help="file with the token that callers show")
    parser.add_argument("--consistency", default="linearizable", help="what it says of itself")
    parser.add_argument("--incarnation", type=int, default=1)
    args = parser.parse_args(argv)
    token = args.token_file.read_text().strip()
    if not token:
        sys.exit(f"cannot serve: {args.token_file} is empty")
    try:
        with closing(CellStore(args.data)) as kept:
            server = HttpCell(args.listen, kept, token, args.consistency, args.incarnation)
            print(f"cell on {args.listen[0]}:{args.listen[1]}", flush=True)
            server.serve_forever()
    except OSError as error:
        sys.exit(f"cannot serve: {error}")


if __name__ == "__main__":
    main()
