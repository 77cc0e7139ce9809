"""What a database may do in which epoch, without any disk."""

from collections.abc import Callable
from functools import partial

import pytest
from catalyst_promoter_demo import standing as may
from catalyst_promoter_demo.standing import StaleEpoch, Standing, Unfit
from hypothesis import given
from hypothesis import strategies as st

COPY = Standing("east", system_id="s1")
LED = may.promote(COPY, 3, end=5)
BOTH = frozenset({"west", "north"})


@pytest.mark.parametrize(
    "move",
    [
        partial(may.promote, epoch=2, end=5),
        partial(may.demote, epoch=2, end=5),
        partial(may.follow, primary="west", epoch=2),
        partial(may.set_sync, standbys=BOTH, epoch=2, end=5),
        partial(may.unfence, epoch=2),
    ],
)
def test_an_older_epoch_is_refused_with_the_one_that_is_known(move: Callable[[Standing], Standing]) -> None:
    with pytest.raises(StaleEpoch) as stale:
        move(LED)
    assert stale.value.epoch == 3


def test_a_fence_of_an_older_epoch_changes_nothing_as_its_writers_are_stopped_already() -> None:
    assert may.fence(LED, 2) == LED


@pytest.mark.parametrize(
    ("standing", "why"),
    [
        (COPY, "no primary"),
        (may.fence(LED, 3), "fenced"),
        (may.fence(LED, 4), "knows of epoch 4"),
        (may.heard(LED, 4), "knows of epoch 4"),
        (may.unfence(may.fence(LED, 4), 4), "knows of epoch 4"),
        (may.demote(LED, 3, end=5), "no primary"),
        (may.follow(LED, "west", 4), "no primary"),
    ],
)
def test_why_no_write_is_taken(standing: Standing, why: str) -> None:
    assert why in standing.closed


def test_writes_are_taken_by_the_primary_of_the_newest_epoch_and_again_when_its_fence_is_lifted() -> None:
    assert LED.closed == ""
    assert may.unfence(may.fence(LED, 3), 3).closed == ""
    assert may.promote(may.fence(LED, 3), 4, end=5).closed == ""


def test_a_late_promotion_does_not_lift_the_fence_of_its_own_epoch() -> None:
    assert may.promote(may.fence(LED, 3), 3, end=5).closed
    assert may.promote(may.fence(COPY, 3), 3, end=5).closed


def test_whoever_gave_up_in_an_epoch_is_not_primary_in_it_again() -> None:
    gone = may.demote(LED, 3, end=5)
    with pytest.raises(StaleEpoch):
        may.promote(gone, 3, end=5)
    assert may.promote(gone, 4, end=5).closed == ""
    assert may.demote(gone, 3, end=9).demoted_at == 5


@pytest.mark.parametrize(
    ("standing", "end", "wanted"),
    [(Standing("east"), 0, 0), (may.copied(COPY, "s1", theirs=9), 8, 0), (COPY, 7, 8)],
)
def test_a_copy_that_lacks_something_is_not_promoted(standing: Standing, end: int, wanted: int) -> None:
    with pytest.raises(Unfit):
        may.promote(standing, 3, end=end, wanted=wanted)


def test_a_primary_neither_follows_in_its_own_epoch_nor_waits_for_itself() -> None:
    with pytest.raises(Unfit):
        may.follow(LED, "west", 3)
    with pytest.raises(Unfit):
        may.follow(COPY, "east", 3)
    with pytest.raises(Unfit):
        may.set_sync(LED, frozenset({"east"}), 3, end=5)
    with pytest.raises(Unfit):
        may.set_sync(LED, BOTH, 4, end=5)


def test_a_standby_has_joined_when_it_had_all_that_was_there_when_it_was_wished() -> None:
    waiting = may.set_sync(LED, BOTH, 3, end=8)
    assert may.joined(waiting, "west", at=7).joined == frozenset()
    west = may.joined(waiting, "west", at=8)
    assert west.joined == {"west"}
    assert may.joined(waiting, "south", at=8) == waiting
    assert may.set_sync(west, frozenset({"west"}), 3, end=20).joined == {"west"}
    assert (
        may.set_sync(may.set_sync(west, frozenset(), 3, end=20), frozenset({"west"}), 3, end=20).joined == frozenset()
    )


EPOCHS = st.integers(1, 4)
MOVES = st.one_of(
    st.tuples(st.just("promote"), EPOCHS),
    st.tuples(st.just("demote"), EPOCHS),
    st.tuples(st.just("fence"), EPOCHS),
    st.tuples(st.just("unfence"), EPOCHS),
    st.tuples(st.just("follow"), EPOCHS),
    st.tuples(st.just("hear"), EPOCHS),
)


@given(st.lists(MOVES, max_size=12))
def test_in_whatever_order_calls_come_epochs_only_grow_and_an_open_database_was_promoted_in_the_newest(
    moves: list[tuple[str, int]],
) -> None:
    s, promoted, gone, fenced = COPY, set[int](), set[int](), 0
    calls: dict[str, Callable[[Standing, int], Standing]] = {
        "promote": lambda s, e: may.promote(s, e, end=5),
        "demote": lambda s, e: may.demote(s, e, end=5),
        "fence": may.fence,
        "unfence": may.unfence,
        "follow": lambda s, e: may.follow(s, "west", e),
        "hear": may.heard,
    }
    for call, epoch in moves:
        before = s
        try:
            s = calls[call](s, epoch)
        except (StaleEpoch, Unfit):
            continue
        assert s.epoch >= before.epoch
        promoted |= {epoch} if call == "promote" else set()
        gone |= {epoch} if call == "demote" else set()
        fenced = epoch if call == "fence" and epoch >= before.epoch else 0 if call == "unfence" else fenced
        if not s.closed:
            assert s.led == s.epoch
            assert s.epoch in promoted - gone
            assert fenced < s.epoch


@pytest.mark.parametrize(
    ("ours", "our_end", "theirs", "their_end", "shared"),
    [
        ([(1, 1)], 5, [(1, 1)], 9, 5),
        ([(1, 1)], 9, [(1, 1)], 5, 5),
        ([(1, 1)], 9, [(1, 1), (2, 6)], 8, 5),
        ([(1, 1), (3, 9)], 12, [(1, 1), (2, 6)], 8, 5),
        ([(1, 1), (2, 6)], 8, [(1, 1), (2, 6), (4, 8)], 9, 7),
        ([(1, 1), (2, 6)], 7, [(1, 1), (2, 6), (4, 8)], 9, 7),
        ([], 0, [(1, 1)], 4, 0),
        ([(2, 1)], 3, [(1, 1)], 4, 0),
    ],
)
def test_how_far_two_histories_are_one(
    ours: list[may.Turn], our_end: int, theirs: list[may.Turn], their_end: int, shared: int
) -> None:
    assert may.common(ours, our_end, theirs, their_end) == shared
    assert may.common(theirs, their_end, ours, our_end) == shared
