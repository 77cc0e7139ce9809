"""Epochs of an effector: what holds in whatever order calls come, and over a death."""

from collections.abc import Callable
from pathlib import Path

import pytest
from catalyst_sdk.epochs import EpochFile, Epochs, StaleEpoch, durable
from hypothesis import given
from hypothesis import strategies as st

CALLS: dict[str, Callable[[Epochs, int], Epochs]] = {
    "hear": Epochs.heard,
    "promote": Epochs.promoted,
    "give up": lambda epochs, epoch: epochs.gave_up(epoch, f"0/{epoch}"),
    "follow": Epochs.followed,
    "fence": Epochs.fence,
    "unfence": Epochs.unfence,
}


@given(st.lists(st.tuples(st.sampled_from(sorted(CALLS)), st.integers(1, 4)), max_size=12))
def test_epochs_only_grow_and_only_the_promoted_of_the_newest_one_writes(moves: list[tuple[str, int]]) -> None:
    epochs, promoted, gone, fenced = Epochs(), set[int](), set[int](), 0
    for call, epoch in moves:
        before = epochs
        try:
            epochs = CALLS[call](epochs, epoch)
        except StaleEpoch:
            continue
        assert epochs.highest >= before.highest
        promoted |= {epoch} if call == "promote" else set()
        gone |= {epoch} if call == "give up" else set()
        fenced = epoch if call == "fence" and epoch >= before.highest else 0 if call == "unfence" else fenced
        if epochs.may_write:
            assert epochs.led == epochs.highest
            assert epochs.led in promoted - gone
            assert fenced < epochs.led


def test_a_fence_of_an_older_epoch_changes_nothing() -> None:
    led = Epochs().promoted(3)
    assert led.fence(2) == led
    assert led.fence(3).promoted(3).may_write is False


def test_the_first_position_that_was_told_stays() -> None:
    assert Epochs().promoted(3).gave_up(3, "0/1").gave_up(3, "0/2").demoted_at == "0/1"


def test_what_was_kept_is_read_in_the_next_life_and_nothing_is_no_epoch(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "epochs.json"
    assert EpochFile(path).read() == Epochs()
    EpochFile(path).keep(Epochs().promoted(3))
    assert EpochFile(path).read().led == 3
    assert [one.name for one in path.parent.iterdir()] == ["epochs.json"]


@pytest.mark.parametrize("text", ["", "{", '{"colour": 1}', "[1]"])
def test_a_file_that_cannot_be_read_is_never_taken_for_an_empty_one(tmp_path: Path, text: str) -> None:
    durable(tmp_path / "epochs.json", text)
    with pytest.raises(ValueError, match=r"epochs|JSON|Expecting"):
        EpochFile(tmp_path / "epochs.json").read()
