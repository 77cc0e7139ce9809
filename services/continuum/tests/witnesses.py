"""A witness in memory that can be told to fail: cells that are down, that lose answers, that lose messages."""

import asyncio
from dataclasses import dataclass, field
from random import Random

from catalyst_sdk import Temporary
from catalyst_sdk.witness import CellIdentity, Swap


@dataclass
class MemoryWitness:
    """Cells as dictionaries; every operation gives the others a turn."""

    names: tuple[str, ...] = ("a", "b", "c")
    down: set[str] = field(default_factory=set)
    lost_answers: float = 0.0
    lost_messages: float = 0.0
    random: Random = field(default_factory=lambda: Random(7))
    values: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def cells(self) -> tuple[str, ...]:
        return self.names

    async def read(self, *, cell: str, slot: str) -> bytes | None:
        await asyncio.sleep(0)
        self._arrive(cell)
        return self.values.get((cell, slot))

    async def swap(self, *, cell: str, slot: str, old: bytes | None, new: bytes) -> Swap:
        await asyncio.sleep(0)
        try:
            self._arrive(cell)
        except Temporary:
            return Swap.UNKNOWN
        if self.values.get((cell, slot)) != old:
            return Swap.MISMATCH
        self.values[cell, slot] = new
        return Swap.UNKNOWN if self.random.random() < self.lost_answers else Swap.APPLIED

    async def identity(self, *, cell: str) -> CellIdentity:
        return CellIdentity(cell, 1)

    def _arrive(self, cell: str) -> None:
        if cell in self.down or self.random.random() < self.lost_messages:
            raise Temporary(f"{cell} does not answer")
