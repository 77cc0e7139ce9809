"""A gateway as a fencer, rung 3, and as what drains a region: writes get 503 with Retry-After until they are let through again.

A proof needs that no write is inside any more: one that was let in before may end in the database after the order.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from catalyst_sdk import PluginFailure
from catalyst_sdk.continuum import DrainResult, Effect, FenceProof, FenceView
from catalyst_sdk.deadman import boottime

LOOK = 0.05
"""Seconds between two questions how many writes are inside."""
PATIENCE = 2.0
"""Seconds for one answer of a gateway."""


@dataclass(frozen=True, slots=True)
class Admission:
    """How a gateway stands: the highest epoch that it was told, whether it lets writes through, how many are inside.

    in_flight   None: it cannot say
    """

    epoch: int
    open: bool
    in_flight: int | None


class StaleOrder(Exception):
    """The gateway was told a newer epoch; nothing was changed."""


class Gates(Protocol):
    """The gateways of a slot's regions, of one kind."""

    async def admission(self, region: str, *, patience: float) -> Admission:
        """How the gateway of a region stands. Raises PluginFailure where nobody knows."""
        ...

    async def order(self, region: str, *, epoch: int, open: bool, run: str, patience: float) -> Admission:
        """Let writes through, or not, in `epoch`; kept over restarts. Raises StaleOrder, or PluginFailure: nobody knows."""
        ...


class GatewayFencer:
    """Stops what comes to a region by its gateway.

    local   True: as the region's own agent uses it; False: as another region's does
    """

    level = 3
    worst_case = 2.0

    def __init__(self, gates: Gates, *, local: bool = True) -> None:
        self._gates = gates
        self.local = local

    async def fence(self, *, region: str, epoch: int, run: str, budget: float) -> FenceProof | None:
        """Let nothing through; proved when nothing is inside."""
        try:
            drained = await _closed(self._gates, region, epoch, run, budget)
        except (PluginFailure, StaleOrder):
            return None
        if drained.in_flight != 0:
            return None
        return FenceProof(self.level, boottime(), f"{region}: its gateway lets no write through, and none is inside")

    async def unfence(self, *, region: str, epoch: int, run: str) -> Effect:
        """Let writes through again."""
        return await _opened(self._gates, region, epoch, run)

    async def observe(self, *, region: str) -> FenceView:
        """Whether the gateway lets nothing through."""
        began = boottime()
        try:
            found = await self._gates.admission(region, patience=PATIENCE)
        except PluginFailure:
            return FenceView(None, age=boottime() - began)
        return FenceView(not found.open, found.epoch or None, boottime() - began)


class Drain:
    """Leads new writes away from a region, and waits for those inside."""

    def __init__(self, gates: Gates) -> None:
        self._gates = gates

    async def drain(self, *, region: str, epoch: int, budget: float) -> DrainResult:
        """As `Traffic.drain`."""
        try:
            return await _closed(self._gates, region, epoch, "drain", budget)
        except (PluginFailure, StaleOrder):
            return DrainResult(None, 0.0)

    async def undrain(self, *, region: str, epoch: int) -> Effect:
        """As `Traffic.undrain`."""
        return await _opened(self._gates, region, epoch, "undrain")


async def _closed(gates: Gates, region: str, epoch: int, run: str, budget: float) -> DrainResult:
    """Close the gateway, and wait within the budget until nothing is inside. Raises StaleOrder, or PluginFailure."""
    began = boottime()
    found = await gates.order(region, epoch=epoch, open=False, run=run, patience=min(budget, PATIENCE))
    while found.in_flight and (left := began + budget - boottime()) > LOOK:
        await asyncio.sleep(LOOK)
        try:
            found = await gates.admission(region, patience=left)
        except PluginFailure:
            return DrainResult(None, boottime() - began)
    # Somebody may have opened it while we waited.
    return DrainResult(None if found.open else found.in_flight, boottime() - began)


async def _opened(gates: Gates, region: str, epoch: int, run: str) -> Effect:
    try:
        found = await gates.order(region, epoch=epoch, open=True, run=run, patience=PATIENCE)
    except StaleOrder:
        return Effect.STALE_EPOCH
    except PluginFailure:
        return Effect.UNKNOWN
    return Effect.DONE if found.open else Effect.UNKNOWN
