"""How this machine's clock stands: its time of day against the cells', its rate against the clocks of other regions.

Invariants
  I18 UnknownIsNotZero  a clock that was compared with nobody's is neither right nor wrong;
  proven alone          of a rate only that counts which no slowness of an answer explains;
  one liar              a cell or a peer whose own clock is wrong makes ours not wrong, as long as others agree with it.

Authority rests on rates alone (A3); the time of day matters for signatures, which no server takes at 300 s.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median_low

SHORTEST, LONGEST = 5.0, 600.0
"""Seconds between two samples that say something of a rate, as it is and not as it was once."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One question to the agent of another region.

    boot_id  of its machine: after another start its clock begins anew
    theirs   its clock at the answer, seconds
    sent, heard   ours, around it
    """

    boot_id: str
    theirs: float
    sent: float
    heard: float


@dataclass(frozen=True, slots=True)
class Pace:
    """The clock of one other region, from the first question to the last.

    ppm  by which it was last proven to run otherwise than ours, in millionths; None: not asked for long enough
    """

    first: Sample
    ppm: float | None = None


def paced(before: Pace | None, sample: Sample) -> Pace:
    """What is known after one more answer."""
    if before is None or before.first.boot_id != sample.boot_id:
        return Pace(sample)
    ours = sample.sent - before.first.sent
    if ours < SHORTEST:
        return before
    # Within the time that an answer took nobody knows when it was given.
    unsure = (before.first.heard - before.first.sent) + (sample.heard - sample.sent)
    apart = abs((sample.theirs - before.first.theirs) - ours)
    ppm = max(0.0, apart - unsure) / ours * 1_000_000
    return Pace(sample if ours > LONGEST else before.first, ppm)


def drift(paces: Iterable[Pace]) -> float | None:
    """By how much ours runs wrong, in millionths: as far as all others agree; None: nobody was asked for long enough."""
    return min((one.ppm for one in paces if one.ppm is not None), default=None)


def offset(told: Mapping[str, float | None]) -> float | None:
    """Seconds by which ours is behind the cells', by the middle one of those that tell; None: none does."""
    known = [seconds for seconds in told.values() if seconds is not None]
    return median_low(known) if known else None
