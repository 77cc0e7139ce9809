"""A cloud's plugin that raises what nobody announced, or answers nonsense: plans say so, runs go on, nothing else is hurt."""

from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst_cloud_sandbox.provider import SandboxCloud

from .conftest import Bench

pytestmark = pytest.mark.either_database


async def raising(*_: Any, **__: Any) -> Any:
    raise RuntimeError("nobody announced this, canary-of-a-bug")


async def nonsense(*_: Any, **__: Any) -> Any:
    return 42


async def test_a_plan_names_the_plugin_that_failed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.create()
    for call in ("offers", "check_credential", "preflight", "plan"):
        for bad, said in ((raising, "raised RuntimeError"), (nonsense, "answered int")):
            with monkeypatch.context() as patch:
                patch.setattr(SandboxCloud, call, bad)
                plan = await bench.plan()
            found = {f.code: f.message for f in plan.findings}
            if call == "offers":
                assert found.keys() == {"offers.unknown"}
                continue
            assert (plan.applicable, f"{call} {said}" in found["plugin.bug"]) == (False, True), found
            assert "canary" not in str(plan)
    assert (await bench.plan()).applicable


async def test_a_run_outlives_a_plugin_that_raises_and_answers_nonsense(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.create()
    good, times = SandboxCloud.apply, 0

    async def bad(self: Any, **given: Any) -> Any:
        nonlocal times
        times += 1
        if times == 1:
            raise RuntimeError("nobody announced this, canary-of-a-bug")
        made = await good(self, **given)
        return 42 if times == 2 else made

    monkeypatch.setattr(SandboxCloud, "apply", bad)
    run = await bench.apply(await bench.plan())
    ended = await bench.ended(run)
    assert ended.state == pb.Run.STATE_SUCCEEDED, (ended.error, await bench.steps(run))
    assert times == 3
    assert len(bench.cloud()) == len({(r["kind"], r["name"]) for r in bench.cloud()})
    assert "canary" not in str(await bench.events(run))
