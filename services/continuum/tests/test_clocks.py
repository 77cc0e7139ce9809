"""Our clock against others': what is proven, what is not, and who is not believed."""

import asyncio

import grpc
import pytest
from catalyst.continuum.v1 import service_pb2, service_pb2_grpc
from catalyst_continuum.domain.clocks import LONGEST, Pace, Sample, drift, offset, paced
from catalyst_continuum.workers.census import Census
from catalyst_continuum.workers.clocks import Clocks
from catalyst_mesh import span
from catalyst_sdk.witness import CellIdentity
from hypothesis import given
from hypothesis import strategies as st

from .witnesses import MemoryWitness

EAST, WEST = "sb-east-rtz-dev", "sb-west-rtz-dev"


def asked(rate: float, seconds: float, took: float, boot_id: str = "one", late: float = 0.5) -> Sample:
    """An answer `seconds` after the first question, by a clock of that rate, read `late` parts of the way."""
    sent = 100.0 + seconds
    return Sample(boot_id, 7.0 + (seconds + took * late) * rate, sent, sent + took)


def measured(*samples: Sample) -> float | None:
    pace: Pace | None = None
    for sample in samples:
        pace = paced(pace, sample)
    assert pace is not None
    return pace.ppm


def test_a_clock_that_runs_otherwise_is_found_and_how_much_of_it_is_proven() -> None:
    assert measured(asked(1.0, 0, 0.01), asked(1.0, 60, 0.01)) == 0.0
    found = measured(asked(1.01, 0, 0.01), asked(1.01, 60, 0.01))
    assert found == pytest.approx(10_000, abs=500)
    assert measured(asked(0.99, 0, 0.01), asked(0.99, 60, 0.01)) == pytest.approx(10_000, abs=500)
    assert measured(asked(1.01, 0, 0.01)) is None, "one answer says nothing of a rate"
    assert measured(asked(1.01, 0, 0.01), asked(1.01, 1, 0.01)) is None


@given(
    seconds=st.floats(5, 500), first=st.floats(0, 2), last=st.floats(0, 2), a=st.floats(0, 1), b=st.floats(0, 1)
)  # fmt: skip - one row
def test_an_answer_that_was_slow_proves_nothing_against_a_clock_that_is_right(
    seconds: float, first: float, last: float, a: float, b: float
) -> None:
    found = measured(asked(1.0, 0, first, late=a), asked(1.0, seconds, last, late=b))
    assert found == pytest.approx(0.0, abs=0.01)


def test_a_machine_that_was_started_anew_is_compared_anew_and_what_is_long_ago_does_not_hide_what_is_now() -> None:
    assert measured(asked(1.0, 0, 0.01), asked(1.0, 60, 0.01, boot_id="two")) is None
    steady = [asked(1.0, seconds, 0.0) for seconds in (0, LONGEST + 1)]
    begins = Sample("one", steady[-1].theirs + 60 * 1.02, steady[-1].sent + 60, steady[-1].heard + 60)
    assert measured(*steady, begins) == pytest.approx(20_000, abs=500)


def test_one_that_is_wrong_itself_does_not_make_ours_wrong() -> None:
    right, wrong, unknown = (Pace(asked(1, 0, 0), ppm) for ppm in (3.0, 9_000.0, None))
    assert drift([right, wrong, unknown]) == 3.0
    assert drift([wrong]) == 9_000.0
    assert drift([unknown]) is None
    assert drift([]) is None
    assert offset({"a": 0.2, "b": -900.0, "c": 0.4}) == 0.2
    assert offset({"a": None, "b": None}) is None


class Hello(service_pb2_grpc.ContinuumPeerServiceServicer):
    """A region whose clock runs a tenth too fast."""

    def __init__(self) -> None:
        self.now = 1000.0

    async def Hello(self, request: service_pb2.HelloRequest, context: object) -> service_pb2.HelloResponse:
        return service_pb2.HelloResponse(region=WEST, version="1", boot_id="b", boottime=span(self.now))


class Late(MemoryWitness):
    """Cells, one of which lives in the past."""

    async def identity(self, *, cell: str) -> CellIdentity:
        return CellIdentity(cell, 1, offset=-1000.0 if cell == "a" else 70.0)


async def test_the_regions_and_the_cells_are_asked_and_who_is_away_is_as_it_was() -> None:
    peer, server, at = Hello(), grpc.aio.server(), [50.0]
    service_pb2_grpc.add_ContinuumPeerServiceServicer_to_server(peer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    census = Census(Late())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        clocks = Clocks(EAST, {WEST: channel}, census, clock=lambda: at[0], every=0.01)
        assert (clocks.offset, clocks.drift) == (None, None)
        await census.take()
        assert clocks.offset == 70.0
        stop = asyncio.Event()
        stop.set()
        await clocks.run(stop)
        await clocks.compare()
        at[0], peer.now = at[0] + 20.0, peer.now + 22.0
        await clocks.compare()
        assert clocks.drift == pytest.approx(100_000)
        await server.stop(None)
        await clocks.compare()
        assert clocks.drift == pytest.approx(100_000)
