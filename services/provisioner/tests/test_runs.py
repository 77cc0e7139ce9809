"""Runs as their callers see them: events, watching, cancelling, retrying, changing."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst_provisioner.store import metadata
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of
from google.longrunning import operations_pb2
from google.longrunning.operations_grpc_pb2 import OperationsStub
from google.protobuf.json_format import ParseDict
from sqlalchemy import delete, update

from .conftest import NAME, Bench, Start, spec

pytestmark = pytest.mark.either_database


async def active(bench: Bench, **changes: Any) -> str:
    """An active Sovereign; the run that made it."""
    await bench.create(**changes)
    run = await bench.apply(await bench.plan())
    assert (await bench.ended(run)).state == pb.Run.STATE_SUCCEEDED
    return run


async def test_watchers_see_every_event_once_and_the_end_also_one_that_reconnects(bench: Bench) -> None:
    await bench.create()
    run = await bench.apply(await bench.plan())

    async def watch(from_seq: int) -> list[Any]:
        return [e async for e in bench.runs.WatchEvents(rpc.WatchEventsRequest(parent=run, from_seq=from_seq))]

    async def reconnecting() -> list[Any]:
        """A watcher that loses its line after every few events, and goes on from where it stood."""
        seen: list[Any] = []
        while not (seen and seen[-1].code == "done"):
            call = bench.runs.WatchEvents(rpc.WatchEventsRequest(parent=run, from_seq=seen[-1].seq + 1 if seen else 0))
            async for event in call:
                seen.append(event)
                if len(seen) % 7 == 0:
                    break
            call.cancel()
        return seen

    first, later, broken = await asyncio.wait_for(asyncio.gather(watch(0), watch(5), reconnecting()), 60)
    assert broken == first
    assert [e.seq for e in first[:-1]] == list(range(1, len(first)))
    assert [e.seq for e in later] == [e.seq for e in first[4:]]
    assert (first[-1].seq, first[-1].code, first[-1].data["state"]) == (0, "done", "SUCCEEDED")
    assert {e.code for e in first} >= {"run.created", "step.started", "resource.created", "run.succeeded"}


async def test_the_events_of_a_sovereign_have_no_gap(bench: Bench) -> None:
    run = await active(bench)
    answer = await bench.runs.ListEvents(rpc.ListEventsRequest(parent=NAME, page_size=1000))
    assert [e.seq for e in answer.events] == list(range(1, len(answer.events) + 1))
    codes = [e.code for e in answer.events]
    assert codes[:4] == ["sovereign.created", "plan.created", "plan.applied", "run.started"]
    assert codes[-2:] == ["run.succeeded", "sovereign.activated"]
    assert {"cluster.enrolled", "component.changed", "step.succeeded"} <= set(codes)
    assert answer.events[-1].data["run"] == run
    assert answer.events[-1].seq == (await bench.get()).version

    async def swept(tx: Any) -> None:
        """What the sweeper takes away after a week."""
        await tx.sql.execute(delete(metadata.tables["outbox"]))

    async def over(tx: Any) -> int:
        await tx.sql.execute(update(metadata.tables["sovereign"]).values(state="destroyed", destroyed_at=tx.now))
        kept = await tx.forget_told(tx.now - timedelta(seconds=1))
        return kept or -(await tx.forget_told(tx.now + timedelta(seconds=1)))

    work: Any = bench.daemon.daemon.work
    await work.again(swept)
    later = await bench.runs.ListEvents(rpc.ListEventsRequest(parent=NAME, page_size=1000))
    assert later.events[: len(answer.events)] == answer.events
    assert await work.again(over) <= -len(answer.events), "kept until the time after its end is over"


async def test_what_controllers_say_of_a_component_can_be_read_and_followed(bench: Bench) -> None:
    await active(bench)
    parent = f"{NAME}/clusters/sb-east-mgt-dev/components/bp-flux"
    listed = await bench.runs.ListLogs(rpc.ListLogsRequest(parent=parent))
    assert [line.seq for line in listed.lines] == list(range(1, len(listed.lines) + 1))
    assert "InstallSucceeded" in listed.lines[-1].text
    assert {line.component for line in listed.lines} == {"bp-flux"}
    rest = await bench.runs.ListLogs(rpc.ListLogsRequest(parent=parent, from_seq=2, page_size=1))
    assert (rest.lines[0], bool(rest.next_page_token)) == (listed.lines[1], len(listed.lines) > 2)
    call = bench.runs.WatchLogs(rpc.WatchLogsRequest(parent=parent))
    followed = [await call.read() for _ in listed.lines]
    call.cancel()
    assert followed == list(listed.lines)
    strange = bench.runs.ListLogs(rpc.ListLogsRequest(parent=parent.replace("flux", "absent")))
    assert await reason_of(strange) == "COMPONENT_NOT_FOUND"


async def test_the_operation_ends_with_its_run(bench: Bench) -> None:
    await bench.create()
    plan, request_id = await bench.plan(), str(uuid4())
    request = rpc.ApplyPlanRequest(name=plan.name, hash=plan.hash, request_id=request_id)
    operation = await bench.plans.ApplyPlan(request)
    assert await bench.plans.ApplyPlan(request) == operation, "a retry gets the first answer"
    operations: Any = bench.daemon.admin(OperationsStub)
    wait = operations_pb2.WaitOperationRequest(name=operation.name)
    wait.timeout.FromSeconds(60)
    ended = await operations.WaitOperation(wait, timeout=120)
    run = pb.Run()
    assert ended.done
    assert ended.response.Unpack(run)
    assert run.state == pb.Run.STATE_SUCCEEDED
    assert await reason_of(operations.GetOperation(operations_pb2.GetOperationRequest(name="operations/provisioner-x")))


async def test_more_callers_at_once_than_there_are_connections_are_all_answered(bench: Bench) -> None:
    await bench.create()
    run = await bench.apply(await bench.plan())
    assert {found.name for found in await asyncio.gather(*(bench.run_of(run) for _ in range(48)))} == {run}


async def test_a_second_plan_of_an_active_sovereign_is_empty(bench: Bench) -> None:
    await active(bench)
    plan = await bench.plan()
    assert plan.empty
    assert not plan.steps
    assert plan.cost.difference.month.minor == 0


async def test_a_larger_pool_is_two_creates_and_no_replace(bench: Bench) -> None:
    await active(bench)
    changed = spec()
    changed["clusters"][0]["worker_pools"][0]["count"] = 3
    plan = await bench.plan(spec=ParseDict(changed, pb.SovereignSpec()))
    actions = [c.action for c in plan.changes if c.action != pb.ResourceChange.ACTION_NO_OP]
    assert actions == [pb.ResourceChange.ACTION_CREATE] * 2
    assert plan.cost.difference.month.minor > 0
    before = {r["id"] for r in bench.cloud()}
    ended = await bench.ended(await bench.apply(plan))
    assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error
    assert len({r["id"] for r in bench.cloud()} - before) == 2
    held = await bench.get()
    assert (held.generation, held.state) == (2, pb.Sovereign.STATE_ACTIVE)


async def test_a_resource_that_nobody_here_made_is_swept(bench: Bench) -> None:
    await active(bench)
    from catalyst_cloud_sandbox.account import Account

    ours = bench.cloud()[0]
    account = Account(bench.home / "sandbox", ours["account"], {})
    await asyncio.to_thread(
        account.create, kind="volume", name="pvc-1", region="west", labels=dict(ours["labels"]), spec={"size_gb": 1}
    )
    ended = await bench.ended(await bench.apply(await bench.plan("DESTROY")))
    assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error
    assert bench.cloud() == []
    assert ended.report.destroyed == 7
    assert len(ended.report.sweep_times) == 2


async def test_a_failed_step_is_retried_alone(bench: Bench) -> None:
    await bench.create()
    plan = await bench.plan()
    bench.world.names.refuses = "QUOTA_EXCEEDED"
    run = await bench.apply(plan)
    ended = await bench.ended(run)
    assert (ended.state, ended.error.code) == (pb.Run.STATE_FAILED, "QUOTA_EXCEEDED")
    assert (await bench.get()).state == pb.Sovereign.STATE_FAILED
    assert bench.cloud() == [], "nothing is spent before the name is held"
    bench.world.names.refuses = ""
    step = rpc.RetryStepRequest(name=f"{run}/steps/name.reserve")
    await bench.runs.RetryStep(step)
    ended = await bench.ended(run)
    assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error
    assert (await bench.steps(run))["validate"].attempt == 1
    assert (await bench.get()).state == pb.Sovereign.STATE_ACTIVE


async def test_a_paused_run_keeps_its_name_and_goes_on(start: Start) -> None:
    async with start(time_scale=0.2, reservation_ttl=3.0) as bench:
        await bench.create()
        run = await bench.apply(await bench.plan())
        await eventually(lambda: bench.world.names.reserved == 1, within=60)
        await bench.runs.PauseRun(rpc.PauseRunRequest(name=run, reason="lunch"))
        await eventually(lambda: bench.world.names.renewed >= 3, within=60)
        assert bench.world.names.reserved == 1
        paused = await bench.run_of(run)
        assert paused.state == pb.Run.STATE_PAUSED
        resumed = await bench.runs.ResumeRun(rpc.ResumeRunRequest(name=run))
        assert resumed.state in (pb.Run.STATE_RUNNING, pb.Run.STATE_WAITING)
        await bench.runs.CancelRun(rpc.CancelRunRequest(name=run, mode=rpc.CancelRunRequest.MODE_COMPENSATE))
        await bench.ended(run)


async def test_a_name_that_was_lost_stops_the_run_before_anything_is_spent(start: Start) -> None:
    async with start(time_scale=0.2, reservation_ttl=3.0) as bench:
        await bench.create()
        plan = await bench.plan()

        async def paused() -> None:
            """So that nothing is made before the name is somebody else's."""
            await bench.runs.PauseRun(rpc.PauseRunRequest(name=(await bench.get()).last_run))

        bench.world.names.before_answer = paused
        run = await bench.apply(plan)

        async def resting() -> bool:
            return bool((await bench.run_of(run)).state == pb.Run.STATE_PAUSED and bench.world.names.reserved)

        await eventually(resting, within=60)
        bench.world.names.put("pools/omani.works/allocations/omantel")
        bench.world.names.expires()

        async def lost() -> bool:
            async with bench.daemon.daemon.work.reading() as tx:
                held = await tx.reservation("omantel")
            return held is not None and held.state == "lost"

        await eventually(lost, within=60)
        await bench.runs.ResumeRun(rpc.ResumeRunRequest(name=run))
        ended = await bench.ended(run)
        assert (ended.state, ended.error.code) == (pb.Run.STATE_FAILED, "NAME_LOST")
        assert bench.cloud() == []
