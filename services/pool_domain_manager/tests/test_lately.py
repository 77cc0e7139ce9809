"""A pool's zone, read once for all who ask at once, and never from before they asked."""

import asyncio
from typing import cast

import pytest
from catalyst_pool_domain_manager.workers.lately import KEPT, Lately
from catalyst_sdk import Temporary
from catalyst_sdk.dns import DnsBackend, ZoneState

ZONE = "omani.works."


class FakeBackend:
    """Answers when it is told to; each answer's serial counts the reads."""

    def __init__(self) -> None:
        self.reads = 0
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.is_away = False

    async def get_zone(self, *, zone: str) -> ZoneState:
        self.reads += 1
        self.is_asked.set()
        number = self.reads
        await self.may_answer.wait()
        if self.is_away:
            raise Temporary("away")
        return ZoneState(zone, "us", number, number, True, (), (), str(number))


class Asking:
    def __init__(self) -> None:
        self.time = 0.0
        self.backend = FakeBackend()
        self.lately = Lately(lambda: self.time)

    def ask(self, *, fresh: bool = True) -> "asyncio.Task[ZoneState | None]":
        backend = cast(DnsBackend, self.backend)
        return asyncio.create_task(self.lately.zone(backend, "here", ZONE, fresh=fresh))


async def test_who_comes_while_a_look_is_under_way_shares_the_next_one_and_no_older_one() -> None:
    at = Asking()
    first = at.ask()
    await at.backend.is_asked.wait()
    late = [at.ask() for _ in range(50)]
    at.backend.may_answer.set()
    serials = [state.serial for state in await asyncio.gather(first, *late) if state]
    assert serials == [1, *[2] * 50]


async def test_a_look_counts_for_a_while_for_who_does_not_need_a_fresh_one() -> None:
    at = Asking()
    at.backend.may_answer.set()
    assert [(await at.ask(fresh=False)).serial for _ in range(3)] == [1, 1, 1]  # type: ignore[union-attr]
    at.time += KEPT
    assert (await at.ask(fresh=False)).serial == 2  # type: ignore[union-attr]


async def test_who_gives_up_takes_nobody_elses_look_away_and_a_failure_is_everybodys() -> None:
    at = Asking()
    first, other = at.ask(), at.ask()
    await at.backend.is_asked.wait()
    first.cancel()
    at.backend.may_answer.set()
    assert (await other).serial == 1  # type: ignore[union-attr]
    at.backend.is_away = True
    for failed in (at.ask(), at.ask()):
        with pytest.raises(Temporary):
            await failed
    at.backend.is_away = False
    assert (await at.ask()).serial == 3  # type: ignore[union-attr]
