"""A Sovereign's life: made, observed, taken away; over real gRPC, real agents, a real repository."""

from catalyst.provisioner.v1 import resources_pb2 as pb

from .conftest import Bench


async def test_a_sovereign_becomes_active_by_observation_and_goes_without_a_trace(bench: Bench) -> None:
    made = await bench.create()
    assert made.state == pb.Sovereign.STATE_DRAFT
    plan = await bench.plan()
    assert plan.applicable, plan.findings
    run = await bench.apply(plan)
    ended = await bench.ended(run)
    assert ended.state == pb.Run.STATE_SUCCEEDED, (ended.error, await bench.steps(run))
    active = await bench.get()
    assert active.state == pb.Sovereign.STATE_ACTIVE
    assert {c.type: c.status for c in active.conditions}["Ready"] == 1, active.conditions
    assert len(bench.cloud()) == 6

    destroy = await bench.plan("DESTROY")
    run = await bench.apply(destroy)
    ended = await bench.ended(run)
    assert ended.state == pb.Run.STATE_SUCCEEDED, (ended.error, await bench.steps(run))
    gone = await bench.get()
    assert (gone.state, gone.health) == (pb.Sovereign.STATE_DESTROYED, pb.Sovereign.HEALTH_UNSPECIFIED)
    assert ended.report.destroyed == 6
    assert bench.cloud() == []
    assert not bench.world.names.held
