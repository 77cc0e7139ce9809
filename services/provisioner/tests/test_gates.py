"""A run that waits for a person: who may answer, how often, and what comes of it."""

from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst.provisioner.v1 import service_pb2_grpc as stubs
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of

from .conftest import NAME, Bench, spec

pytestmark = pytest.mark.either_database

PROD = [{**spec()["clusters"][0], "env_type": "prod"}]


async def waiting(bench: Bench, run: str) -> str:
    """Name of the step at whose gate the run waits."""

    async def check() -> Any:
        found = await bench.run_of(run)
        open_ = [gate for gate in found.gates if gate.state == pb.Gate.STATE_OPEN]
        return f"{run}/steps/{open_[0].step}" if found.state == pb.Run.STATE_WAITING and open_ else None

    return str(await eventually(check, within=60))


async def codes(bench: Bench) -> list[str]:
    answer = await bench.runs.ListEvents(rpc.ListEventsRequest(parent=NAME, page_size=1000))
    return [event.code for event in answer.events if event.code.startswith("gate.")]


async def test_a_destroy_in_production_waits_for_a_second_person(bench: Bench) -> None:
    await bench.create(clusters=PROD)
    made = await bench.ended(await bench.apply(await bench.plan()))
    assert made.state == pb.Run.STATE_SUCCEEDED, made.error
    plan = await bench.plan("DESTROY")
    assert [(gate.kind, gate.second_person, gate.state) for gate in plan.gates] == [
        ("destroy", True, pb.Gate.STATE_PENDING)
    ]
    run = await bench.apply(plan)
    step = await waiting(bench, run)
    yes = rpc.ApproveGateRequest(name=step, comment="it may go")
    assert await reason_of(bench.runs.ApproveGate(yes)) == "GATE_SELF_APPROVAL"
    viewer: Any = bench.daemon.member(stubs.RunServiceStub, "omantel", "org-viewer")
    assert await reason_of(viewer.ApproveGate(yes)) == "GATE_NOT_APPROVER"
    other = rpc.ApproveGateRequest(name=f"{run}/steps/sweep")
    assert await reason_of(bench.runs.ApproveGate(other)) == "GATE_NOT_OPEN"
    assert len(bench.cloud()) == 6, "nothing has begun"
    officer: Any = bench.daemon.stub(stubs.RunServiceStub, "olga", roles=["security-officer"])
    await officer.ApproveGate(yes)
    assert await reason_of(officer.ApproveGate(yes)) in ("GATE_NOT_OPEN", "RUN_TERMINAL"), "once"
    ended = await bench.ended(run)
    assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error
    gate = ended.gates[0]
    assert (gate.state, gate.decided_by, gate.comment) == (pb.Gate.STATE_APPROVED, "olga", "it may go")
    assert await codes(bench) == ["gate.opened", "gate.approved"]
    assert bench.cloud() == []


async def test_a_requester_may_refuse_and_nothing_was_begun(bench: Bench) -> None:
    approvals = [{"gate": "spend", "principals": ["carla"]}]
    await bench.create(approvals=approvals)
    run = await bench.apply(await bench.plan())
    step = await waiting(bench, run)
    carla: Any = bench.daemon.stub(stubs.RunServiceStub, "carla", groups=["/omantel/org-viewer"])
    no = rpc.RejectGateRequest(name=step, comment="too dear")
    await bench.runs.RejectGate(no)
    ended = await bench.ended(run)
    assert (ended.state, ended.error.code) == (pb.Run.STATE_FAILED, "GATE_REJECTED")
    assert (ended.gates[0].state, ended.gates[0].comment) == (pb.Gate.STATE_REJECTED, "too dear")
    assert bench.world.names.reserved == 0
    assert await reason_of(carla.RejectGate(no)) == "RUN_TERMINAL"
    await bench.runs.RetryStep(rpc.RetryStepRequest(name=step))
    await waiting(bench, run)
    await carla.ApproveGate(rpc.ApproveGateRequest(name=step))
    assert (await bench.ended(run)).state == pb.Run.STATE_SUCCEEDED
    assert await codes(bench) == ["gate.opened", "gate.rejected", "gate.opened", "gate.approved"]
