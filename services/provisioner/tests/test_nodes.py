"""Single nodes of a cluster that stays, closed, opened, emptied, restarted and made anew by plan and run."""

import asyncio
from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst_provisioner.store import metadata
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of
from sqlalchemy import select

from .conftest import NAME, Bench
from .test_components_that_fail import account
from .test_runs import active
from .test_waiting import arm

pytestmark = pytest.mark.either_database
CLUSTER = "sb-east-mgt-dev"
ASK = rpc.PreviewChangeRequest


async def shown(bench: Bench) -> dict[str, Any]:
    """Nodes of the cluster as it shows them."""
    seen = await bench.infra.GetTopology(rpc.GetTopologyRequest(name=f"{NAME}/topology"))
    return {node.id: node for node in seen.regions[0].clusters[0].nodes}


async def nodes(bench: Bench) -> dict[str, bool]:
    """Nodes of the cluster, and which of them take no pods."""
    return {id: node.cordoned for id, node in (await shown(bench)).items()}


def asked(verb: int, node: str, **fields: Any) -> Any:
    request = ASK(parent=NAME, verb=verb, kind=ASK.KIND_NODE, target=f"{CLUSTER}/{node}")  # type: ignore[arg-type]
    request.spec.update(fields)
    return request


async def test_a_node_is_emptied_and_opened_by_plan_and_run_and_what_is_so_already_is_no_plan(bench: Bench) -> None:
    await active(bench)
    node = next(one for one in await nodes(bench) if "-data-1-" in one)
    plan = await bench.plans.PreviewChange(asked(ASK.VERB_DRAIN, node, grace_period=0))
    moved = [(c.kind, c.name) for c in plan.changes if c.action == pb.ResourceChange.ACTION_UPDATE]
    assert moved == [("node", node)]
    assert f"node.drain.{node}" in {step.id for step in plan.steps}
    before = {row["id"] for row in bench.cloud()}
    ended = await bench.ended(await bench.apply(plan))
    assert ended.state == pb.Run.STATE_SUCCEEDED, (ended.error, await bench.steps(ended.name))
    assert [one for one, closed in (await nodes(bench)).items() if closed] == [node]
    assert {row["id"] for row in bench.cloud()} == before
    assert (await bench.plans.PreviewChange(asked(ASK.VERB_CORDON, node))).empty
    ended = await bench.ended(await bench.apply(await bench.plans.PreviewChange(asked(ASK.VERB_UNCORDON, node))))
    assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error
    assert not any((await nodes(bench)).values())
    assert (await bench.get()).state == pb.Sovereign.STATE_ACTIVE
    assert (await bench.plan()).empty


async def test_a_cancelled_drain_leaves_the_node_open_and_verbs_that_are_none_are_refused(bench: Bench) -> None:
    await active(bench)
    node = next(one for one in await nodes(bench) if "-data-1-" in one)
    assert await reason_of(bench.plans.PreviewChange(asked(ASK.VERB_DRAIN, "nowhere"))) == "TARGET_NOT_FOUND"
    assert await reason_of(bench.plans.PreviewChange(asked(ASK.VERB_DRAIN, node, grace_period=4000))) == "SPEC_INVALID"
    assert await reason_of(bench.plans.PreviewChange(asked(ASK.VERB_SNAPSHOT, node))) == "CAPABILITY_MISSING"
    assert await reason_of(bench.plans.PreviewChange(asked(ASK.VERB_REBOOT, node, force=True))) == "SPEC_INVALID"
    assert bench.probe is not None
    bench.probe.blind = True  # the run is still there when its node is empty
    run = await bench.apply(await bench.plans.PreviewChange(asked(ASK.VERB_DRAIN, node)))

    async def closed() -> bool:
        return (await nodes(bench))[node]

    await eventually(closed, within=60)
    await bench.runs.CancelRun(rpc.CancelRunRequest(name=run, mode=rpc.CancelRunRequest.MODE_COMPENSATE))
    bench.probe.blind = False

    async def opened() -> bool:
        return not (await nodes(bench))[node]

    await eventually(opened, within=60)


