"""Row 11: domain, outbox, relay, bus, consumer and inbox in one loop, by a seed that can be played again.

`CATALYST_CHAOS_SEED=4711 pytest tests/chaos/test_simulation.py` plays one seed and shows what happened in it.
"""

import asyncio
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog
from catalyst_mesh import Work
from catalyst_mesh.consumer import Consumer
from catalyst_mesh.inbox import Inbox, Place
from catalyst_mesh.relay import Relay

from .simulated.stage import Stage
from .simulated.world import Parts

SHARES = 4
"""Tests that share the seeds, so that one that fails does not hide the others'."""


@pytest.fixture
def errors() -> Iterator[list[Any]]:
    """What was logged as an error, which no fault of the outside world is; warnings are told better by the history."""
    before, found = structlog.get_config(), []

    def keep(_logger: Any, _method: str, line: Any) -> Any:
        found.append(line)
        raise structlog.DropEvent

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR), processors=[keep])
    yield found
    structlog.configure(**before)


@pytest.fixture
def stage(tmp_path: Path, errors: list[Any]) -> Iterator[Stage]:
    with Stage(tmp_path) as opened:
        yield opened


def seeds(share: int, *, long: bool) -> Sequence[int]:
    if "CATALYST_CHAOS_SEED" in os.environ:
        return [int(os.environ["CATALYST_CHAOS_SEED"])] if share == 0 else []
    return range(share, 10_000 if long else 500, SHARES)


@pytest.mark.parametrize("share", range(SHARES))
def test_row_11_whatever_fails_in_whatever_order_the_invariants_hold(
    stage: Stage, errors: list[Any], share: int, long: bool
) -> None:
    for seed in seeds(share, long=long):
        played = stage.play(seed)
        assert not played.broken, str(played)
        assert not errors, str(played)


def test_row_11_a_seed_replays(stage: Stage) -> None:
    first = [stage.play(seed).history for seed in range(5)]
    assert [stage.play(seed).history for seed in reversed(range(5))] == list(reversed(first))
    assert len(set(first)) == 5


class MarksFirst(Relay):
    """Marks rows before the stream has acknowledged them."""

    async def _publish_in_order(self, rows: Any) -> Any:
        await self._mark(rows)
        return await super()._publish_in_order(rows)


class PassesTheFailed(Relay):
    """Publishes the next event of an aggregate although the one before it failed."""

    async def _publish_in_order(self, rows: Any) -> Any:
        each = await asyncio.gather(*(super(PassesTheFailed, self)._publish_in_order([row]) for row in rows))
        return [row for done in each for row in done]


class Forgetful(Inbox):
    """Takes every delivery for the first."""

    async def first_time(self, *args: Any) -> bool:
        await super().first_time(*args)
        return True


class NeverInTurn(Inbox):
    """Takes every event for the next of its aggregate."""

    async def place(self, *args: Any) -> Place:
        return Place.NEXT


class OneByOne(Consumer):
    """Handles every event alone, where the mistakes are."""

    def _run_of(self, left: Any, apart: Any) -> list[Any]:
        return []


class WithoutInbox(OneByOne):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._inbox = Forgetful(self.name, named["metadata"])


class WithoutOrder(OneByOne):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._inbox = NeverInTurn(self.name, named["metadata"])


class AcknowledgesFirst(OneByOne):
    """Acknowledges what it has not handled."""

    async def _take(self, message: Any, failure: Exception | None = None) -> None:
        await message.ack()
        await super()._take(message, failure)


class KeepsNoAnswer(Work[Any]):
    """Does a repeated call again."""

    async def _kept_answer(self, *args: Any) -> None:
        return None

    async def _keep_answer(self, *args: Any) -> None:
        pass


BROKEN = {
    MarksFirst: (Parts(relay=MarksFirst), {"reliable", "it ends"}),
    PassesTheFailed: (Parts(relay=PassesTheFailed), {"ordered", "no false gap"}),
    WithoutInbox: (Parts(consumer=WithoutInbox), {"unique"}),
    WithoutOrder: (Parts(consumer=WithoutOrder), {"ordered"}),
    AcknowledgesFirst: (Parts(consumer=AcknowledgesFirst), {"reliable"}),
    KeepsNoAnswer: (Parts(work=KeepsNoAnswer), {"one event for each acknowledged command"}),
}


@pytest.mark.parametrize("mistake", BROKEN)
def test_row_26_the_simulation_finds(stage: Stage, mistake: type) -> None:
    parts, wanted = BROKEN[mistake]
    found = (stage.play(seed, parts) for seed in range(200))
    first = next((played for played in found if played.broken), None)
    assert first is not None
    print(first)  # noqa: T201 - what it looks like
    assert wanted & set(first.broken)
