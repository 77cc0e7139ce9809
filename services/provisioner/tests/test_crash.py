"""The daemon dies in the middle of a run: after a restart it goes on and ends the same, nothing made twice."""

import asyncio
from collections import Counter

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc

from .conftest import NAME, Start


class Stop:
    """A journal hook that raises at one point and from then on, as a dead process does nothing any more."""

    def __init__(self, point: str) -> None:
        self.point = point
        self.met = asyncio.Event()

    def __call__(self, point: str) -> None:
        if self.met.is_set() or point == self.point:
            self.met.set()
            raise ConnectionAbortedError(f"died at {point}")


POINTS = [
    "run:validate.after",
    "run:name.reserve.before",
    "run:name.reserve.after",
    "run:infra.sb-east-mgt-prod.after",
    "run:git.render.after",
    "run:dns.commit.after",
    "run:enrol.sb-east-mgt-prod.after",
    "run:kit.sb-east-mgt-prod.bp-flux.after",
    "run:probe.after",
]


@pytest.mark.parametrize("point", POINTS)
async def test_a_creation_goes_on_after_a_death_and_makes_nothing_twice(start: Start, point: str) -> None:
    stop = Stop(point)
    async with start(hook=stop, lease_ttl=1.0) as bench:
        await bench.create()
        run = await bench.apply(await bench.plan())
        await asyncio.wait_for(stop.met.wait(), 20)
    async with start(lease_ttl=1.0) as bench:
        ended = await bench.ended(run)
        assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error
        assert (await bench.get()).state == pb.Sovereign.STATE_ACTIVE
        ledger = await bench.infra.ListLedger(rpc.ListLedgerRequest(parent=NAME))
        made = Counter((r["kind"], r["name"]) for r in bench.cloud())
        assert set(made.values()) == {1}
        assert {e.resource_id for e in ledger.entries} == {r["id"] for r in bench.cloud()}
        assert bench.world.names.reserved == 1
        assert bench.world.names.commits == 1
        seqs = [event.seq for event in await bench.events(run)]
        assert seqs == list(range(1, len(seqs) + 1))


@pytest.mark.parametrize("point", ["run:remove.sb-east-mgt-prod.after", "run:verify.after", "run:name.release.after"])
async def test_a_destroy_goes_on_after_a_death(start: Start, point: str) -> None:
    stop = Stop(point)
    async with start(hook=stop, lease_ttl=1.0) as bench:
        await bench.create()
        await bench.ended(await bench.apply(await bench.plan()))
        run = await bench.apply(await bench.plan("DESTROY"))
        await asyncio.wait_for(stop.met.wait(), 20)
    async with start(lease_ttl=1.0) as bench:
        ended = await bench.ended(run)
        assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error
        assert bench.cloud() == []
        assert bench.world.names.released == 1
        assert (await bench.get()).state == pb.Sovereign.STATE_DESTROYED
