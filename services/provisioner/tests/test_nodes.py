"""Single nodes of a cluster that stays, closed, opened and emptied by plan and run."""

from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of

from .conftest import NAME, Bench
from .test_runs import active

pytestmark = pytest.mark.either_database
CLUSTER = "sb-east-mgt-dev"
ASK = rpc.PreviewChangeRequest


async def nodes(bench: Bench) -> dict[str, bool]:
    """Nodes of the cluster as it shows them, and which of them take no pods."""
    shown = await bench.infra.GetTopology(rpc.GetTopologyRequest(name=f"{NAME}/topology"))
    return {node.id: node.cordoned for node in shown.regions[0].clusters[0].nodes}


def asked(verb: int, node: str, **fields: Any) -> Any:
    request = ASK(parent=NAME, verb=verb, kind=ASK.KIND_NODE, target=f"{CLUSTER}/{node}")  # type: ignore[arg-type]
    request.spec.update(fields)
    return request


async def test_a_node_is_emptied_and_opened_by_plan_and_run_and_what_is_so_already_is_no_plan(bench: Bench) -> None:
    await active(bench)
    node = next(one for one in await nodes(bench) if "-data-1-" in one)
    plan = await bench.plans.PreviewChange(asked(ASK.VERB_DRAIN, node, grace=0))
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
    assert await reason_of(bench.plans.PreviewChange(asked(ASK.VERB_DRAIN, node, grace=4000))) == "SPEC_INVALID"
    assert await reason_of(bench.plans.PreviewChange(asked(ASK.VERB_REBOOT, node))) == "CAPABILITY_MISSING"
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
