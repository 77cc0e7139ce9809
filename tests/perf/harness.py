"""Ours beside the bare thing, in turns, and what the figures say in words.

A side is a coroutine function that does one round of work and tells how long each operation took. Nothing here fails:
a row that misses its goal stands in the table as such.
"""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

import pytest
import uvloop

ROUNDS = 5
WIDTH = 64
"""Calls in flight where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round of one side: seconds of each operation, and of all of them together."""

    each: Sequence[float]
    whole: float
    count: int

    @property
    def rate(self) -> float:
        """Operations in a second."""
        return self.count / self.whole


Side = Callable[[], Awaitable[Round]]
Measure = Literal["throughput", "p50", "p95", "p99", "p99 : p50 of"]


@dataclass(frozen=True, slots=True)
class Goal:
    """What the ratio of ours to the bare thing's is to be; `against` names the bare thing."""

    measure: Measure
    limit: float
    against: str

    @property
    def is_floor(self) -> bool:
        """Whether more is better."""
        return self.measure == "throughput"

    def ratio(self, ours: Round, bare: Round) -> float:
        """Ours divided by the bare thing's."""
        if self.measure == "throughput":
            return ours.rate / bare.rate
        above, below = {"p50": (50, 50), "p95": (95, 95), "p99": (99, 99)}.get(self.measure, (99, 50))
        return percentile(ours.each, above) / percentile(bare.each, below)

    def verdict(self, ratio: float) -> str:
        """`meets`, or by how much of the goal it misses."""
        off = (self.limit - ratio if self.is_floor else ratio - self.limit) / self.limit
        return "meets" if off <= 0 else f"misses by {off:.0%}"

    def __str__(self) -> str:
        return f"{self.measure} {'≥' if self.is_floor else '≤'} {self.limit:g} × {self.against}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `why` instead of figures where nothing could be measured."""

    capability: str
    goal: Goal
    ours: Sequence[Round] = ()
    bare: Sequence[Round] = ()
    why: str = ""

    @property
    def ratios(self) -> list[float]:
        """The ratio in each round."""
        return [self.goal.ratio(o, b) for o, b in zip(self.ours, self.bare, strict=True)]

    @property
    def cells(self) -> tuple[str, ...]:
        """What is printed."""
        if self.why:
            return (self.capability, "", "", "", "", "", str(self.goal), f"not measured: {self.why}")
        ratios = self.ratios
        ratio = median(ratios)
        spread = f"{min(ratios):.2f}–{max(ratios):.2f}"
        sides = [text for side in (self.ours, self.bare) for text in (_latency(side), _rate(side))]
        return (self.capability, *sides, f"{ratio:.2f} ({spread})", str(self.goal), self.goal.verdict(ratio))


HEAD = ("capability", "ours p50 / p99", "per s", "bare p50 / p99", "per s", "RATIO (spread)", "goal", "verdict")


def measured(row: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make a test of a row: only where `-m perf` asks for it, and on the event loop that daemons run on."""

    @functools.wraps(row)
    def run(**fixtures: Any) -> None:
        uvloop.run(row(**fixtures))

    return pytest.mark.perf(run)


async def compare(capability: str, goal: Goal, *, ours: Side, bare: Side, rounds: int = ROUNDS) -> Row:
    """Warm both up, then measure them in turns, so that a slow minute of the machine slows both."""
    await ours()
    await bare()
    pairs = [(await ours(), await bare()) for _ in range(rounds)]
    return Row(capability, goal, [o for o, _ in pairs], [b for _, b in pairs])


async def one_by_one(operation: Callable[[], Awaitable[object]], count: int) -> Round:
    """`count` operations, each after the one before."""
    return await crowd([operation], count)


async def crowd(operations: Iterable[Callable[[], Awaitable[object]]], count: int) -> Round:
    """Each of `operations` in a row of its own, beside one another, until all have done `count` together."""
    writers = list(operations)
    each: list[float] = []

    async def row(operation: Callable[[], Awaitable[object]]) -> None:
        for _ in range(count // len(writers)):
            began = time.perf_counter()
            await operation()
            each.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(row(operation) for operation in writers))
    return Round(each, time.perf_counter() - began, len(each))


async def steadily(operation: Callable[[], Awaitable[object]], count: int, *, per_second: float) -> Round:
    """`count` operations that begin at their moments, whether those before them have ended or not.

    Each is timed from its own moment: what waits because the machine is behind is late, as it is for people who do not
    wait for one another.
    """
    began = time.perf_counter()

    async def one(number: int) -> float:
        moment = began + number / per_second
        await asyncio.sleep(moment - time.perf_counter())
        await operation()
        return time.perf_counter() - moment

    each = await asyncio.gather(*(one(number) for number in range(count)))
    return Round(each, time.perf_counter() - began, count)


async def batch(work: Callable[[], Awaitable[object]], count: int) -> Round:
    """Work that does `count` operations at once: each counts as its share of the whole."""
    began = time.perf_counter()
    await work()
    whole = time.perf_counter() - began
    return Round([whole / count], whole, count)


def percentile(values: Iterable[float], percent: int) -> float:
    """The smallest value that at least `percent` % of `values` do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, -(-len(ranked) * percent // 100) - 1)]


def _latency(side: Sequence[Round]) -> str:
    each = [seconds for one in side for seconds in one.each]
    return f"{_short(percentile(each, 50))} / {_short(percentile(each, 99))}"


def _rate(side: Sequence[Round]) -> str:
    rate = median(one.rate for one in side)
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _short(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"
