"""One writer per parent zone: changes of many children are gathered for a moment and made as one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from catalyst_sdk import Permanent, PluginFailure, Temporary
from catalyst_sdk.dns import Change, DnsBackend

MOST = 200
"""Children in one change."""


@dataclass
class _Wish:
    changes: tuple[Change, ...]
    done: asyncio.Future[None]

    def settle(self, failure: PluginFailure | None) -> None:
        """Tell the outcome, unless the one who wished has stopped waiting."""
        if self.done.done():
            return
        if failure is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(failure)


class Parents:
    """Gathers changes by zone."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._waiting: dict[str, list[_Wish]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns: dict[str, asyncio.Lock] = {}

    async def apply(self, backend: DnsBackend, zone: str, changes: tuple[Change, ...]) -> None:
        """Make `changes`, together with those of others that wish at the same moment. Raises what the backend refuses."""
        if not changes:
            return
        wish = _Wish(changes, asyncio.get_running_loop().create_future())
        first = not self._waiting.get(zone)
        self._waiting.setdefault(zone, []).append(wish)
        if first:
            task = asyncio.create_task(self._flush_soon(backend, zone))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await wish.done

    async def _flush_soon(self, backend: DnsBackend, zone: str) -> None:
        await asyncio.sleep(self._window)
        async with self._turns.setdefault(zone, asyncio.Lock()):
            wishes = self._waiting.pop(zone, [])
            for start in range(0, len(wishes), MOST):
                await self._write(backend, zone, wishes[start : start + MOST])

    async def _write(self, backend: DnsBackend, zone: str, wishes: Sequence[_Wish]) -> None:
        """All at once; where that is refused, by halves, so that only the guilty one fails."""
        try:
            await backend.apply(zone=zone, changes=tuple(c for w in wishes for c in w.changes))
        except Permanent as refused:
            if len(wishes) > 1:
                half = len(wishes) // 2
                await self._write(backend, zone, wishes[:half])
                await self._write(backend, zone, wishes[half:])
                return
            wishes[0].settle(refused)
        except PluginFailure as failure:
            for wish in wishes:
                wish.settle(failure)
        except BaseException:
            for wish in wishes:
                wish.settle(Temporary("the change was interrupted; it may have been made"))
            raise
        else:
            for wish in wishes:
                wish.settle(None)
