"""Compares this machine's clock with others': its time of day with the cells', its rate with those of other regions."""

import asyncio
from collections.abc import Callable, Mapping

import grpc
from catalyst_mesh.waits import rest

from catalyst_continuum.clock import boottime
from catalyst_continuum.domain import clocks
from catalyst_continuum.domain.clocks import Pace, Sample

from .census import Census
from .peers import hello

EVERY = 10.0
"""Seconds from one greeting to the next."""


class Clocks:
    """Greets the agents of other regions again and again. Run it as a worker.

    peers   channels to their daemons, by region
    census  what the cells last told
    """

    def __init__(
        self, region: str, peers: Mapping[str, grpc.aio.Channel], census: Census, *,
        clock: Callable[[], float] = boottime, every: float = EVERY,
    ) -> None:  # fmt: skip
        self._region = region
        self._peers = peers
        self._census = census
        self._clock = clock
        self._every = every
        self._paces: dict[str, Pace] = {}

    @property
    def offset(self) -> float | None:
        """Seconds by which our time of day is behind the cells'; None: none of them tells."""
        return clocks.offset({cell: one.offset for cell, one in self._census.identities.items()})

    @property
    def drift(self) -> float | None:
        """Millionths by which our clock is proven to run wrong; None: not compared for long enough."""
        return clocks.drift(self._paces.values())

    async def run(self, stop: asyncio.Event) -> None:
        """Compare until `stop`."""
        while not stop.is_set():
            await self.compare()
            await rest(stop, self._every)

    async def compare(self) -> None:
        """Greet all of them once; who does not answer is taken for what is known already."""
        await asyncio.gather(*(self._greet(region, channel) for region, channel in self._peers.items()))

    async def _greet(self, region: str, channel: grpc.aio.Channel) -> None:
        sent = self._clock()
        answer = await hello(channel, self._region)
        if answer is not None:
            sample = Sample(answer.boot_id, answer.boottime.ToNanoseconds() / 1e9, sent, self._clock())
            self._paces[region] = clocks.paced(self._paces.get(region), sample)
