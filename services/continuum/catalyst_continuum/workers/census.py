"""Who the cells are: asked again and again, so that one that stands behind two names is noticed, and does not count twice."""

import asyncio

from catalyst_mesh import get_logger
from catalyst_mesh.waits import rest
from catalyst_sdk import PluginFailure
from catalyst_sdk.witness import CellIdentity, LeaseWitness

from catalyst_continuum.domain.cells import clashing

FIRST, LATER = 1.0, 30.0
"""Seconds between two questions: while a cell has not answered yet, and then."""


class Census:
    """What each cell last said of itself. Run it as a worker."""

    def __init__(self, witness: LeaseWitness) -> None:
        self._witness = witness
        self._log = get_logger("census")
        self._clash: dict[str, str] = {}
        self.identities: dict[str, CellIdentity] = {}
        """By cell."""
        self.unsafe: dict[str, str] = {}
        """Cells that must not be asked, with the reason."""

    async def run(self, stop: asyncio.Event) -> None:
        """Ask until asked to stop."""
        while not stop.is_set():
            await self.take()
            await rest(stop, FIRST if len(self.identities) < len(self._witness.cells()) else LATER)

    async def take(self) -> None:
        """Ask every cell once; who does not answer is who it was."""
        await asyncio.gather(*(self._ask(cell) for cell in self._witness.cells()))
        shown = {cell: self.identities[cell].id for cell in self._witness.cells() if cell in self.identities}
        clash = dict(clashing(shown))
        if clash != self._clash:
            self._log.error("cells share an identity", clash=clash)
        self._clash = clash

    def fault(self, cell: str) -> str:
        """Why a cell does not count; empty where it does."""
        if other := self._clash.get(cell):
            return f"it is the same cell as {other} (IdentityClash)"
        return self.unsafe.get(cell, "")

    async def _ask(self, cell: str) -> None:
        try:
            self.identities[cell] = await self._witness.identity(cell=cell)
        except PluginFailure as failure:
            if getattr(failure, "reason", "") == "UNSAFE_WITNESS":
                self.unsafe[cell] = f"{failure} (UnsafeWitness)"
            return
        self.unsafe.pop(cell, None)
