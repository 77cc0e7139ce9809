"""The arithmetic of the table; nothing here is timed."""

import pytest

from .harness import Goal, Round, Row, compare, percentile

ECHO = Goal("throughput", 0.75, "bare echo")
READ = Goal("p50", 2.5, "echo")


def lasting(*seconds: float) -> Round:
    return Round(seconds, sum(seconds), len(seconds))


def test_a_percentile_is_a_value_that_was_measured() -> None:
    hundred = [float(n) for n in range(100, 0, -1)]
    assert [percentile(hundred, p) for p in (50, 99, 100)] == [50.0, 99.0, 100.0]
    assert percentile([3.0], 50) == percentile([3.0], 99) == 3.0
    assert percentile([1.0, 2.0], 50) == 1.0


def test_throughput_is_to_be_high_and_latency_low() -> None:
    ours, bare = lasting(0.2, 0.2), lasting(0.1, 0.1)
    assert ECHO.ratio(ours, bare) == pytest.approx(0.5)
    assert READ.ratio(ours, bare) == pytest.approx(2.0)
    assert ECHO.verdict(0.5) == "misses by 33%"
    assert READ.verdict(2.0) == "meets"
    assert READ.verdict(5.0) == "misses by 100%"


def test_a_goal_that_is_just_reached_is_met() -> None:
    assert ECHO.verdict(0.75) == READ.verdict(2.5) == "meets"


def test_a_tail_is_compared_with_the_middle_where_the_goal_says_so() -> None:
    tail = Goal("p99 : p50 of", 30, "one writer")
    assert tail.ratio(lasting(*[1.0] * 98, 9.0, 9.0), lasting(*[0.5] * 99, 7.0)) == pytest.approx(18.0)


def test_the_ratio_of_a_row_is_the_middle_one_of_its_rounds() -> None:
    row = Row("x", READ, [lasting(1.0), lasting(4.0), lasting(3.0)], [lasting(1.0)] * 3)
    assert row.cells[5:] == ("3.00 (1.00–4.00)", "p50 ≤ 2.5 × echo", "misses by 20%")


def test_what_was_not_measured_says_why_and_has_no_verdict() -> None:
    assert Row("x", READ, why="there is none yet").cells[-1] == "not measured: there is none yet"


async def test_both_sides_take_turns_after_a_warm_up() -> None:
    order = []

    def side(name: str, seconds: float):
        async def run() -> Round:
            order.append(name)
            return lasting(seconds)

        return run

    row = await compare("x", READ, ours=side("A", 2.0), bare=side("B", 1.0), rounds=5)
    assert "".join(order) == "AB" * 6
    assert len(row.ours) == len(row.bare) == 5
    assert row.ratios == [2.0] * 5
