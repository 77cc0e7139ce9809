"""A run is cancelled in each of its phases, in both ways: clean, or with all that is left named, priced, and then taken away."""

import os
from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst_testkit import eventually

from .conftest import NAME, Bench, Start

pytestmark = pytest.mark.either_database

MODES = rpc.CancelRunRequest
PHASES = ("name", "infrastructure", "cluster", "components")
if os.environ.get("HYPOTHESIS_PROFILE") == "long":
    PHASES = ("prepare", "name", "git", "infrastructure", "cluster", "dns", "components", "acceptance")


async def cancelled_in(bench: Bench, phase: str, mode: int, plan: Any = None) -> Any:
    """A run that was cancelled once a step of the phase had begun; its end."""
    run = await bench.apply(plan or await bench.plan())

    async def begun() -> bool:
        steps = (await bench.steps(run)).values()
        return any(step.phase == phase and step.attempt for step in steps)

    await eventually(begun, within=60)
    await bench.runs.CancelRun(rpc.CancelRunRequest(name=run, mode=mode))
    return await bench.ended(run)


async def test_a_cancel_that_compensates_is_clean_in_every_phase(start: Start) -> None:
    async with start(time_scale=0.05) as bench:
        await bench.create()
        for phase in PHASES:
            ended = await cancelled_in(bench, phase, MODES.MODE_COMPENSATE)
            assert ended.state == pb.Run.STATE_CANCELLED_CLEAN, (phase, ended.error, await bench.events(ended.name))
            assert not ended.leftovers, phase
            assert bench.cloud() == [], phase
            assert not bench.world.names.held, phase
            draft = await bench.get()
            assert (draft.state, draft.console_url) == (pb.Sovereign.STATE_DRAFT, ""), phase


async def test_a_cancel_that_finishes_its_step_names_what_is_left_and_a_destroy_takes_it_away(start: Start) -> None:
    async with start(time_scale=0.05) as bench:
        for phase in PHASES:
            draft = await bench.create()
            ended = await cancelled_in(bench, phase, MODES.MODE_FINISH_STEP)
            left = {leftover.id for leftover in ended.leftovers}
            assert left == {row["id"] for row in bench.cloud()}, phase
            assert all(one.price.hour_micros for one in ended.leftovers if one.kind in ("server", "load_balancer"))
            destroyed = await bench.ended(await bench.apply(await bench.plan("DESTROY")))
            assert destroyed.state == pb.Run.STATE_SUCCEEDED, (phase, destroyed.error)
            assert bench.cloud() == [], phase
            assert not bench.world.names.held, phase
            gone = await bench.get()
            await bench.sovereigns.DeleteSovereign(rpc.DeleteSovereignRequest(name=NAME, etag=gone.etag))
            assert gone.uid == draft.uid
