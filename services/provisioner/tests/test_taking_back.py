"""A cancelled change of a Sovereign that was active is taken back: the change alone, and never what stood before it."""

from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst_provisioner.store import metadata
from catalyst_testkit import eventually
from google.protobuf.json_format import MessageToDict, ParseDict
from sqlalchemy import delete, select

from .conftest import NAME, Bench, Start, spec
from .test_cancelling import MODES, cancelled_in
from .test_nodes import nodes
from .test_runs import active
from .test_waiting import arm, blocked

pytestmark = pytest.mark.either_database


def changed(change: Any, held: Any = None) -> pb.SovereignSpec:
    """The spec of the bench, with something changed in it; the domain as `held` has it."""
    wanted = spec()
    if held is not None:
        wanted["domain"] = MessageToDict(held.spec.domain, preserving_proto_field_name=True)
    change(wanted)
    return ParseDict(wanted, pb.SovereignSpec())


def wider(wanted: Any) -> None:
    """Two more servers, and one fewer."""
    wanted["clusters"][0]["worker_pools"] = [{"name": "general", "size": "sb4", "count": 3}]


def farther(wanted: Any) -> None:
    """A second region, another component, a larger pool."""
    wanted["clusters"][0]["worker_pools"][0]["count"] = 2
    wanted["clusters"].append({**wanted["clusters"][0], "region": "west"})
    wanted["components"] = {"exclude": ["bp-grafana"]}


async def as_before(bench: Bench, resources: set[str], held: Any) -> None:
    """Whether all is there that was there before, and nothing else."""
    now = await bench.get()
    assert now.state == pb.Sovereign.STATE_ACTIVE
    assert now.spec == held.spec
    assert {r["id"] for r in bench.cloud()} == resources
    assert [c.name for c in now.clusters] == [c.name for c in held.clusters]

    async def ready() -> bool:
        listed = await bench.infra.ListComponents(rpc.ListComponentsRequest(parent=f"{NAME}/clusters/-"))
        states = [component.state for component in listed.components]
        conditions = {c.type: c.status for c in (await bench.get()).conditions}
        return states == [pb.Component.STATE_READY] * 5 and conditions["Ready"] == 1

    await eventually(ready, within=60)
    assert (await bench.plan()).empty


async def test_a_change_that_is_cancelled_in_any_phase_leaves_what_stood_before(start: Start) -> None:
    async with start(time_scale=0.05) as bench:
        await active(bench)
        held, resources = await bench.get(), {r["id"] for r in bench.cloud()}
        address = dict(bench.world.names.held["pools/omani.works/allocations/omantel"].targets)
        for phase in ("prepare", "infrastructure", "components"):
            plan = await bench.plan(spec=changed(farther))
            ended = await cancelled_in(bench, phase, MODES.MODE_COMPENSATE, plan)
            assert ended.state == pb.Run.STATE_CANCELLED_CLEAN, (phase, ended.error, await bench.events(ended.name))
            assert not ended.leftovers, phase
            await as_before(bench, resources, held)
        targets = bench.world.names.held["pools/omani.works/allocations/omantel"].targets
        assert dict(targets) == address, "the name leads to the region that stays"
        assert bench.world.names.released == 0


async def test_servers_that_a_cancelled_change_took_away_are_made_again(bench: Bench) -> None:
    bench.world.zones.delegated = True
    await active(bench, domain={"mode": "byo-manual", "fqdn": "cloud.omantel.example"})
    held, count = await bench.get(), len(bench.cloud())
    arm(bench, "capacity", kind="server", name="*general-3*", times=-1)
    run = await bench.apply(await bench.plan(spec=changed(wider, held)))
    await blocked(bench, run, "in place of this run")
    await bench.runs.CancelRun(rpc.CancelRunRequest(name=run, mode=MODES.MODE_COMPENSATE))
    ended = await bench.ended(run)
    assert ended.state == pb.Run.STATE_CANCELLED_CLEAN, ended.error
    assert len(bench.cloud()) == count
    await as_before(bench, {r["id"] for r in bench.cloud()}, held)
    records, resources = dict(bench.world.zones.records), {r["id"] for r in bench.cloud()}
    ended = await cancelled_in(
        bench, "components", MODES.MODE_COMPENSATE, await bench.plan(spec=changed(farther, held))
    )
    assert ended.state == pb.Run.STATE_CANCELLED_CLEAN, ended.error
    assert bench.world.zones.records == records, "the zone has no names of the region that did not stay"
    await as_before(bench, resources, held)

    async def forgotten(tx: Any) -> None:
        """As in a database of a release that did not keep what was before."""
        await tx.sql.execute(delete(metadata.tables["applied"]))

    work: Any = bench.daemon.daemon.work
    await work.again(forgotten)
    resources = {r["id"] for r in bench.cloud()}
    ended = await cancelled_in(
        bench, "infrastructure", MODES.MODE_COMPENSATE, await bench.plan(spec=changed(farther, held))
    )
    assert ended.state == pb.Run.STATE_CANCELLED_WITH_LEFTOVERS
    assert resources <= {r["id"] for r in bench.cloud()}, "where nothing says what was before, nothing is taken back"
    assert (await bench.get()).state == pb.Sovereign.STATE_FAILED


async def test_what_a_cluster_made_itself_goes_with_its_cancelled_creation_and_nodes_that_go_are_emptied(
    start: Start,
) -> None:
    async with start(time_scale=0.05) as bench:
        await bench.create()
        plan = await bench.plan()
        arm(bench, "orphan", kind="server", name="*data-1*")
        ended = await cancelled_in(bench, "components", MODES.MODE_COMPENSATE, plan)
        assert ended.state == pb.Run.STATE_CANCELLED_CLEAN, (ended.error, await bench.events(ended.name))
        assert bench.cloud() == []
        assert "leftover.found" in {event.code for event in await bench.events(ended.name)}
        assert (await bench.ended(await bench.apply(await bench.plan()))).state == pb.Run.STATE_SUCCEEDED
        before = {r["id"] for r in bench.cloud()}
        assert bench.probe is not None
        bench.probe.blind = True  # the run is still there when the new node is seen
        run = await bench.apply(await bench.plan(spec=changed(farther)))

        async def joined() -> bool:
            return any("-general-2-" in id for id in await nodes(bench))

        await eventually(joined, within=60)
        await bench.runs.CancelRun(rpc.CancelRunRequest(name=run, mode=MODES.MODE_COMPENSATE))
        bench.probe.blind = False
        ended = await bench.ended(run)
        assert ended.state == pb.Run.STATE_CANCELLED_CLEAN, ended.error
        assert {r["id"] for r in bench.cloud()} == before
        async with bench.daemon.daemon.work.reading() as tx:
            rows = await tx.sql.execute(select(metadata.tables["agent_command"].c.body))
            drains = [pb.AgentCommand.FromString(body).drain for (body,) in rows]
        emptied = [drain.node for drain in drains if drain.scope == pb.AgentCommand.Drain.SCOPE_NODE]
        assert len(emptied) == 1, "the server that was made for the change had taken pods"
