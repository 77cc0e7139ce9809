"""One witness over cells of several kinds, each reached by its own plugin."""

from collections.abc import Mapping, Sequence

from catalyst_sdk import NotSupported, Permanent
from catalyst_sdk.witness import Carry, CellIdentity, LeaseWitness, Swap


class Quorum:
    """cells   in the order of the configuration, with the witness that reaches each"""

    def __init__(self, cells: Mapping[str, LeaseWitness]) -> None:
        self._of = dict(cells)

    def cells(self) -> tuple[str, ...]:
        """Names of all."""
        return tuple(self._of)

    async def read(self, *, cell: str, slot: str) -> bytes | None:
        """As the cell's own."""
        return await self._of[cell].read(cell=cell, slot=slot)

    async def swap(self, *, cell: str, slot: str, old: bytes | None, new: bytes) -> Swap:
        """As the cell's own."""
        return await self._of[cell].swap(cell=cell, slot=slot, old=old, new=new)

    async def identity(self, *, cell: str) -> CellIdentity:
        """As the cell's own."""
        return await self._of[cell].identity(cell=cell)

    def through(self, carry: Carry) -> LeaseWitness:
        """The same cells by way of somebody else; those whose messages are not signed are silent there."""
        relayed = {id(one): _through(one, carry) for one in self._of.values()}
        return Quorum({cell: relayed[id(one)] for cell, one in self._of.items()})

    async def hand_on(self, *, cell: str, message: bytes) -> bytes:
        """Somebody's message to one of these cells. Raises as RelayedWitness, and NotSupported for a cell of another kind."""
        if cell not in self._of:
            raise Permanent("CELL_UNKNOWN", f"{cell} is none of our cells")
        hand_on = getattr(self._of[cell], "hand_on", None)
        if hand_on is None:
            raise NotSupported("relay", f"messages to {cell} are not signed, so that nobody else hands them on")
        answer: bytes = await hand_on(cell=cell, message=message)
        return answer


class _Silent:
    """Cells that cannot be reached this way."""

    def __init__(self, cells: Sequence[str]) -> None:
        self._cells = tuple(cells)

    def cells(self) -> tuple[str, ...]:
        return self._cells

    async def read(self, *, cell: str, slot: str) -> bytes | None:
        raise NotSupported("relay")

    async def swap(self, *, cell: str, slot: str, old: bytes | None, new: bytes) -> Swap:
        raise NotSupported("relay")

    async def identity(self, *, cell: str) -> CellIdentity:
        raise NotSupported("relay")


def _through(witness: LeaseWitness, carry: Carry) -> LeaseWitness:
    through = getattr(witness, "through", None)
    relayed: LeaseWitness = through(carry) if through else _Silent(witness.cells())
    return relayed
