"""Machines in one thread: an event loop whose time is drawn on, and processes on it that can be frozen and killed.

What a process has begun is known by its context. A frozen one runs nothing, its timers included, until it is thawed; a killed one
never runs anything again, no `finally` either, until the world is over. Its timers run at the rate of its own clock.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any

from catalyst_continuum.domain.authority import Moment

HERE: ContextVar["Process | None"] = ContextVar("HERE", default=None)


@dataclass(eq=False)
class Process:
    """rate    of its clock, against true time
    offset  what its clock showed at true time 0"""

    name: str
    loop: "Machines"
    rate: float = 1.0
    offset: float = 0.0
    is_frozen: bool = False
    is_dead: bool = False
    parked: list[tuple[asyncio.Handle, Callable[..., Any], tuple[Any, ...], Context]] = field(default_factory=list)

    def clock(self) -> Moment:
        """What its clocks show."""
        shown = self.offset + self.rate * self.loop.time()
        return Moment(shown, 1_700_000_000 + shown)

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run `work` as this process."""
        context = copy_context()
        context.run(HERE.set, self)
        context.run(self.loop.create_task, work)

    def freeze(self) -> None:
        self.is_frozen = True

    def thaw(self) -> None:
        self.is_frozen = False
        if self.is_dead:
            return
        parked, self.parked = self.parked, []
        for handle, callback, args, context in parked:
            self.loop.call_soon(_unless_cancelled, handle, callback, args, context=context)

    def kill(self) -> None:
        self.is_dead = self.is_frozen = True


class _NoWait(selectors.BaseSelector):
    """Where the loop would wait, time goes on instead."""

    def __init__(self) -> None:
        self.now = 0.0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, 0, None)

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "nothing will ever happen any more"
        self.now += max(0.0, timeout)
        return []

    def get_map(self) -> Any:
        return {}

    def close(self) -> None:
        pass


class Machines(asyncio.SelectorEventLoop):
    """The loop of all processes of one world."""

    def __init__(self) -> None:
        self._no_wait = _NoWait()
        self.every: list[Process] = []
        super().__init__(self._no_wait)

    def time(self) -> float:
        return self._no_wait.now

    def process(self, name: str, rate: float = 1.0, offset: float = 0.0) -> Process:
        """A new process."""
        one = Process(name, self, rate, offset)
        self.every.append(one)
        return one

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        here = context.get(HERE) if context is not None else HERE.get()
        if here is None:
            return super().call_soon(callback, *args, context=context)
        run = _Gate(here, callback, context)
        run.handle = super().call_soon(run, *args, context=context)
        return run.handle

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        here = context.get(HERE) if context is not None else HERE.get()
        if here is None:
            return super().call_at(when, callback, *args, context=context)
        run = _Gate(here, callback, context)
        when = self.time() + max(0.0, when - self.time()) / here.rate
        timer = super().call_at(when, run, *args, context=context)
        run.handle = timer
        return timer

    def outside(self, delay: float, callback: Callable[..., Any], *args: Any) -> None:
        """Call something that is no process's: the network, a server."""
        context = copy_context()
        context.run(HERE.set, None)
        self.call_later(delay, callback, *args, context=context)

    def end(self) -> None:
        """The world is over: whatever is left is taken down, the killed ones too."""
        left = asyncio.all_tasks(self)
        for task in left:
            task.cancel()
        for one in self.every:
            one.is_dead = False
            one.thaw()
        self.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self.close()


def _unless_cancelled(handle: asyncio.Handle, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
    if not handle.cancelled():
        callback(*args)


class _Gate:
    """A callback of a process, kept while that is frozen."""

    __slots__ = ("callback", "context", "handle", "here")

    def __init__(self, here: Process, callback: Callable[..., Any], context: Context | None) -> None:
        self.here = here
        self.callback = callback
        self.context = context
        self.handle: asyncio.Handle

    def __call__(self, *args: Any) -> None:
        if self.here.is_frozen:
            context = self.context if self.context is not None else copy_context()
            self.here.parked.append((self.handle, self.callback, args, context))
        else:
            self.callback(*args)
