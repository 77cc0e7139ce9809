"""One writer per parent zone: changes of many children are gathered for a moment and made as one.

Invariants
  one at a time   a zone is changed by one call at a time; who comes meanwhile is in the next change;
  the guilty one  what the backend refuses is refused to the child whose records they are, and to no other;
  no starving     a change waits for children that were under way when its first wish came, in a crowd also for those that
                  set out later, and for nobody longer than `LONGEST` windows.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from catalyst_mesh.waits import heard
from catalyst_sdk import Permanent, PluginFailure, Temporary
from catalyst_sdk.dns import Change, DnsBackend, ZoneState

MOST = 200
"""Children in one change."""
OF_RECORDS = frozenset({"RECORD_INVALID", "PROTECTED_RECORD"})
"""Reasons that some of the changes gave; any other one is the zone's or the server's, and holds for all."""
QUIET = 10
"""Windows without a step of anybody who is waited for, after which nobody is waited for any more."""
CROWD = 16
"""So many children under way are a crowd: their change is the larger, the later it is made."""
LONGEST = 200
"""Windows after which a change is made, whoever is still under way."""


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


@dataclass
class _Gathering:
    """Wishes for one zone that will be one change."""

    awaited: set[str]
    began: float
    moved: float
    """When one came, or one who is waited for did a step."""
    wishes: list[_Wish] = field(default_factory=list)
    stirred: asyncio.Event = field(default_factory=asyncio.Event)

    def ends(self, window: float) -> float:
        """When it is closed, as it stands now."""
        if len(self.wishes) >= MOST:
            return self.began
        least = self.began + window
        return max(least, min(self.moved + QUIET * window, self.began + LONGEST * window)) if self.awaited else least


class Parents:
    """Gathers changes by zone. `made` is told of how many children each change was."""

    def __init__(self, window: float, made: Callable[[int], None] = lambda _: None) -> None:
        self._window = window
        self._made = made
        self._gatherings: dict[str, _Gathering] = {}
        self._coming: dict[str, set[str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns: dict[str, asyncio.Lock] = {}
        self._left: dict[str, ZoneState] = {}
        """Zones as the last change has left them, which need not be read for their number."""

    @property
    def gathered(self) -> int:
        """Children that only wait for their change to begin."""
        return sum(len(g.wishes) for g in self._gatherings.values())

    def expect(self, zone: str, child: str) -> None:
        """Say that `child` is a step nearer to changing `zone`: a change that is begun from now on waits for it."""
        coming = self._coming.setdefault(zone, set())
        coming.add(child)
        gathering = self._gatherings.get(zone)
        if gathering and len(coming) >= CROWD:
            gathering.awaited.add(child)
        if gathering and child in gathering.awaited:
            gathering.moved = asyncio.get_running_loop().time()
            gathering.stirred.set()

    def excuse(self, zone: str, child: str) -> None:
        """`child` is there, or does not come: nobody waits for it any more."""
        coming = self._coming.get(zone, set())
        coming.discard(child)
        if not coming:
            self._coming.pop(zone, None)
        if gathering := self._gatherings.get(zone):
            gathering.awaited.discard(child)
            gathering.stirred.set()

    async def apply(self, backend: DnsBackend, zone: str, child: str, changes: tuple[Change, ...]) -> None:
        """Make the `changes` of `child`, together with those of others that wish at the same moment. Raises what the
        backend refuses."""
        if not changes:
            self.excuse(zone, child)
            return
        wish = _Wish(changes, asyncio.get_running_loop().create_future())
        self._join(backend, zone, child, wish)
        await wish.done

    def _join(self, backend: DnsBackend, zone: str, child: str, wish: _Wish) -> None:
        now = asyncio.get_running_loop().time()
        gathering = self._gatherings.get(zone)
        if gathering is None:
            gathering = self._gatherings[zone] = _Gathering(set(self._coming.get(zone, ())), now, now)
            task = asyncio.create_task(self._flush_soon(backend, zone, gathering))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        gathering.wishes.append(wish)
        gathering.moved = now
        self.excuse(zone, child)

    async def _flush_soon(self, backend: DnsBackend, zone: str, gathering: _Gathering) -> None:
        await self._closed(gathering)
        async with self._turns.setdefault(zone, asyncio.Lock()):
            del self._gatherings[zone]
            for start in range(0, len(gathering.wishes), MOST):
                await self._write(backend, zone, gathering.wishes[start : start + MOST])

    async def _closed(self, gathering: _Gathering) -> None:
        loop = asyncio.get_running_loop()
        while (left := gathering.ends(self._window) - loop.time()) > 0:
            gathering.stirred.clear()
            await heard(gathering.stirred, left)

    async def _write(self, backend: DnsBackend, zone: str, wishes: Sequence[_Wish]) -> None:
        """All at once; where that is refused, without the guilty ones."""
        try:
            await self._change(backend, zone, tuple(c for w in wishes for c in w.changes))
        except Permanent as refused:
            await self._write_without_guilty(backend, zone, wishes, refused)
        except PluginFailure as failure:
            for wish in wishes:
                wish.settle(failure)
        except BaseException:
            for wish in wishes:
                wish.settle(Temporary("the change was interrupted; it may have been made"))
            raise
        else:
            self._made(len(wishes))
            for wish in wishes:
                wish.settle(None)

    async def _change(self, backend: DnsBackend, zone: str, changes: tuple[Change, ...]) -> None:
        """One change, with its number, by which its arrival is seen at any server."""
        before = self._left.pop(zone, None)
        if before is not None:
            try:
                self._left[zone] = await backend.apply(
                    zone=zone, changes=changes, revision=before.revision + 1, expect=before.etag
                )
                return
            except Permanent as refused:
                if refused.reason != "CONFLICT":  # somebody else has written since
                    raise
        state = await backend.get_zone(zone=zone)
        if state is None:
            raise Permanent("ZONE_ABSENT", f"the backend has no zone {zone}", user_action="make it, PDM never does")
        self._left[zone] = await backend.apply(zone=zone, changes=changes, revision=state.revision + 1)

    async def _write_without_guilty(
        self, backend: DnsBackend, zone: str, wishes: Sequence[_Wish], refused: Permanent
    ) -> None:
        """Those whom the refusal names are asked alone, and the rest is one change again; halves, where it names nobody."""
        if len(wishes) == 1 or refused.reason not in OF_RECORDS:
            for wish in wishes:
                wish.settle(refused)
            return
        guilty = _guilty(wishes, refused)
        half = len(wishes) // 2
        parts = [[wishes[n]] for n in sorted(guilty)] if guilty else [wishes[:half]]
        rest = [wish for n, wish in enumerate(wishes) if n not in guilty] if guilty else wishes[half:]
        for part in filter(None, (rest, *parts)):
            await self._write(backend, zone, part)


def _guilty(wishes: Sequence[_Wish], refused: Permanent) -> Collection[int]:
    """Wishes to which the changes belong that the refusal names by their positions."""
    whose = [n for n, wish in enumerate(wishes) for _ in wish.changes]
    named = [int(p) for p in refused.metadata.get("positions", "").split(",") if p.strip().isdecimal()]
    return {whose[p] for p in named if p < len(whose)}
