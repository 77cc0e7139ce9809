"""Versions rise when somebody asks for it, as far as there is a way, and k3s one minor at a time."""

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst_testkit.daemons import reason_of
from google.protobuf.json_format import ParseDict

from .conftest import Bench, spec

pytestmark = pytest.mark.either_database


def with_k3s(version: str) -> pb.SovereignSpec:
    wanted = spec()
    wanted["clusters"][0]["k3s_version"] = version
    return ParseDict(wanted, pb.SovereignSpec())


async def test_versions_stay_until_an_upgrade_and_rise_where_there_is_a_way(bench: Bench) -> None:
    await bench.create()
    assert await reason_of(bench.plan("UPGRADE")) == "NOT_ACTIVE"
    run = await bench.apply(await bench.plan())
    assert (await bench.ended(run)).state == pb.Run.STATE_SUCCEEDED
    assert (await bench.plan("UPGRADE")).empty
    bench.world.catalog.version = "1.1.0"
    assert (await bench.plan()).empty, "a newer version moves nothing by itself"
    bench.world.catalog.blocks = "1.0.0"
    stuck = await bench.plan("UPGRADE")
    assert (stuck.applicable, [f.code for f in stuck.findings]) == (False, ["component.conflict"])
    bench.world.catalog.blocks = ""
    assert await reason_of(bench.plan("UPGRADE", spec=with_k3s("v1.33.0+k3s1"))) == "SPEC_INVALID"
    plan = await bench.plan("UPGRADE", spec=with_k3s("v1.32.1+k3s1"))
    assert plan.applicable, plan.findings
    assert {(c.previous_version, c.version) for c in plan.components} == {("1.0.0", "1.1.0")}
    assert [c.reason for c in plan.changes if c.address == "k3s"] == [
        "v1.31.4+k3s1 to v1.32.1+k3s1, servers one by one, then workers"
    ]
    ended = await bench.ended(await bench.apply(plan))
    assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error
    assert (await bench.get()).clusters[0].k3s_version == "v1.32.1+k3s1"
    assert (await bench.plan()).empty
