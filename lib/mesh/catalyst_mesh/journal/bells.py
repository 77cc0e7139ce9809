"""Bells inside one process: who waits for news of a run hears of a commit at once, without asking the database."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from ..bell import OUTBOX, Bell


class Bells:
    """One per engine. What another replica writes does not ring here; listeners look by themselves now and then."""

    def __init__(self, outbox: Bell | None = None) -> None:
        self._outbox = outbox
        self._listeners: dict[str, set[asyncio.Event]] = {}

    def ring(self, run_id: str) -> None:
        """There is news of `run_id`, and perhaps in the outbox: whoever follows the runs of a daemon tells of them there."""
        if self._outbox is not None:
            self._outbox.ring(OUTBOX)
        for bell in self._listeners.get(run_id, ()):
            bell.set()

    @contextmanager
    def listening(self, run_id: str) -> Iterator[asyncio.Event]:
        """A bell that rings for `run_id`; whoever waits clears it before looking."""
        bell = asyncio.Event()
        self._listeners.setdefault(run_id, set()).add(bell)
        try:
            yield bell
        finally:
            self._listeners[run_id].discard(bell)
            if not self._listeners[run_id]:
                del self._listeners[run_id]
