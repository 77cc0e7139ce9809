"""Leases of runs: on the database's clock for everybody, on the monotonic clock for the holder itself.

Invariants
  shared time   whether a lease has ended is decided by the database's clock alone;
  early stop    a holder takes its lease for lost one fifth before the database does, counted from before it asked.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import BigInteger, ColumnElement, cast, extract, func


def database_milliseconds(dialect: str) -> ColumnElement[int]:
    """The present moment of the database, in milliseconds since 1970, as an expression."""
    if dialect == "sqlite":
        # julianday is a 64-bit float of days: exact to about 0.05 ms in this century.
        return cast((func.julianday("now") - 2440587.5) * 86_400_000, BigInteger)
    return cast(extract("epoch", func.clock_timestamp()) * 1000, BigInteger)


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """How long a lease lasts, and by which clocks."""

    ttl: timedelta
    now: Callable[[], ColumnElement[int]]
    """The database's clock, as an expression in milliseconds."""
    monotonic: Callable[[], float] = time.monotonic

    @property
    def until(self) -> ColumnElement[int]:
        """When a lease that is renewed in this statement will end."""
        return self.now() + int(self.ttl.total_seconds() * 1000)

    @property
    def trusted(self) -> float:
        """Seconds after a renewal was asked for, in which the holder may believe in it."""
        return self.ttl.total_seconds() * 0.8
