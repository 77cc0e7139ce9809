"""Components that fail in a run: what needs them waits or is left out, what stands beside them is ready, a retry heals."""

import asyncio
from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst_cloud_sandbox.account import Account
from catalyst_cloud_sandbox.faults import Fault
from catalyst_testkit import eventually

from .conftest import NAME, Bench

pytestmark = pytest.mark.either_database

EAST = "sb-east-mgt-dev"


def account(bench: Bench) -> Account:
    return Account(bench.home / "sandbox", "catalyst")


async def states(bench: Bench) -> dict[str, str]:
    listed = await bench.infra.ListComponents(rpc.ListComponentsRequest(parent=f"{NAME}/clusters/-"))
    return {c.blueprint: pb.Component.State.Name(c.state).removeprefix("STATE_") for c in listed.components}


async def health(bench: Bench) -> int:
    return int((await bench.get()).health)


async def test_a_component_that_fails_holds_back_what_needs_it_and_a_retry_heals_only_that(bench: Bench) -> None:
    await bench.create()
    await asyncio.to_thread(account(bench).arm, Fault("fail_install", name="bp-flux", times=4))
    await asyncio.to_thread(account(bench).arm, Fault("chart_pull", name="bp-grafana", times=-1))
    run = await bench.apply(await bench.plan())
    ended = await bench.ended(run)
    assert ended.state == pb.Run.STATE_FAILED, ended
    seen = await states(bench)
    assert seen == {
        "bp-cilium": "READY", "bp-cert-manager": "READY", "bp-flux": "FAILED", "bp-grafana": "BLOCKED",
        "bp-catalyst-platform": "BLOCKED",
    }  # fmt: skip
    failed = await bench.steps(run)
    assert failed[f"kit.{EAST}.bp-catalyst-platform"].state == pb.Step.STATE_SKIPPED
    await bench.runs.RetryStep(rpc.RetryStepRequest(name=failed[f"kit.{EAST}.bp-flux"].name))
    healed = await bench.ended(run)
    assert healed.state == pb.Run.STATE_SUCCEEDED, (healed.error, await states(bench))
    assert list(healed.degraded) == [f"kit.{EAST}.bp-grafana"], "an optional one degrades"
    attempts = {id: step.attempt for id, step in (await bench.steps(run)).items()}
    assert (attempts[f"infra.{EAST}"], attempts[f"kit.{EAST}.bp-cilium"], attempts[f"kit.{EAST}.bp-flux"]) == (1, 1, 2)

    healthy, degraded = pb.Sovereign.HEALTH_HEALTHY, pb.Sovereign.HEALTH_DEGRADED
    await eventually(lambda: _is(health(bench), healthy), within=60, what="it is healthy, the optional one apart")
    await asyncio.to_thread(account(bench).arm, Fault("fail_probe", name="bp-cert-manager"))
    await eventually(lambda: _is(health(bench), degraded), within=60, what="a probe that fails degrades it")
    assert (await states(bench))["bp-cert-manager"] == "DEGRADED"
    await asyncio.to_thread(account(bench).disarm)
    await eventually(lambda: _is(health(bench), healthy), within=60, what="it is healthy again")


async def _is(found: Any, wanted: int) -> bool:
    return bool(await found == wanted)
