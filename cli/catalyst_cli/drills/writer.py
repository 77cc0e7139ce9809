"""A client that writes numbered rows by a public name, at a steady rate, and remembers what it was told about each.

Every number is sent once, and never was before: what was not acknowledged stays open, as for a client that gave up. Slow
writes do not hold up the next ones, so that the first acknowledgement after a fault is seen when it comes.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
from catalyst_mesh.waits import rest

from .figures import Attempt
from .names import Names, Unresolved

PATIENCE = 3.0
"""Seconds until a client gives up on a write."""
MOST_AT_ONCE = 32
READ_WITHIN = 60.0
PAGE = 10_000


class Writer:
    """One client."""

    def __init__(
        self, names: Names, *, host: str, port: int, every: float = 0.05, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._names = names
        self._host = host
        self._port = port
        self._every = every
        self._clock = clock
        self._under_way: set[asyncio.Task[None]] = set()
        self._http = httpx.AsyncClient(
            timeout=PATIENCE, headers={"host": host}, limits=httpx.Limits(max_connections=MOST_AT_ONCE), trust_env=False
        )
        self.first = time.time_ns() // 1_000
        """Its first number; those of clients before are lower."""
        self.attempts: list[Attempt] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Write until `stop` is set, then wait for what is under way."""
        n = self.first
        while not stop.is_set():
            if len(self._under_way) < MOST_AT_ONCE:
                task = asyncio.create_task(self._write(n))
                n += 1
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            await rest(stop, self._every)
        await asyncio.gather(*self._under_way)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def whoami(self) -> dict[str, Any]:
        """What stands behind the name now. Raises httpx.HTTPError or Unresolved."""
        answer = await self._http.get(await self._url("whoami"))
        return dict(answer.raise_for_status().json())

    async def read(self) -> set[int]:
        """Every row of this client's that is there. Raises httpx.HTTPError or Unresolved after a while of trying."""
        found: set[int] = set()
        after, deadline = 0, self._clock() + READ_WITHIN
        while True:
            try:
                answer = await self._http.get(
                    await self._url("rows"), params={"after": after, "limit": PAGE}, timeout=READ_WITHIN
                )
                page = answer.raise_for_status().json()
            except (httpx.HTTPError, Unresolved):
                if self._clock() > deadline:
                    raise
                await asyncio.sleep(self._every)
                continue
            found |= {row["n"] for row in page["rows"] if row["n"] >= self.first}
            if not page["rows"]:
                return found
            after = page["next"]

    async def _write(self, n: int) -> None:
        sent = self._clock()
        told: dict[str, Any] = {"region": "", "epoch": 0}
        with suppress(httpx.HTTPError, Unresolved, ValueError):
            answer = await self._http.post(await self._url("rows"), json={"n": n})
            if answer.status_code == httpx.codes.CREATED:
                told = answer.json()
        self.attempts.append(Attempt(n, sent, self._clock(), told["region"], told["epoch"]))

    async def _url(self, path: str) -> str:
        return f"http://{await self._names.address()}:{self._port}/{path}"
