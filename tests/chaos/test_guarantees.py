"""The judge of histories is judged: each seeded spoiling is found, under the name of the guarantee that it breaks."""

import random
from collections.abc import Callable

import pytest

from .guarantees import Event, History, broken

TOLD: list[Event] = [(name, version) for version in range(1, 6) for name in "abc"]
Spoil = Callable[[list[Event], random.Random], None]


def lose(events: list[Event], chance: random.Random) -> None:
    events.pop(chance.randrange(len(events)))


def lose_the_last(events: list[Event], chance: random.Random) -> None:
    events.pop()


def double(events: list[Event], chance: random.Random) -> None:
    first = chance.randrange(len(events))
    events.insert(chance.randrange(first + 1, len(events) + 1), events[first])


def swap(events: list[Event], chance: random.Random) -> None:
    name = chance.choice("abc")
    first, second = sorted(chance.sample([n for n, event in enumerate(events) if event[0] == name], 2))
    events[first], events[second] = events[second], events[first]


def invent(events: list[Event], chance: random.Random) -> None:
    events.append(("z", 1))


def test_a_history_without_a_fault_breaks_nothing_whatever_the_order_across_aggregates() -> None:
    by_aggregate = sorted(TOLD)
    assert broken(History(TOLD, by_aggregate, by_aggregate)) == {}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("spoil", "of_handled", "of_followed"),
    [
        (lose, "reliable", "resumable"),
        (lose_the_last, "reliable", "resumable"),
        (double, "unique", "resumable"),
        (swap, "ordered", "resumable"),
        (invent, "reliable", ""),
    ],
)
def test_each_spoiling_is_found_by_its_name(spoil: Spoil, of_handled: str, of_followed: str, seed: int) -> None:
    spoilt = list(TOLD)
    spoil(spoilt, random.Random(seed))
    assert set(broken(History(TOLD, spoilt, TOLD))) == {of_handled}
    assert set(broken(History(TOLD, TOLD, spoilt))) == ({of_followed} if of_followed else set())
