"""Until when a region may act, and from when another may take over; both by one's own clock alone.

Invariants
  I1  OneAuthority       a holder's writers have ended before anybody's wait for it has;
  I16 StandbyNeverTriggers  whoever sees the record move begins to wait anew;
  I17 DeadlineRespected  nothing is begun that may not end before the authority does.

The proof: a renewal sent at real time S gives authority for A on the holder's clock, so its writers end by
S + A / (1 - rho) + F = S + T / (1 + rho). Nobody sees the renewal before S, and whoever waits T by a clock that is fast by rho
waits T / (1 + rho). Times of two machines are never compared.
"""

from dataclasses import dataclass

from .record import Lease
from .timing import Profile


@dataclass(frozen=True, slots=True)
class Moment:
    """What the clocks of this machine show, in seconds.

    boot   since the machine started, counting on while it is suspended (CLOCK_BOOTTIME): everything is decided by it
    wall   the time of day, which jumps: to be shown, and to estimate what a dead holder lost
    """

    boot: float
    wall: float


@dataclass(frozen=True, slots=True)
class Authority:
    """The right to act in `epoch`, until `until` on this machine's clock since its start."""

    epoch: int
    until: float

    def remaining(self, now: Moment) -> float:
        """Seconds left; 0 where there are none."""
        return max(0.0, self.until - now.boot)

    def allows(self, now: Moment, expected: float = 0.0) -> bool:
        """Whether something that takes `expected` seconds may be begun."""
        return now.boot + expected < self.until


def granted(lease: Lease, sent: Moment, heard: Moment, profile: Profile) -> Authority:
    """What a committed grant or renewal gives: counted from when it was sent, however late its answer was heard."""
    assert heard.boot >= sent.boot, "an answer comes after its question"
    return Authority(lease.epoch, sent.boot + profile.authority)


@dataclass(frozen=True, slots=True)
class Watch:
    """A record that does not move, and since when: the return of the first read that showed it."""

    epoch: int
    seq: int
    ttl: float
    since: float

    def silence(self, now: Moment) -> float:
        """Seconds without any news."""
        return now.boot - self.since

    def is_over(self, now: Moment, delay: float = 0.0) -> bool:
        """Whether the holder has been silent for as long as it promised, and `delay` more."""
        return self.silence(now) >= self.ttl + delay


def watched(before: Watch | None, lease: Lease, returned: Moment) -> Watch:
    """Watch a record. A restarted agent has no `before`, and waits all of it."""
    if before is not None and (before.epoch, before.seq) == (lease.epoch, lease.seq):
        return before
    return Watch(lease.epoch, lease.seq, lease.ttl_ms / 1000, returned.boot)
