"""A stranger's code, called with patience that ends: what hangs in it must not hang its daemon."""

import importlib
from collections.abc import Callable
from contextvars import copy_context
from queue import Empty, SimpleQueue
from threading import Thread
from types import ModuleType
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE = 10.0
"""Seconds for the import of one plugin, and as long for a hook of it; ours take a tenth of one."""


class Hangs(Exception):
    """It has not ended in time; its thread stays behind and ends with the process."""


class ImportHangs(Hangs):
    """An import."""


class HookHangs(Hangs):
    """A hook."""


def imported(name: str, within: float = PATIENCE) -> ModuleType:
    """The module of that name. Raises ImportHangs, and whatever the module raises, SystemExit too."""
    late = ImportHangs(f"its import did not end within {within:g} s")
    return _patiently(f"import {name}", lambda: importlib.import_module(name), within, late)


def hooked(hook: str, call: Callable[[], T], within: float = PATIENCE) -> T:
    """What `call` of that hook answers. Raises HookHangs, and whatever the hook raises."""
    return _patiently(hook, call, within, HookHangs(f"its hook `{hook}` did not end within {within:g} s"))


def _patiently(name: str, call: Callable[[], T], within: float, late: Hangs) -> T:
    outcome: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
    context = copy_context()

    def run() -> None:
        try:
            outcome.put((context.run(call), None))
        except BaseException as error:  # whatever it is, the daemon hears of it where it waits
            outcome.put((None, error))

    Thread(target=run, name=name, daemon=True).start()
    try:
        answer, error = outcome.get(timeout=within)
    except Empty:
        raise late from None
    if error is not None:
        raise error
    found: T = answer
    return found
