"""How long a committed renewal gives authority (continuum specification, section 3.6). Seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """The times of a lease.

    ttl       T, what the holder promises
    renew     R, from one renewal to the next
    op        O, patience with one cell
    fence     F, within which the holder's writers are surely stopped
    drift     rho, by which the rates of two clocks may differ
    """

    ttl: float
    renew: float
    op: float
    fence: float
    drift: float = 0.01

    @property
    def authority(self) -> float:
        """A: seconds of authority, counted from the moment at which the renewal was sent."""
        return (self.ttl / (1 + self.drift) - self.fence) * (1 - self.drift)

    def faults(self) -> list[str]:
        """What makes these times unsafe; empty where they are sound."""
        found = []
        if self.renew + 2 * self.op + 0.2 * self.renew > self.authority:
            found.append(f"C1: two retries do not fit into the authority of {self.authority:.1f} s")
        if self.fence >= self.ttl / 2:
            found.append(f"C2: the fence budget {self.fence} s must be below half of the time to live {self.ttl} s")
        if 2 * self.renew >= self.ttl:
            found.append(f"C3: twice the renewal interval {self.renew} s must be below the time to live {self.ttl} s")
        return found


FAST = Profile(ttl=10, renew=2, op=1, fence=3)
"""What `catalyst dev` uses."""
