"""Conformance of drivers of traffic. An author subclasses `TrafficDriverSuite` and provides one fixture, `bench`.

Each test has names of its own. Addresses are of documentation nets: nobody is asked there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

from catalyst_sdk import PluginFailure
from catalyst_sdk.continuum import Effect, TrafficDriver, TrafficPlan

EAST, WEST = "sb-east-rtz-dev", "sb-west-rtz-dev"
FRONTS: Mapping[str, tuple[str, ...]] = {EAST: ("192.0.2.1", "192.0.2.2"), WEST: ("198.51.100.2",)}
"""Addresses by region."""
RUN = "suite"
TTL, LOW_TTL = 30, 5
WRITERS = 8
PAUSE = 0.01
"""Seconds between two looks of a sampler."""


@dataclass
class DriverBench:
    """Where names are led.

    driver   makes the driver, as an agent does at each of its starts
    zone     in which the suite makes names
    answers  the addresses that a client of a name is given, by authority; none where there is no such name
    meddle   somebody gives a name these addresses, past the driver
    restart  kill -9 of whoever keeps the names, and its start; it is away before, or not
    kill     kill -9 of whoever keeps the names, for good until `restart`
    """

    driver: Callable[[], TrafficDriver]
    zone: str
    answers: Callable[[str], Awaitable[Mapping[str, tuple[str, ...]]]]
    meddle: Callable[[str, tuple[str, ...]], Awaitable[None]]
    restart: Callable[[], Awaitable[None]]
    kill: Callable[[], Awaitable[None]]

    def fresh(self) -> str:
        """A name that nobody had."""
        return f"n{uuid4().hex[:12]}.{self.zone}"

    async def move(self, holder: str, epoch: int, *names: str, ttl: int = TTL) -> Effect:
        """Lead names to a holder, by a driver that was just made; whatever it raises means that nobody knows."""
        plan = TrafficPlan(holder, dict.fromkeys(sorted(names), FRONTS[holder]), ttl)
        try:
            return await self.driver().apply(plan, epoch=epoch, run=RUN)
        except PluginFailure:
            return Effect.UNKNOWN

    async def is_at(self, epoch: int, *names: str) -> bool:
        """Whether a driver that was just made sees all of it in an epoch."""
        try:
            return (await self.driver().observe(names=names)).is_at(epoch)
        except PluginFailure:
            return False

    async def leads(self, name: str, holder: str) -> bool:
        """Whether every authority gives the holder's addresses, and no others."""
        found = await self.answers(name)
        return bool(found) and all(sorted(one) == list(FRONTS[holder]) for one in found.values())


