"""Where the daemons' tables stand: SQLite files, databases on somebody's PostgreSQL, or a PostgreSQL of dev's own.

On PostgreSQL each daemon has a database of its own, not a schema: no slip lets it read another's tables, the lock of its
migrations is its own, and its URL says all there is, without a search path that a connection could lose.

Invariants
  remembered  a folder stays with the databases of its first start: its keys open what lies there, and nothing else;
  ours only   what `--clean` drops was made by a start in this folder, which has marked it as such.
"""

import json
import re
from dataclasses import dataclass
from secrets import token_hex
from typing import Self
from urllib.parse import quote, unquote, urlsplit

from catalyst_mesh.keyfiles import write_private

from .layout import DAEMONS, Layout

OWN = "postgres"
"""What `--database` says for a cluster of dev's own."""
USER = "catalyst"
"""Owner of all that lies in a cluster of dev's own."""


class DatabaseUnusable(Exception):
    """What was asked for cannot be had; the text says why, for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL server, and how the databases of this dev are called there."""

    host: str
    port: int
    user: str
    password: str = ""
    prefix: str = "catalyst"

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read `postgresql://user:password@host:port/prefix`; everything after the scheme may be left out."""
        # What was given is not repeated: a part of it that was read wrongly may be the password.
        try:
            parts = urlsplit(url)
            port = parts.port or 5432
        except ValueError:
            raise DatabaseUnusable("the database's URL cannot be read: its host or port is not one") from None
        prefix = parts.path.strip("/") or "catalyst"
        if parts.scheme.partition("+")[0] not in ("postgresql", "postgres"):
            raise DatabaseUnusable(f"--database takes postgresql://user@host:port/name, or `{OWN}` for an own server")
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", prefix):
            raise DatabaseUnusable("the name at the end of the database's URL may have a-z, 0-9 and _, a letter first")
        user, password = unquote(parts.username or "postgres"), unquote(parts.password or "")
        return cls(parts.hostname or "127.0.0.1", port, user, password, prefix)

    def name(self, daemon: str) -> str:
        """Name of a daemon's database."""
        return f"{self.prefix}_{daemon}"

    def url(self, daemon: str) -> str:
        """URL of a daemon's database, as the daemon takes it."""
        return f"postgresql+asyncpg://{self._login}@{self._place}/{self.name(daemon)}"

    @property
    def whole(self) -> str:
        """The URL that `parse` reads, password included."""
        return f"postgresql://{self._login}@{self._place}/{self.prefix}"

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return f"postgresql://{quote(self.user, safe='')}@{self._place}/{self.prefix}"

    @property
    def _login(self) -> str:
        return quote(self.user, safe="") + (f":{quote(self.password, safe='')}" if self.password else "")

    @property
    def _place(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Home:
    """What a folder remembers of where its data lies."""

    mark: str
    server: Server | None = None
    """None: a cluster of dev's own."""

    @classmethod
    def of(cls, layout: Layout, asked: str) -> Self | None:
        """Where the data of this folder lies, or is to lie; None for SQLite files. Raises DatabaseUnusable.

        asked   what `--database` says; empty: where it lies already
        """
        wanted = None if asked in ("", OWN) else Server.parse(asked)
        known = cls.remembered(layout)
        if known is None:
            if not asked:
                return None
            if any((layout.folder / name / f"{name}.db").exists() for name in DAEMONS):
                raise DatabaseUnusable(_moved(layout, "SQLite files"))
            made = cls(token_hex(8), wanted)
            whole = wanted.whole if wanted else OWN
            write_private(layout.database, json.dumps({"mark": made.mark, "database": whole}))
            return made
        if asked and known.server != wanted:
            raise DatabaseUnusable(_moved(layout, known.server.shown if known.server else "a cluster of its own"))
        return known

    @classmethod
    def remembered(cls, layout: Layout) -> Self | None:
        """What an earlier start wrote down."""
        try:
            row = json.loads(layout.database.read_text())
        except (OSError, ValueError):
            return None
        return cls(row["mark"], None if row["database"] == OWN else Server.parse(row["database"]))


def _moved(layout: Layout, where: str) -> str:
    return f"the data of {layout.folder} lies in {where}; choose another --data-dir, or `catalyst dev --clean`"
