"""A controller: it makes the world match what objects wish, and tells in their status what it saw.

Invariants:
- It acts on what an object is now, never on what an event said had changed: events only say where to look.
- One object is in one pair of hands at a time, and a change that comes meanwhile is looked at afterwards.
- A status is written only when it says something new, so that a settled world costs no writes; and a status that was written is
  no reason to look again, or each step of what is under way would cost a write.
- An object that goes is let go as soon as its end is noted durably: nothing outside can hold up a finalizer, and an end that
  cannot be had is told in an event.
- What breaks (watch, API server, reconciler) is tried again later, and later each time, without a loss.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from .cluster import Absent, Cluster, ClusterError, Conflict, Expired, Object, Refused, Unreachable, key_of
from .conditions import Observed, conditions
from .kind import Kind
from .linting import lint
from .occurrences import occurrence, turns

Key = tuple[str, str]
RESYNC = timedelta(minutes=10)
"""After which every object is looked at again, whatever a watch told."""
RESTLESS = 60.0
"""Seconds between two writes of a status for the sake of what never stands still; sentences of conditions count as such."""
WATCH_SECONDS = 240.0
PAUSES = (0.2, 1.0, 5.0, 15.0, 60.0)
"""Seconds until the next try, by how many failed."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a reconciler found and did.

    observed  conditions, beside Accepted, which the controller says itself
    status    further fields of the status
    again     when to look again though nothing changes; None: at the next resync
    restless  fields of the status that never stand still, such as a lag: written along with others, and for their own sake
              not more than once in `RESTLESS`, or each write would be the cause of the next
    """

    observed: Sequence[Observed] = ()
    status: Mapping[str, Any] = field(default_factory=dict)
    again: timedelta | None = None
    restless: frozenset[str] = frozenset()


class Reconciler(Protocol):
    """What differs from kind to kind. Both may be called again at any time, also after a death in the middle."""

    async def reconcile(self, one: Object) -> Seen:
        """Make the world match the object, which is right as far as the linter can tell. Raises Unacceptable."""

    async def release(self, one: Object) -> None:
        """Note durably that the object goes; after that its finalizer is taken away.

        Raises Unacceptable where what it stands for stays: the object goes nevertheless, and an event says so.
        """


class Unacceptable(Exception):
    """The object cannot be had as it is; reason (CamelCase) and message go into its condition Accepted."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Controller:
    """Of one kind.

    finalizer  held on every object that was accepted once, `catalyst.openova.io/continuum`; empty: none is needed
    workers    objects in hand at a time
    wrong      told of an error that is nobody's wish: a bug, or an API server that stays away
    """

    def __init__(
        self,
        kind: Kind,
        reconciler: Reconciler,
        cluster: Cluster,
        *,
        finalizer: str = "",
        workers: int = 8,
        wrong: Callable[[str, Exception], None] = lambda *_: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        resync: timedelta = RESYNC,
        pauses: Sequence[float] = PAUSES,
    ) -> None:  # fmt: skip - one call
        self._kind = kind
        self._reconciler = reconciler
        self._cluster = cluster
        self._finalizer = finalizer
        self._workers = workers
        self._wrong = wrong
        self._now = now
        self._resync = resync.total_seconds()
        self._pauses = pauses
        self._queue: _Queue = _Queue()
        self._written: dict[Key, float] = {}
        self._looked: dict[Key, Any] = {}
        """What others had written of an object when it was looked at last."""

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. The caller holds the lease that makes it the only one; whoever lost it and has it again runs it again."""
        self._queue = _Queue()  # what was in hand when the lease went is in nobody's hand now
        tasks = [asyncio.create_task(self._look())]
        tasks += [asyncio.create_task(self._work()) for _ in range(self._workers)]
        try:
            await stop.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._queue.forget()

    async def _look(self) -> None:
        """Where to look: everything at first and from time to time, then what changes."""
        failed = 0
        while True:
            try:
                objects, version = await self._cluster.list(self._kind)
                for one in objects:
                    self._queue.add(key_of(one))
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._resync):
                        failed = 0
                        await self._follow(version)
            except Exception as error:
                if not isinstance(error, Unreachable | Expired):
                    self._wrong(f"watch of {self._kind.plural}", error)
                await asyncio.sleep(self._pauses[min(failed, len(self._pauses) - 1)])
                failed += 1

    async def _follow(self, version: str) -> None:
        while True:
            async for event in self._cluster.watch(self._kind, version, seconds=WATCH_SECONDS):
                version = event.object["metadata"]["resourceVersion"]
                key = key_of(event.object)
                if event.type in ("ADDED", "MODIFIED") and self._looked.get(key) != _wished(event.object):
                    self._queue.add(key)  # who is deleted was let go before

    async def _work(self) -> None:
        while True:
            key = await self._queue.take()
            try:
                again = await self._one(key)
                self._queue.settled(key)
            except (Absent, Conflict):  # it changed in our hands: what it is now is another question
                again = self._pauses[0]
            except Unacceptable:  # told in its status; what it names may come to be
                again = self._pause_of(key)
            except Exception as error:
                if not isinstance(error, Unreachable):
                    self._wrong(f"{self._kind.name} {'/'.join(filter(None, key))}", error)
                again = self._pause_of(key)
            self._queue.done(key)
            if again is not None:
                self._queue.add_later(key, again)

    def _pause_of(self, key: Key) -> float:
        return self._pauses[min(self._queue.failed(key), len(self._pauses) - 1)]

    async def _one(self, key: Key) -> float | None:
        """One look at one object; seconds until the next, None: none is planned. Raises Unacceptable once that is told."""
        try:
            one = await self._cluster.get(self._kind, *key)
        except Absent:
            self._written.pop(key, None)
            self._looked.pop(key, None)
            return None
        self._looked[key] = _wished(one)
        held = list(one["metadata"].get("finalizers", ()))
        if one["metadata"].get("deletionTimestamp"):
            if self._finalizer in held:
                try:
                    await self._reconciler.release(one)
                except Unacceptable as error:
                    await self._occurred(one, Observed("Released", False, error.reason, str(error)), "Release")
                held.remove(self._finalizer)
                with suppress(Absent):
                    await self._cluster.set_finalizers(self._kind, one, held)
            return None
        if faults := lint(one):
            await self._tell(one, Seen(), Unacceptable("Invalid", "; ".join(map(str, faults))[:4000]))
            return None
        if self._finalizer and self._finalizer not in held:  # before anything is made for it
            one = await self._cluster.set_finalizers(self._kind, one, [*held, self._finalizer])
            self._looked[key] = _wished(one)
        try:
            seen = await self._reconciler.reconcile(one)
        except Unacceptable as error:
            await self._tell(one, Seen(), error)
            raise
        await self._tell(one, seen, None)
        return None if seen.again is None else seen.again.total_seconds()

    async def _tell(self, one: Object, seen: Seen, refused: Unacceptable | None) -> None:
        """Write the status, if it says something new."""
        accepted = (
            Observed("Accepted", True, "Accepted") if refused is None
            else Observed("Accepted", False, refused.reason, str(refused))
        )  # fmt: skip
        before: Mapping[str, Any] = one.get("status", {})
        generation, known = one["metadata"]["generation"], before.get("conditions", ())
        observed = (accepted, *seen.observed)
        told, status = conditions(observed, known, generation, self._now()), dict(seen.status)
        if refused:  # the world is as it was: what was told of it stays, with the generation of which it was told
            told += [one for one in known if one["type"] != accepted.type]
            status = {name: value for name, value in before.items() if value is not None}
        status |= {"observedGeneration": generation, "conditions": told}
        if self._is_news(key_of(one), before, status, seen.restless):
            self._written[key_of(one)] = asyncio.get_running_loop().time()
            with suppress(Absent, Refused) if refused else suppress(Absent):
                await self._cluster.apply_status(self._kind, *key_of(one), status)
            for turn in turns(known, observed):
                await self._occurred(one, turn, "Reconcile")

    def _is_news(
        self, key: Key, before: Mapping[str, Any], status: Mapping[str, Any], restless: frozenset[str]
    ) -> bool:
        if _said(before) == _said(status):
            return False
        lately = asyncio.get_running_loop().time() - self._written.get(key, -RESTLESS) < RESTLESS
        return not lately or _still(before, restless) != _still(status, restless)

    async def _occurred(self, one: Object, told: Observed, action: str) -> None:
        """Tell an event; it is for people to read, and nothing waits for it."""
        controller = f"catalyst.openova.io/{self._kind.name.lower()}"
        with suppress(ClusterError):
            await self._cluster.note(occurrence(one, told, action, controller, self._now()))


def _wished(one: Object) -> Any:
    """All of an object that is somebody else's to write: whatever is no part of its status."""
    told = one["metadata"]
    parts = ("uid", "generation", "deletionTimestamp", "annotations", "labels", "finalizers")
    return [told.get(part) or None for part in parts]


