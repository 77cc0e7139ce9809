"""A run goes on the trace of the call that started it, whichever replica carries it and whenever."""

from collections.abc import Iterable

from catalyst_mesh.calls import Call, enter, new_traceparent, read_traceparent
from catalyst_mesh.telemetry import Telemetry, belong

from .bench import Bench, World, kind_of
from .test_life import begin, carry


class Span:
    def __init__(self, traceparent: str) -> None:
        self.traceparent = traceparent

    def set(self, key: str, value: str | int | bool) -> None:
        pass

    def end(self, *, error: str = "") -> None:
        pass


class Kept:
    """A tracer that keeps what its spans were begun with."""

    def __init__(self) -> None:
        self.parents: dict[str, list[str]] = {}

    def start(
        self, name: str, *, kind: str, parent: str, links: Iterable[str], attributes: dict[str, str | int | bool]
    ) -> Span:
        self.parents.setdefault(name, []).append(parent)
        return Span(new_traceparent(parent))

    def close(self) -> None:
        pass


async def test_steps_go_on_the_trace_of_the_call_that_started_their_run(bench: Bench, world: World) -> None:
    tracer, call = Kept(), Call(method="a.v1.S/Start")
    belong(Telemetry(tracer=tracer))
    kind = kind_of(world.step("a"), world.step("b", "a"))
    enter(call)
    started = await begin(bench.engine(kind))
    enter(None)  # the call has ended, and the process with it
    assert (await carry(bench, bench.engine(kind), started)).state == "succeeded"
    assert [_trace(parent) for parent in tracer.parents["step run"]] == [call.trace_id] * 2


async def test_steps_of_a_run_that_no_call_started_share_a_trace(bench: Bench, world: World) -> None:
    tracer = Kept()
    belong(Telemetry(tracer=tracer))
    engine = bench.engine(kind_of(world.step("a"), world.step("b", "a")))
    assert (await carry(bench, engine, await begin(engine))).state == "succeeded"
    first, second = tracer.parents["step run"]
    assert _trace(first) == _trace(second) != ""


def _trace(traceparent: str) -> str:
    known = read_traceparent(traceparent)
    return known[0] if known else ""
