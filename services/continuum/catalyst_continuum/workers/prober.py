"""Writes a canary by the public name five times a second, from outside: what a client of the name would have seen.

What is sent is `POST <url>` with `{"n", "boottime"}`; who takes it answers 2xx with `{"epoch", "region"}`. `GET <url>` of the
new primary tells which numbers it has, as `{"canaries": [{"n"}, …], "next"}` (or `rows`), and what comes after that with
`?after=<next>`, until there is nothing. A canary is never sent twice: an answer that was lost is no acknowledgement, and no
loss either.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from catalyst_mesh import get_logger
from catalyst_mesh.waits import rest

from catalyst_continuum.domain.measure import Canary, Measured, measured

from .by_name import ByName, Unanswered

PERIOD = 0.2
"""Seconds between two canaries."""
KEPT = 18_000
"""Canaries that are remembered: an hour of them."""
IN_FLIGHT = 64
"""Canaries without an answer, at most; while so many wait, none is sent: they would say nothing more."""


class Prober:
    """Canaries of one name.

    clock  seconds since the machine started
    first  number of the first canary; above all that were ever sent to this application, `step` from each to the next
    """

    def __init__(
        self, url: str, http: ByName, *, clock: Callable[[], float], first: int, step: int = 1,
        period: float = PERIOD,
    ) -> None:  # fmt: skip
        self._url = url
        self._http = http
        self._clock = clock
        self._next = first
        self._step = step
        self._period = period
        self._open: set[asyncio.Task[None]] = set()
        self.canaries: deque[Canary] = deque(maxlen=KEPT)
        """Those whose end is known, in the order in which it came."""

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`, at even pace whatever becomes of those that are on their way."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            while not stop.is_set():
                if len(self._open) < IN_FLIGHT:
                    self._begin()
                due = max(due + self._period, loop.time())
                await rest(stop, due - loop.time())
        finally:
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def measure(
        self, epoch: int, *, fenced_at: float | None = None, drain: tuple[float, float] | None = None
    ) -> Measured:
        """What a move into `epoch` cost, as far as it is known now."""
        present = await self.present()
        return measured(tuple(self.canaries), epoch, present=present, fenced_at=fenced_at, drain=drain)

    async def present(self) -> frozenset[int] | None:
        """Numbers that whoever has the name now knows; None: it does not say all of them."""
        found: set[int] = set()
        after = ""
        while True:
            try:
                answer = await self._http.ask("GET", self._url + after)
            except Unanswered:
                return None
            page = _numbers(answer.body) if answer.is_good else None
            if page is None:
                return None
            following = answer.body.get("next") if page else None
            if page <= found or not isinstance(following, int):
                return frozenset(found | page)
            found |= page
            after = f"?after={following}"

    def _begin(self) -> None:
        n, self._next = self._next, self._next + self._step
        task = asyncio.get_running_loop().create_task(self._send(n))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _send(self, n: int) -> None:
        sent = self._clock()
        try:
            answer = await self._http.ask("POST", self._url, {"n": n, "boottime": sent})
        except Unanswered:
            self.canaries.append(Canary(n, sent))
            return
        taken = _taken(answer.body) if answer.is_good else None
        if taken is None:
            get_logger("prober").debug("canary refused", n=n, status=answer.status)
            self.canaries.append(Canary(n, sent))
            return
        self.canaries.append(Canary(n, sent, self._clock(), *taken))


def _taken(body: Any) -> tuple[int, str] | None:
    """Epoch and region of an acknowledgement; without an epoch nobody knows whose it is."""
    epoch = body.get("epoch") if isinstance(body, dict) else None
    return (epoch, str(body.get("region", ""))) if isinstance(epoch, int) else None


def _numbers(body: Any) -> frozenset[int] | None:
    rows = body.get("canaries", body.get("rows")) if isinstance(body, dict) else None
    if not isinstance(rows, list):
        return None
    return frozenset(row["n"] for row in rows if isinstance(row, dict) and isinstance(row.get("n"), int))
