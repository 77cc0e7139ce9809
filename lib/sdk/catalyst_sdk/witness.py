"""Contract of the kind `lease_witness`: cells, each a register with one linearizable compare-and-swap.

A witness plugin reaches a set of cells by their names. Which cells there are is its configuration; how their answers
become a lease is the daemon's, because a function cannot be serialized. Every error that leaves `swap` means UNKNOWN.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Swap(Enum):
    """What became of a compare-and-swap."""

    APPLIED = "applied"
    """Durable at the cell."""
    MISMATCH = "mismatch"
    """The old value was another; nothing was changed."""
    UNKNOWN = "unknown"
    """It may have been applied; read before trying again."""


@dataclass(frozen=True, slots=True)
class CellIdentity:
    """Who a cell is, so that two names for one cell are noticed."""

    id: str
    incarnation: int
    software: str = ""


class LeaseWitness(Protocol):
    """Reaches the cells of one witness."""

    def cells(self) -> tuple[str, ...]:
        """Names of the cells, in the order of the configuration."""
        ...

    async def read(self, *, cell: str, slot: str) -> bytes | None:
        """The cell's value for `slot`, from the cell itself and never from a cache; None: it has none.

        slot     `<namespace>/<name>`
        raises   Temporary where the cell does not answer with authority
        """
        ...

    async def swap(self, *, cell: str, slot: str, old: bytes | None, new: bytes) -> Swap:
        """Replace the value of `slot` only if it still is `old` (None: only if there is none).

        old, new   lower-case ASCII, at most 255 octets
        source     RFC 2136 §2.4 (prerequisites), §3.5 (stable storage before the answer), §3.7 (serialised updates)
        """
        ...

    async def identity(self, *, cell: str) -> CellIdentity:
        """Who the cell is. Raises Temporary where it does not answer."""
        ...