class TrafficDriverSuite:
    """The tests that every driver passes, ours or a stranger's."""

    async def test_a_name_leads_to_the_holder_and_is_seen_in_its_epoch(self, bench: DriverBench) -> None:
        name = bench.fresh()
        assert not await bench.is_at(1, name)
        assert await bench.move(EAST, 1, name) is Effect.DONE
        assert await bench.leads(name, EAST)
        view = await bench.driver().observe(names=[name])
        assert view.is_at(1)
        assert {(one.name, tuple(sorted(one.addresses)), one.ttl) for one in view.authorities} == {
            (name, FRONTS[EAST], TTL)
        }
        assert await bench.move(WEST, 2, name) is Effect.DONE
        assert await bench.leads(name, WEST)
        assert await bench.is_at(2, name)

    async def test_what_holds_already_is_done_and_stays_as_it_is(self, bench: DriverBench) -> None:
        name = bench.fresh()
        assert [await bench.move(EAST, 1, name) for _ in range(3)] == [Effect.DONE] * 3
        assert await bench.leads(name, EAST)

    async def test_an_older_epoch_and_another_holder_of_the_same_one_change_nothing(self, bench: DriverBench) -> None:
        name = bench.fresh()
        assert await bench.move(EAST, 3, name) is Effect.DONE
        for holder, epoch in ((WEST, 2), (EAST, 2), (WEST, 3)):
            assert await bench.move(holder, epoch, name) is Effect.STALE_EPOCH
            assert await bench.leads(name, EAST)
            assert await bench.is_at(3, name)

    async def test_the_epoch_outlives_kill_9_of_everything(self, bench: DriverBench) -> None:
        name = bench.fresh()
        assert await bench.move(EAST, 3, name) is Effect.DONE
        await bench.restart()
        assert await bench.move(WEST, 2, name) is Effect.STALE_EPOCH
        assert await bench.leads(name, EAST)
        assert await bench.is_at(3, name)

    async def test_a_newer_epoch_at_one_name_stops_the_write_at_all(self, bench: DriverBench) -> None:
        first, second = bench.fresh(), bench.fresh()
        assert await bench.move(EAST, 1, first, second) is Effect.DONE
        assert await bench.move(WEST, 3, second) is Effect.DONE
        assert await bench.move(EAST, 2, first, second) is Effect.STALE_EPOCH
        assert await bench.is_at(1, first)
        assert await bench.leads(second, WEST)

    async def test_a_holder_shortens_and_restores_the_lifetime_within_its_epoch(self, bench: DriverBench) -> None:
        name = bench.fresh()
        assert await bench.move(EAST, 2, name) is Effect.DONE
        for ttl in (LOW_TTL, TTL):
            assert await bench.move(EAST, 2, name, ttl=ttl) is Effect.DONE
            seen = (await bench.driver().observe(names=[name])).authorities
            assert {one.ttl for one in seen} == {ttl}
            assert await bench.leads(name, EAST)
        assert await bench.move(EAST, 1, name, ttl=LOW_TTL) is Effect.STALE_EPOCH

    async def test_of_what_is_away_nothing_is_known_and_it_is_brought_there_later(self, bench: DriverBench) -> None:
        name = bench.fresh()
        assert await bench.move(EAST, 1, name) is Effect.DONE
        await bench.kill()
        try:
            assert await bench.move(WEST, 2, name) is Effect.UNKNOWN
            assert not await bench.is_at(2, name)
            with suppress(PluginFailure):
                seen = (await bench.driver().observe(names=[name])).authorities
                assert [one.epoch for one in seen if not one.answers] == [None] * len(seen)
        finally:
            await bench.restart()
        assert await bench.move(WEST, 2, name) is Effect.DONE
        assert await bench.leads(name, WEST)

    async def test_what_somebody_changed_by_hand_is_put_right_in_the_same_epoch(self, bench: DriverBench) -> None:
        name = bench.fresh()
        assert await bench.move(EAST, 1, name) is Effect.DONE
        await bench.meddle(name, ("203.0.113.9",))
        seen = (await bench.driver().observe(names=[name])).authorities
        assert any("203.0.113.9" in one.addresses for one in seen), "what clients are given is what is seen"
        assert await bench.move(EAST, 1, name) is Effect.DONE
        assert await bench.leads(name, EAST)

    async def test_writers_of_many_epochs_leave_the_newest_and_no_client_is_ever_left_without(
        self, bench: DriverBench
    ) -> None:
        name, over = bench.fresh(), asyncio.Event()
        assert await bench.move(EAST, 1, name) is Effect.DONE

        async def write(epoch: int) -> Effect:
            while (effect := await bench.move((EAST, WEST)[epoch % 2], epoch, name)) is Effect.UNKNOWN:
                pass
            return effect

        async def look() -> list[str]:
            empty = list[str]()
            while not over.is_set():
                empty += [authority for authority, found in (await bench.answers(name)).items() if not found]
                await asyncio.sleep(PAUSE)
            return empty

        looking = asyncio.create_task(look())
        # The newest begins first: whoever does not look again when it writes comes after it, and undoes it.
        effects = await asyncio.gather(*(write(epoch) for epoch in range(WRITERS + 1, 1, -1)))
        over.set()
        assert await looking == []
        assert effects[0] is Effect.DONE
        assert await bench.is_at(WRITERS + 1, name)
        assert await bench.leads(name, (EAST, WEST)[(WRITERS + 1) % 2])

    async def test_a_plan_without_names_is_done_and_changes_nothing(self, bench: DriverBench) -> None:
        name = bench.fresh()
        assert await bench.move(EAST, 1, name) is Effect.DONE
        assert await bench.driver().apply(TrafficPlan(WEST, {}, TTL), epoch=2, run=RUN) is Effect.DONE
        assert await bench.leads(name, EAST)
