"""Conformance of database promoters. An author subclasses `PromoterSuite` and provides one fixture, `bench`.

class TestMine(PromoterSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls) -> Iterator[PromoterBench]: ...

The two regions of a bench serve all tests: each begins with `led`, which makes one of them primary in an epoch of its own and
has the other follow, whatever the test before left behind.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TypeVar

import pytest
from catalyst_sdk import PluginFailure
from catalyst_sdk.continuum import (
    DatabaseView,
    DemotionToken,
    Effect,
    Fencer,
    Follow,
    FollowState,
    Promoter,
    Role,
)

from catalyst_testkit.waiting import eventually

RUN = "suite"
Told = TypeVar("Told")
PATIENCE = 60.0
"""Seconds for what takes a moment on a quick machine."""


async def until(check: Callable[[], Awaitable[bool]], *, what: str) -> None:
    """Wait for it, patiently."""
    await eventually(check, within=PATIENCE, what=what)  # type: ignore[arg-type]  # T is bool


@dataclass
class PromoterBench:
    """One database in two regions, and their servers.

    promoter     over both regions
    kill, start  kill -9 of all that serves a region; its start on the same data, after a kill
    write        one write of a number by the path of clients: True acknowledged, False refused, None nobody knows
    rows         the numbers that a region's copy has
    """

    promoter: Promoter
    east: str
    west: str
    kill: Callable[[str], None]
    start: Callable[[str], None]
    write: Callable[[str, int], Awaitable[bool | None]]
    rows: Callable[[str], Awaitable[set[int]]]
    down: set[str] = field(default_factory=set)
    _epochs: Iterator[int] = field(default_factory=lambda: count(1))
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def fencer(self) -> Fencer:
        """The lowest rung of the promoter's own that stops its database."""
        return next(fencer for fencer in self.promoter.fencers() if fencer.level == 1)

    def epoch(self) -> int:
        """A newer epoch than any before."""
        return next(self._epochs)

    def number(self) -> int:
        """A number that nobody wrote."""
        return next(self._numbers)

    def crash(self, region: str) -> None:
        """kill -9, and leave it so."""
        self.kill(region)
        self.down.add(region)

    def restart(self, *regions: str) -> None:
        """Start what was killed; kill and start what was not."""
        for region in regions:
            if region not in self.down:
                self.kill(region)
            self.start(region)
            self.down.discard(region)

    async def view(self, region: str) -> DatabaseView:
        """What a region says, without the age of it."""
        return replace(await self.promoter.observe(region=region), age=0.0)

    async def promoted(self, region: str, epoch: int, token: DemotionToken | None = None) -> None:
        """Make a region primary, and let it write."""

        async def done() -> bool:
            told = [await self.promoter.promote(region=region, epoch=epoch, run=RUN, token=token)]
            # A database that its fence has stopped is no primary before that is lifted.
            told += [await fencer.unfence(region=region, epoch=epoch, run=RUN) for fencer in self.promoter.fencers()]
            assert Effect.STALE_EPOCH not in told
            return set(told) == {Effect.DONE}

        await until(done, what=f"{region} is promoted")
        await until(lambda: self._probed(region, epoch), what=f"{region} writes")

    async def followed(self, region: str, primary: str, epoch: int, *, destroy: bool) -> None:
        """Have a region follow, step by step."""

        async def following() -> bool:
            told = await self.promoter.follow(region=region, primary=primary, epoch=epoch, run=RUN, destroy=destroy)
            assert told.state is not Follow.BLOCKED, told.why
            return told.state is Follow.FOLLOWING

        await until(following, what=f"{region} follows {primary}")

    async def synchronous(self, region: str, standby: str, epoch: int) -> None:
        """Have the primary wait for a standby, and see that it has all that was acknowledged."""
        standbys = frozenset({standby})
        told = await self.promoter.set_sync(region=region, standbys=standbys, epoch=epoch)
        assert told is Effect.DONE

        async def joined() -> bool:
            return (await self.view(region)).sync == standbys

        await until(joined, what=f"{standby} has each acknowledged write")

    async def led(self, region: str, *, sync: bool = True) -> int:
        """`region` is primary in a new epoch, the other one follows it; the epoch."""
        self.restart(*self.down)
        other, before, epoch = self.other(region), self.epoch(), self.epoch()
        # Both hear of a newer epoch first: what the test before left behind takes no write any more.
        for one in (self.east, self.west):
            assert await self.fencer.fence(region=one, epoch=before, run=RUN, budget=PATIENCE)
        await self.promoted(region, epoch)
        await self.followed(other, region, epoch, destroy=True)
        if sync:
            await self.synchronous(region, other, epoch)
        return epoch

    def other(self, region: str) -> str:
        """The other region."""
        return self.west if region == self.east else self.east

    async def _probed(self, region: str, epoch: int) -> bool:
        return (await self.promoter.probe_write(region=region, epoch=epoch)).acknowledged is True


