"""Draining, as every way of leading names does it."""

from typing import Protocol

from catalyst_sdk.continuum import DrainResult, Effect


class Gate(Protocol):
    """What leads requests, that still come the old way, away from a region: a gateway."""

    async def drain(self, *, region: str, epoch: int, budget: float) -> DrainResult:
        """As `Traffic.drain`."""
        ...

    async def undrain(self, *, region: str, epoch: int) -> Effect:
        """As `Traffic.undrain`."""
        ...


class ByGate:
    """What drains by the gateway of its region, where there is one."""

    gate: Gate | None

    async def drain(self, *, region: str, epoch: int, budget: float) -> DrainResult:
        """By the gateway; without one nobody can say what is in flight."""
        if self.gate is None:
            return DrainResult(None, 0.0)
        return await self.gate.drain(region=region, epoch=epoch, budget=budget)

    async def undrain(self, *, region: str, epoch: int) -> Effect:
        """By the gateway."""
        return Effect.DONE if self.gate is None else await self.gate.undrain(region=region, epoch=epoch)
