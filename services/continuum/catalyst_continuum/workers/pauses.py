"""When something that failed is tried again: the longer it fails the rarer, and never everything at one moment.

Whoever is down is not asked by every slot each second, and whoever comes back is not asked by all of them at once.
"""

from collections.abc import Callable, Hashable, Iterable
from random import Random

from catalyst_continuum.clock import boottime


class Pauses:
    """Pauses by key: each is drawn between half of its bound and all of it, and each bound is twice the one before.

    first   seconds, bound of the first pause
    most    seconds, the longest bound
    """

    def __init__(
        self, *, first: float, most: float, clock: Callable[[], float] = boottime, rng: Random | None = None
    ) -> None:
        self._first = first
        self._most = most
        self._clock = clock
        self._rng = rng or Random()  # noqa: S311 - jitter, no secret
        self._bounds: dict[Hashable, float] = {}
        self._due: dict[Hashable, float] = {}

    def is_due(self, key: Hashable) -> bool:
        """Whether it may be tried now; what never failed always may."""
        return self._clock() >= self._due.get(key, 0.0)

    def failed(self, key: Hashable) -> None:
        """It did not succeed."""
        bound = min(self._most, 2 * self._bounds[key] if key in self._bounds else self._first)
        self._bounds[key] = bound
        self._due[key] = self._clock() + self._rng.uniform(bound / 2, bound)

    def succeeded(self, key: Hashable) -> None:
        """It did; the next failure is a first one."""
        self._bounds.pop(key, None)
        self._due.pop(key, None)

    def only(self, keys: Iterable[Hashable]) -> None:
        """Forget all but these."""
        for gone in self._bounds.keys() - set(keys):
            self.succeeded(gone)

    def soonest(self, keys: Iterable[Hashable]) -> float | None:
        """Seconds until the first of these is due; None where there are none."""
        now = self._clock()
        return min((max(0.0, self._due.get(key, 0.0) - now) for key in keys), default=None)
