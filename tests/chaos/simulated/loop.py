"""An event loop whose time is only counted: where nothing is left to do now, the clock jumps to what is due next."""

import asyncio
import random
import selectors
from datetime import UTC, datetime, timedelta
from typing import Any

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Stuck(Exception):
    """Everybody waits for somebody, and nothing is due any more."""


class SeededLoop(asyncio.SelectorEventLoop):
    """A loop without threads and sockets. `chance` decides everything that its tasks leave to chance."""

    def __init__(self) -> None:
        self.begin(0)
        super().__init__(_Jump(self))

    def begin(self, seed: int) -> None:
        """Start anew, at moment 0."""
        self.chance = random.Random(seed)
        random.seed(seed)  # the unit of work waits at random after a lost race
        self.moment = 0.0

    def time(self) -> float:
        return self.moment

    def run_in_executor(self, *_: Any) -> Any:
        raise AssertionError("a thread would end when it likes")


class _Jump(selectors.SelectSelector):
    def __init__(self, loop: SeededLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Stuck
        self._loop.moment += timeout
        return []


class LoopClock:
    """The clock that all replicas share."""

    def __init__(self, loop: SeededLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self._loop.time())


def running() -> SeededLoop:
    """The loop of this task."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SeededLoop)
    return loop


async def hesitate(mean: float) -> None:
    """Let some time pass, `mean` seconds on the average."""
    await asyncio.sleep(running().chance.expovariate(1 / mean))
