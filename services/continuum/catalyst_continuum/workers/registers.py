"""The register of each slot: over the daemon's own cells, or over those that its wish names.

While a slot moves to other cells, its register is the old one until the move is admitted.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from catalyst_mesh import get_logger
from catalyst_mesh.waits import rest
from catalyst_sdk import Code, Refused
from catalyst_sdk.witness import Carry, LeaseWitness

from catalyst_continuum.domain import cells, reconfigure, slots
from catalyst_continuum.domain.slots import Slot
from catalyst_continuum.domain.spec import LeaseClient

from .census import Census
from .register import Register

LOOK = 1.0
"""Seconds from one look at which cells there are to the next."""


class CellsUnusable(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "WITNESS_UNSAFE", "these cells cannot keep a slot: {why}"
    field = "continuum.spec.lease_client"


@dataclass(frozen=True)
class Placed:
    """Where records of slots lie.

    configuration  under which name the cells have them; empty: the daemon's own cells
    through        the same register by way of a peer
    """

    configuration: str
    register: Register
    witness: LeaseWitness
    census: Census
    through: Callable[[Carry], Register]


@dataclass
class Registers:
    """own    over the daemon's cells
    make      reaches the cells of a wish, under that name. Raises Refused where it cannot"""

    own: Placed
    make: Callable[[LeaseClient, str], Placed]
    _made: dict[LeaseClient, Placed] = field(default_factory=dict)

    def of(self, lease: LeaseClient) -> Placed:
        """Where a wish has its record. Raises Refused where its cells cannot be reached as they are configured."""
        name = cells.configuration(lease)
        if not name:
            return self.own
        key = cells.key(lease)
        if key not in self._made:
            if faults := cells.faults(cells.wished(lease)):
                raise CellsUnusable(why="; ".join(faults))
            self._made[key] = self.make(lease, name)
        return self._made[key]

    def at(self, slot: Slot) -> Placed:
        """Where the record of a slot lies now. Raises as `of`."""
        return self.of(slots.lease_of(slot))

    def shown(self, slot: Slot) -> Placed:
        """The same for whoever only looks: of cells that cannot be reached nothing is known, and nothing breaks."""
        try:
            return self.at(slot)
        except Refused as refused:
            get_logger("registers").warning("cells of a slot cannot be used", slot=slot.key, why=str(refused))
            return self.own

    async def faults(self, before: LeaseClient, after: LeaseClient) -> list[str]:
        """What keeps a slot from moving between these cells: both are asked who they are."""
        new = self.of(after)
        if cells.configuration(before) == new.configuration:
            return []  # whatever else is said of the same cells now, such as another key
        old = self.of(before)
        await asyncio.gather(old.census.take(), new.census.take())
        found = reconfigure.faults(_identities(old), _identities(new), of=len(old.witness.cells()))
        return [*found, *(f"{cell}: {why}" for cell in new.witness.cells() if (why := new.census.fault(cell)))]

    async def run(self, stop: asyncio.Event) -> None:
        """Ask all cells who they are, again and again, until `stop`. The daemon's own have a worker of theirs."""
        asking: dict[LeaseClient, asyncio.Task[None]] = {}
        try:
            while not stop.is_set():
                for lease, placed in self._made.items():
                    if lease not in asking or asking[lease].done():
                        asking[lease] = asyncio.create_task(placed.census.run(stop))
                await rest(stop, LOOK)
        finally:
            await asyncio.gather(*asking.values(), return_exceptions=True)

    async def close(self) -> None:
        """End what is still under way."""
        for placed in (self.own, *self._made.values()):
            await placed.register.close()


def _identities(placed: Placed) -> list[str]:
    known: Mapping[str, object] = placed.census.identities
    return [placed.census.identities[cell].id for cell in placed.witness.cells() if cell in known]
