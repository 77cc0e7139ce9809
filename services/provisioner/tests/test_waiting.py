"""What only somebody outside can change is waited for: stock, quota, a credential; and a run that another one goes on from."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst.provisioner.v1 import service_pb2_grpc as stubs
from catalyst_cloud_sandbox import faults
from catalyst_cloud_sandbox.account import Account
from catalyst_provisioner.chronicle import FAILED_RUN
from catalyst_provisioner.domain import patience
from catalyst_provisioner.store import metadata
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of
from google.protobuf.json_format import ParseDict
from sqlalchemy import update

from .conftest import NAME, Bench, spec

pytestmark = pytest.mark.either_database
RUNS = metadata.tables["journal_run"]


def arm(bench: Bench, effect: str, **about: Any) -> None:
    with Account(bench.home / "sandbox", "catalyst", {}).store.begin() as tx:
        faults.add(tx, faults.Fault(effect, **about))


async def blocked(bench: Bench, run: str, what: str) -> Any:
    """The run, once it waits for `what`."""

    async def check() -> Any:
        found = await bench.run_of(run)
        return found if found.state == pb.Run.STATE_WAITING and what in found.waiting_for else None

    return await eventually(check, within=60)


async def codes(bench: Bench) -> list[str]:
    answer = await bench.runs.ListEvents(rpc.ListEventsRequest(parent=NAME, page_size=1000))
    return [event.code for event in answer.events if event.code.startswith(("run.", "sovereign."))]


async def test_a_full_quota_is_waited_for_and_a_retry_looks_at_once(bench: Bench) -> None:
    await bench.create()
    plan = await bench.plan()
    arm(bench, "rate_limit", operation="", times=25, delay=0.02)  # a storm: it ends, and nothing fails of it
    arm(bench, "quota", kind="server", name="*data-1*", times=1)
    run = await bench.apply(plan)
    waiting = await blocked(bench, run, "have the limit raised")
    step = (await bench.steps(run))["infra.sb-east-mgt-dev"]
    assert (step.state, getattr(step.error, "class")) == (pb.Step.STATE_WAITING, pb.StepError.CLASS_QUOTA)
    assert waiting.HasField("wake_time")
    await bench.runs.RetryStep(rpc.RetryStepRequest(name=step.name))
    ended = await bench.ended(run)
    assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error
    assert len(bench.cloud()) == 6


async def test_a_run_goes_on_under_the_next_replica_though_many_have_died_while_a_cluster_was_made(
    bench: Bench,
) -> None:
    await bench.create()
    plan = await bench.plan()
    arm(bench, "quota", kind="server", name="*data-1*", times=1000)
    run = await bench.apply(plan)
    await blocked(bench, run, "have the limit raised")

    async def died(tx: Any) -> None:
        dead = {"takeovers": 25, "owner": "dead", "lease_until": 0, "wake_at": tx.now}
        await tx.sql.execute(update(RUNS).where(RUNS.c.id == run.rpartition("/")[2]).values(dead))

    async def taken_over() -> bool:
        return any(event.code == "run.taken_over" for event in await bench.events(run))

    await bench.daemon.daemon.work.again(died)
    await eventually(taken_over, within=60)
    assert "run.stuck" not in {event.code for event in await bench.events(run)}


async def test_a_rejected_credential_is_waited_for_until_it_has_a_version_that_counts(bench: Bench) -> None:
    service: Any = bench.daemon.admin(stubs.CredentialServiceStub)
    good, bad = f"sbt_simulated_{'a1' * 16}", f"sbr_simulated_{'b2' * 16}"
    made = rpc.CreateCredentialRequest(values={"token": good})
    made.credential.name, made.credential.kind, made.credential.provider = (
        "credentials/own",
        "cloud_provider",
        "sandbox",
    )
    await service.CreateCredential(made)
    await bench.create(clusters=[{**spec()["clusters"][0], "credential": {"name": "credentials/own"}}])
    plan = await bench.plan()
    await service.AddCredentialVersion(rpc.AddCredentialVersionRequest(name="credentials/own", values={"token": bad}))
    run = await bench.apply(plan)
    await blocked(bench, run, "add a version to the credential")
    assert bench.cloud() == []
    await service.AddCredentialVersion(rpc.AddCredentialVersionRequest(name="credentials/own", values={"token": good}))
    ended = await bench.ended(run)
    assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error


async def test_a_cloud_that_refuses_the_credential_at_any_look_is_waited_for(bench: Bench) -> None:
    await bench.create()
    for intent in ("APPLY", "DESTROY"):
        plan = await bench.plan(intent)
        arm(bench, "auth", operation="list", times=1)
        ended = await bench.ended(await bench.apply(plan))
        assert ended.state == pb.Run.STATE_SUCCEEDED, (intent, ended.error)


async def test_what_waits_for_too_long_is_taken_away_after_two_warnings(bench: Bench) -> None:
    await bench.create(failure_policy={"paid_ttl": "600s"})
    plan = await bench.plan()
    arm(bench, "capacity", kind="server", name="*data-1*", times=-1)
    run = await bench.apply(plan)
    await blocked(bench, run, "in place of this run")

    async def counted() -> bool:
        return (await bench.run_of(run)).HasField("paid_expire_time")

    await eventually(counted, within=60)
    work: Any = bench.daemon.daemon.work

    async def later(tx: Any) -> None:
        """The wait began earlier than it did."""
        kept = patience.read((await tx.facts("omantel"))[FAILED_RUN][0])
        began = tx.now - gone * timedelta(seconds=600)
        moved = replace(kept, failed_at=began, paid_until=began + timedelta(seconds=600))
        await tx.observe("omantel", FAILED_RUN, moved.plain())

    async def warnings() -> list[str]:
        answer = await bench.runs.ListEvents(rpc.ListEventsRequest(parent=NAME, page_size=1000))
        return [event.data["reason"].rpartition("(")[2][:3] for event in answer.events if event.code == "run.paused"]

    gone = 0.0
    for share, told in ((0.6, ["50%"]), (0.95, ["50%", "90%"])):
        gone = share
        await work.again(later)
        await eventually(lambda told=told: _are(warnings(), told), within=60, what=f"{told} were told")
    assert len(bench.cloud()) == 5
    gone = 1.0
    await work.again(later)
    ended = await bench.ended(run)
    assert (ended.state, bench.cloud()) == (pb.Run.STATE_CANCELLED_CLEAN, [])
    assert (await bench.get()).state == pb.Sovereign.STATE_DRAFT


async def _are(found: Any, wanted: list[str]) -> bool:
    return bool(await found == wanted)


async def test_another_plan_goes_on_from_a_run_that_waits_for_stock(bench: Bench) -> None:
    await bench.create()
    plan = await bench.plan()
    arm(bench, "capacity", kind="server", name="*data-1*", times=-1)
    old = await bench.apply(plan)
    await blocked(bench, old, "in place of this run")
    before = {r["id"] for r in bench.cloud()}
    assert len(before) == 5
    other = spec()
    other["clusters"][0]["worker_pools"][1]["name"] = "store"
    instead = await bench.plan(spec=ParseDict(other, pb.SovereignSpec()))
    assert await reason_of(bench.apply(instead)) == "RUN_IN_PROGRESS"
    strange = f"{NAME}/runs/run-nothing"
    assert await reason_of(bench.apply(instead, supersede_run=strange)) == "RUN_IN_PROGRESS"
    wish = {"supersede_run": old, "request_id": str(uuid4())}
    run = await bench.apply(instead, **wish)
    assert await bench.apply(instead, **wish) == run
    ended = await bench.ended(run)
    assert (ended.state, ended.supersedes) == (pb.Run.STATE_SUCCEEDED, old), ended.error
    given_up = await bench.run_of(old)
    assert (given_up.superseded_by, given_up.final) == (run, False)
    assert given_up.state == pb.Run.STATE_CANCELLED_WITH_LEFTOVERS
    assert before < {r["id"] for r in bench.cloud()}, "what the first one made was taken over"
    assert len(bench.cloud()) == 6
    assert bench.world.names.reserved == 1
    told = await codes(bench)
    assert told[-4:] == ["run.cancelled", "run.started", "run.succeeded", "sovereign.activated"]
    retry = bench.runs.RetryStep(rpc.RetryStepRequest(name=f"{old}/steps/validate"))
    assert await reason_of(retry) == "RUN_TERMINAL"
