"""What an agent has under way: tasks by name, one of each name at a time."""

import asyncio
from collections.abc import Callable
from typing import Any

from .standing import AuthorityOver


class Chores:
    """bell is rung whenever one has ended, so that what it brought is looked at."""

    def __init__(self, bell: asyncio.Event, log: Any) -> None:
        self._bell = bell
        self._log = log
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._ending: set[asyncio.Task[Any]] = set()

    def start(self, name: str, work: Callable[[], Any]) -> bool:
        """Begin `work` unless one of that name is still under way; whether it was begun."""
        if name in self._tasks:
            return False
        task = asyncio.ensure_future(work())
        self._tasks[name] = task
        task.add_done_callback(lambda task: self._ended(name, task))
        return True

    def is_under_way(self, name: str) -> bool:
        """Whether one of that name is."""
        return name in self._tasks

    def cancel(self, *names: str) -> None:
        """Ask these to end. What they were just doing may still happen."""
        for name in names:
            if (task := self._tasks.pop(name, None)) is not None:
                self._ending.add(task)
                task.cancel()

    async def end(self) -> None:
        """End all."""
        self.cancel(*list(self._tasks))
        while self._ending:
            await asyncio.wait(set(self._ending))

    def _ended(self, name: str, task: asyncio.Task[Any]) -> None:
        if self._tasks.get(name) is task:
            del self._tasks[name]
        self._ending.discard(task)
        self._bell.set()
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, AuthorityOver):
            self._log.error("a part of the agent failed", chore=name, exc_info=error)
