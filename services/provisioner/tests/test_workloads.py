"""What an Environment's daemon wishes of a cluster, what the agent is told, and what comes back."""

from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst.provisioner.v1 import service_pb2_grpc as stubs
from catalyst_provisioner.domain import workloads
from catalyst_provisioner.domain.component_states import Condition, Release
from catalyst_provisioner.domain.workloads import Hosted
from catalyst_provisioner.store import metadata
from catalyst_testkit.daemons import reason_of
from sqlalchemy import select

from .test_agents import RESOURCE, Desk, desk, released, report

__all__ = ["desk"]
BLOG, COMMIT = "environments/omantel-prod/applications/blog", "a" * 40
UID, OTHER = "7d3c1c8e-7f0d-4a3f-9c3e-5a7d5a0a1c11", "7d3c1c8e-7f0d-4a3f-9c3e-5a7d5a0a1c12"
SECRET = "the-password-of-the-cluster"


class Wishes:
    """The daemon of Environments, as the provisioner sees it."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.stub: Any = desk.bench.daemon.stub(stubs.WorkloadServiceStub, "environment", service="environment")

    async def sync(self, *wished: pb.Workload, fence: int = 1, life: str = "", password: str = SECRET) -> Any:
        uid = life or (await self.desk.bench.get()).uid
        return await self.stub.SyncWorkloads(
            rpc.SyncWorkloadsRequest(
                cluster=RESOURCE, sovereign_uid=uid, fence=fence, workloads=wished, username="x", password=password
            )
        )


def blog(commit: str = COMMIT) -> pb.Workload:
    url = "http://git.example/omantel/blog.git"
    return pb.Workload(application=BLOG, uid=UID, url=url, branch="main", commit=commit)


def seen(command: int, *, ready: bool = True, uid: str = UID) -> pb.AgentWorkloads:
    one = pb.AgentWorkloads.Seen(application=BLOG, uid=uid, commit=COMMIT, serves=ready)
    one.release.CopyFrom(released("blog", status="True" if ready else "Unknown"))
    return pb.AgentWorkloads(command=command, workloads=[one])


def shown(answer: Any) -> dict[str, str]:
    return {one.application: pb.Component.State.Name(one.state).removeprefix("STATE_") for one in answer.workloads}


@pytest.mark.either_database
async def test_a_wish_reaches_the_agent_and_what_it_sees_comes_back(desk: Desk) -> None:
    wishes, token = Wishes(desk), (await desk.enrol()).agent_token
    first = await wishes.sync(blog())
    assert (shown(first), first.current, first.silent) == ({BLOG: "UNKNOWN"}, False, True)
    answers = await desk.connect(token, report(1, heartbeat=pb.AgentHeartbeat(api_healthy=True)))
    (command,) = [one for one in answers if one.HasField("workloads")]
    assert (command.workloads.password, command.workloads.workloads[0].commit) == (SECRET, COMMIT)
    async with desk.bench.daemon.daemon.db.read() as sql:
        bodies = (await sql.execute(select(metadata.tables["agent_command"].c.body))).scalars()
    assert all(SECRET.encode() not in body for body in bodies), "a command as it is kept holds no password"
    waits = await wishes.sync(blog())
    assert (shown(waits), waits.current, waits.silent) == ({BLOG: "PENDING"}, False, False)
    await desk.connect(token, report(2, workloads=seen(command.id, ready=False)))
    assert shown(await wishes.sync(blog())) == {BLOG: "INSTALLING"}
    await desk.connect(token, report(3, workloads=seen(command.id)))
    ready = await wishes.sync(blog())
    assert (shown(ready), ready.current, ready.workloads[0].commit) == ({BLOG: "READY"}, True, COMMIT)
    gone = await wishes.sync()
    assert (shown(gone), gone.current) == ({BLOG: "READY"}, False), (
        "what is wished no more is there until the agent says so"
    )
    empty = pb.AgentWorkloads(command=command.id)
    await desk.connect(token, report(4, workloads=empty))
    assert not (await wishes.sync()).current, "it speaks of the list before"
    await desk.connect(token, report(5, workloads=pb.AgentWorkloads(command=command.id + 1)))
    last = await wishes.sync()
    assert (shown(last), last.current) == ({}, True)


async def test_who_was_frozen_or_speaks_of_another_life_changes_nothing(desk: Desk) -> None:
    wishes, token = Wishes(desk), (await desk.enrol()).agent_token
    await wishes.sync(blog(), fence=2)
    assert await reason_of(wishes.sync(fence=1)) == "FENCED"
    assert await reason_of(wishes.sync(blog(), fence=2, life=OTHER)) == "CLUSTER_NOT_FOUND"
    operator: Any = desk.bench.daemon.admin(stubs.WorkloadServiceStub)
    request = rpc.SyncWorkloadsRequest(cluster=RESOURCE)
    assert await reason_of(operator.SyncWorkloads(request)) == "CALL_DENIED"
    await wishes.sync(blog("b" * 40), fence=2)
    await wishes.sync(blog(), fence=2, password="another")
    answers = await desk.connect(token, report(1, heartbeat=pb.AgentHeartbeat(api_healthy=True)))
    (command,) = [one for one in answers if one.HasField("workloads")]
    assert (command.workloads.password, command.workloads.workloads[0].commit) == ("another", COMMIT), (
        "the last list only"
    )


async def test_an_agent_that_knows_no_such_list_holds_nobody_up(desk: Desk) -> None:
    wishes, token = Wishes(desk), (await desk.enrol()).agent_token
    await wishes.sync(blog())
    result = pb.AgentCommandResult(command=1, done=True, code="not_supported")
    await desk.connect(token, report(1, command_result=result))
    told = await wishes.sync(blog())
    assert (shown(told), told.current) == ({BLOG: "PENDING"}, True)
    assert "runs no Applications" in told.workloads[0].message


def test_an_application_is_judged_as_a_component_is() -> None:
    def state(hosted: Hosted | None, **more: Any) -> str:
        return workloads.stands(hosted, UID, **{"was_ready": False, "is_silent": False, **more}).state

    ready = Release(observed_generation=1, conditions=(Condition("Ready", "True", observed_generation=1),))
    hosted = Hosted(UID, COMMIT, ready, serves=True)
    assert (state(hosted), state(None), state(hosted, is_silent=True)) == ("ready", "pending", "unknown")
    assert state(Hosted(OTHER, COMMIT, ready, serves=True)) == "pending", "a former life says nothing"
    assert state(Hosted(UID, COMMIT, ready, serves=False), was_ready=True) == "degraded"
    told = workloads.stands(
        Hosted(UID, "", None, serves=False, problem="no such commit"), UID, was_ready=False, is_silent=False
    )
    assert (told.state, told.message) == ("pending", "no such commit")
