"""What a region's database takes itself for, and what it may do. Pure.

Invariants
  I2 EpochUnique     writes are taken only in the epoch in which this region was made primary, while no newer one is known;
  I3 EffectMonotone  the highest epoch that was ever given stays, and a lower one changes nothing;
  demoted for good   whoever gave its last position in an epoch takes no write in it again;
  fences last        writers of the fenced epoch and of older ones are stopped until the fence is lifted in this epoch or later;
  sync tells true    a standby counts as having each acknowledged write only after it had all of them once.

A position is the number of an entry in the log; 0 is before the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from catalyst_sdk.epochs import Epochs, StaleEpoch

__all__ = [
    "StaleEpoch",
    "Standing",
    "Turn",
    "Unfit",
    "common",
    "copied",
    "demote",
    "fence",
    "follow",
    "heard",
    "joined",
    "promote",
    "set_sync",
    "unfence",
]

Turn = tuple[int, int]
"""An epoch, and the position at which its primary began."""


class Unfit(Exception):
    """It may not be done with this copy as it stands; nothing was changed."""

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(why)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Standing:
    """What is kept beside the log.

    system_id     the same in all copies; empty: this is a copy of nothing yet
    epoch         the highest that was ever given
    led           the epoch in which it was made primary; 0: it is a replica
    fenced        writers of this epoch and of older ones are stopped; 0: none are
    demoted, demoted_at   the epoch in which it gave up for good, and its last position then
    following     the region whose log is pulled
    parted        what this copy has and its primary has not, as it was found last; empty: nothing that is known
    whole_from    position from which on a copy that was begun anew has what the primary had acknowledged by then
    sync          standbys that must confirm a write before it is acknowledged
    joined        those of them that have had each acknowledged write once, and so have each
    mark          position that the others of them must reach first
    """

    region: str
    system_id: str = ""
    epoch: int = 0
    led: int = 0
    fenced: int = 0
    demoted: int = 0
    demoted_at: int = 0
    following: str = ""
    parted: str = ""
    whole_from: int = 0
    sync: frozenset[str] = frozenset()
    joined: frozenset[str] = frozenset()
    mark: int = 0

    @property
    def epochs(self) -> Epochs:
        """What is known of epochs; which of them may do what is the rule of every effector (`catalyst_sdk.epochs`)."""
        return Epochs(self.epoch, self.led, self.fenced, self.demoted, str(self.demoted_at))

    def knowing(self, now: Epochs) -> "Standing":
        """The same with these epochs."""
        return replace(
            self, epoch=now.highest, led=now.led, fenced=now.fenced, demoted=now.demoted,
            demoted_at=int(now.demoted_at or "0"),
        )  # fmt: skip

    @property
    def closed(self) -> str:
        """Why no write is taken; empty: writes are."""
        if not self.led:
            return "this region is no primary"
        if self.led != self.epoch:
            return f"this region was primary in epoch {self.led}, and knows of epoch {self.epoch}"
        if self.fenced >= self.led:
            return "this region is fenced"
        return ""

    def is_whole(self, end: int) -> bool:
        """Whether this is a copy that lacks nothing that was acknowledged when it was begun."""
        return bool(self.system_id) and end >= self.whole_from

    def is_ready(self, end: int) -> bool:
        """Whether it may stand in for its primary: whole, and a part of the primary's history."""
        return self.is_whole(end) and not self.parted


def heard(s: Standing, epoch: int) -> Standing:
    """Know of an epoch. Raises StaleEpoch where a newer one is known."""
    return s.knowing(s.epochs.heard(epoch))


def promote(s: Standing, epoch: int, *, end: int, wanted: int = 0) -> Standing:
    """Be primary in `epoch`, with no synchronous standby yet.

    wanted   the old primary's last position, where that is known
    """
    s = heard(s, epoch)
    if s.led == epoch:
        return s
    now = s.epochs.promoted(epoch)
    if not s.is_whole(end):
        lacks = (
            f"it ends at {end} and is whole from {s.whole_from} on" if s.system_id else "it is a copy of nothing yet"
        )
        raise Unfit("NOT_PROMOTABLE", lacks)
    if end < wanted:
        raise Unfit("NOT_CAUGHT_UP", f"this copy ends at {end}, and {wanted} was written")
    return replace(s.knowing(now), following="", parted="", sync=frozenset(), joined=frozenset(), mark=0)


def demote(s: Standing, epoch: int, *, end: int) -> Standing:
    """Take no write any more in this epoch; `demoted_at` is then the last position."""
    s = heard(s, epoch)
    if s.demoted == epoch:
        return s
    if not s.led:
        raise Unfit("NOT_PRIMARY", "a replica has nothing to give up")
    return replace(s.knowing(s.epochs.gave_up(epoch, str(end))), sync=frozenset(), joined=frozenset(), mark=0)


def follow(s: Standing, primary: str, epoch: int) -> Standing:
    """Pull the log of `primary`."""
    s = heard(s, epoch)
    if primary == s.region or s.led == epoch:
        raise Unfit("IS_PRIMARY", f"{s.region} itself is the primary of epoch {epoch}")
    return replace(s.knowing(s.epochs.followed(epoch)), following=primary, sync=frozenset(), joined=frozenset(), mark=0)


def set_sync(s: Standing, standbys: frozenset[str], epoch: int, *, end: int) -> Standing:
    """Acknowledge a write only when all of `standbys` have it."""
    s = heard(s, epoch)
    if s.led != epoch:
        raise Unfit("NOT_PRIMARY", f"{s.region} is not the primary of epoch {epoch}")
    if s.region in standbys:
        raise Unfit("INVALID", "a primary is no standby of its own")
    mark = end if standbys - s.sync else s.mark
    return replace(s, sync=standbys, joined=s.joined & standbys, mark=mark)


def joined(s: Standing, standby: str, *, at: int) -> Standing:
    """A standby has confirmed everything up to `at`."""
    return replace(s, joined=s.joined | {standby}) if standby in s.sync and at >= s.mark else s


def fence(s: Standing, epoch: int) -> Standing:
    """Stop writers of `epoch` and older ones. Where a newer epoch is known these are stopped already, and nothing changes."""
    return s.knowing(s.epochs.fence(epoch))


def unfence(s: Standing, epoch: int) -> Standing:
    """Lift the fence."""
    return s.knowing(s.epochs.unfence(epoch))


def copied(s: Standing, system_id: str, *, theirs: int) -> Standing:
    """Begin a copy anew, or go back to where two histories part: it lacks something until it has all that is there now."""
    return replace(s, system_id=system_id, whole_from=theirs, parted="")


def common(ours: Sequence[Turn], our_end: int, theirs: Sequence[Turn], their_end: int) -> int:
    """The last position that two logs share. One epoch has one writer, so that logs that begin it at one place agree in it."""
    for mine, other in zip_longest(ours, theirs):
        if mine != other:
            return min(mine[1] - 1 if mine else our_end, other[1] - 1 if other else their_end)
    return min(our_end, their_end)
