"""What somebody made by hand comes under management: imported, renamed by nobody, replaced by nobody."""

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst_cloud_sandbox.account import Account
from catalyst_testkit.daemons import reason_of

from .conftest import Bench
from .test_waiting import arm, blocked

pytestmark = pytest.mark.either_database


async def test_a_cancel_that_compensates_never_deletes_what_was_there_before_us(bench: Bench) -> None:
    account, labels = Account(bench.home / "sandbox", "catalyst", {}), {"team": "ops"}
    network = account.create(kind="network", name="old-net", region="east", labels=labels, spec={"cidr": "10.9.0.0/16"})
    await bench.create()
    plan = await bench.plan("ADOPT", options={"adopt_labels": labels})
    arm(bench, "capacity", kind="server", name="*data-1*", times=-1)
    run = await bench.apply(plan)
    await blocked(bench, run, "in place of this run")
    compensate = rpc.CancelRunRequest.MODE_COMPENSATE
    await bench.runs.CancelRun(rpc.CancelRunRequest(name=run, mode=compensate))
    ended = await bench.ended(run)
    assert [r["id"] for r in bench.cloud()] == [network.id]
    assert [left.id for left in ended.leftovers] == [network.id], "it stays, and is named"


async def test_resources_made_by_hand_are_taken_over_without_a_replacement(bench: Bench) -> None:
    account, labels = Account(bench.home / "sandbox", "catalyst", {}), {"team": "ops"}
    made = [
        account.create(kind=kind, name=name, region=region, labels=labels, spec=spec).id
        for kind, name, region, spec in (
            ("network", "old-net", "east", {"cidr": "10.9.0.0/16"}), ("server", "old-worker", "east", {"size": "sb4"}),
            ("load_balancer", "old-lb", "east", {"size": "sblb"}), ("volume", "disk", "east", {"size_gb": 1}),
        )
    ]  # fmt: skip
    await bench.create()
    assert await reason_of(bench.plan("ADOPT")) == "SPEC_INVALID"
    strange = await bench.plan("ADOPT", options={"adopt_labels": {"team": "nobody"}})
    assert (strange.applicable, [f.code for f in strange.findings]) == (False, ["adopt.nothing"])
    plan = await bench.plan("ADOPT", options={"adopt_labels": labels})
    words = pb.ResourceChange.Action.Name
    assert sorted((c.name, words(c.action)) for c in plan.changes if c.name.startswith("old")) == [
        ("old-lb", "ACTION_IMPORT"), ("old-net", "ACTION_IMPORT"), ("old-worker", "ACTION_IMPORT"),
    ]  # fmt: skip
    assert [f.code for f in plan.findings] == ["adopt.unmatched"], plan.findings
    ended = await bench.ended(await bench.apply(plan))
    assert ended.state == pb.Run.STATE_SUCCEEDED, (ended.error, await bench.steps(ended.name))
    there = {r["id"]: r for r in bench.cloud()}
    assert set(made) <= there.keys()
    assert len(there) == 7, "six that are wished, one that nobody wished"
    assert there[made[0]]["name"] == "old-net"
    again = await bench.plan()
    assert again.empty, again.changes
    destroyed = await bench.ended(await bench.apply(await bench.plan("DESTROY")))
    assert destroyed.state == pb.Run.STATE_SUCCEEDED, destroyed.error
    assert [r["name"] for r in bench.cloud()] == ["disk"]
