"""Waiting for something to be so, with a deadline and a word about what was waited for."""

import asyncio
import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
GROWTH, LONGEST = 1.25, 10
"""Of the pauses between two questions."""


async def eventually(check: Callable[[], T | Awaitable[T]], within: float, every: float = 0.02, what: str = "") -> T:
    """Ask `check` until it answers something true; its answer is returned. Whatever it raises means "not yet".

    What is waited for may come in pieces: to ask for a row, a key or a file that is missing still is no failure before the end.

    within   seconds until the wait fails
    every    seconds between the first two questions; the pauses grow, up to ten times as long
    what     what was waited for, for the failure; default: the name of `check`
    """
    deadline = time.monotonic() + within
    pause = every
    while True:
        error: Exception | None = None
        failure: object = "false"
        try:
            answer = check()
            if inspect.isawaitable(answer):
                answer = await answer
            if answer:
                return answer
            failure = answer
        except Exception as raised:
            failure = error = raised
        if time.monotonic() > deadline:
            name = what or getattr(check, "__qualname__", repr(check))
            raise AssertionError(f"not within {within} s: {name}; last answer: {failure!r}") from error
        await asyncio.sleep(pause)
        # A question may be a call with its statements: who asks all the time takes the processor from whom it waits for.
        pause = min(pause * GROWTH, every * LONGEST)


def eventually_sync(check: Callable[[], T], within: float, every: float = 0.01, what: str = "") -> T:
    """`eventually` for code that runs no event loop, such as the start of a server."""
    deadline = time.monotonic() + within
    pause = threading.Event()
    while True:
        if answer := check():
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what or check!r}")
        pause.wait(every)
