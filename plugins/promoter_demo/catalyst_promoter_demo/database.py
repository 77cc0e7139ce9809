"""One region's database: a log of numbered writes that is acknowledged only when whoever must have it has it on disk.

A write is in three steps, and its client hears yes after the last: the entry is on disk here; every synchronous standby has
confirmed it; this region may still write. Between the steps anything may have died, been fenced or moved; then the client hears
that nothing is known, and may ask again with the same number.

Everything that changes the log or the standing is one call without an await, so that nothing happens in its middle.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from catalyst_sdk import deadman

from . import standing as may
from .behind import Closed, Entry, Unsure, Whoami
from .standing import Standing, Turn
from .store import PROMOTED, Store

PATIENCE = 5.0
"""Seconds in which standbys have to confirm a write, before its client is told that nothing is known."""


class Database:
    """The database of `region` in `folder`.

    dead_man   the file by which the region's agent vouches for its writers; None: nobody does, and after a start a call of
               `promote` or `unfence` has to
    """

    def __init__(self, store: Store, dead_man: Path | None = None, patience: float = PATIENCE) -> None:
        self._store = store
        self._dead_man = dead_man
        self._patience = patience
        self._vouched = dead_man is not None
        self._confirmed: dict[str, int] = {}
        """Up to where each standby has the log, since this process started."""
        self._waiting: list[tuple[str, int, asyncio.Future[Entry]]] = []
        self._stirred = asyncio.Event()

    @property
    def standing(self) -> Standing:
        """What this database takes itself for."""
        return self._store.standing

    @property
    def end(self) -> int:
        """The last position of the log."""
        return self._store.end

    @property
    def last_epoch(self) -> int:
        """The epoch of the last entry; 0 where there is none."""
        return self._store.last.epoch if self._store.last else 0

    @property
    def turns(self) -> Sequence[Turn]:
        """Which epoch began where."""
        return self._store.turns

    @property
    def closed(self) -> str:
        """Why no write is taken; empty: writes are."""
        why = self.standing.closed
        if why or self._dead_man is None:
            return why or (
                "" if self._vouched else "this database was started, and nobody has said since that it may write"
            )
        sign = deadman.read(self._dead_man)
        if sign is None:
            return "no agent has given a sign of life"
        return sign.refuses(now=deadman.boottime(), epoch=self.standing.led)

    @property
    def kept(self) -> int:
        """Position up to which whoever must have the log has it."""
        return min((min(self.end, self._confirmed.get(name, 0)) for name in self.standing.sync), default=self.end)

    def view(self) -> dict[str, Any]:
        """What this database says of itself, in plain values."""
        s = self.standing
        return {
            **asdict(s), "sync": sorted(s.sync), "joined": sorted(s.joined), "closed": self.closed, "end": self.end,
            "ready": s.is_ready(self.end), "turns": list(self._store.turns), "kept": self.kept,
            "committed_ms": self._store.last.at_ms if self._store.last else None, "discarded": self._store.discarded(),
        }  # fmt: skip

    def epoch_at(self, position: int) -> int | None:
        """The epoch of an entry; 0 before the first; None where there is none."""
        return self._store.epoch_at(position)

    async def whoami(self) -> Whoami:
        """What this database takes itself for, for clients."""
        s, why = self.standing, self.closed
        return Whoami(s.region, "primary" if s.led else "replica", s.led or s.epoch, not why, why)

    async def find(self, kind: str, n: int) -> Entry | None:
        """The entry of a number, none that might be lost again. Raises Unsure."""
        entry = self._store.find(kind, n)
        if entry is not None and self.standing.led:
            await self._wait_kept(entry.position)
        return entry

    async def write(self, kind: str, n: int) -> Entry:
        """Take a write. Raises Closed, or Unsure.

        A number that stands already is the same write, come again: it is acknowledged when it is kept.
        """
        self._demand_open()
        entry = self._store.find(kind, n) or await self._appended(kind, n)
        led = self.standing.led
        await self._wait_kept(entry.position)
        if self.closed or self.standing.led != led:
            raise Unsure(f"{n} was written at {entry.position}; meanwhile {self.closed or 'another epoch began'}")
        return entry

    async def read(self, kind: str, after: int, most: int) -> list[Entry]:
        """Entries of a kind, none that might be lost again. Raises Unsure where that is not known in time."""
        end = self.end
        if self.standing.led:
            await self._wait_kept(end)
        return [entry for entry in self._store.after(after, most, kind) if entry.position <= end]

    async def after(self, position: int, epoch: int, most: int, patience: float) -> list[Entry] | None:
        """Entries for a standby whose log ends at `position` in `epoch`; none after `patience` seconds without any.

        None: this log has no such entry, the standby's history is another one.
        """
        deadline = time.monotonic() + patience
        while True:
            if self._store.epoch_at(position) != epoch:
                return None
            if found := self._store.after(position, most):
                return found
            if not await self._stirring(deadline):
                return []

    def confirm(self, standby: str, position: int) -> None:
        """A standby has the log up to `position` on disk."""
        self._confirmed[standby] = position
        now = may.joined(self.standing, standby, at=position)
        if now != self.standing:
            self._store.save(now)
        self._stir()

    def promote(self, epoch: int, wanted: int) -> None:
        """Be primary in `epoch`; the epoch begins with an entry of its own, by which histories are told apart."""
        now = may.promote(self.standing, epoch, end=self.end, wanted=wanted)
        if now != self.standing:
            began = [] if self.standing.led == epoch else [self._entry(self.end + 1, epoch, PROMOTED, None)]
            self._save(now, began)
        self._vouched = True

    def demote(self, epoch: int) -> int:
        """Give up for good in `epoch`; the last position."""
        self._save(may.demote(self.standing, epoch, end=self.end))
        return self.standing.demoted_at

    def follow(self, primary: str, epoch: int) -> None:
        """Pull the log of `primary`."""
        self._save(may.follow(self.standing, primary, epoch))

    def set_sync(self, standbys: frozenset[str], epoch: int) -> None:
        """Wait for `standbys` from the next acknowledgement on."""
        self._save(may.set_sync(self.standing, standbys, epoch, end=self.end))
        for name in standbys:  # who is there already need not say so again
            self.confirm(name, self._confirmed.get(name, 0))

    def fence(self, epoch: int) -> None:
        """Stop writers of `epoch` and older ones."""
        self._save(may.fence(self.standing, epoch))

    def unfence(self, epoch: int) -> None:
        """Lift the fence."""
        self._save(may.unfence(self.standing, epoch))
        self._vouched = True

    def found(self) -> None:
        """Make the first copy of a database that never was."""
        if not self.standing.system_id:
            self._save(may.copied(self.standing, secrets.token_hex(8), theirs=0))

    def pulled(self, primary: str, epoch: int, entries: Sequence[Entry]) -> bool:
        """Take over entries that were pulled from `primary`; False where this region follows it no more.

        A newer epoch of the primary is heard of here, too: its agent may be gone, and writers there need this standby.
        """
        s = self.standing
        if s.following != primary or epoch < s.epoch or (entries and entries[0].position != self.end + 1):
            return False
        self._save(replace(may.heard(s, epoch), parted=""), entries)
        return True

    def part(self, why: str) -> None:
        """Keep that this copy has what its primary has not."""
        if not self.standing.led:
            self._save(replace(self.standing, parted=why))

    def cut(self, system_id: str, after: int, theirs: int, run: str) -> None:
        """Go back to `after` in the history of `system_id`, whose primary's log ends at `theirs`."""
        self._store.cut(may.copied(self.standing, system_id, theirs=theirs), after, run)
        self._stir()

    async def changed(self) -> None:
        """Return at the next change of log, standing or confirmations."""
        await self._stirred.wait()

    def _demand_open(self) -> None:
        if why := self.closed:
            raise Closed(why)

    def _appended(self, kind: str, n: int) -> "asyncio.Future[Entry]":
        """Queue a write. All that have come while the disk was busy share the next sync."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._flush)
        future: asyncio.Future[Entry] = loop.create_future()
        self._waiting.append((kind, n, future))
        return future

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if why := self.closed:
            return _answer(waiting, lambda _: Closed(why))
        known, fresh = self._sorted(waiting)
        try:
            self._store.append(list(fresh.values()))
        except Exception as error:  # a full disk: nothing was written, and whoever waits hears of it
            broken = f"the disk does not take it: {error}"
            return _answer(waiting, lambda _: Closed(broken))
        self._stir()
        return _answer(waiting, lambda key: known.get(key) or fresh[key])

    def _sorted(
        self, waiting: Sequence[tuple[str, int, "asyncio.Future[Entry]"]]
    ) -> tuple[dict[tuple[str, int], Entry], dict[tuple[str, int], Entry]]:
        """Entries that stand already, and new ones in the order in which they came; a number that came twice is one."""
        known: dict[tuple[str, int], Entry] = {}
        fresh: dict[tuple[str, int], Entry] = {}
        for kind, n, _ in waiting:
            if found := self._store.find(kind, n):
                known[kind, n] = found
            elif (kind, n) not in fresh:
                fresh[kind, n] = self._entry(self.end + len(fresh) + 1, self.standing.led, kind, n)
        return known, fresh

    async def _wait_kept(self, position: int) -> None:
        deadline = time.monotonic() + self._patience
        while self.kept < position:
            if not await self._stirring(deadline):
                raise Unsure(f"{position} is not confirmed by {', '.join(sorted(self.standing.sync))} yet")

    async def _stirring(self, deadline: float) -> bool:
        """Wait for the next change; False at the deadline."""
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                await self._stirred.wait()
        except TimeoutError:
            return False
        return True

    def _save(self, now: Standing, entries: Sequence[Entry] = ()) -> None:
        if now.led != self.standing.led:
            self._confirmed.clear()  # what a standby said in another epoch was about another log
        if now != self.standing or entries:
            self._store.save(now, entries)
            self._stir()

    def _stir(self) -> None:
        """Wake whoever waits for a change; who comes later waits for the next one."""
        self._stirred.set()
        self._stirred = asyncio.Event()

    def _entry(self, position: int, epoch: int, kind: str, n: int | None) -> Entry:
        return Entry(position, epoch, kind, n, self.standing.region, time.time_ns() // 1_000_000)


def _answer(
    waiting: Sequence[tuple[str, int, "asyncio.Future[Entry]"]], outcome: Callable[[tuple[str, int]], Entry | Exception]
) -> None:
    for kind, n, future in waiting:
        if future.done():
            continue  # its client went away
        found = outcome((kind, n))
        if isinstance(found, Exception):
            future.set_exception(found)
        else:
            future.set_result(found)
