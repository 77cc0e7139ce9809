"""A stranger's module, imported with patience that ends: what hangs in it must not hang its daemon."""

import importlib
from queue import Empty, SimpleQueue
from threading import Thread
from types import ModuleType

PATIENCE = 10.0
"""Seconds for the import of one plugin; ours take a tenth of one."""


class ImportHangs(Exception):
    """The import has not ended in time; its thread stays behind and ends with the process."""


def imported(name: str, within: float = PATIENCE) -> ModuleType:
    """The module of that name. Raises ImportHangs, and whatever the module raises, SystemExit too."""
    outcome: SimpleQueue[ModuleType | BaseException] = SimpleQueue()

    def load() -> None:
        try:
            outcome.put(importlib.import_module(name))
        except BaseException as error:  # whatever it is, the daemon hears of it where it waits
            outcome.put(error)

    Thread(target=load, name=f"import {name}", daemon=True).start()
    try:
        found = outcome.get(timeout=within)
    except Empty:
        raise ImportHangs(f"its import did not end within {within:g} s") from None
    if isinstance(found, BaseException):
        raise found
    return found
