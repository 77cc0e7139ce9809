"""Old values are sealed anew after the keyring was rotated; a key that seals nothing any more may go.

A column with sealed values says so: `Column("token", LargeBinary, info=SEALED)`.

Invariants
  same value   a value is replaced only by itself under the newest key, and only where it still is what was read: whoever
               writes meanwhile wins;
  small bites  no transaction seals more than a hundred values, and one replica does it at a time;
  resumable    nothing is remembered between two bites: what is old is found by how it begins, so whoever comes next goes on;
  no loss      a key goes only where no value needs it. What no key of the ring opens is left as it is, and told;
  in its place a value is opened and sealed for the row in which it stands: one that was put there from elsewhere is left.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cryptography.exceptions import InvalidTag
from sqlalchemy import Column, LargeBinary, MetaData, Table, func, select, tuple_, update

from .database import Database, is_outage
from .leases import Leases
from .logs import get_logger
from .sealing import BOUND, ID, MARKS, Sealer, discard, sealed_at
from .waits import rest

BITE = 100
"""Values of one transaction."""
PAUSE = 60.0
"""Seconds between two looks for what is old."""
BREATH = 0.05
"""Seconds between two bites, in which others write."""
SETTLED = timedelta(minutes=10)
"""For so long after a rotation no key goes: what was sealed before it may not be committed yet."""


class KeysInUse(Exception):
    """A key cannot go yet."""


def sealed_columns(metadata: MetaData) -> Iterator[tuple[Table, Column[bytes]]]:
    """Where a daemon keeps sealed values."""
    for table in metadata.sorted_tables:
        yield from ((table, column) for column in table.columns if column.info.get("sealed"))


class Resealer:
    """The worker that seals anew."""

    def __init__(
        self, db: Database, metadata: MetaData, sealer: Sealer, leases: Leases, *, pause: float = PAUSE
    ) -> None:
        self._db = db
        self._columns = list(sealed_columns(metadata))
        self._sealer = sealer
        self._leases = leases
        self._pause = pause
        self._log = get_logger("resealer")

    async def run(self, stop: asyncio.Event) -> None:
        """Look at once and then every minute, until `stop`."""
        while not stop.is_set():
            try:
                await self.round(stop)
            except Exception as error:
                if not is_outage(error):
                    raise
                self._log.debug("database away", error=repr(error))
            await self._leases.release("reseal")
            await rest(stop, self._pause)

    async def round(self, stop: asyncio.Event) -> int:
        """Seal anew all that is old; how many values. Ends early where another replica does it."""
        count = 0
        for table, column in self._columns:
            after: tuple[Any, ...] | None = None
            while not stop.is_set() and await self._leases.acquire("reseal") is not None:
                bite = await self.bite(table, column, after)
                count += bite.resealed
                if bite.last is None:
                    break
                after = bite.last
                await rest(stop, BREATH)
        return count

    async def bite(self, table: Table, column: Column[bytes], after: tuple[Any, ...] | None = None) -> "Bite":
        """Seal the next old values of one column anew, behind the row with the key `after`."""
        key = list(table.primary_key.columns)
        query = (
            select(*key, column)
            .where(_part(column, 0, len(self._sealer.head)) != self._sealer.head)
            .order_by(*key)
            .limit(BITE)
        )
        if after is not None:
            query = query.where(tuple_(*key) > tuple_(*after))
        async with self._db.begin() as sql:
            rows = [tuple(row) for row in (await sql.execute(query)).all()]
            lost = 0
            for *named, old in rows:
                there = sealed_at(column, *named)
                try:
                    new = self._sealer.seal(self._sealer.open(old, there), there)
                except InvalidTag:
                    lost += 1
                    continue
                here = [column_of == value for column_of, value in zip(key, named, strict=True)]
                await sql.execute(update(table).where(*here, column == old).values({column: new}))
        if lost:
            self._log.error("values that no key opens", table=table.name, column=column.name, count=lost)
        return Bite(len(rows) - lost, rows[-1][:-1] if len(rows) == BITE else None)


@dataclass(frozen=True, slots=True)
class Bite:
    """What one transaction did."""

    resealed: int
    last: tuple[Any, ...] | None
    """Key of the last row that was looked at; None: there are no more."""


@dataclass(frozen=True, slots=True)
class Usage:
    """How many values each key of the ring seals, the oldest key first."""

    by_key: Mapping[str, int]
    elsewhere: int = 0
    """Values that do not say their key, as the first form has them, or name one that is not in the ring."""
    binds: bool = True
    """Whether the newest key binds what it seals to its row."""

    @property
    def free(self) -> tuple[str, ...]:
        """Keys that may go. None as long as a value does not say which one it needs; the newest never."""
        return () if self.elsewhere else tuple(key for key in list(self.by_key)[:-1] if not self.by_key[key])

    def __str__(self) -> str:
        lines = [f"{key}  {count} values" for key, count in self.by_key.items()]
        lines[-1] += ", newest"
        if self.elsewhere:
            lines.append(f"{self.elsewhere} values do not say their key, or name one that is not here: no key can go")
        elif self.free:
            lines.append(f"can go: {', '.join(self.free)} (a backup that is older than the rotation needs them)")
        else:
            lines.append("no key can go")
        if not self.binds:
            lines.append("the newest key binds no value to its row: rotate once all replicas are of this release")
        return "\n".join(lines)


async def usage(db: Database, metadata: MetaData, sealer: Sealer) -> Usage:
    """Which keys are needed by what is in the database now."""
    found: Counter[bytes] = Counter()
    elsewhere = 0
    async with db.read() as sql:
        for _, column in sealed_columns(metadata):
            mark, key = _part(column, 0, len(BOUND)), _part(column, len(BOUND), ID)
            query = select(key, func.count()).where(mark.in_(MARKS)).group_by(key)
            found.update({bytes(id): count for id, count in (await sql.execute(query)).all()})
            elsewhere += (await sql.execute(select(func.count()).where(mark.not_in(MARKS)))).scalar_one()
    known = {id.hex(): found.pop(id, 0) for id in sealer.ids}
    return Usage(known, elsewhere + sum(found.values()), sealer.binds)


async def remove_free(db: Database, metadata: MetaData, sealer: Sealer) -> Usage:
    """Take away the keys that nothing needs; what is left. Raises KeysInUse where it is too early to know."""
    path = sealer.path
    age = time.time() - path.stat().st_mtime
    if age < SETTLED.total_seconds():
        raise KeysInUse(f"the keyring was changed {age:.0f} s ago; what was sealed before may still be on its way")
    used = await usage(db, metadata, sealer)
    if not used.free:
        raise KeysInUse(f"nothing to remove:\n{used}")
    discard(path, used.free)
    return await usage(db, metadata, sealer)


def _part(column: Column[bytes], start: int, length: int) -> Any:
    return func.substr(column, start + 1, length, type_=LargeBinary)
