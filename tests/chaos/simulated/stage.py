"""Where seeds are played, one after the other: databases that are made once and emptied for each."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from catalyst_mesh import Database
from sqlalchemy import MetaData

from . import sqlite
from .loop import LoopClock, SeededLoop
from .world import Parts, World, hearer_tables, names_tables


@dataclass(frozen=True)
class Played:
    """What became of one seed."""

    seed: int
    history: tuple[str, ...]
    broken: dict[str, str]

    def __str__(self) -> str:
        return "\n".join([f"CATALYST_CHAOS_SEED={self.seed} breaks {self.broken}", *self.history])


class Stage:
    """Use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = SeededLoop()

    def __enter__(self) -> Self:
        self._loop.run_until_complete(self._open())
        return self

    def __exit__(self, _k: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self._loop.run_until_complete(self._close())
        self._loop.close()

    def play(self, seed: int, parts: Parts = Parts()) -> Played:  # noqa: B008 - it is frozen
        """One seed from the beginning to its end."""
        return self._loop.run_until_complete(self._play(seed, parts))

    async def _open(self) -> None:
        self._names = await self._made("names", names_tables)
        self._hearers = await self._made("hearers", hearer_tables)

    async def _made(self, name: str, tables: MetaData) -> Database:
        url = f"sqlite+{sqlite.SimulatedDialect.driver}:///{self._folder}/{name}.db"
        return await Database.open(url, metadata=tables, clock=LoopClock(self._loop))

    def _empty(self, name: str, tables: MetaData) -> None:
        with closing(sqlite3.connect(self._folder / f"{name}.db")) as connection:
            deletes = "".join(f"DELETE FROM {table.name};" for table in tables.sorted_tables)
            connection.executescript(f"PRAGMA synchronous=OFF; BEGIN; {deletes} COMMIT")

    async def _close(self) -> None:
        await self._names.close()
        await self._hearers.close()

    async def _play(self, seed: int, parts: Parts) -> Played:
        self._empty("names", names_tables)
        self._empty("hearers", hearer_tables)
        self._loop.begin(seed)
        world = World(self._loop, self._names, self._hearers, parts)
        broken = {}
        try:
            await world.play()
        except TimeoutError:
            broken = {"it ends": "something was not heard a minute after all was well"}
        finally:
            await world.end()
        return Played(seed, tuple(world.history), await world.broken() | broken)
