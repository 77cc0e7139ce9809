"""Conformance of fencers. An author subclasses `FencerSuite`, or `DistantFencerSuite`, and provides one fixture, `bench`.

Each test works in epochs of its own, newer than those of the tests before.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

from catalyst_sdk import PluginFailure
from catalyst_sdk.continuum import Effect, Fencer

RUN = "suite"
BUDGET = 30.0


@dataclass
class FencerBench:
    """What a fencer stops.

    fencer    makes the fencer, as an agent does at each of its starts
    lead      what else has to be so that writes are taken in an epoch, but for the fence
    write     whether a write is taken; None: nobody knows
    restart   kill -9 of what is fenced and of what fences, and their start
    kill      kill -9 of what is fenced, for good until `restart`; None: there is nothing that could die
    """

    fencer: Callable[[], Fencer]
    region: str
    lead: Callable[[int], Awaitable[None]]
    write: Callable[[], Awaitable[bool | None]]
    restart: Callable[[], Awaitable[None]]
    kill: Callable[[], Awaitable[None]] | None = None
    _epochs: Iterator[int] = field(default_factory=lambda: count(1))

    def epoch(self) -> int:
        """A newer epoch than any before."""
        return next(self._epochs)

    async def open(self) -> int:
        """Writes are taken in a new epoch; the epoch."""
        epoch = self.epoch()
        await self.lead(epoch)
        assert await self.fencer().unfence(region=self.region, epoch=epoch, run=RUN) is Effect.DONE
        assert await self.write() is True
        return epoch

    async def fence(self, epoch: int) -> bool:
        """Whether the fencer proved that it stopped the region's writers."""
        proof = await self.fencer().fence(region=self.region, epoch=epoch, run=RUN, budget=BUDGET)
        return proof is not None

    async def unfence(self, epoch: int) -> Effect:
        """Lift the fence."""
        return await self.fencer().unfence(region=self.region, epoch=epoch, run=RUN)


class FencerSuite:
    """The tests that every fencer passes, ours or a stranger's."""

    async def test_a_fence_stops_writes_and_shows_it(self, bench: FencerBench) -> None:
        epoch, fencer = await bench.open(), bench.fencer()
        proof = await fencer.fence(region=bench.region, epoch=epoch, run=RUN, budget=BUDGET)
        assert proof is not None
        assert (proof.level, proof.at > 0) == (fencer.level, True)
        assert bench.region in proof.evidence
        assert await bench.write() is not True

    async def test_a_fence_is_lifted_in_its_epoch_or_a_later_one(self, bench: FencerBench) -> None:
        epoch = await bench.open()
        assert await bench.fence(epoch)
        assert await bench.unfence(epoch) is Effect.DONE
        assert await bench.write() is True
        assert await bench.unfence(epoch) is Effect.DONE
        assert await bench.fence(epoch)
        assert await bench.fence(epoch)
        assert await bench.write() is not True
        await bench.open()

    async def test_a_fence_holds_over_kill_9_of_everything(self, bench: FencerBench) -> None:
        epoch = await bench.open()
        assert await bench.fence(epoch)
        await bench.restart()
        assert await bench.write() is not True
        assert (await bench.fencer().observe(region=bench.region)).fenced is True
        await bench.open()

    async def test_an_older_epoch_lifts_no_fence(self, bench: FencerBench) -> None:
        epoch = await bench.open()
        assert await bench.fence(epoch)
        assert await bench.unfence(epoch - 1) is Effect.STALE_EPOCH
        assert await bench.write() is not True
        await bench.restart()
        assert await bench.unfence(epoch - 1) is Effect.STALE_EPOCH
        assert await bench.write() is not True

    async def test_a_fence_of_an_older_epoch_does_not_touch_newer_writers(self, bench: FencerBench) -> None:
        epoch = await bench.open()
        await bench.fence(epoch - 1)
        assert await bench.write() is True

    async def test_whether_it_is_up_can_be_seen(self, bench: FencerBench) -> None:
        epoch, fencer = await bench.open(), bench.fencer()
        assert (await fencer.observe(region=bench.region)).fenced is False
        assert await bench.fence(epoch)
        view = await fencer.observe(region=bench.region)
        assert (view.fenced, view.epoch) == (True, epoch)

    async def test_nothing_is_proved_about_another_region(self, bench: FencerBench) -> None:
        epoch, fencer = await bench.open(), bench.fencer()
        elsewhere = "sb-nowhere-rtz-dev"
        with suppress(PluginFailure):
            assert await fencer.fence(region=elsewhere, epoch=epoch, run=RUN, budget=BUDGET) is None
        with suppress(PluginFailure):
            assert (await fencer.observe(region=elsewhere)).fenced is None
        with suppress(PluginFailure):
            assert await fencer.unfence(region=elsewhere, epoch=epoch, run=RUN) is not Effect.DONE
        assert await bench.write() is True


class DistantFencerSuite(FencerSuite):
    """For fencers that ask another process, which may be away."""

    async def test_what_is_away_is_neither_fenced_nor_open(self, bench: FencerBench) -> None:
        assert bench.kill is not None
        epoch, fencer = await bench.open(), bench.fencer()
        await bench.kill()
        assert await fencer.fence(region=bench.region, epoch=epoch, run=RUN, budget=BUDGET) is None
        assert (await fencer.observe(region=bench.region)).fenced is None
        assert await fencer.unfence(region=bench.region, epoch=epoch, run=RUN) is Effect.UNKNOWN
        await bench.restart()
        await bench.open()
