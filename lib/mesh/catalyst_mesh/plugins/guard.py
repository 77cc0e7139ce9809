"""Between a daemon and a plugin: time, concurrency and rate are bounded, and only the four errors pass."""

import asyncio
import inspect
import os
import time
from collections.abc import Callable
from typing import Any

from catalyst_sdk import NotSupported, Permanent, PluginFailure, RateLimited, Temporary

from ..logs import get_logger
from ..metrics import ChassisMetrics
from ..telemetry import span
from .rates import Bucket

CALL_LIMIT = 30.0
"""Seconds for one call, unless the kind of the plugin states more."""


class PluginBug(PluginFailure):
    """A plugin raised what no plugin may raise. It is contained: only what needs the plugin fails."""


_ALLOWED = (Temporary, RateLimited, Permanent, NotSupported)


class Guarded:
    """A plugin's object with its async methods counted, timed and contained; everything else as it is."""

    def __init__(
        self,
        name: str,
        target: Any,
        *,
        metrics: ChassisMetrics,
        concurrency: int = 8,
        limit: float | None = CALL_LIMIT,
        rate: Bucket | None = None,
    ) -> None:
        self._name = name
        self._target = target
        self._metrics = metrics
        self._limit = limit
        self._turns = asyncio.Semaphore(concurrency)
        self._rate = rate
        self._log = get_logger("plugins")

    def __getattr__(self, operation: str) -> Any:
        member = getattr(self._target, operation)
        return self._wrap(operation, member) if inspect.iscoroutinefunction(member) else member

    def _wrap(self, operation: str, member: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            began, outcome, waited = time.monotonic(), "ok", 0.0
            try:
                async with self._turns, asyncio.timeout(self._limit) as patience:
                    waited = time.monotonic() - began
                    self._demand_token(operation)
                    with span(f"plugin {operation}", "CLIENT", plugin=self._name, operation=operation):
                        return await member(*args, **kwargs)
            except _ALLOWED as failure:
                outcome = type(failure).__name__
                raise
            # SystemExit would end the daemon; a cancellation that nobody asked for, the work of the caller.
            except (Exception, SystemExit, asyncio.CancelledError) as error:
                if isinstance(error, TimeoutError) and patience.expired():
                    outcome = "timeout"
                    late = f"{operation} did not answer within {self._limit} s"
                    raise Temporary(late, provider=self._name) from error
                if isinstance(error, asyncio.CancelledError) and _asked_to_stop():
                    outcome = "cancelled"
                    raise
                outcome = "bug"
                self._log.error("plugin bug", plugin=self._name, operation=operation, exc_info=error)
                raise PluginBug(f"{operation} raised {type(error).__name__}", provider=self._name) from error
            finally:
                self._metrics.plugin_calls.labels(self._name, operation, outcome).inc()
                self._metrics.plugin_seconds.labels(self._name, operation, outcome).observe(time.monotonic() - began)
                self._metrics.plugin_wait.labels(self._name, operation, outcome).observe(waited)
                if os.environ.get("CATALYST_TRACE_PLUGINS") == "1":
                    self._log.info("plugin call", plugin=self._name, operation=operation, outcome=outcome)

        return call

    def _demand_token(self, operation: str) -> None:
        """Raises RateLimited where the plugin has been called as often as its manifest lets it be."""
        if self._rate is not None and (pause := self._rate.take()) is not None:
            often = f"{operation} waits: the plugin was called as often as its manifest states"
            raise RateLimited(often, retry_after=pause, provider=self._name)


def _asked_to_stop() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
