"""What a task tells about itself, and to whom: the metrics and the tracer of the daemon that it belongs to.

A task knows its daemon as it knows the call that it serves: by its context. So a worker, a lease or a channel needs not be
handed metrics to be measured, and the same code run by a tool or a test, outside of any daemon, is measured by nobody.
"""

import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Protocol

from catalyst_sdk import Refused
from prometheus_client import CollectorRegistry

from .calls import Call, enter, ongoing
from .metrics import ChassisMetrics

FRESH = 30.0
"""Seconds for which what a worker saw counts: a replica that lost its lease looks no more and must raise no alarm."""
DONE, WAITING, FAILED = "done", "waiting", "failed"
"""How a pass of background work ends: nothing is left to do, it has to come again, it could not do its work."""


class Span(Protocol):
    """One span under way. Attributes never hold messages, bodies or metadata: those may hold secrets."""

    traceparent: str

    def set(self, key: str, value: str | int | bool) -> None: ...

    def end(self, *, error: str = "") -> None:
        """End it; `error` is the type of an exception or the name of a status."""


class Tracer(Protocol):
    """Makes spans."""

    def start(
        self, name: str, *, kind: str, parent: str, links: Iterable[str], attributes: dict[str, str | int | bool]
    ) -> Span:
        """Begin a span below the traceparent `parent`; a root where that is empty.

        kind    INTERNAL, SERVER, CLIENT, PRODUCER or CONSUMER
        links   traceparents of spans that caused this one
        """

    def close(self) -> None:
        """Send what is not sent yet, for a few seconds at most. Blocks."""


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Where a daemon's tasks tell things. Without a tracer there are no spans, and making none costs next to nothing."""

    metrics: ChassisMetrics = field(default_factory=lambda: ChassisMetrics(CollectorRegistry()))
    tracer: Tracer | None = None


_here: ContextVar[Telemetry | None] = ContextVar("catalyst_telemetry", default=None)


def belong(telemetry: Telemetry) -> None:
    """Make this task and its children tell `telemetry`."""
    _here.set(telemetry)


def here() -> Telemetry | None:
    """Where this task tells things; None outside of any daemon."""
    return _here.get()


def span(
    name: str,
    kind: str = "INTERNAL",
    parent: str | None = None,
    cause: str = "",
    answers: type[BaseException] = Refused,
    **attributes: str | int | bool,
) -> "AbstractContextManager[Span | None]":
    """A span around the block, itself the current one of the block; None where there is no tracer.

    parent      traceparent of the span above; None: the current one, which at a worker may be none at all
    cause       traceparent of a span to link to
    answers     exceptions that are answers; a span that one of them leaves has not failed
    attributes  underscores in their names stand for dots
    """
    telemetry = _here.get()
    if telemetry is None or telemetry.tracer is None:
        return _NOTHING
    if parent is None:
        parent = served.traceparent if (served := ongoing()) else ""
    dotted = {key.replace("_", "."): value for key, value in attributes.items()}
    links = (cause,) if cause else ()
    return Around(telemetry.tracer.start(name, kind=kind, parent=parent, links=links, attributes=dotted), answers)


_NOTHING: AbstractContextManager[None] = nullcontext()


class Around:
    """Makes a span that has begun the current one of the block, and ends it with the block."""

    __slots__ = ("_answers", "_before", "_span")

    def __init__(self, started: Span, answers: type[BaseException]) -> None:
        self._span = started
        self._answers = answers

    def __enter__(self) -> Span:
        self._before: Call | None = ongoing()
        enter(replace(self._before or Call(), traceparent=self._span.traceparent))
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        enter(self._before)
        self._span.end(error="" if kind is None or issubclass(kind, self._answers) else kind.__name__)


@dataclass(slots=True)
class Pass:
    """One pass of background work; the block says how it ends."""

    result: str = DONE


@contextmanager
def reconciling(kind: str) -> Iterator[Pass]:
    """Measure one pass of background work. One that raises has failed."""
    one, began = Pass(), time.monotonic()
    try:
        yield one
    except Exception:
        one.result = FAILED
        raise
    finally:
        if telemetry := _here.get():
            telemetry.metrics.reconciled.labels(kind, one.result).observe(time.monotonic() - began)


class Backlog:
    """Since when each piece of due work of one kind has been due, as this replica sees it."""

    def __init__(self, kind: str, *, fresh: float = FRESH, clock: Callable[[], float] = time.monotonic) -> None:
        self._kind = kind
        self._fresh = fresh
        self._clock = clock
        self._since: dict[Hashable, float] = {}
        self._looked_at = float("-inf")

    def see(self, keys: Iterable[Hashable]) -> None:
        """What is due now; what is not among it any more has been done."""
        if self._looked_at < 0 and (telemetry := _here.get()):
            telemetry.metrics.reconcile_oldest.labels(self._kind).set_function(self.oldest)
        self._looked_at = now = self._clock()
        self._since = {key: self._since.get(key, now) for key in keys}

    def oldest(self) -> float:
        """Seconds for which the longest waiting work has been due; 0 where there is none, or nobody looks any more."""
        now = self._clock()
        if not self._since or now - self._looked_at > self._fresh:
            return 0.0
        return now - min(self._since.values())