def _said(value: Any) -> Any:
    """What a status says: the same whether nothing is said, or a default of the schema says so."""
    if isinstance(value, Mapping):
        said = {key: _said(each) for key, each in value.items()}
        return {key: each for key, each in said.items() if each not in (None, "", 0, [], {})}
    return [_said(each) for each in value] if isinstance(value, list | tuple) else value


def _still(status: Mapping[str, Any], restless: frozenset[str]) -> Any:
    """What of a status stands still while nothing happens."""
    told = [{key: value for key, value in one.items() if key != "message"} for one in status.get("conditions", ())]
    return _said({key: value for key, value in status.items() if key not in restless} | {"conditions": told})


class _Queue:
    """Keys to look at: each once, never in two hands, and again if it came while it was in one."""

    def __init__(self) -> None:
        self._ready: asyncio.Queue[Key] = asyncio.Queue()
        self._waiting: set[Key] = set()
        self._in_hand: set[Key] = set()
        self._dirty: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}

    def add(self, key: Key) -> None:
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._in_hand:
            self._dirty.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)

    def add_later(self, key: Key, seconds: float) -> None:
        """Once, at the latest time that was wished last."""
        if key in self._waiting or key in self._in_hand:
            return
        if timer := self._timers.pop(key, None):
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, self.add, key)

    async def take(self) -> Key:
        key = await self._ready.get()
        self._waiting.discard(key)
        self._in_hand.add(key)
        return key

    def failed(self, key: Key) -> int:
        """How often it failed before; counts this time."""
        self._failures[key] = before = self._failures.get(key, 0) + 1
        return before - 1

    def forget(self) -> None:
        """Nothing that is planned comes any more."""
        for timer in self._timers.values():
            timer.cancel()

    def settled(self, key: Key) -> None:
        """It did not fail: the next failure is a first one."""
        self._failures.pop(key, None)

    def done(self, key: Key) -> None:
        """Out of this hand; and at once into another's where it came meanwhile."""
        self._in_hand.discard(key)
        if key in self._dirty:
            self._dirty.discard(key)
            self.add(key)
