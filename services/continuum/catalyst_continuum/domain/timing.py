"""How long a committed renewal gives authority, and which times are safe (continuum specification, section 3.6). Seconds."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """The times of a lease.

    ttl       T, what the holder promises
    renew     R, from one renewal to the next
    op        O, patience with one cell
    fence     F, within which the holder's writers are surely stopped
    drift     rho, by which the rates of two clocks may differ
    poll      P, from one look of a standby to the next; 0: a fifth of R
    """

    ttl: float
    renew: float
    op: float
    fence: float
    drift: float = 0.01
    poll: float = 0.0

    @property
    def authority(self) -> float:
        """A: seconds of authority, counted from the moment at which the renewal was sent."""
        return (self.ttl / (1 + self.drift) - self.fence) * (1 - self.drift)

    @property
    def look(self) -> float:
        """P, as given or as it follows from R."""
        return self.poll or self.renew / 5

    def faults(self) -> list[str]:
        """What makes these times unsafe, each with its arithmetic; empty where they are sound."""
        found = []
        needed = self.renew + 2 * self.op + 0.2 * self.renew
        if needed > self.authority:
            found.append(
                f"C1: two retries do not fit into the authority of {self.authority:.1f} s: R + 2 O + 0.2 R = {needed:.1f} s; "
                f"a time to live of {self._least_ttl(needed):.1f} s would do"
            )
        if self.fence >= self.ttl / 2:
            found.append(
                f"C2: the fence budget {self.fence} s must be below half of the time to live {self.ttl} s; a time to live above "
                f"{2 * self.fence} s would do"
            )
        if 2 * self.renew >= self.ttl:
            found.append(
                f"C3: twice the renewal interval {self.renew:g} s must be below the time to live {self.ttl:g} s; an interval "
                f"below {self.ttl / 2:g} s would do"
            )
        if self.look > self.renew:
            found.append(
                f"C4: a standby looks every {self.look:g} s, less often than the holder renews; {self.renew:g} s would do"
            )
        return found

    def worst_rto(self, costs: "Costs") -> float:
        """Seconds from the death of a region to the first write by the public name, at worst."""
        detect = self.ttl / (1 - self.drift) + 2 * self.look + 2 * self.op
        return detect + costs.promote + costs.verify + costs.dns_write + costs.dns_ttl

    def _least_ttl(self, authority: float) -> float:
        return (authority / (1 - self.drift) + self.fence) * (1 + self.drift)


@dataclass(frozen=True, slots=True)
class Costs:
    """What a failover takes once the holder is known to be silent."""

    promote: float = 10.0
    verify: float = 3.0
    dns_write: float = 2.0
    dns_ttl: float = 10.0


COMPAT = Profile(ttl=30, renew=10, op=3, fence=5, poll=2)
DEFAULT = Profile(ttl=20, renew=5, op=2, fence=5, poll=1)
FAST = Profile(ttl=10, renew=2, op=1, fence=3, poll=0.5)
"""What `catalyst dev` uses."""
PROFILES: Sequence[Profile] = (COMPAT, DEFAULT, FAST)
"""The calmest first: fewer questions to the cells, fewer moves for a hiccup."""


def fitting(rto: float, costs: Costs) -> tuple[Profile, bool]:
    """The calmest profile that keeps `rto` at worst; FAST, and False, where none does."""
    for profile in PROFILES:
        if profile.worst_rto(costs) <= rto:
            return profile, True
    return FAST, False
