"""What stands behind a gateway: where numbered writes are kept."""

from dataclasses import dataclass
from typing import Protocol

ROW, CANARY = "row", "canary"
"""Kinds of numbered writes: those of clients, and those of an observer."""


class Closed(Exception):
    """No write is taken, and none was."""


class Unsure(Exception):
    """The write may stand, and nobody knows yet whether it will stay."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log.

    n       the number that a client gave, once for each kind; None: the beginning of an epoch
    at_ms   wall clock of the primary that wrote it
    """

    position: int
    epoch: int
    kind: str
    n: int | None
    region: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Whoami:
    """What stands behind a gateway, as it takes itself. `why` it takes no write; empty where it does."""

    region: str
    role: str
    epoch: int
    writable: bool
    why: str


class Behind(Protocol):
    """What stands behind a gateway: the demo database, or another."""

    async def write(self, kind: str, n: int) -> Entry:
        """Take a write. Raises Closed, or Unsure."""
        ...

    async def find(self, kind: str, n: int) -> Entry | None:
        """The kept entry of a number. Raises Unsure."""
        ...

    async def read(self, kind: str, after: int, most: int) -> list[Entry]:
        """Kept entries after a position, in their order. Raises Unsure."""
        ...

    async def whoami(self) -> Whoami:
        """What it takes itself for."""
        ...
