"""A plugin that goes wrong in one way, and a worker that asks it again and again, sooner than one of ours would."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from catalyst_mesh.logs import configure
from catalyst_sdk import PluginFailure, RateLimited

FAULTS = ("crashes", "hangs", "rubbish", "storm")
PAUSE = 0.02
"""Seconds between two calls."""


def log_to(path: Path) -> None:
    """Log as a daemon does, but into a file: nobody reads on where the child's ports were said, and a full pipe stops it."""
    configure("troubled")
    path.parent.mkdir(exist_ok=True)
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(file=path.open("w")))


class Spoilt:
    """Goes wrong at each call."""

    def __init__(self, fault: str) -> None:
        self._fault = fault

    async def call(self) -> Any:
        if self._fault == "crashes":
            raise ZeroDivisionError
        if self._fault == "hangs":
            await asyncio.sleep(30)
        if self._fault == "storm":
            raise RateLimited("too many", retry_after=timedelta(seconds=1), provider="spoilt")
        return object()


async def keep_asking(plugin: Any) -> None:
    """Ask for ever; eight calls that hang are under way at once, as a host lets them."""
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(_ask(plugin))


async def _ask(plugin: Any) -> None:
    while True:
        with suppress(PluginFailure):
            await plugin.call()
        await asyncio.sleep(8 * PAUSE)
