"""The judge is judged: histories that are fine, and some that are not."""

from .linearizable import Operation, is_linearizable


def wrote(begun: int, ended: int | None, value: str, before: str | None = None) -> Operation:
    return Operation(begun, ended, value, True, before)


def saw(begun: int, ended: int, value: str) -> Operation:
    return Operation(begun, ended, value)


def test_one_after_another_is_fine() -> None:
    assert is_linearizable([wrote(1, 2, "a", ""), saw(3, 4, "a"), wrote(5, 6, "b", "a"), saw(7, 8, "b")])


def test_who_reads_beside_a_write_may_see_either() -> None:
    for value in ("", "a"):
        assert is_linearizable([wrote(1, 4, "a", ""), saw(2, 3, value)])


def test_what_was_acknowledged_is_not_unseen_later() -> None:
    assert not is_linearizable([wrote(1, 2, "a", ""), saw(3, 4, "")])


def test_two_readers_do_not_see_time_run_back() -> None:
    assert not is_linearizable([wrote(1, 9, "a", ""), saw(2, 3, "a"), saw(4, 5, "")])


def test_two_writes_do_not_follow_on_one_value() -> None:
    assert not is_linearizable([wrote(1, 3, "a", ""), wrote(2, 4, "b", "")])


def test_what_is_unknown_may_have_been_or_come_later_or_never() -> None:
    torn = wrote(1, None, "a")
    assert is_linearizable([torn, saw(2, 3, "a")])
    assert is_linearizable([torn, saw(2, 3, "")])
    assert is_linearizable([torn, saw(2, 3, ""), saw(4, 5, "a")])
    assert not is_linearizable([torn, saw(2, 3, "a"), saw(4, 5, "")])


def test_what_is_unknown_was_not_before_it_began() -> None:
    assert not is_linearizable([saw(1, 2, "a"), wrote(3, None, "a")])
