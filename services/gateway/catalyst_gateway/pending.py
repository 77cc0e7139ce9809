"""What one browser has still to be sent: bounded, and of a slow one only the newest word about each thing.

Invariants
  in order   what is taken has rising numbers;
  nothing    is left out for a browser that keeps up: within `PATIENCE` seconds of the oldest word that waits all is kept;
  newest     what a slow browser is not told about a thing was followed by a later word about the same thing, which it is told;
  bounded    a browser that is slow and has more than `MOST` words waiting is given up; it begins anew with a snapshot.
"""

import asyncio
from dataclasses import dataclass

MOST = 1000
"""Words that may wait for a slow browser."""
PATIENCE = 1.0
"""Seconds for which the oldest word may wait before its browser counts as slow."""


@dataclass(frozen=True, slots=True)
class Word:
    """One event as it is told; the same object waits for all browsers."""

    number: int
    subject: str
    key: str
    """The thing that it is about."""
    organization: str
    frame: bytes


class Pending:
    """The words that wait for one browser; `filled` is set while there are any, and once it is given up."""

    def __init__(self) -> None:
        self.filled = asyncio.Event()
        self.is_given_up = False
        self._words: dict[str | int, Word] = {}
        self._since = 0.0

    def __len__(self) -> int:
        return len(self._words)

    def put(self, word: Word, now: float) -> None:
        """Have `word` wait; `now` in seconds of a clock that never goes back."""
        if self.is_given_up:
            return
        if not self._words:
            self._since = now
        if now - self._since > PATIENCE:
            self._coalesce()
            self._words.pop(word.key, None)
            self._words[word.key] = word
            if len(self._words) > MOST:
                self.give_up()
        else:
            self._words[word.number] = word
        self.filled.set()

    def _coalesce(self) -> None:
        """From one word a number to one word a thing; a thing's place is that of its last word."""
        if not any(isinstance(key, int) for key in self._words):
            return
        last: dict[str | int, Word] = {}
        for word in self._words.values():
            last.pop(word.key, None)
            last[word.key] = word
        self._words = last

    def take(self) -> list[Word]:
        """All that waits, by rising numbers."""
        words = list(self._words.values())
        self._words = {}
        if not self.is_given_up:
            self.filled.clear()
        return words

    def give_up(self) -> None:
        """Nothing waits any more, and nothing will."""
        self.is_given_up, self._words = True, {}
        self.filled.set()
