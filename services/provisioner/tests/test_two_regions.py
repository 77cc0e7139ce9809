"""`examples/03-two-regions`, played: an own domain, two regions, three control planes in each, and what changes later."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst.provisioner.v1 import service_pb2_grpc as stubs
from catalyst_cloud_sandbox.account import Account
from catalyst_testkit import eventually
from google.protobuf.json_format import MessageToDict, ParseDict

from .conftest import Bench, spec
from .test_day_two import actions
from .test_waiting import arm

pytestmark = pytest.mark.either_database

EXAMPLE = Path(__file__).parents[3] / "examples" / "03-two-regions" / "sovereign.yaml"
BANK = "sovereigns/bankdhofar"
EAST, WEST = "sb-east-mgt-prod", "sb-west-mgt-prod"


async def made(bench: Bench, **changes: Any) -> Any:
    """The Sovereign of the example, as a draft."""
    document = {**yaml.safe_load(EXAMPLE.read_text()), **changes}
    body = ParseDict({k: v for k, v in document.items() if k != "name"}, pb.SovereignSpec())
    wish = rpc.CreateSovereignRequest(sovereign=pb.Sovereign(name=document["name"], spec=body))
    return await bench.sovereigns.CreateSovereign(wish)


async def succeeded(bench: Bench, plan: Any) -> Any:
    assert plan.applicable, plan.findings
    ended = await bench.ended(await bench.apply(plan), within=90)
    assert ended.state == pb.Run.STATE_SUCCEEDED, (ended.error, await bench.steps(ended.name))
    return ended


def servers(bench: Bench) -> dict[str, str]:
    """Ids by name."""
    return {r["name"]: r["id"] for r in bench.cloud() if r["kind"] == "server"}


async def changed(bench: Bench, change: Any) -> Any:
    """A plan of the present spec with something changed in it."""
    held = await bench.get(BANK)
    spec = MessageToDict(held.spec, preserving_proto_field_name=True)
    change(spec)
    return await bench.plan(name=BANK, spec=ParseDict(spec, pb.SovereignSpec()))


async def test_a_bank_with_its_own_domain_in_two_regions(bench: Bench) -> None:
    draft = await made(bench)
    assert [c.region for c in draft.spec.clusters] == ["east", "west"]
    plan = await bench.plan(name=BANK)
    assert [f.code for f in plan.findings] == ["dns.not_delegated"]
    assert {c.cluster for c in plan.changes} == {EAST, WEST}
    nets = [dict(c.after)["cidr"] for c in plan.changes if c.kind == "network"]
    assert nets == ["172.16.0.0/20", "172.16.16.0/20"]
    run = await bench.apply(plan)

    async def only_the_parent_is_missing() -> bool:
        found = await bench.run_of(run)
        return "ns1.catalyst.example" in found.waiting_for and found.steps.pending == 1

    await eventually(only_the_parent_is_missing, within=90)
    assert (await bench.get(BANK)).state == pb.Sovereign.STATE_PROVISIONING
    bench.world.zones.delegated = True
    ended = await bench.ended(run, within=60)
    assert ended.state == pb.Run.STATE_SUCCEEDED, (ended.error, await bench.steps(run))
    active = await bench.get(BANK)
    assert {c.type: c.status for c in active.conditions}["Ready"] == 1, active.conditions
    assert len(servers(bench)) == 10
    assert {"console", "console.bemp", "console.bwmp"} <= {name for name, _ in bench.world.zones.records}
    assert (await bench.plan(name=BANK)).empty

    before = servers(bench)

    def wider(spec: Any) -> None:
        for cluster in spec["clusters"]:
            cluster["worker_pools"][0]["count"] = 4

    scaled = await changed(bench, wider)
    assert actions(scaled) == [("server", "CREATE")] * 4
    await succeeded(bench, scaled)
    after = servers(bench)
    assert len(after) == 14
    assert before.items() <= after.items(), "nothing was made again"

    run = await bench.apply(await bench.plan("DESTROY", name=BANK))

    async def gated() -> bool:
        return any(gate.state == pb.Gate.STATE_OPEN for gate in (await bench.run_of(run)).gates)

    await eventually(gated, within=60)
    officer: Any = bench.daemon.stub(stubs.RunServiceStub, "olga", roles=["security-officer"])
    await officer.ApproveGate(rpc.ApproveGateRequest(name=f"{run}/steps/approve.destroy"))
    bench.world.zones.delegated = False
    ended = await bench.ended(run, within=60)
    assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error
    assert bench.cloud() == []
    assert not bench.world.zones.zones


async def test_one_control_plane_becomes_three_and_a_region_comes_and_goes(bench: Bench) -> None:
    plane = {"size": "sb8", "count": 1}
    defaults = {"env_type": "dev", "control_plane": plane, "worker_pools": [{"name": "w", "size": "sb8", "count": 1}]}
    domain = {"mode": "pool", "pool": "omani.works", "label": "bank"}
    await made(bench, topology="solo", regions=["sandbox/east"], cluster_defaults=defaults, domain=domain,
               placement="single-region", approvals=[], components={"exclude": ["bp-grafana"]})  # fmt: skip
    await succeeded(bench, await bench.plan(name=BANK))
    before = servers(bench)

    def three(spec: Any) -> None:
        spec["clusters"][0]["control_plane"]["count"] = 3

    grown = await changed(bench, three)
    assert sorted(actions(grown)) == [("load_balancer", "CREATE"), ("server", "CREATE"), ("server", "CREATE")]
    ended = await succeeded(bench, grown)
    assert before.items() <= servers(bench).items()
    quorum = (await bench.steps(ended.name))["quorum.sb-east-mgt-dev"]
    assert quorum.outputs["voting"] == 3

    request = rpc.PreviewChangeRequest(parent=BANK, verb=1, kind=1)
    request.spec.update({"region": "west"})
    added = await bench.plans.PreviewChange(request)
    assert {c.cluster for c in added.changes if c.action == pb.ResourceChange.ACTION_CREATE} == {"sb-west-mgt-dev"}
    await succeeded(bench, added)
    held = await bench.get(BANK)
    assert [c.index for c in held.clusters] == [0, 1]
    targets = {slot for slot, _ in bench.world.names.held["pools/omani.works/allocations/bank"].targets}
    assert targets == {"default", "bemd", "bwmd"}

    await comes_back_empty(bench, held)

    request = rpc.PreviewChangeRequest(parent=BANK, verb=2, kind=1, target="sandbox/west")
    left = await bench.plans.PreviewChange(request)
    assert {r.code for r in left.risks} == {"cluster.removed", "cluster.data"}
    await succeeded(bench, left)
    assert {r["region"] for r in bench.cloud()} == {"east"}
    assert [c.name.rpartition("/")[2] for c in (await bench.get(BANK)).clusters] == ["sb-east-mgt-dev"]
    assert (await bench.plan(name=BANK)).empty


async def test_a_region_that_cannot_be_made_holds_the_other_one_up_in_nothing(bench: Bench) -> None:
    (east,) = spec()["clusters"]
    arm(bench, "capacity", kind="server", region="west", times=-1)
    await bench.create(clusters=[east, {**east, "region": "west"}])
    run = await bench.apply(await bench.plan())
    succeeded, waiting = pb.Step.STATE_SUCCEEDED, pb.Step.STATE_WAITING

    async def east_is_done() -> bool:
        steps = await bench.steps(run)
        own = [step.state for id, step in steps.items() if ".sb-east-mgt-dev" in id]
        return set(own) == {succeeded} and steps["infra.sb-west-mgt-dev"].state == waiting

    await eventually(east_is_done, within=60, what="one region is complete while the other one waits for servers")
    steps = await bench.steps(run)
    assert steps["kit.sb-east-mgt-dev.bp-flux"].state == succeeded
    assert steps["probe"].state == pb.Step.STATE_PENDING
    assert (await bench.get()).state == pb.Sovereign.STATE_PROVISIONING
    await asyncio.to_thread(Account(bench.home / "sandbox", "catalyst").disarm)
    await bench.runs.RetryStep(rpc.RetryStepRequest(name=steps["infra.sb-west-mgt-dev"].name))
    ended = await bench.ended(run)
    assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error
    assert len(bench.cloud()) == len({(r["kind"], r["name"]) for r in bench.cloud()}) == 12


async def comes_back_empty(bench: Bench, held: Any) -> None:
    """A change that has taken the second region away is cancelled: it stands again, made anew under its name and number."""
    west = {name: id for name, id in servers(bench).items() if name.startswith("sb-west")}
    assert bench.probe is not None
    bench.probe.blind = True  # the run is still there when the region is away

    def without(spec: Any) -> None:
        spec["clusters"], spec["components"] = spec["clusters"][:1], {"include": ["bp-grafana"]}

    run = await bench.apply(await changed(bench, without))

    async def is_away() -> bool:
        return (await bench.steps(run))["leave.sb-west-mgt-dev"].state == pb.Step.STATE_SUCCEEDED

    await eventually(is_away, within=60, what="the region is away, and the console is not seen to answer")
    assert {r["region"] for r in bench.cloud()} == {"east"}
    await bench.runs.CancelRun(rpc.CancelRunRequest(name=run, mode=rpc.CancelRunRequest.MODE_COMPENSATE))
    bench.probe.blind = False
    ended = await bench.ended(run)
    assert ended.state == pb.Run.STATE_CANCELLED_CLEAN, (ended.error, await bench.events(run))
    again = {name: id for name, id in servers(bench).items() if name.startswith("sb-west")}
    assert (again.keys(), again == west) == (west.keys(), False)

    async def as_before() -> bool:
        now = await bench.get(BANK)
        conditions = {c.type: c.status for c in now.conditions}
        return (now.spec, [c.index for c in now.clusters], conditions["Ready"]) == (held.spec, [0, 1], 1)

    await eventually(as_before, within=60, what="all is ready as it was")
    targets = dict(bench.world.names.held["pools/omani.works/allocations/bank"].targets)
    assert targets.keys() == {"default", "bemd", "bwmd"}
