"""Lives of a Sovereign under faults that come together, with a cancel at any moment: whatever happens, each thing is there
once while it is there, what a run says of its end is so, and a destroy leaves nothing."""

import os
import random
from collections import Counter
from typing import Any

import grpc
import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst_testkit import eventually

from .conftest import ENDED, NAME, Bench
from .test_waiting import arm

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
LIVES = int(os.environ.get("CATALYST_LIVES", "40" if LONG else "1"))
FIRST = int(os.environ.get("CATALYST_SEED", random.randrange(2**32)))
pytestmark = [pytest.mark.either_database, pytest.mark.chaos]
MODES = rpc.CancelRunRequest
SERVERS = ("*general-1*", "*data-1*", "*")


def weather(dice: random.Random) -> list[tuple[str, dict[str, Any]]]:
    """What may go wrong while something is made; all of it ends by itself or by a retry."""
    few = dice.randint(1, 3)
    return dice.sample(
        [
            ("rate_limit", {"operation": "", "times": 5 * few, "delay": 0.02}),
            ("server_error", {"operation": dice.choice(["create", "list", "delete"]), "times": few}),
            ("lost_reply", {"kind": dice.choice(["", "server", "load_balancer"]), "times": few}),
            ("partition", {"operation": dice.choice(["create", "list"]), "times": few}),
            ("slow", {"operation": "", "times": few, "delay": 0.2}),
            ("eventual", {"times": few, "delay": 0.5}),
            ("orphan", {"kind": "server", "times": 1}),
            ("capacity", {"kind": "server", "name": dice.choice(SERVERS), "times": few}),
            ("quota", {"kind": "server", "name": dice.choice(SERVERS), "times": few}),
            ("auth", {"operation": dice.choice(["create", "list"]), "times": 1}),
            ("fail_install", {"name": "bp-flux", "times": few}),
            ("chart_pull", {"name": "bp-cert-manager", "times": few}),
        ],
        k=3,
    )


async def pushed(bench: Bench, run: str, dice: random.Random, *, may_cancel: bool) -> Any:
    """The end of a run whose waits and failures somebody retries, and that somebody may cancel at some moment."""
    cancel_at = dice.randint(1, 120) if may_cancel and dice.random() < 0.6 else None
    mode = dice.choice([MODES.MODE_COMPENSATE, MODES.MODE_FINISH_STEP])
    print(f"cancel at event {cancel_at}, mode {mode}")  # noqa: T201 - to know what happened

    async def ended() -> Any:
        nonlocal cancel_at
        found = await bench.run_of(run)
        if cancel_at is not None and found.state not in ENDED and found.version >= cancel_at:
            cancel_at = None
            await bench.runs.CancelRun(rpc.CancelRunRequest(name=run, mode=mode))
        elif found.state in (pb.Run.STATE_WAITING, pb.Run.STATE_PAUSED):
            for step in (await bench.steps(run)).values():
                if step.state == pb.Step.STATE_FAILED or step.HasField("error"):
                    await _retried(bench, step.name)
        elif found.state in ENDED:
            return found
        return None

    return await eventually(ended, within=300, every=0.2, what=f"{run} ends")


async def _retried(bench: Bench, step: str) -> None:
    try:
        await bench.runs.RetryStep(rpc.RetryStepRequest(name=step))
    except grpc.aio.AioRpcError as refused:
        if refused.code() not in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ABORTED):
            raise  # else it went on meanwhile


def each_once(bench: Bench) -> set[str]:
    """Ids of what is there; nothing was made twice."""
    rows = bench.cloud()
    assert max(Counter((row["kind"], row["name"]) for row in rows).values(), default=1) == 1
    return {row["id"] for row in rows}


@pytest.mark.parametrize("life", range(LIVES))
async def test_whatever_goes_wrong_together_nothing_is_doubled_and_nothing_is_left(bench: Bench, life: int) -> None:
    seed = FIRST + life
    print(f"CATALYST_SEED={seed}")  # noqa: T201 - to run it again
    dice = random.Random(seed)
    await bench.create()
    plan = await bench.plan()
    for effect, about in (falls := weather(dice)):
        arm(bench, effect, **about)
    print(falls)  # noqa: T201 - as above
    run = await pushed(bench, await bench.apply(plan), dice, may_cancel=True)
    there = each_once(bench)
    if run.state == pb.Run.STATE_CANCELLED_CLEAN:
        assert not there
        assert not bench.world.names.held
        return
    ledger = await bench.infra.ListLedger(rpc.ListLedgerRequest(parent=NAME, page_size=1000))
    unknown = there - {entry.resource_id for entry in ledger.entries}
    assert len(unknown) <= any(effect == "orphan" for effect, _ in falls), (
        "only what a cluster made itself is in no ledger"
    )
    if run.state == pb.Run.STATE_CANCELLED_WITH_LEFTOVERS:
        assert {one.id for one in run.leftovers} >= there - unknown
    else:
        assert run.state == pb.Run.STATE_SUCCEEDED, (run.error, await bench.steps(run.name))
    arm(bench, "server_error", operation="delete", times=dice.randint(1, 3))
    arm(bench, "rate_limit", operation="", times=dice.randint(1, 10), delay=0.02)

    async def planned() -> str | None:
        try:
            return await bench.apply(await bench.plan("DESTROY"))
        except grpc.aio.AioRpcError as refused:
            if refused.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return None  # the cloud does not answer yet

    gone = await pushed(bench, await eventually(planned, within=60), dice, may_cancel=False)
    assert gone.state == pb.Run.STATE_SUCCEEDED, (gone.error, await bench.steps(gone.name))
    assert bench.cloud() == []
    assert not bench.world.names.held
