"""A bell: who works on rows that others write hears of a commit at once, and looks by itself only now and then.

Invariants
  a hint      nothing depends on it: a ring may be lost, or be for nothing. Whoever listens looks by itself as well;
  afterwards  it rings after the commit, so that whoever hears it reads what was written.

It rings in this process; `ringer` carries it to the other replicas.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from .waits import rung

OUTBOX = "outbox"
"""Table that the relay listens for."""


class Bell:
    """One per process; it rings for names of tables."""

    def __init__(self) -> None:
        self.patience = 2.0
        """Seconds after which a listener that heard nothing looks anyway; see the setting `poll_seconds`."""
        self._listeners: dict[str, set[asyncio.Event]] = {}
        self._unsaid: set[str] = set()
        self.to_carry = asyncio.Event()
        """Set while something has rung here that the other replicas have not heard."""

    def ring(self, *tables: str) -> None:
        """Rows of `tables` were committed by this process."""
        if tables:
            self._unsaid.update(tables)
            self.to_carry.set()
            self.ring_here(*tables)

    def ring_here(self, *tables: str) -> None:
        """As `ring`, for what another replica has committed."""
        for table in tables:
            for listener in self._listeners.get(table, ()):
                listener.set()

    def unsaid(self) -> set[str]:
        """What has rung here since the last time."""
        said, self._unsaid = self._unsaid, set()
        self.to_carry.clear()
        return said

    def listener(self, *tables: str) -> asyncio.Event:
        """Set by each ring for one of `tables`, for as long as the process lives; whoever waits clears it before looking."""
        listener = asyncio.Event()
        for table in tables:
            self._listeners.setdefault(table, set()).add(listener)
        return listener

    @contextmanager
    def listening(self, *tables: str) -> Iterator[asyncio.Event]:
        """As `listener`, for the block."""
        listener = self.listener(*tables)
        try:
            yield listener
        finally:
            for table in tables:
                self._listeners[table].discard(listener)

    async def wait(self, stop: asyncio.Event, listener: asyncio.Event, at_most: float | None = None) -> None:
        """Pause until `listener` is set, at most `at_most` seconds where something falls due then, or until `stop`."""
        await rung(stop, listener, self.patience if at_most is None else min(at_most, self.patience))
