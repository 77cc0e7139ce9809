"""A hand-off and the way back: claims that look, one manager at a time, and nothing that two would touch."""

import asyncio
import json
from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst_provisioner.repository import Repositories
from catalyst_testkit.daemons import reason_of
from google.protobuf.json_format import ParseDict

from .conftest import NAME, Bench, spec

pytestmark = pytest.mark.either_database


async def managers(bench: Bench) -> set[str]:
    rows = await bench.infra.ListLedger(rpc.ListLedgerRequest(parent=NAME))
    return {entry.manager for entry in rows.entries}


async def claims(bench: Bench) -> list[Any]:
    files = await asyncio.to_thread(Repositories(bench.home / "trees").files, "omantel")
    return [json.loads(text.partition(b"---\n")[2]) for path, text in files.items() if "/claims/" in path]


async def test_crossplane_gets_what_is_there_keeps_it_and_gives_it_back(bench: Bench) -> None:
    await bench.create()
    assert await reason_of(bench.plan("HAND_OFF")) == "NOT_ACTIVE"
    run = await bench.apply(await bench.plan())
    assert (await bench.ended(run)).state == pb.Run.STATE_SUCCEEDED
    before = {r["id"] for r in bench.cloud()}

    plan = await bench.plan("HAND_OFF")
    assert plan.applicable, plan.findings
    assert {(c.manager, c.action) for c in plan.changes} == {("crossplane", pb.ResourceChange.ACTION_IMPORT)}
    assert plan.cost.difference.month.minor == 0
    ended = await bench.ended(await bench.apply(plan))
    assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error
    assert await managers(bench) == {"crossplane"}
    held = await bench.get()
    assert (held.state, {c.type: c.status for c in held.conditions}["HandedOff"]) == (pb.Sovereign.STATE_ACTIVE, 1)
    rendered = await claims(bench)
    assert {c["metadata"]["annotations"]["crossplane.io/external-name"] for c in rendered} == before
    assert {tuple(c["spec"]["managementPolicies"]) for c in rendered} == {("*",)}
    assert (await bench.plan("HAND_OFF")).empty

    destroy = await bench.plan("DESTROY")
    assert (destroy.applicable, [f.code for f in destroy.findings]) == (False, ["handoff.crossplane_keeps"])
    larger = spec()
    larger["clusters"][0]["worker_pools"][0]["count"] = 3
    grown = await bench.plan(spec=ParseDict(larger, pb.SovereignSpec()))
    assert "handoff.crossplane_keeps" in [f.code for f in grown.findings]

    back = await bench.ended(await bench.apply(await bench.plan("HAND_OFF", options={"roll_back": True})))
    assert back.state == pb.Run.STATE_SUCCEEDED, back.error
    assert (await managers(bench), await claims(bench)) == ({"native"}, [])
    assert {r["id"] for r in bench.cloud()} == before, "nothing was made, changed or deleted"
    gone = await bench.ended(await bench.apply(await bench.plan("DESTROY")))
    assert gone.state == pb.Run.STATE_SUCCEEDED, gone.error
    assert bench.cloud() == []


async def test_a_spec_that_wishes_it_is_handed_off_at_the_end_of_its_creation_and_once(bench: Bench) -> None:
    await bench.create(hand_off=True)
    plan = await bench.plan()
    assert [(f.code, f.field) for f in plan.findings] == [("handoff.crossplane", "spec.hand_off")]
    ended = await bench.ended(await bench.apply(plan))
    assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error
    steps = await bench.steps(ended.name)
    assert steps["handoff.sb-east-mgt-dev"].start_time.ToNanoseconds() > steps["probe"].end_time.ToNanoseconds()
    assert await managers(bench) == {"crossplane"}
    held = {c.type: c.status for c in (await bench.get()).conditions}
    assert (held["HandedOff"], held["Ready"]) == (1, 1)
    assert (await bench.plan()).empty
