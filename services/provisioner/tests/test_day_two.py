"""Daily changes by plan and apply: verbs, differences, what they cost, and what stands against them."""

from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst.provisioner.v1 import service_pb2_grpc as stubs
from catalyst_provisioner.history import History
from catalyst_testkit.daemons import reason_of
from google.longrunning import operations_pb2
from google.longrunning.operations_grpc_pb2 import OperationsStub
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from .conftest import NAME, Bench, spec
from .test_gates import waiting
from .test_runs import active

pytestmark = pytest.mark.either_database

EAST = "sb-east-mgt-dev"


def verb(word: str, kind: str, target: str = "", **fields: Any) -> Any:
    request = rpc.PreviewChangeRequest
    return request(
        parent=NAME, verb=request.Verb.Value(f"VERB_{word}"), kind=request.Kind.Value(f"KIND_{kind}"), target=target,
        spec=ParseDict(fields, Struct()),
    )  # fmt: skip


def actions(plan: Any) -> list[tuple[str, str]]:
    words = pb.ResourceChange.Action.Name
    return [
        (c.kind, words(c.action).removeprefix("ACTION_")) for c in plan.changes if words(c.action) != "ACTION_NO_OP"
    ]


async def test_daily_verbs_are_plans_and_what_is_applied_is_observed(bench: Bench) -> None:
    assert await reason_of(bench.plans.PreviewChange(verb("SCALE", "POOL", count=1))) == "SOVEREIGN_NOT_FOUND"
    await bench.create()
    assert await reason_of(bench.plans.PreviewChange(verb("SCALE", "POOL", f"{EAST}/general", count=3))) == "NOT_ACTIVE"
    run = await bench.apply(await bench.plan())
    assert (await bench.ended(run)).state == pb.Run.STATE_SUCCEEDED

    for bad, reason in (
        (verb("SCALE", "POOL", f"{EAST}/nothing", count=3), "TARGET_NOT_FOUND"),
        (verb("SNAPSHOT", "PVC", "data"), "CAPABILITY_MISSING"),
        (verb("CREATE", "POOL", EAST, name="x", colour="red"), "SPEC_INVALID"),
        (verb("SCALE", "POOL", f"{EAST}/general"), "SPEC_INVALID"),
    ):
        assert await reason_of(bench.plans.PreviewChange(bad)) == reason
    scaled = await bench.plans.PreviewChange(verb("SCALE", "POOL", f"{EAST}/general", count=3))
    assert actions(scaled) == [("server", "CREATE")] * 2
    other = await bench.plans.PreviewChange(verb("SCALE", "POOL", f"{EAST}/general", count=2))
    diff = await bench.plans.DiffPlans(rpc.DiffPlansRequest(name=other.name, other=scaled.name))
    paths = {d.path: (d.before, d.after) for d in diff.differences}
    counted = paths["spec.clusters[sandbox/east/mgt/dev].worker_pools[general].count"]
    assert (counted[0].number_value, counted[1].number_value) == (2, 3)
    assert diff.cost_difference.month.minor == 1460
    assert not diff.equal
    same = await bench.plans.PreviewChange(verb("SCALE", "POOL", f"{EAST}/general", count=1))
    assert same.empty, "a verb that changes nothing"

    before = {r["id"] for r in bench.cloud()}
    ended = await bench.ended(await bench.apply(scaled))
    assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error
    assert len({r["id"] for r in bench.cloud()} - before) == 2
    removed = await bench.plans.PreviewChange(verb("REMOVE", "COMPONENT", "bp-grafana"))
    gone = [c for c in removed.components if c.action == pb.ComponentChange.ACTION_REMOVE]
    assert [(c.blueprint, c.cluster) for c in gone] == [("bp-grafana", EAST)]
    ended = await bench.ended(await bench.apply(removed))
    assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error
    listed = await bench.infra.ListComponents(rpc.ListComponentsRequest(parent=f"{NAME}/clusters/-"))
    assert "bp-grafana" not in {c.blueprint for c in listed.components}


@pytest.mark.parametrize(
    ("limit", "code", "refusal"), [(8000, "budget.warn", ""), (6000, "budget.exceeded", "BUDGET_EXCEEDED")]
)
async def test_a_budget_warns_and_then_blocks(bench: Bench, limit: int, code: str, refusal: str) -> None:
    await bench.create(budget={"monthly_limit": {"minor": str(limit), "currency": "EUR"}})
    plan = await bench.plan()
    assert plan.cost.after.total.month.minor == 6424
    assert code in [f.code for f in plan.findings]
    if refusal:
        assert await reason_of(bench.apply(plan)) == refusal
    else:
        assert plan.applicable


