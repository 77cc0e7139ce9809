"""What stays goes on once a run ends that had begun to take it away; what is gone begins anew, with nothing of before."""

from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst_cloud_sandbox.account import Account
from catalyst_provisioner.store import metadata
from catalyst_testkit import eventually
from sqlalchemy import select, update

from .conftest import NAME, Bench, Start
from .test_cancelling import MODES
from .test_runs import active
from .test_taking_back import changed

pytestmark = pytest.mark.either_database
CLUSTER = "sb-east-mgt-dev"
COMMANDS = metadata.tables["agent_command"]
Reconcile, Drain = pb.AgentCommand.Reconcile, pb.AgentCommand.Drain


async def cancelled_at(bench: Bench, run: str, step: str, mode: int) -> Any:
    """The end of a run that was cancelled once a step of it had begun."""

    async def begun() -> bool:
        return bool((await bench.steps(run))[step].attempt)

    await eventually(begun, within=60)
    await bench.runs.CancelRun(rpc.CancelRunRequest(name=run, mode=mode))
    return await bench.ended(run)


async def orders(bench: Bench) -> list[tuple[pb.AgentCommand, bool]]:
    """What agents were told, in order, and whether they may still do it."""
    work: Any = bench.daemon.daemon.work
    async with work.reading() as tx:
        rows = await tx.sql.execute(select(COMMANDS.c.body, COMMANDS.c.done_at).order_by(COMMANDS.c.number))
        return [(pb.AgentCommand.FromString(body), done is None) for body, done in rows]


async def components(bench: Bench) -> dict[str, int]:
    listed = await bench.infra.ListComponents(rpc.ListComponentsRequest(parent=f"{NAME}/clusters/-"))
    return {one.blueprint: one.state for one in listed.components}


async def test_a_cluster_that_stays_after_a_cancelled_destroy_reconciles_again(bench: Bench) -> None:
    await active(bench, components={"exclude": ["bp-grafana"]})
    run = await bench.apply(await bench.plan("DESTROY"))
    ended = await cancelled_at(bench, run, "quiesce", MODES.MODE_COMPENSATE)
    assert ended.state == pb.Run.STATE_CANCELLED_CLEAN
    actions = [one.reconcile.action for one, _ in await orders(bench) if one.HasField("reconcile")]
    assert actions[-3:] == [Reconcile.ACTION_SUSPEND, Reconcile.ACTION_RESUME, Reconcile.ACTION_RESET]
    run = await bench.apply(await bench.plan(spec=changed(lambda wanted: None)))
    ended = await bench.ended(run, within=60)
    assert ended.state == pb.Run.STATE_SUCCEEDED, "what is added is installed, so somebody reconciles"


async def test_orders_of_a_cancelled_destroy_are_obeyed_by_nobody_who_comes_back_later(bench: Bench) -> None:
    await active(bench)
    run = await bench.apply(await bench.plan("DESTROY"))
    work: Any = bench.daemon.daemon.work

    async def unheard() -> bool:
        """As if the line had broken before the agent could tell that it is suspended."""
        suspend = pb.AgentCommand(reconcile=Reconcile(action=Reconcile.ACTION_SUSPEND)).SerializeToString()
        told = (COMMANDS.c.body == suspend) & COMMANDS.c.done_at.is_not(None)
        changed = await work.again(lambda tx: tx.sql.execute(update(COMMANDS).where(told).values(done_at=None)))
        return bool(changed.rowcount)

    await eventually(unheard, within=60)
    ended = await cancelled_at(bench, run, "quiesce", MODES.MODE_FINISH_STEP)
    assert ended.state in (pb.Run.STATE_CANCELLED_CLEAN, pb.Run.STATE_CANCELLED_WITH_LEFTOVERS)
    late = [one for one, is_open in await orders(bench) if is_open]
    assert not [one for one in late if one.drain.scope == Drain.SCOPE_CLOUD_RESOURCES]
    assert not [one for one in late if one.reconcile.action == Reconcile.ACTION_SUSPEND]


async def test_a_sovereign_whose_servers_a_cancelled_destroy_has_taken_is_made_anew(start: Start) -> None:
    async with start(time_scale=0.05) as bench:
        await active(bench)
        run = await bench.apply(await bench.plan("DESTROY"))
        ended = await cancelled_at(bench, run, "sweep", MODES.MODE_FINISH_STEP)
        assert ended.state == pb.Run.STATE_CANCELLED_CLEAN
        assert bench.cloud() == []
        assert set((await components(bench)).values()) == {pb.Component.STATE_PENDING}, "nothing of before is shown"
        again = await bench.ended(await bench.apply(await bench.plan()))
        assert again.state == pb.Run.STATE_SUCCEEDED, (again.error, await bench.steps(again.name))
        assert set((await components(bench)).values()) == {pb.Component.STATE_READY}


async def test_a_cluster_that_lost_its_only_server_of_the_control_plane_begins_anew(bench: Bench) -> None:
    await active(bench)
    account = Account(bench.home / "sandbox", "catalyst", {})
    (gone,) = [row["id"] for row in bench.cloud() if "-cp1-" in row["name"]]
    account.delete(gone)
    run = await bench.apply(await bench.plan())
    ended = await bench.ended(run)
    assert ended.state == pb.Run.STATE_SUCCEEDED, (ended.error, await bench.steps(run))
    assert "cluster.anew" in {event.code for event in await bench.events(run)}
    ready = {c.type: c.status for c in (await bench.get()).conditions}["Ready"]
    assert ready == 1
