"""What a writing client saw, as figures. Nothing is estimated: a write that nobody acknowledged is neither kept nor lost.

Seconds on one clock, that of the client.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attempt:
    """One write: when it was sent, when its end was known, and the region and epoch that acknowledged it, if any did."""

    n: int
    sent: float
    ended: float
    region: str = ""
    epoch: int = 0

    @property
    def is_acked(self) -> bool:
        """Whether it was acknowledged."""
        return bool(self.region)


@dataclass(frozen=True, slots=True)
class Kept:
    """What the final read says about all attempts.

    lost        acknowledged, and not there
    recovered   not acknowledged, and there all the same: its answer was lost
    unexpected  there, and never sent
    """

    acked: int
    lost: frozenset[int]
    recovered: frozenset[int]
    unexpected: frozenset[int]


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without acknowledgements.

    disruption  from the last one before to the first one after
    rto         from the fault to the first one after
    """

    last_before: float
    first_after: float
    fault: float
    region: str
    epoch: int

    @property
    def disruption(self) -> float:
        """Seconds without an acknowledged write."""
        return self.first_after - self.last_before

    @property
    def rto(self) -> float:
        """Seconds from the fault to the first acknowledged write after it."""
        return self.first_after - self.fault


def kept(attempts: Iterable[Attempt], read: Iterable[int]) -> Kept:
    """Compare what was acknowledged with what is there."""
    there, sent, acked = set(read), set[int](), set[int]()
    for attempt in attempts:
        sent.add(attempt.n)
        if attempt.is_acked:
            acked.add(attempt.n)
    return Kept(
        len(acked), frozenset(acked - there), frozenset(there & sent - acked), frozenset(there - sent)
    )  # fmt: skip - three differences


def gap(attempts: Sequence[Attempt], fault: float, *, epoch: int) -> Gap | None:
    """The time without writes around a fault: until the first acknowledgement of a write in an epoch above `epoch`.

    An acknowledgement counts when it arrives; one of the old epoch may still arrive after the fault, and belongs to before.
    None: no write was acknowledged in a newer epoch, or none before.
    """
    acked = sorted((one for one in attempts if one.is_acked), key=lambda one: one.ended)
    after = next((one for one in acked if one.epoch > epoch), None)
    before = [one.ended for one in acked if one.epoch <= epoch]
    if after is None or not before:
        return None
    return Gap(max(before), after.ended, fault, after.region, after.epoch)
