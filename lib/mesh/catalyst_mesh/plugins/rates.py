"""How often a plugin may be called: a bucket of tokens, sized so that in no minute more calls pass than its manifest states."""

import time
from collections.abc import Callable
from datetime import timedelta

BURST = 1 / 3
"""Share of a minute's calls that may be made at once. What flows in during the minute behind a burst makes up the rest."""


class Bucket:
    """Holds the tokens of one plugin in one replica: of several replicas each has a bucket of its own.

    per_minute   most calls in any minute
    clock        seconds that never go back
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._room = max(1.0, per_minute * BURST)
        self._each = 60 / (per_minute + 1 - self._room)
        """Seconds for a token: a full bucket and what flows in during a minute are less than one call too many."""
        self._tokens = self._room
        self._clock = clock
        self._looked_at = clock()

    def take(self) -> timedelta | None:
        """Take a token; where there is none, how long it takes until there is one."""
        now = self._clock()
        self._tokens = min(self._room, self._tokens + (now - self._looked_at) / self._each)
        self._looked_at = now
        if self._tokens < 1:
            return timedelta(seconds=(1 - self._tokens) * self._each)
        self._tokens -= 1
        return None
