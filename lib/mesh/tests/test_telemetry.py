"""Metrics and spans of real daemons: what one call leaves behind, in its own daemon, in the one it calls, and at the end."""

import asyncio
import shutil
import subprocess
import sys
import timeit
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import grpc
import httpx
import pytest
from catalyst.pooldomain.v1.service_pb2 import (
    GetAllocationRequest,
    ReserveAllocationRequest,
    WatchAllocationsRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub
from catalyst_mesh import Daemon, Issuer, connect
from catalyst_mesh.calls import Call, enter
from catalyst_mesh.metrics import ChassisMetrics
from catalyst_mesh.otlp import SdkTracer, to_collector
from catalyst_mesh.telemetry import FAILED, Backlog, Telemetry, belong, reconciling, span
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, running
from catalyst_testkit.servers import NatsServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from .toy import AllocationService, ToySettings, compose

POOL = "pools/omani.works"
SERVICE = "catalyst.pooldomain.v1.AllocationService"
CANARY = "canary-77c1"


class Passing(AllocationService):
    """Asks the daemon behind it before it answers."""

    behind: AllocationServiceStub

    async def ReserveAllocation(self, request: Any, context: Any) -> Any:
        await self.behind.ReserveAllocation(request)
        return await super().ReserveAllocation(request, context)


class Bench:
    """Two daemons, A that calls B, and the spans of both."""

    def __init__(self, front: RunningDaemon, back: RunningDaemon, spans: InMemorySpanExporter) -> None:
        self.front, self.back, self._spans = front, back, spans

    def spans(self, **wanted: str) -> list[ReadableSpan]:
        found = self._spans.get_finished_spans()
        return [s for s in found if all(_facts(s).get(key) == value for key, value in wanted.items())]


def _facts(s: ReadableSpan) -> dict[str, str]:
    return {"name": s.name, "kind": s.kind.name, "service": str(s.resource.attributes["service.name"])}


@asynccontextmanager
async def two_daemons(home: Path, nats: NatsServer, back_nats: str) -> AsyncIterator[Bench]:
    spans = InMemorySpanExporter()

    def traced(name: str, service: AllocationServiceStub | None = None) -> Any:
        async def composed(settings: ToySettings) -> Daemon:
            daemon = await compose(settings)
            daemon.tracer = SdkTracer(name, SimpleSpanProcessor(spans))
            if service is not None:
                passing = Passing(daemon.work)
                passing.behind = service
                only = daemon.services[0]
                daemon.services = [type(only)(passing, only.add, only.name)]
            return daemon

        return composed

    Issuer.open(home / "issuer")  # one for both: what A passes on of its caller, B must be able to check
    for name in ("a", "b"):
        shutil.copytree(home / "issuer", home / name / "issuer")
    async with running(traced("b"), ToySettings, home / "b", nats_url=back_nats) as back:
        token = back.issuer.token("a", service="a")
        channel = connect(back.target, token=lambda: token)
        front_stub = traced("a", AllocationServiceStub(channel))
        async with running(front_stub, ToySettings, home / "a", nats_url="nats://127.0.0.1:9") as front:
            yield Bench(front, back, spans)
        await channel.close(None)


@pytest.fixture
async def bench(home: Path, own_nats: NatsServer) -> AsyncIterator[Bench]:
    async with two_daemons(home, own_nats, own_nats.url) as made:
        yield made


def wish(label: str = "acme") -> ReserveAllocationRequest:
    return ReserveAllocationRequest(parent=POOL, label=label, owner="organizations/one")


def below(child: ReadableSpan, parent: ReadableSpan) -> bool:
    return child.parent is not None and child.parent.span_id == parent.context.span_id


async def test_one_trace_goes_through_both_daemons_the_event_and_its_consumer(bench: Bench) -> None:
    await bench.front.stub(AllocationServiceStub).ReserveAllocation(wish())
    method = f"{SERVICE}/ReserveAllocation"
    handled = f"handle {(subject := 'catalyst.v1.pooldomain.allocation.reserved')}"
    await eventually(lambda: bench.spans(name=handled), within=60, what="the consumer's span")
    (served_a,) = bench.spans(name=method, kind="SERVER", service="a")
    (called,) = bench.spans(name=method, kind="CLIENT", service="a")
    (served_b,) = bench.spans(name=method, kind="SERVER", service="b")
    (published,) = bench.spans(name=f"publish {subject}", kind="PRODUCER", service="b")
    (consumed,) = bench.spans(name=handled, kind="CONSUMER", service="b")
    changes = [s for s in bench.spans(name="transaction", service="b") if below(s, served_b)]
    assert len({s.context.trace_id for s in (served_a, called, served_b, published, consumed)}) == 1
    assert below(called, served_a)
    assert below(served_b, called)
    assert [s for s in changes if below(published, s)]
    assert below(consumed, published)
    assert [link.context.span_id for link in consumed.links] == [published.context.span_id]
    assert [s for s in bench.spans(name="transaction", service="b") if below(s, consumed)]
    for one in (served_a, called, served_b):
        assert dict(one.attributes or {}) == {
            "rpc.system.name": "grpc",
            "rpc.method": method,
            "rpc.status_code": "OK",
        }  # fmt: skip - reads as a table


async def test_a_failed_call_says_how_in_its_span_and_nothing_of_what_was_said(bench: Bench) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await bench.back.admin(AllocationServiceStub).GetAllocation(
            GetAllocationRequest(name=f"{POOL}/allocations/{CANARY}")
        )
    # The caller may hear of the end before the span has its own.
    (served,) = await eventually(
        lambda: bench.spans(name=f"{SERVICE}/GetAllocation", kind="SERVER", service="b"), within=60
    )
    assert served.attributes is not None
    assert (served.attributes["rpc.status_code"], served.attributes["error.type"]) == ("INTERNAL", "INTERNAL")
    everything = " ".join(s.to_json() for s in bench.spans())
    assert CANARY not in everything
    assert bench.back.issuer.token("a")[:20] not in everything


async def test_a_trace_that_its_caller_does_not_keep_is_kept_by_nobody(bench: Bench) -> None:
    trace, stub = "4bf92f3577b34da6a3ce929d0e0e4736", bench.front.stub(AllocationServiceStub)
    await stub.ReserveAllocation(wish("dropped"), metadata=(("traceparent", f"00-{trace}-00f067aa0ba902b7-00"),))
    await stub.ReserveAllocation(wish("kept"))
    assert int(trace, 16) not in {s.context.trace_id for s in bench.spans()}
    assert len(bench.spans(name=f"{SERVICE}/ReserveAllocation", kind="SERVER")) == 2


async def scraped(daemon: RunningDaemon) -> dict[str, dict[tuple[str, ...], float]]:
    """Samples by name and values of their labels, but for those of buckets."""
    async with httpx.AsyncClient(base_url=daemon.side) as http:
        text = (await http.get("/metrics")).text
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if not sample.name.endswith("_bucket"):
                found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


async def test_what_happened_stands_in_the_metrics_of_a_real_daemon(bench: Bench) -> None:
    await bench.front.stub(AllocationServiceStub).ReserveAllocation(wish())
    with pytest.raises(grpc.aio.AioRpcError):
        await bench.back.stub(AllocationServiceStub, token="").ReserveAllocation(wish())
    stream = bench.back.admin(AllocationServiceStub).WatchAllocations(WatchAllocationsRequest(parent=POOL))
    with pytest.raises(grpc.aio.AioRpcError):
        [answer async for answer in stream]
    method = f"{SERVICE}/ReserveAllocation"

    async def seen() -> Any:
        back = await scraped(bench.back)
        # Who publishes marks and counts after the stream's acknowledgement; the event may be heard before.
        return (
            back if back.get("catalyst_inbox_handled_total") and back["catalyst_outbox_published_total"][()] else None
        )

    back = await eventually(seen, within=60, what="the event is handled, and counted as published")
    front = await scraped(bench.front)
    served = back["rpc_server_call_duration_seconds_count"]
    assert (served[method, "OK"], served[method, "UNAUTHENTICATED"]) == (1, 1)
    assert served[f"{SERVICE}/WatchAllocations", "ALREADY_EXISTS"] == 1
    assert front["rpc_client_call_duration_seconds_count"][method, "OK"] == 1
    assert back["catalyst_outbox_published_total"][()] == 1
    assert back["catalyst_build_info"][("pooldomain", "0.1.0")] == 1
    assert back["catalyst_db_pool_in_use"][()] >= 0
    assert "catalyst_loop_lag_seconds" in back


async def test_tries_after_the_first_are_counted_at_the_client(home: Path, own_nats: NatsServer) -> None:
    class Shaky(AllocationService):
        tries = 0

        async def ReserveAllocation(self, request: Any, context: Any) -> Any:
            Shaky.tries += 1
            if Shaky.tries < 3:
                raise OSError("the database is away")
            return await super().ReserveAllocation(request, context)

    async def composed(settings: ToySettings) -> Daemon:
        daemon = await compose(settings)
        only = daemon.services[0]
        daemon.services = [type(only)(Shaky(daemon.work), only.add, only.name)]
        return daemon

    metrics = ChassisMetrics(CollectorRegistry())
    async with running(composed, ToySettings, home, nats_url=own_nats.url) as daemon:
        belong(Telemetry(metrics))
        await daemon.stub(AllocationServiceStub).ReserveAllocation(wish())
    label = {"method": f"{SERVICE}/ReserveAllocation", "status": "OK"}
    assert metrics.registry.get_sample_value("rpc_client_retries_total", label) == 2


async def test_a_pass_that_raises_has_failed_and_the_oldest_work_is_as_old_as_it_was_seen() -> None:
    metrics, now = ChassisMetrics(CollectorRegistry()), [100.0]
    belong(Telemetry(metrics))
    with pytest.raises(ZeroDivisionError), reconciling("name"):
        raise ZeroDivisionError
    labels = {"kind": "name", "result": FAILED}
    assert metrics.registry.get_sample_value("catalyst_reconcile_duration_seconds_count", labels) == 1
    backlog = Backlog("name", clock=lambda: now[0])
    for at, due, oldest in (
        (100.0, "ab", 0.0),
        (104.0, "b", 4.0),
        (105.0, "cb", 5.0),
        (106.0, "", 0.0),
        (107.0, "d", 0.0),
    ):
        now[0] = at
        backlog.see(due)
        assert metrics.registry.get_sample_value("catalyst_reconcile_oldest_seconds", {"kind": "name"}) == oldest
    now[0] = 200.0
    assert backlog.oldest() == 0.0  # nobody looks here any more


def test_without_an_endpoint_the_sdk_is_never_imported() -> None:
    code = "import sys, catalyst_mesh.daemon, catalyst_provisioner.app; print([m for m in sys.modules if 'opentelem' in m])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


async def test_spans_that_nobody_wants_cost_next_to_nothing() -> None:
    belong(Telemetry())

    def one() -> None:
        with span("transaction", "CLIENT", db_system_name="sqlite") as nothing:
            assert nothing is None

    # The budget is 5 µs; the best of many rounds says what it costs, whatever else the machine does.
    assert min(timeit.repeat(one, number=1000, repeat=20)) / 1000 < 5e-6


@pytest.fixture
def collector() -> Iterator[tuple[str, list[Any]]]:
    """A receiver of OTLP over HTTP on loopback: its address, and what it got."""
    got: list[Any] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.path, ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()
        thread.join()


async def test_spans_arrive_at_the_collector_that_the_settings_name(
    home: Path, own_nats: NatsServer, collector: tuple[str, list[Any]]
) -> None:
    endpoint, got = collector
    async with running(compose, ToySettings, home, nats_url=own_nats.url, otlp_endpoint=endpoint) as daemon:
        await daemon.stub(AllocationServiceStub).ReserveAllocation(wish())
    names = {
        s.name
        for path, body in got
        for r in body.resource_spans
        for scope in r.scope_spans
        for s in scope.spans
        if path == "/v1/traces"
    }  # fmt: skip - one thought
    assert {f"{SERVICE}/ReserveAllocation", "transaction"} <= names


async def test_a_share_of_no_traces_keeps_none_and_still_hands_them_on() -> None:
    spans = InMemorySpanExporter()
    none, every = (SdkTracer(name, SimpleSpanProcessor(spans), ratio=r) for name, r in (("none", 0.0), ("all", 1.0)))
    first = none.start("first", kind="SERVER", parent="", links=(), attributes={})
    first.end()
    second = every.start("second", kind="SERVER", parent=first.traceparent, links=(), attributes={})
    second.end()
    assert spans.get_finished_spans() == ()
    assert first.traceparent.endswith("-00")
    assert second.traceparent.split("-")[1] == first.traceparent.split("-")[1]
    none.close()
    every.close()


async def test_a_collector_that_is_away_does_not_hold_up_the_end() -> None:
    tracer = to_collector("toy", "http://127.0.0.1:9", 1.0)
    tracer.start("lost", kind="SERVER", parent="", links=(), attributes={}).end()
    await asyncio.wait_for(asyncio.to_thread(tracer.close), 60)


async def test_the_span_of_a_block_is_the_current_one_and_gives_way_again() -> None:
    spans = InMemorySpanExporter()
    belong(Telemetry(tracer=SdkTracer("toy", SimpleSpanProcessor(spans))))
    enter(None)
    with span("outer") as outer, span("inner") as inner:
        assert outer is not None
        assert inner is not None
    with pytest.raises(ZeroDivisionError), span("broken", secret_name="x"):
        raise ZeroDivisionError(CANARY)
    ended = {s.name: s for s in spans.get_finished_spans()}
    assert below(ended["inner"], ended["outer"])
    assert ended["outer"].parent is None
    assert ended["broken"].parent is None
    assert dict(ended["broken"].attributes or {}) == {"secret.name": "x", "error.type": "ZeroDivisionError"}
    assert CANARY not in ended["broken"].to_json()
    enter(Call())
