"""What cells showed at the most, so that one that forgets is noticed, by this process and by those after it.

Invariants
  twice kept   on this machine's disk within `TO_DISK`, and in the store, for other replicas and for a lost disk, within
               `TO_STORE`; whichever says more is believed;
  only more    what is known of a cell grows; only an admission puts something else in its place.

What was noted within the last second before a crash is not known afterwards. It would matter only if a cell forgot in that
same second.
"""

import asyncio
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from catalyst_mesh import Work, get_logger
from catalyst_mesh.waits import rest
from catalyst_sdk import Decision

from catalyst_continuum.domain.ballot import UNWRITTEN, ZERO, Acceptor, Ballot, parsed
from catalyst_continuum.domain.record import Corrupt
from catalyst_continuum.domain.register import more
from catalyst_continuum.store import Remembered, Store

TO_DISK, TO_STORE = 1.0, 10.0
"""Seconds."""
LOOSE = 1000
"""Lines that the file may have beyond those that still say something, before it is written anew."""


class Memory:
    """The highest promise and accepted ballot of each cell, slot by slot; here it lasts as long as the process."""

    def __init__(self) -> None:
        self._floor: dict[str, dict[str, Acceptor]] = {}

    def floor(self, slot: str) -> Mapping[str, Acceptor]:
        """What is known now; a later note does not change it."""
        return dict(self._floor.get(slot, {}))

    def note(self, slot: str, cell: str, state: Acceptor) -> None:
        """A cell showed `state`, or took it."""
        of_slot = self._floor.setdefault(slot, {})
        known = of_slot.get(cell, UNWRITTEN)
        most = more(known, state)
        if most != known:
            of_slot[cell] = most
            self._changed(Remembered(slot, cell, most))

    def put(self, slot: str, cell: str, state: Acceptor) -> None:
        """A cell was admitted with `state`: what it was before is over."""
        self._floor.setdefault(slot, {})[cell] = given = Acceptor(state.promised, state.accepted)
        self._changed(Remembered(slot, cell, given, admitted=True))

    def _changed(self, line: Remembered) -> None:
        """Something is to be kept."""


class KeptMemory(Memory):
    """A memory that outlives its process. Run it as a worker; `load` before anybody asks."""

    def __init__(self, file: Path, work: Work[Store]) -> None:
        super().__init__()
        self._file = file
        self._work = work
        self._for_disk: list[Remembered] = []
        self._for_store: dict[tuple[str, str], Remembered] = {}
        self._lines = 0
        self._log = get_logger("memory")

    async def load(self) -> None:
        """Take in what the disk and the store know."""
        for line in await asyncio.to_thread(self._read):
            self._take(line)
        await self._learn()

    async def run(self, stop: asyncio.Event) -> None:
        """Keep what is noted, and hear what other replicas noted, until asked to stop; then once more."""
        turns = 0
        while not stop.is_set():
            await rest(stop, TO_DISK)
            turns += 1
            try:
                await self.flush(store=turns % round(TO_STORE / TO_DISK) == 0 or stop.is_set())
            except Exception as error:  # a full disk, a database that is away: what is noted waits for the next turn
                self._log.error("what cells showed is not kept", exc_info=error)

    async def flush(self, *, store: bool = True) -> None:
        """Keep what was noted since the last time."""
        lines, self._for_disk = self._for_disk, []
        try:
            if lines:
                await asyncio.to_thread(self._write, *self._to_write(lines))
        except BaseException:
            self._for_disk = [*lines, *self._for_disk]
            raise
        if store:
            await self._tell()
            await self._learn()

    def _changed(self, line: Remembered) -> None:
        self._for_disk.append(line)
        before = self._for_store.get((line.slot, line.cell))
        is_admitted = line.admitted or (before is not None and before.admitted)
        self._for_store[line.slot, line.cell] = Remembered(line.slot, line.cell, line.state, is_admitted)

    def _take(self, line: Remembered) -> None:
        of_slot = self._floor.setdefault(line.slot, {})
        of_slot[line.cell] = line.state if line.admitted else more(of_slot.get(line.cell, UNWRITTEN), line.state)

    async def _tell(self) -> None:
        given, self._for_store = self._for_store, {}
        if not given:
            return

        async def step(tx: Store) -> Decision[None]:
            await tx.remember(list(given.values()))
            return Decision(None)

        try:
            await self._work.again(step)
        except BaseException:
            self._for_store = {**given, **self._for_store}
            raise

    async def _learn(self) -> None:
        async with self._work.reading() as tx:
            known = await tx.remembered()
        for line in known:
            self._take(line)

    def _read(self) -> list[Remembered]:
        try:
            text = self._file.read_text()
        except FileNotFoundError:
            return []
        lines = [line for line in map(_line, text.splitlines()) if line is not None]
        self._lines = len(lines)
        return lines

    def _to_write(self, lines: list[Remembered]) -> tuple[list[Remembered], bool]:
        """What is to be written, and whether it is all that the file is to have."""
        known = sum(len(cells) for cells in self._floor.values())
        if self._lines + len(lines) <= 2 * known + LOOSE:
            return lines, False
        return [Remembered(slot, cell, at) for slot, cells in self._floor.items() for cell, at in cells.items()], True

    def _write(self, lines: list[Remembered], is_all: bool) -> None:
        if is_all:
            fresh = self._file.with_suffix(".new")
            _append(fresh, lines, mode="w")
            fresh.replace(self._file)
            self._lines = 0
        else:
            _append(self._file, lines, mode="a")
        self._lines += len(lines)


def _append(file: Path, lines: Iterable[Remembered], mode: str) -> None:
    with file.open(mode) as out:
        # A line that was torn by a crash stays one of its own.
        out.write("\n" + "".join(f"{_text(line)}\n" for line in lines))
        out.flush()
        os.fsync(out.fileno())


def _text(line: Remembered) -> str:
    word = "admitted" if line.admitted else "shown"
    promised, accepted = (str(one) if one != ZERO else "-" for one in (line.state.promised, line.state.accepted))
    return f"{word} {line.slot} {line.cell} {promised} {accepted} ."


def _line(text: str) -> Remembered | None:
    """None for what is no line, such as one that was torn: the dot at its end says that it is whole."""
    words = text.split(" ")
    if len(words) != 6 or words[0] not in ("shown", "admitted") or words[5] != ".":
        return None
    try:
        return Remembered(words[1], words[2], Acceptor(_ballot(words[3]), _ballot(words[4])), words[0] == "admitted")
    except Corrupt:
        return None


def _ballot(text: str) -> Ballot:
    return ZERO if text == "-" else parsed(text)
