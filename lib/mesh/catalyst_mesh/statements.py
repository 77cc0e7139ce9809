"""Compiled statements: one memory of them for all engines of a process that speak to the same kind of database.

SQLAlchemy keeps one for each engine, so that a statement which the reader and the writer of a SQLite file both send was
compiled twice; to compile takes longer than to execute.
"""

from collections.abc import Iterator, MutableMapping
from functools import cache
from typing import Any

from sqlalchemy.engine import Compiled, make_url
from sqlalchemy.util import LRUCache

KEPT = 2_000
"""Statements kept of each kind of database: more than one daemon has."""


class Statements(MutableMapping[Any, Compiled]):
    """What SQLAlchemy looks up by (dialect, statement, …), kept without the dialect: all here are of one kind."""

    def __init__(self) -> None:
        self._kept: LRUCache[Any, Compiled] = LRUCache(KEPT)

    def __getitem__(self, key: Any) -> Compiled:
        return self._kept[key[1:]]

    def __setitem__(self, key: Any, compiled: Compiled) -> None:
        self._kept[key[1:]] = compiled

    def __delitem__(self, key: Any) -> None:
        del self._kept[key[1:]]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Any, default: Any = None) -> Any:
        """What is kept, or `default`, without an exception in between."""
        return self._kept.get(key[1:], default)


def sharing(url: str) -> dict[str, Any]:
    """The execution options of an engine for `url` that shares what others of its kind have compiled."""
    return {"compiled_cache": _of(make_url(url).drivername)}


@cache
def _of(_kind: str) -> Statements:
    return Statements()
