"""What a move cost, as arithmetic over canaries."""

from dataclasses import replace

import pytest
from catalyst_continuum.domain.measure import Canary, Measured, measured
from hypothesis import given, settings
from hypothesis import strategies as st

OLD = tuple(Canary(n, n / 5, n / 5 + 0.05, 1, "east") for n in range(10))
"""Acknowledged until 1.85."""
DARK = tuple(Canary(n, n / 5) for n in range(10, 50))
NEW = tuple(Canary(n, n / 5, n / 5 + 0.05, 2, "west") for n in range(50, 60))
"""Acknowledged from 10.05 on."""
ALL = (*OLD, *DARK, *NEW)
NUMBERS = frozenset(one.n for one in ALL)


def test_a_move_without_loss_costs_the_time_between_the_two_acknowledgements() -> None:
    assert measured(ALL, 2, present=NUMBERS) == Measured(pytest.approx(8.2), None, 0, 0.0)  # type: ignore[arg-type]


def test_what_the_new_primary_does_not_have_is_counted_from_the_first_that_is_missing() -> None:
    found = measured(ALL, 2, present=NUMBERS - {7, 8, 9})
    assert (found.rows, found.rpo) == (3, pytest.approx(0.4))
    hole = measured(ALL, 2, present=NUMBERS - {2})
    assert (hole.rows, hole.rpo) == (1, pytest.approx(1.4))


def test_a_canary_that_was_never_acknowledged_is_no_loss() -> None:
    assert measured(ALL, 2, present=NUMBERS - {20, 21}).rows == 0


def test_what_was_not_seen_is_none_and_not_zero() -> None:
    assert measured((), 2) == Measured()
    assert measured(OLD, 2, present=None, fenced_at=2.0) == Measured()
    assert measured(NEW, 2, present=NUMBERS).rto is None
    assert measured(ALL, 2).figures() == {"rto": pytest.approx(8.2)}


def test_the_disruption_of_a_planned_move_begins_before_its_fence_and_leaves_the_drain_out() -> None:
    assert measured(ALL, 2, fenced_at=5.0).disruption == pytest.approx(8.2)
    assert measured(ALL, 2, fenced_at=5.0, drain=(2.0, 5.0)).disruption == pytest.approx(5.2)
    assert measured(ALL, 2, fenced_at=5.0, drain=(0.0, 1.0)).disruption == pytest.approx(8.2)
    assert measured(ALL, 2, fenced_at=-1.0).disruption is None


def test_a_second_move_is_measured_from_the_first_one_and_not_from_before_it() -> None:
    later = tuple(replace(one, n=one.n + 100, sent=one.sent + 20, acked=(one.acked or 0) + 20, epoch=3) for one in NEW)
    assert measured((*ALL, *later), 3).rto == pytest.approx(30.05 - 11.85)
    assert measured((*ALL, *later), 2).rto == pytest.approx(8.2)


canaries = st.lists(
    st.builds(
        Canary, n=st.integers(0, 99), sent=st.floats(0, 99), acked=st.none() | st.floats(0, 99), epoch=st.integers(1, 3)
    ),
    unique_by=lambda one: one.n,
)


@given(canaries, st.integers(1, 4), st.frozensets(st.integers(0, 99)), st.floats(0, 99), st.randoms())
@settings(max_examples=100)
def test_in_whatever_order_canaries_come_no_figure_is_negative_and_knowing_more_rows_is_no_more_loss(
    some: list[Canary], epoch: int, present: frozenset[int], fenced_at: float, random: object
) -> None:
    found = measured(some, epoch, present=present, fenced_at=fenced_at)
    assert all(value >= 0 for value in found.figures().values())
    assert (found.rows == 0) == (found.rpo == 0) or found.rpo == 0  # all that is missing may have come in one moment
    assert found.rows is not None
    assert found.rows <= sum(one.acked is not None and one.n not in present for one in some)
    more = measured(some, epoch, present=present | {one.n for one in some[::2]})
    assert more.rows is not None
    assert more.rows <= found.rows
    random.shuffle(some)  # type: ignore[attr-defined]
    assert measured(some, epoch, present=present, fenced_at=fenced_at) == found
    with_drain = measured(some, epoch, fenced_at=fenced_at, drain=(0, 50)).disruption
    assert with_drain is None or with_drain <= (found.disruption or 0)
