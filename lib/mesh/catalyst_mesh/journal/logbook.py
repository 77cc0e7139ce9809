"""The log of a run: numbered lines, written in lots, bounded."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

LINE_MOST = 1 << 20
"""Bytes of a line; the rest is cut, with a mark."""
LOT_BYTES = 64 << 10
"""Bytes that wait before they are written without further delay."""
LOT_SECONDS = 0.5
"""How long a line may wait."""
RUN_MOST = 50 << 20
"""Bytes of a run's log; then a line says that the rest is missing."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its number."""

    at: datetime
    step: str
    attempt: int
    level: str
    text: str


class Logbook:
    """Collects lines, and writes them by `flush`, fenced, when enough have come together or have waited long enough."""

    def __init__(self, flush: Callable[[list[Line]], Awaitable[None]]) -> None:
        self._flush = flush
        self._lines: list[Line] = []
        self._bytes = 0
        self._since = time.monotonic()

    async def write(self, step: str, attempt: int, text: str, level: str, at: datetime) -> None:
        """Add `text`, which may have several lines."""
        for raw in text.splitlines() or [""]:
            line = Line(at, step, attempt, level, _cut(raw))
            if not self._lines:
                self._since = time.monotonic()
            self._lines.append(line)
            self._bytes += len(line.text)
        if self._bytes > LOT_BYTES or self.is_due:
            await self.flush()

    @property
    def is_due(self) -> bool:
        """Whether lines have waited long enough."""
        return bool(self._lines) and time.monotonic() - self._since > LOT_SECONDS

    async def flush(self) -> None:
        """Write what there is."""
        if self._lines:
            lines, self._lines, self._bytes = self._lines, [], 0
            await self._flush(lines)


def within(lines: list[Line], room: int) -> tuple[list[Line], int]:
    """As many of `lines` as fit into `room` bytes, and how many bytes they take; the first that does not fit says so.

    Negative room means that this was said before.
    """
    kept: list[Line] = []
    taken = 0
    for line in lines:
        size = len(line.text.encode()) + 1
        if taken + size > room:
            if room >= 0:
                kept.append(Line(line.at, line.step, line.attempt, "WARN", "the log is full; what follows is not kept"))
            return kept, room + 1 if room >= 0 else 0
        kept.append(line)
        taken += size
    return kept, taken


def _cut(text: str) -> str:
    raw = text.encode(errors="replace")
    return raw.decode() if len(raw) <= LINE_MOST else raw[:LINE_MOST].decode(errors="ignore") + " … [cut]"
