"""How rarely that is tried again which fails."""

from random import Random

import pytest
from catalyst_continuum.workers.pauses import Pauses


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pauses(clock: Clock) -> Pauses:
    return Pauses(first=1.0, most=4.0, clock=clock, rng=Random(7))


def taken(pauses: Pauses, clock: Clock, key: str) -> float:
    """The pause after one more failure, when it is over."""
    pauses.failed(key)
    pause = pauses.soonest([key])
    assert pause is not None
    assert not pauses.is_due(key)
    clock.now += pause
    assert pauses.is_due(key)
    return pause


def test_each_pause_is_longer_than_the_one_before_up_to_a_bound_and_none_is_drawn_twice(
    pauses: Pauses, clock: Clock
) -> None:
    drawn = [taken(pauses, clock, "a") for _ in range(6)]
    bounds = [1.0, 2.0, 4.0, 4.0, 4.0, 4.0]
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(drawn, bounds, strict=True))
    assert len(set(drawn)) == 6


def test_one_that_fails_holds_up_no_other_and_after_a_success_begins_anew(pauses: Pauses, clock: Clock) -> None:
    for _ in range(4):
        taken(pauses, clock, "a")
    pauses.failed("a")
    assert pauses.is_due("b")
    assert pauses.soonest(["a", "b"]) == 0.0
    pauses.succeeded("a")
    assert pauses.is_due("a")
    assert taken(pauses, clock, "a") <= 1.0


def test_what_is_there_no_more_is_forgotten(pauses: Pauses) -> None:
    pauses.failed("a")
    pauses.only(["b"])
    assert pauses.is_due("a")
    assert pauses.soonest([]) is None
