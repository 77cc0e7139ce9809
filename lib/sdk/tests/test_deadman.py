"""What the dead man's file lets writers do."""

import pytest
from catalyst_sdk.deadman import Sign, boot_id


@pytest.mark.parametrize(
    ("sign", "epoch", "refused"),
    [
        (Sign(3, boot_id(), 100.0), 3, ""),
        (Sign(3, boot_id(), 100.0), None, ""),
        (Sign(3, boot_id(), 99.0), 3, "ended 0.0 s ago"),
        (Sign(3, "of a life before", 100.0), 3, "before this machine was started"),
        (Sign(3, boot_id(), 100.0), 2, "vouches for epoch 3, not for 2"),
        (Sign(3, boot_id(), 100.0), 4, "vouches for epoch 3, not for 4"),
    ],
)
def test_a_sign_lets_writes_be_taken_in_its_epoch_in_its_time_and_in_this_life_of_the_machine(
    sign: Sign, epoch: int | None, refused: str
) -> None:
    said = sign.refuses(now=99.0, epoch=epoch)
    assert refused in said
    assert bool(said) is bool(refused)
