"""What a writing client saw: acknowledged is not sent, unknown is not lost, and a gap lasts from write to write."""

from catalyst_cli.drills.figures import Attempt, gap, kept
from hypothesis import given
from hypothesis import strategies as st


def ack(n: int, ended: float, epoch: int = 1, region: str = "east") -> Attempt:
    return Attempt(n, ended - 0.01, ended, region, epoch)


def open_(n: int, ended: float) -> Attempt:
    return Attempt(n, ended - 3, ended)


def test_what_was_acknowledged_and_is_not_there_is_lost_and_nothing_else_is() -> None:
    found = kept([ack(1, 1), ack(2, 2), open_(3, 3), open_(4, 4)], [1, 3, 9])
    assert (found.acked, found.lost, found.recovered, found.unexpected) == (2, {2}, {3}, {9})


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_every_number_is_accounted_for_once(acked: set[int], unknown: set[int], read: set[int]) -> None:
    attempts = [ack(n, n) for n in acked] + [open_(n, n) for n in unknown - acked]
    found = kept(attempts, read)
    assert found.lost == acked - read
    assert found.lost.isdisjoint(read)
    assert read == (acked - found.lost) | found.recovered | found.unexpected


def test_a_gap_lasts_from_the_last_write_before_to_the_first_one_in_a_newer_epoch() -> None:
    found = gap(
        [ack(1, 9.5), ack(2, 10.2), open_(3, 14), ack(5, 22.0, 2, "west"), ack(4, 21.0, 2, "west")], 10, epoch=1
    )
    assert found is not None
    assert (found.disruption, found.rto, found.region, found.epoch) == (21.0 - 10.2, 11.0, "west", 2)


def test_without_a_write_in_a_newer_epoch_there_is_no_figure() -> None:
    assert gap([ack(1, 9), ack(2, 20)], 10, epoch=1) is None
    assert gap([ack(1, 20, 2)], 10, epoch=1) is None
