"""Carries one held run as far as it goes: starts what is due, lets it go when there is nothing to do.

Invariants
  one entry     a step is never entered twice at the same time;
  no holding    a run that waits for longer than a moment is let go, and costs nothing until it is due;
  no cut        when the replica stops, calls under way get their grace; what is interrupted then is in doubt.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from random import Random

from ..waits import heard
from . import backward, forward, performing
from .failures import Fenced
from .graph import Kind, Step, difference, ordered
from .hold import Hold
from .logbook import LOT_SECONDS
from .settling import due, next_wake
from .states import RunState, StepState


@dataclass(frozen=True, slots=True)
class Slots:
    """How many steps may be under way: on this replica, of this kind on it, and in one run."""

    replica: asyncio.Semaphore
    kind: asyncio.Semaphore
    per_run: int


class Driver:
    """Carries one run. `linger` is how long a run that waits is kept at hand."""

    def __init__(self, hold: Hold, kind: Kind, slots: Slots, *, rng: Random, linger: timedelta) -> None:
        self.hold = hold
        self._kind = kind
        self._slots = slots
        self._own_slots = asyncio.Semaphore(slots.per_run)
        self._rng = rng
        self._linger = linger
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._nudge = asyncio.Event()
        self._news = False
        self._stopping = False
        self._interrupted: set[str] = set()
        self._graph: Mapping[str, Step] = {}

    def look(self) -> None:
        """Others have written something: read it."""
        self._news = True
        self._nudge.set()

    def stop(self) -> None:
        """Start nothing more, and let the run go when what is under way has ended."""
        self._stopping = True
        self._nudge.set()

    def interrupt(self) -> None:
        """Do not wait any longer for what is under way."""
        self._interrupted |= self._tasks.keys()
        for task in self._tasks.values():
            task.cancel("the replica stops")

    async def drive(self) -> None:
        """Carry the run until it ends, waits for long, or is not ours any more. Raises what is a bug."""
        try:
            async with asyncio.TaskGroup() as group:
                await self._prepare()
                while await self._turn(group):
                    pass
        except* Fenced:  # somebody else carries it now: nothing to be done, and nothing wrong
            pass

    async def _prepare(self) -> None:
        flow = self.hold.flow
        self._graph = ordered(self._kind.graph(flow.run.input))
        if missing := difference(flow.steps, self._graph).missing:
            await self.hold.apply(partial(forward.pause_for_graph, missing=missing))

    async def _turn(self, group: asyncio.TaskGroup) -> bool:
        """Start what is due, rest until something happens; False: the run is out of our hands."""
        self._nudge.clear()
        if self._news:
            self._news = False
            await self.hold.refresh()
        if not self._stopping:
            self._launch(group)
        if not self._tasks and not await self._kept():
            return False
        await self._rest()
        return True

    def _launch(self, group: asyncio.TaskGroup) -> None:
        flow = self.hold.flow
        cancelling = flow.run.state is RunState.CANCELLING
        for name in due(flow, self.hold.clock.now()):
            forwards = flow.steps[name].state is StepState.IN_DOUBT or not cancelling
            if name in self._tasks or (not forwards and self._moving_forward()):
                continue
            task = group.create_task(self._perform(name, forwards), name=f"{self.hold.run_id}/{name}")
            self._tasks[name] = task
            task.add_done_callback(partial(self._done, name))

    def _moving_forward(self) -> bool:
        # A poll that was asking when the cancel came has no state of its own, and must end before anything is undone.
        return any(self.hold.flow.steps[name].state is not StepState.UNDOING for name in self._tasks)

    def _done(self, name: str, task: asyncio.Task[None]) -> None:
        del self._tasks[name]
        self._nudge.set()

    async def _perform(self, name: str, forwards: bool) -> None:
        async with AsyncExitStack() as slots:
            for slot in (self._own_slots, self._slots.kind, self._slots.replica):
                await slots.enter_async_context(slot)
            if self._stopping:
                return
            step = self._graph.get(name)
            if step is None:
                await performing.forsake(self.hold, name)
            elif forwards:
                await performing.advance(self.hold, step, self._rng)
            else:
                await performing.undo(self.hold, step, self._rng)

    async def _kept(self) -> bool:
        """With nothing under way: whether the run stays at hand. Ends it, or lets it go, if not."""
        if self.hold.flow.run.state is RunState.CANCELLING and not self._stopping:
            await self.hold.apply(backward.finish_cancel)
        else:
            await self.hold.apply(forward.conclude)
        flow, now = self.hold.flow, self.hold.clock.now()
        if not self.hold.held:
            return False
        wake = now if due(flow, now) else next_wake(flow)
        if not self._stopping and wake is not None and wake <= now + self._linger:
            return True
        await self.hold.apply(partial(forward.let_go, interrupted=self._interrupted))
        return self.hold.held

    async def _rest(self) -> None:
        """Wait for news, for the end of a task, for the next step that is due by itself."""
        limits = [LOT_SECONDS] if self._tasks else []
        wake = next_wake(self.hold.flow, but=self._tasks)
        if wake is not None and not self._stopping:
            limits.append(max((wake - self.hold.clock.now()).total_seconds(), 0))
        await heard(self._nudge, min(limits, default=None))
        if self.hold.logbook.is_due:
            await self.hold.logbook.flush()
