"""Contract of the kind `lease_witness`: cells, each a register with one linearizable compare-and-swap.

A witness plugin reaches a set of cells by their names. Which cells there are is its configuration; how their answers
become a lease is the daemon's, because a function cannot be serialized. Every error that leaves `swap` means UNKNOWN.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

CAPABILITIES = frozenset({"compare_and_swap", "identity", "relay"})
"""What a manifest may say of a witness: the first two every one can, `relay` those whose messages are signed."""
LINEARIZABLE = "linearizable"
"""The only consistency with which a store may be a cell."""


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
    """Who a cell is, so that two names for one cell are noticed; and what it promises of itself.

    offset   seconds by which its time of day was ahead of ours when it answered; None: it tells no time. Since 0.2
    """

    id: str
    incarnation: int
    software: str = ""
    consistency: str = LINEARIZABLE
    offset: float | None = field(default=None, compare=False)


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

        slot       as for `read`; `<namespace>/<name>@<configuration>` where the cells of a slot were changed
        old, new   lower-case ASCII, at most 255 octets
        source     RFC 2136 §2.4 (prerequisites), §3.5 (stable storage before the answer), §3.7 (serialised updates)
        """
        ...

    async def identity(self, *, cell: str) -> CellIdentity:
        """Who the cell is. Raises Temporary where it does not answer."""
        ...


Carry = Callable[[str, bytes], Awaitable[bytes]]
"""Takes a message to the cell of that name by way of somebody else, and brings the answer back unread. Raises Temporary."""


class RelayedWitness(LeaseWitness, Protocol):
    """A witness whose messages are signed, so that they can go through hands that are not trusted. Capability `relay`."""

    def through(self, carry: Carry) -> LeaseWitness:
        """The same cells, asked by `carry` alone. Each message is signed by us and each answer by the cell, or does not count."""
        ...

    async def hand_on(self, *, cell: str, message: bytes) -> bytes:
        """Take somebody's message to one of our cells, unchanged, and bring its answer back.

        raises   Permanent("MESSAGE_INVALID") for what is no signed message for the cell's own zone, Permanent("CELL_UNKNOWN")
                 for a cell that is none of ours: nothing is sent; Temporary where the cell does not answer
        """
        ...
