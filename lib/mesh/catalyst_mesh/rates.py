"""How often one identity may ask: buckets of tokens, which a call empties and time fills."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta

MOST_KEYS = 10_000
"""Identities that are remembered; beyond it the one that asked longest ago is forgotten, and has a full bucket again."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` calls at once, and `per_second` in the long run."""

    per_second: float
    burst: int


class Rates:
    """The buckets of one replica."""

    def __init__(self) -> None:
        self._left: OrderedDict[tuple[str, ...], tuple[float, float]] = OrderedDict()

    def take(self, key: tuple[str, ...], rate: Rate, now: float) -> timedelta | None:
        """Take a token; None: there was one. Else how long it takes until there is one.

        now   seconds of a clock that never goes back
        """
        tokens, since = self._left.pop(key, (float(rate.burst), now))
        tokens = min(float(rate.burst), tokens + (now - since) * rate.per_second)
        taken = tokens >= 1.0
        self._left[key] = (tokens - 1.0 if taken else tokens, now)
        if len(self._left) > MOST_KEYS:
            self._left.popitem(last=False)
        return None if taken else timedelta(seconds=(1.0 - tokens) / rate.per_second)