async def test_a_node_restarts_once_and_another_is_made_anew_under_its_name(bench: Bench) -> None:
    await active(bench)
    before = await shown(bench)
    data, general = (next(id for id in before if f"-{pool}-1-" in id) for pool in ("data", "general"))
    plan = await bench.plans.PreviewChange(asked(ASK.VERB_REBOOT, data, grace_period=0))
    assert (plan.applicable, plan.empty) == (True, False), plan.findings
    ended = await bench.ended(await bench.apply(plan))
    assert ended.state == pb.Run.STATE_SUCCEEDED, (ended.error, await bench.steps(ended.name))
    after = await shown(bench)
    assert {id for id in after if after[id].boot_id != before[id].boot_id} == {data}
    assert after[data].boot_id == f"{before[data].server_id}-1", "it restarted once"
    assert {id for id in after if after[id].server_id != before[id].server_id} == set()
    plane = next(id for id in before if before[id].role == "control-plane")
    restart = await bench.plans.PreviewChange(asked(ASK.VERB_REBOOT, plane))
    assert [risk.kind for risk in restart.risks] == [pb.Risk.KIND_DOWNTIME]
    lost = await bench.plans.PreviewChange(asked(ASK.VERB_REPLACE, plane))
    assert "cluster.anew" in {risk.code for risk in lost.risks}

    plan = await bench.plans.PreviewChange(asked(ASK.VERB_REPLACE, general, grace_period=0))
    assert [c.name for c in plan.changes if c.action == pb.ResourceChange.ACTION_REPLACE] == [general]
    assert "resource.replaced" in {risk.code for risk in plan.risks}
    ended = await bench.ended(await bench.apply(plan))
    assert ended.state == pb.Run.STATE_SUCCEEDED, (ended.error, await bench.steps(ended.name))
    last = await shown(bench)
    assert {id for id in last if last[id].server_id != before[id].server_id} == {general}
    assert not any(node.cordoned for node in last.values())
    ledger = await bench.infra.ListLedger(rpc.ListLedgerRequest(parent=NAME))
    assert {e.resource_id for e in ledger.entries} == {r["id"] for r in bench.cloud()}
    assert (await bench.plan()).empty


async def test_a_node_that_was_forgotten_comes_back_on_another_server_though_its_replacement_is_cancelled(
    bench: Bench,
) -> None:
    await active(bench)
    before = await shown(bench)
    node = next(id for id in before if "-data-1-" in id)
    arm(bench, "server_error", operation="delete", kind="server", times=-1)
    run = await bench.apply(await bench.plans.PreviewChange(asked(ASK.VERB_REPLACE, node, grace_period=0)))

    async def forgotten() -> bool:
        async with bench.daemon.daemon.work.reading() as tx:
            rows = await tx.sql.execute(select(metadata.tables["agent_command"].c.body))
        drains = [pb.AgentCommand.FromString(body).drain for (body,) in rows]
        return any(drain.scope == pb.AgentCommand.Drain.SCOPE_FORGET and drain.node == node for drain in drains)

    await eventually(forgotten, within=60)
    await bench.runs.CancelRun(rpc.CancelRunRequest(name=run, mode=rpc.CancelRunRequest.MODE_COMPENSATE))
    await asyncio.to_thread(account(bench).disarm)
    ended = await bench.ended(run)
    assert ended.state == pb.Run.STATE_CANCELLED_CLEAN, (ended.error, await bench.steps(run))

    async def back() -> bool:
        now = (await shown(bench))[node]
        return now.server_id != before[node].server_id and now.status == pb.Topology.STATUS_HEALTHY

    await eventually(back, within=60, what="a node that its cluster does not know is made anew, not left outside")
    assert {id for id, one in (await shown(bench)).items() if one.server_id != before[id].server_id} == {node}
