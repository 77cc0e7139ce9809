"""When a region may give up its own copy of the data to follow the holder again. What is unknown forbids it.

Bounded: at most so many attempts in one epoch, each after a longer pause; then a person is asked.
"""

from dataclasses import dataclass

from catalyst_sdk.continuum import DatabaseView, Role

VERIFIED_WITHIN = 60.0
"""Seconds for which it counts that the holder was seen to take writes."""
MOST = 3
PAUSE = 180.0
"""Seconds to wait after the first attempt; after the second twice that."""


@dataclass(frozen=True, slots=True)
class Repair:
    """Attempts in `epoch`, the last at `at` (this machine's clock since its start)."""

    epoch: int = 0
    attempts: int = 0
    at: float = 0.0

    def tried(self, epoch: int, now: float) -> "Repair":
        """One more attempt."""
        return Repair(epoch, self.attempts + 1 if epoch == self.epoch else 1, now)

    def is_bounded(self, epoch: int) -> bool:
        """Whether no attempt is left."""
        return self.epoch == epoch and self.attempts >= MOST

    def is_due(self, epoch: int, now: float) -> bool:
        """Whether another attempt may be made now."""
        if self.epoch != epoch:
            return True
        return self.attempts < MOST and now - self.at >= PAUSE * self.attempts


def may_destroy(
    repair: Repair, *, fenced: bool, own: DatabaseView | None, primary: DatabaseView | None, epoch: int, now: float
) -> bool:
    """Whether this region's copy may be given up.

    fenced   whether this region's writers are proved to be stopped
    own      the database here; primary: the holder's, as its agent told it
    epoch    of the record, whose holder is another region
    """
    if not fenced or own is None or primary is None or not repair.is_due(epoch, now):
        return False
    if primary.writable is not True or primary.epoch != epoch or primary.age > VERIFIED_WITHIN:
        return False
    if own.role is Role.PRIMARY and own.writable is not False:
        return False
    if own.ready is True or None in (own.timeline, primary.timeline):
        return False
    assert own.timeline is not None
    assert primary.timeline is not None
    return primary.timeline > own.timeline
