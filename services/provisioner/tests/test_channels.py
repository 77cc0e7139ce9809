"""Release channels: they choose versions, a move of one is an upgrade that somebody plans, and rings wait for one another."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst_cloud_sandbox.faults import Fault
from catalyst_testkit import eventually

from .conftest import NAME, Bench, Start, spec
from .test_components_that_fail import account
from .test_runs import active

pytestmark = pytest.mark.either_database
CANARY = "sovereigns/first"


def first() -> dict[str, Any]:
    """The Sovereign that goes first."""
    wanted = spec()
    return {
        "organization": {**wanted["organization"], "slug": "first"},
        "domain": {**wanted["domain"], "label": "first"},
        "clusters": [{**wanted["clusters"][0], "region": "west"}],
        "release": {"channel": "canary"},
    }  # fmt: skip - a spec


def versions(plan: Any) -> dict[str, str]:
    return {c.blueprint: c.version for c in plan.components}


def moving(plan: Any) -> dict[str, str]:
    return {c.blueprint: c.version for c in plan.components if c.action == pb.ComponentChange.ACTION_UPGRADE}


def codes(plan: Any) -> set[str]:
    return {finding.code for finding in plan.findings}


async def upgraded(bench: Bench, name: str) -> Any:
    plan = await bench.plan("UPGRADE", name)
    assert plan.applicable, plan.findings
    return await bench.ended(await bench.apply(plan))


async def test_a_channel_chooses_versions_and_its_move_goes_from_ring_to_ring_by_plans(
    start: Start, home: Path
) -> None:
    file = home / "channels.yaml"

    def move(**held: dict[str, str]) -> None:
        rows = {name: {"versions": {f"bp-{k}": v for k, v in had.items()}} for name, had in held.items()}
        rows["stable"]["after"] = "canary"
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(rows))
        fresh.replace(file)

    move(canary={"grafana": "0.9.0"}, stable={"grafana": "0.9.0"})
    async with start(channels_file=file) as bench:
        await bench.create(CANARY, **first())
        run = await bench.apply(await bench.plan(name=CANARY))
        assert (await bench.ended(run)).state == pb.Run.STATE_SUCCEEDED
        await active(bench)
        plan = await bench.plan()
        assert versions(plan)["bp-grafana"] == "0.9.0"
        assert {v for name, v in versions(plan).items() if name != "bp-grafana"} == {"1.0.0"}
        assert plan.inputs.release.startswith("stable@sha256:")
        assert plan.empty

        bench.world.catalog.version = "1.3.0"
        move(canary={"grafana": "1.1.0"}, stable={"grafana": "1.1.0"})
        plan = await bench.plan()
        assert (plan.empty, "release.behind" in codes(plan)) == (True, True), "a move changes nothing by itself"
        waits = await bench.plan("UPGRADE")
        assert (waits.applicable, "release.unproven" in codes(waits)) == (False, True)
        assert moving(waits) == {"bp-grafana": "1.1.0"}, "what the channel does not name stays"

        assert (await upgraded(bench, CANARY)).state == pb.Run.STATE_SUCCEEDED
        await asyncio.to_thread(account(bench).arm, Fault("fail_probe", name="bp-grafana", times=-1))

        async def unproven(expected: bool) -> bool:
            return ("release.unproven" in codes(await bench.plan("UPGRADE"))) is expected

        await eventually(lambda: unproven(True), within=60, what="the canary is unwell, so the others stay")
        await asyncio.to_thread(account(bench).disarm)
        await eventually(lambda: unproven(False), within=60, what="the canary is well")
        plan = await bench.plan("UPGRADE")
        assert (plan.applicable, moving(plan)) == (True, {"bp-grafana": "1.1.0"}), plan.findings
        assert (await bench.ended(await bench.apply(plan))).state == pb.Run.STATE_SUCCEEDED

        async def level() -> bool:
            return not codes(await bench.plan()) & {"release.behind", "release.ahead"}

        await eventually(level, within=60, what="the new version is seen")

        move(canary={"grafana": "1.1.0"}, stable={"grafana": "1.0.0"})
        plan = await bench.plan("UPGRADE")
        assert (plan.empty, "release.ahead" in codes(plan)) == (True, True), "nothing goes back"
        file.write_text("stable: {versions: {bp-grafana: newest}}")
        plan = await bench.plan()
        assert (plan.applicable, "release.channels" in codes(plan)) == (False, True)
        assert bench.world.catalog.version == "1.3.0"
        assert (await bench.get(NAME)).state == pb.Sovereign.STATE_ACTIVE