class PromoterSuite:
    """The tests that every promoter passes, ours or a stranger's."""

    async def test_a_write_is_acknowledged_when_both_regions_have_it(self, bench: PromoterBench) -> None:
        epoch, n = await bench.led(bench.east), bench.number()
        assert await bench.write(bench.east, n) is True
        assert n in await bench.rows(bench.east)
        assert n in await bench.rows(bench.west)
        east, west = await bench.view(bench.east), await bench.view(bench.west)
        assert (east.role, east.writable, east.epoch) == (Role.PRIMARY, True, epoch)
        assert (west.role, west.writable, west.ready) == (Role.REPLICA, False, True)
        assert (east.system_id, east.timeline) == (west.system_id, west.timeline)
        assert east.sync == frozenset({bench.west})
        assert west.replayed is not None

    async def test_a_replica_takes_no_write(self, bench: PromoterBench) -> None:
        epoch = await bench.led(bench.east)
        assert await bench.write(bench.west, bench.number()) is False
        assert (await bench.promoter.probe_write(region=bench.west, epoch=epoch)).acknowledged is not True

    async def test_a_canary_of_another_epoch_is_no_canary(self, bench: PromoterBench) -> None:
        epoch = await bench.led(bench.east)
        assert (await bench.promoter.probe_write(region=bench.east, epoch=epoch)).acknowledged is True
        for other in (epoch - 1, epoch + 1):
            assert (await bench.promoter.probe_write(region=bench.east, epoch=other)).acknowledged is False

    async def test_an_older_epoch_changes_nothing(self, bench: PromoterBench) -> None:
        epoch = await bench.led(bench.east)
        before = [await bench.view(region) for region in (bench.east, bench.west)]
        old, promoter, none = epoch - 1, bench.promoter, frozenset[str]()
        for region in (bench.east, bench.west):
            assert await promoter.promote(region=region, epoch=old, run=RUN, token=None) is Effect.STALE_EPOCH
            assert await promoter.demote(region=region, epoch=old, run=RUN) is Effect.STALE_EPOCH
            assert await promoter.set_sync(region=region, standbys=none, epoch=old) is Effect.STALE_EPOCH
            assert await bench.fencer.unfence(region=region, epoch=old, run=RUN) is Effect.STALE_EPOCH
            await bench.fencer.fence(region=region, epoch=old, run=RUN, budget=PATIENCE)
            told = await promoter.follow(
                region=region, primary=bench.other(region), epoch=old, run=RUN, destroy=True
            )  # fmt: skip - one call
            assert told.state is Follow.BLOCKED
        assert [(v.role, v.writable, v.timeline, v.sync, v.epoch) for v in before] == [
            (v.role, v.writable, v.timeline, v.sync, v.epoch)
            for v in [await bench.view(region) for region in (bench.east, bench.west)]
        ]
        assert await bench.write(bench.east, bench.number()) is True

    async def test_the_highest_epoch_outlives_kill_9(self, bench: PromoterBench) -> None:
        await bench.led(bench.east)
        epoch = bench.epoch()
        assert await bench.fencer.fence(region=bench.west, epoch=epoch, run=RUN, budget=PATIENCE)
        bench.restart(bench.west)
        told = await bench.promoter.promote(region=bench.west, epoch=epoch - 1, run=RUN, token=None)
        assert told is Effect.STALE_EPOCH
        assert await bench.fencer.unfence(region=bench.west, epoch=epoch - 1, run=RUN) is Effect.STALE_EPOCH

    async def test_two_promotions_in_one_epoch_are_one(self, bench: PromoterBench) -> None:
        epoch = await bench.led(bench.east)
        before = await bench.view(bench.east)
        told = await bench.promoter.promote(region=bench.east, epoch=epoch, run="another", token=None)
        assert told is Effect.DONE
        after = await bench.view(bench.east)
        assert (after.timeline, after.sync, after.writable) == (before.timeline, before.sync, True)

    async def test_a_newer_epoch_ends_the_older_ones_writes_wherever_it_is_heard(self, bench: PromoterBench) -> None:
        epoch = await bench.led(bench.east, sync=False)
        assert await bench.promoter.set_sync(region=bench.east, standbys=frozenset(), epoch=epoch) is Effect.DONE
        newer = bench.epoch()
        assert await bench.fencer.unfence(region=bench.east, epoch=newer, run=RUN) is Effect.DONE
        assert await bench.write(bench.east, bench.number()) is not True
        assert (await bench.promoter.probe_write(region=bench.east, epoch=epoch)).acknowledged is not True

    async def test_a_demotion_tells_the_last_position_and_no_write_comes_after_it(self, bench: PromoterBench) -> None:
        epoch, n = await bench.led(bench.east), bench.number()
        assert await bench.write(bench.east, n) is True
        token = await bench.promoter.demote(region=bench.east, epoch=epoch, run=RUN)
        assert isinstance(token, DemotionToken)
        assert (token.region, token.epoch) == (bench.east, epoch)
        assert await bench.write(bench.east, bench.number()) is not True
        assert await bench.promoter.demote(region=bench.east, epoch=epoch, run="another") == token
        bench.restart(bench.east)
        assert await bench.promoter.demote(region=bench.east, epoch=epoch, run=RUN) == token
        assert await bench.promoter.promote(region=bench.east, epoch=epoch, run=RUN, token=None) is Effect.STALE_EPOCH
        await bench.promoted(bench.west, newer := bench.epoch(), token)
        assert n in await bench.rows(bench.west)
        await bench.followed(bench.east, bench.west, newer, destroy=False)

    async def test_a_replica_has_nothing_to_demote(self, bench: PromoterBench) -> None:
        epoch = await bench.led(bench.east)
        assert not isinstance(
            await self.told(bench.promoter.demote(region=bench.west, epoch=epoch, run=RUN)), DemotionToken
        )
        assert await bench.write(bench.east, bench.number()) is True

    async def test_no_acknowledged_write_is_lost_with_the_primary(self, bench: PromoterBench) -> None:
        await bench.led(bench.east)
        acknowledged: set[int] = set()

        async def client() -> None:
            while bench.east not in bench.down:
                n = bench.number()
                if await bench.write(bench.east, n):
                    acknowledged.add(n)

        clients = [asyncio.create_task(client()) for _ in range(4)]
        await eventually(lambda: len(acknowledged) > 20, within=PATIENCE, what="writes are acknowledged")
        bench.crash(bench.east)
        await asyncio.gather(*clients)
        await bench.promoted(bench.west, bench.epoch())
        assert acknowledged <= await bench.rows(bench.west)

    async def test_nothing_is_acknowledged_while_the_synchronous_standby_is_away(self, bench: PromoterBench) -> None:
        epoch, n = await bench.led(bench.east), bench.number()
        bench.crash(bench.west)
        assert await bench.write(bench.east, n) is not True
        assert (await bench.promoter.probe_write(region=bench.east, epoch=epoch)).acknowledged is not True
        assert await bench.promoter.set_sync(region=bench.east, standbys=frozenset(), epoch=epoch) is Effect.DONE
        assert (await bench.view(bench.east)).sync == frozenset()
        assert await bench.write(bench.east, bench.number()) is True

    async def test_a_standby_is_synchronous_only_when_it_has_each_acknowledged_write(
        self, bench: PromoterBench
    ) -> None:
        epoch = await bench.led(bench.east, sync=False)
        bench.crash(bench.west)
        assert await bench.write(bench.east, bench.number()) is True
        standbys = frozenset({bench.west})
        told = await bench.promoter.set_sync(region=bench.east, standbys=standbys, epoch=epoch)
        assert told is not Effect.STALE_EPOCH
        assert not (await bench.view(bench.east)).sync
        bench.restart(bench.west)
        await bench.followed(bench.west, bench.east, epoch, destroy=False)
        await bench.synchronous(bench.east, bench.west, epoch)
        assert await bench.rows(bench.east) == await bench.rows(bench.west)

    async def test_only_the_primary_of_the_epoch_waits_for_others(self, bench: PromoterBench) -> None:
        epoch = await bench.led(bench.east)
        told = await self.told(
            bench.promoter.set_sync(region=bench.west, standbys=frozenset({bench.east}), epoch=epoch)
        )
        assert told is not Effect.DONE

    async def test_a_fence_holds_over_restarts_until_it_is_lifted(self, bench: PromoterBench) -> None:
        epoch = await bench.led(bench.east)
        proof = await bench.fencer.fence(region=bench.east, epoch=epoch, run=RUN, budget=PATIENCE)
        assert proof is not None
        assert (proof.level, proof.at > 0, bool(proof.evidence)) == (bench.fencer.level, True, True)
        assert await bench.write(bench.east, bench.number()) is not True
        assert (await bench.fencer.observe(region=bench.east)).fenced is True
        bench.restart(bench.east)
        await self.told(bench.promoter.promote(region=bench.east, epoch=epoch, run="late", token=None))
        assert await bench.write(bench.east, bench.number()) is not True
        assert (await bench.promoter.probe_write(region=bench.east, epoch=epoch)).acknowledged is not True
        assert await bench.fencer.fence(region=bench.east, epoch=epoch, run="again", budget=PATIENCE) is not None
        await bench.promoted(bench.east, epoch)
        assert (await bench.fencer.observe(region=bench.east)).fenced is False
        assert await bench.write(bench.east, bench.number()) is True

    async def test_a_fence_of_an_older_epoch_does_not_touch_a_newer_primary(self, bench: PromoterBench) -> None:
        epoch = await bench.led(bench.east)
        assert await bench.fencer.fence(region=bench.east, epoch=epoch - 1, run="late", budget=PATIENCE)
        assert await bench.write(bench.east, bench.number()) is True

    async def test_a_region_that_is_away_says_nothing_and_nothing_is_hoped_of_it(self, bench: PromoterBench) -> None:
        epoch = await bench.led(bench.east)
        bench.crash(bench.west)
        view = await bench.promoter.observe(region=bench.west)
        assert view.age >= 0
        assert (view.system_id, view.replayed, view.timeline, view.sync) == (None, None, None, None)
        assert (view.role, view.writable) in ((None, None), (Role.STOPPED, False))
        newer = epoch + 1
        assert (await bench.promoter.probe_write(region=bench.west, epoch=newer)).acknowledged is not True
        told = await self.told(bench.promoter.promote(region=bench.west, epoch=newer, run=RUN, token=None))
        # Some start what they promote.
        done = (await bench.promoter.probe_write(region=bench.west, epoch=newer)).acknowledged is True
        assert (told, done) in ((Effect.UNKNOWN, False), (None, False), (Effect.DONE, True))
        assert not isinstance(
            await self.told(bench.promoter.demote(region=bench.west, epoch=epoch, run=RUN)), DemotionToken
        )
        bench.epoch()

    async def test_an_old_primary_that_returns_takes_no_write_by_itself(self, bench: PromoterBench) -> None:
        await bench.led(bench.east, sync=False)
        bench.restart(bench.east)
        assert await bench.write(bench.east, bench.number()) is not True

    async def test_what_only_an_old_primary_has_is_given_up_only_where_that_is_allowed(
        self, bench: PromoterBench
    ) -> None:
        epoch = await bench.led(bench.east, sync=False)
        kept, lost = bench.number(), bench.number()
        assert await bench.write(bench.east, kept) is True
        await bench.synchronous(bench.east, bench.west, epoch)
        assert await bench.promoter.set_sync(region=bench.east, standbys=frozenset(), epoch=epoch) is Effect.DONE
        bench.crash(bench.west)
        assert await bench.write(bench.east, lost) is True
        bench.crash(bench.east)
        bench.restart(bench.west)
        await bench.promoted(bench.west, newer := bench.epoch())
        assert await bench.write(bench.west, bench.number()) is True
        bench.restart(bench.east)
        told = await self.approached(bench, bench.east, newer, destroy=False)
        assert told.state is Follow.BLOCKED
        assert told.why
        view = await bench.view(bench.east)
        # Whoever took it for a standby would wait for it for ever, or lose what the primary has.
        assert (view.writable, view.ready) == (False, False)
        told = await self.approached(bench, bench.east, newer, destroy=True)
        assert told.state in (Follow.REWOUND, Follow.CLONED)
        await bench.followed(bench.east, bench.west, newer, destroy=False)
        await bench.synchronous(bench.west, bench.east, newer)
        rows = await bench.rows(bench.east)
        assert rows == await bench.rows(bench.west)
        assert (kept in rows, lost in rows) == (True, False)

    async def test_two_copies_that_were_promoted_without_knowing_of_each_other_are_never_mixed(
        self, bench: PromoterBench
    ) -> None:
        await bench.led(bench.east)
        here, there = bench.number(), bench.number()
        bench.crash(bench.east)
        await bench.promoted(bench.west, bench.epoch())
        assert await bench.write(bench.west, there) is True
        bench.crash(bench.west)
        # The old primary comes back first, and is made primary again: its history begins where the other's did.
        bench.restart(bench.east)
        await bench.promoted(bench.east, epoch := bench.epoch())
        assert await bench.write(bench.east, here) is True
        bench.restart(bench.west)
        assert (await self.approached(bench, bench.west, epoch, destroy=False)).state is Follow.BLOCKED
        await bench.followed(bench.west, bench.east, epoch, destroy=True)
        await bench.synchronous(bench.east, bench.west, epoch)
        rows = await bench.rows(bench.west)
        assert rows == await bench.rows(bench.east)
        assert (here in rows, there in rows) == (True, False)

    async def test_a_primary_does_not_follow_in_the_epoch_in_which_it_leads(self, bench: PromoterBench) -> None:
        epoch = await bench.led(bench.east)
        told = await bench.promoter.follow(region=bench.east, primary=bench.west, epoch=epoch, run=RUN, destroy=True)
        assert told.state is Follow.BLOCKED
        assert await bench.write(bench.east, bench.number()) is True

    async def test_a_region_that_nobody_configured_is_refused(self, bench: PromoterBench) -> None:
        with pytest.raises(PluginFailure):
            await bench.promoter.promote(region="sb-nowhere-rtz-dev", epoch=1, run=RUN, token=None)

    async def told(self, call: Awaitable[Told]) -> Told | None:
        """What a call answers; None where it raises one of the four errors, which mean that nobody knows."""
        try:
            return await call
        except PluginFailure:
            return None

    async def approached(self, bench: PromoterBench, region: str, epoch: int, *, destroy: bool) -> FollowState:
        """The first state of following that is more than waiting for an answer."""
        primary = bench.other(region)

        async def state() -> FollowState:
            told = await bench.promoter.follow(region=region, primary=primary, epoch=epoch, run=RUN, destroy=destroy)
            assert told.state is not Follow.CATCHING_UP, told.why
            return told

        return await eventually(state, within=PATIENCE, what=f"{region} comes nearer to {primary}")
