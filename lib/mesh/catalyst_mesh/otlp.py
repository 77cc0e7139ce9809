"""Spans by OpenTelemetry's SDK, sent over OTLP/HTTP.

Imported only where an endpoint is named: the SDK takes memory in every process that has it, and a thread to send.
"""

import threading
from collections.abc import Iterable

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from .calls import read_traceparent

PATH = "/v1/traces"
"""Where a collector takes spans over HTTP (OTLP 1.0, section OTLP/HTTP Request)."""
FAREWELL = 3.0
"""Seconds that the last spans get at the end; a collector that is away must not hold up the exit."""


class SdkTracer:
    """A `Tracer` on the SDK; `processor` decides how spans leave the process."""

    def __init__(self, service: str, processor: SpanProcessor, *, ratio: float = 1.0) -> None:
        # The share is taken by trace id, so that all daemons keep the same traces and each of them is whole; who says
        # that a trace is not sampled is believed.
        share = TraceIdRatioBased(ratio)
        self._provider = TracerProvider(
            sampler=ParentBased(root=share, remote_parent_sampled=share),
            resource=Resource({"service.name": service, "service.namespace": "catalyst"}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("catalyst_mesh")

    def start(
        self, name: str, *, kind: str, parent: str, links: Iterable[str], attributes: dict[str, str | int | bool]
    ) -> "SdkSpan":
        """Begin a span; see `telemetry.Tracer`."""
        above = _context(parent)
        causes = [Link(cause) for text in links if (cause := _context(text)) is not None]
        started = self._tracer.start_span(
            name,
            context=Context() if above is None else set_span_in_context(NonRecordingSpan(above), Context()),
            kind=SpanKind[kind],
            links=causes,
            attributes=attributes,
        )
        return SdkSpan(started)

    def close(self) -> None:
        """Send what is not sent yet, for a few seconds at most."""
        # The SDK waits for its collector for half a minute; a daemon thread does not keep the process alive.
        farewell = threading.Thread(target=self._provider.shutdown, daemon=True)
        farewell.start()
        farewell.join(FAREWELL)


class SdkSpan:
    """One span under way."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: Span) -> None:
        self._span = span
        c = span.get_span_context()
        # Of the flags, version 00 knows `sampled` only.
        self.traceparent = f"00-{c.trace_id:032x}-{c.span_id:016x}-{c.trace_flags & 1:02x}"

    def set(self, key: str, value: str | int | bool) -> None:
        """Add an attribute."""
        self._span.set_attribute(key, value)

    def end(self, *, error: str = "") -> None:
        """End it, well or with the type of what went wrong; never with its text, which may hold a secret."""
        if error:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


def to_collector(service: str, endpoint: str, ratio: float) -> SdkTracer:
    """A tracer whose spans go to the collector at `endpoint`, in batches, from a thread of their own."""
    exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/").removesuffix(PATH) + PATH, timeout=5)
    return SdkTracer(service, BatchSpanProcessor(exporter), ratio=ratio)


def _context(traceparent: str) -> SpanContext | None:
    known = read_traceparent(traceparent)
    if known is None:
        return None
    trace, span, flags = (int(part, 16) for part in known)
    return SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(flags & 1))
