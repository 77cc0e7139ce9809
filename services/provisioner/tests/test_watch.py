"""What nobody reports is noticed: silence, lost clusters, lost health, plans and failures whose time is over."""

import asyncio
from datetime import timedelta
from typing import Any

import catalyst_cloud_sandbox
import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst_provisioner.store import Store
from catalyst_provisioner.store.tables import clusters, plans, sovereigns
from catalyst_testkit import eventually
from sqlalchemy import update

from .conftest import NAME, Bench
from .test_runs import active

pytestmark = pytest.mark.either_database


async def told(bench: Bench) -> list[str]:
    answer = await bench.runs.ListEvents(rpc.ListEventsRequest(parent=NAME, page_size=1000))
    return [event.code for event in answer.events]


async def test_a_silent_cluster_that_answers_nobody_is_lost_and_comes_back(bench: Bench) -> None:
    await active(bench)
    work: Any = bench.daemon.daemon.work
    await asyncio.to_thread(catalyst_cloud_sandbox.power_off, bench.home / "sandbox")

    async def age(tx: Store) -> None:
        await tx.sql.execute(update(clusters).values(heartbeat_at=tx.now - timedelta(seconds=91)))

    async def lost() -> bool:
        await work.again(age)  # a report that was on its way may have made it young again
        return "cluster.lost" in await told(bench)

    await eventually(lost, within=60)
    held = await bench.get()
    assert {c.type: c.status for c in held.conditions}["Ready"] == 3, "unknown, and not what it was"
    assert held.health == pb.Sovereign.HEALTH_UNKNOWN
    await asyncio.to_thread(catalyst_cloud_sandbox.power_on, bench.home / "sandbox")

    async def back() -> bool:
        return {"cluster.recovered", "sovereign.recovered"} <= set(await told(bench))

    await eventually(back, within=60)
    codes = await told(bench)
    wanted = ["cluster.silenced", "cluster.lost", "sovereign.degraded", "cluster.recovered", "sovereign.recovered"]
    assert {code: codes.count(code) for code in wanted} == dict.fromkeys(wanted, 1)
    assert (await bench.get()).health == pb.Sovereign.HEALTH_HEALTHY


async def test_a_plan_whose_time_is_over_is_told_once(bench: Bench) -> None:
    await bench.create()
    plan = await bench.plan()
    work: Any = bench.daemon.daemon.work

    async def age(tx: Store) -> None:
        await tx.sql.execute(update(plans).values(expires_at=tx.now))

    await work.again(age)

    async def expired() -> bool:
        return (await told(bench)).count("plan.expired") == 1

    await eventually(expired, within=60)
    shown = await bench.plans.GetPlan(rpc.GetPlanRequest(name=plan.name))
    assert shown.state == pb.Plan.STATE_EXPIRED


async def test_a_phase_that_shall_be_compensated_is_and_one_that_shall_be_retried_goes_on(bench: Bench) -> None:
    await bench.create(failure_policy={"phases": {"name": "compensate"}})
    plan = await bench.plan()
    bench.world.names.refuses = "QUOTA_EXCEEDED"
    run = await bench.apply(plan)

    async def cancelled() -> bool:
        return (await bench.run_of(run)).state == pb.Run.STATE_CANCELLED_CLEAN

    await eventually(cancelled, within=60)
    held = await bench.get()
    assert held.state == pb.Sovereign.STATE_DRAFT
    change = pb.Sovereign(name=NAME, spec=pb.SovereignSpec(failure_policy=pb.FailurePolicy(phases={"name": "retry"})))
    await bench.sovereigns.UpdateSovereign(rpc.UpdateSovereignRequest(sovereign=change, etag=held.etag))
    run = await bench.apply(await bench.plan())

    async def failed() -> bool:
        return "step.failed" in [event.code for event in await bench.events(run)]

    await eventually(failed, within=60)
    bench.world.names.refuses = ""

    async def succeeded() -> bool:
        return (await bench.run_of(run)).state == pb.Run.STATE_SUCCEEDED

    await eventually(succeeded, within=60)


async def test_the_end_of_a_life_is_proposed_once_and_begun_where_the_spec_says_so(bench: Bench) -> None:
    await bench.create(ttl="3600s", auto_destroy=True)
    run = await bench.apply(await bench.plan())
    assert (await bench.ended(run)).state == pb.Run.STATE_SUCCEEDED
    held = await bench.get()
    assert held.expire_time.seconds - held.create_time.seconds == 3600
    work: Any = bench.daemon.daemon.work

    async def age(tx: Store) -> None:
        await tx.sql.execute(update(sovereigns).values(created_at=tx.now - timedelta(hours=1)))

    await work.again(age)

    async def gone() -> bool:
        return (await bench.get()).state == pb.Sovereign.STATE_DESTROYED

    await eventually(gone, within=60)
    assert bench.cloud() == []
    assert (await told(bench)).count("plan.created") == 2
    ended = await bench.run_of((await bench.get()).last_run)
    assert ended.requester == "end-of-life"
