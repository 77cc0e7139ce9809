"""What waits for one browser: all of it for one that keeps up, the newest for a slow one, and never more than so much."""

import pytest
from catalyst_gateway.pending import MOST, PATIENCE, Pending, Word
from hypothesis import given
from hypothesis import strategies as st

SLOW = PATIENCE + 1


def word(number: int, key: str) -> Word:
    return Word(number, "catalyst.v1.pooldomain.zone.changed", key, "acme", b"")


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), max_size=40))
def test_each_thing_s_last_word_is_told_and_numbers_rise(steps: list[tuple[int, bool, bool]]) -> None:
    pending, told, now = Pending(), list[Word](), 0.0
    last: dict[str, int] = {}
    for number, (key, waits, takes) in enumerate(steps):
        now += SLOW if waits else 0.0
        pending.put(word(number, str(key)), now)
        last[str(key)] = number
        if takes:
            told += pending.take()
    told += pending.take()
    numbers = [w.number for w in told]
    assert numbers == sorted(set(numbers))
    assert {key: max(w.number for w in told if w.key == key) for key in last} == last


def test_who_keeps_up_is_told_every_word() -> None:
    pending = Pending()
    for number in range(3 * MOST):
        pending.put(word(number, "one"), 0.0)
    assert [w.number for w in pending.take()] == list(range(3 * MOST))
    assert not pending.filled.is_set()


def test_who_is_slow_is_told_the_newest_of_each_thing() -> None:
    pending = Pending()
    for number, key in enumerate("abab"):
        pending.put(word(number, key), 0.0)
    pending.put(word(4, "b"), SLOW)
    assert [(w.number, w.key) for w in pending.take()] == [(2, "a"), (4, "b")]


@pytest.mark.parametrize("things", [MOST, MOST + 1])
def test_who_is_slow_is_given_up_where_too_much_waits(things: int) -> None:
    pending = Pending()
    for number in range(things):
        pending.put(word(number, str(number)), 0.0 if number == 0 else SLOW)
    assert pending.is_given_up == (things > MOST)
    pending.put(word(things, "more"), SLOW)
    assert len(pending) <= MOST + 1
    assert pending.filled.is_set()