async def test_a_server_that_was_deleted_by_hand_is_found_and_put_back_when_somebody_agrees(bench: Bench) -> None:
    from catalyst_cloud_sandbox.account import Account

    await active(bench)
    usual = await History(bench.daemon.daemon.work).usual("provision")  # type: ignore[arg-type]  # the bench's is any
    assert {"validate", "infra", "enrol", "kit.bp-flux", "probe"} <= usual.keys()
    topology = await bench.infra.GetTopology(rpc.GetTopologyRequest(name=f"{NAME}/topology"))
    seen = topology.regions[0].clusters[0]
    assert (topology.pattern, seen.id, seen.node_count) == (pb.Topology.PATTERN_SOLO, EAST, 3)
    assert {(pool.id, pool.desired, pool.current) for pool in seen.node_pools} == {
        ("control-plane", 1, 1), ("general", 1, 1), ("data", 1, 1)
    }  # fmt: skip
    assert {node.status for node in seen.nodes} == {pb.Topology.STATUS_HEALTHY}
    told = []
    async for message in bench.infra.WatchComponents(rpc.WatchComponentsRequest(parent=f"{NAME}/clusters/-")):
        told.append(message)
        if message.kind == message.KIND_SYNCED:
            break
    assert {m.component.state for m in told[:-1]} == {pb.Component.STATE_READY}
    assert len(told) == 6
    async for first in bench.infra.WatchTopology(rpc.WatchTopologyRequest(name=f"{NAME}/topology")):
        assert first.regions[0].clusters[0].id == EAST
        break
    report = rpc.GetDriftReportRequest(name=f"{NAME}/drift")
    assert await reason_of(bench.infra.GetDriftReport(report)) == "DRIFT_NOT_OBSERVED"

    lost = next(r for r in bench.cloud() if r["kind"] == "server" and "general" in r["name"])
    account = Account(bench.home / "sandbox", lost["account"], {})
    account.delete(lost["id"])
    account.create(kind="volume", name="pvc-1", region="east", labels=dict(lost["labels"]), spec={"size_gb": 1})
    operation = await bench.infra.DetectDrift(rpc.DetectDriftRequest(name=NAME))
    operations: Any = bench.daemon.admin(OperationsStub)
    wait = operations_pb2.WaitOperationRequest(name=operation.name)
    wait.timeout.FromSeconds(60)
    assert (await operations.WaitOperation(wait, timeout=120)).done
    drifts = (await bench.infra.GetDriftReport(report)).drifts
    kinds = pb.Drift.Kind.Name
    assert {(kinds(d.kind), d.resource_kind, d.cluster) for d in drifts} == {
        ("KIND_MISSING", "server", EAST), ("KIND_UNEXPECTED", "volume", EAST)
    }  # fmt: skip
    conditions = {c.type: c.status for c in (await bench.get()).conditions}
    assert conditions["DriftFree"] == conditions["Ready"] == 2

    plan = await bench.plan("REPAIR")
    assert actions(plan) == [("server", "CREATE")]
    assert [gate.kind for gate in plan.gates] == ["repair"]
    run = await bench.apply(plan)
    officer: Any = bench.daemon.stub(stubs.RunServiceStub, "olga", roles=["security-officer"])
    await officer.ApproveGate(rpc.ApproveGateRequest(name=await waiting(bench, run)))
    ended = await bench.ended(run)
    assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error
    events = await bench.runs.ListEvents(rpc.ListEventsRequest(parent=NAME, page_size=1000))
    codes = [event.code for event in events.events]
    assert [code for code in codes if code.startswith("drift.")] == ["drift.detected", "drift.repaired"]
    listed = await bench.runs.ListRuns(rpc.ListRunsRequest(parent="sovereigns/-"))
    assert len(listed.runs) == 2, "a look is no run of a Sovereign"


async def test_values_that_no_schema_was_asked_for_and_plans_of_two_sovereigns(bench: Bench) -> None:
    await bench.create()
    changed = spec(components={"values": {"bp-nothing": {"replicas": 1}}})
    plan = await bench.plan(spec=ParseDict(changed, pb.SovereignSpec()))
    assert [(f.code, f.field) for f in plan.findings] == [("component.absent", "spec.components.values.bp-nothing")]
    other = plan.name.replace("omantel", "another")
    request = rpc.DiffPlansRequest(name=plan.name, other=other)
    assert await reason_of(bench.plans.DiffPlans(request)) == "PLANS_UNRELATED"
