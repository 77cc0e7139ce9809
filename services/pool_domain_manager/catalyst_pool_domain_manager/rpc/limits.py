"""How often an identity may ask, by the policy of the pool."""

import time
from collections.abc import Callable
from datetime import timedelta

from catalyst_mesh import Caller
from catalyst_mesh.rates import Rate, Rates

from catalyst_pool_domain_manager.domain.pools import Pool
from catalyst_pool_domain_manager.domain.refusals import RateLimited


class Limits:
    """Counts calls in this process, which allows its part of what the policy does: with n replicas an n-th, so that all of
    them together never allow more. A caller who reaches one of them only is stopped the sooner.

    A daemon in its own right is not counted; whom it serves was counted at its door.
    """

    def __init__(self, replicas: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._replicas = replicas
        self._clock = clock
        self._rates = Rates()

    def check(self, me: Caller, pool: Pool) -> None:
        """Count a check of a name. Raises RateLimited."""
        policy = pool.policy
        rate = Rate(policy.checks_per_second, policy.check_burst)
        self._take("checks", me, pool, rate, f"{policy.checks_per_second} in a second")

    def reserve(self, me: Caller, pool: Pool) -> None:
        """Count a reservation. Raises RateLimited."""
        most = pool.policy.reservations_per_minute
        self._take("reservations", me, pool, Rate(most / 60, most), f"{most} in a minute")

    def _take(self, what: str, me: Caller, pool: Pool, rate: Rate, limit: str) -> None:
        if me.is_service():
            return
        part = Rate(rate.per_second / self._replicas, max(rate.burst // self._replicas, 1))
        wait: timedelta | None = self._rates.take((what, pool.domain, me.subject), part, self._clock())
        if wait is not None:
            raise RateLimited(what, limit, wait)


def once(count: Callable[[Caller, Pool], None]) -> Callable[[Caller, Pool], None]:
    """Counts the first time it is called, and then no more."""
    counted = False

    def admit(me: Caller, pool: Pool) -> None:
        nonlocal counted
        if not counted:
            count(me, pool)
            counted = True

    return admit
