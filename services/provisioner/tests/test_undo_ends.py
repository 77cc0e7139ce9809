"""A cancel that takes back ends: what cannot be taken back now is named, and another cancel or a destroy goes on from it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst_cloud_sandbox.account import Account
from catalyst_testkit import eventually

from .conftest import Bench, Start
from .test_cancelling import MODES
from .test_runs import active
from .test_taking_back import changed, wider
from .test_waiting import arm, blocked

pytestmark = pytest.mark.either_database


@contextmanager
def rising_again(bench: Bench, labels: dict[str, str]) -> Iterator[None]:
    """A controller in the cluster has a volume, and makes it anew in the moment in which it is deleted."""
    store = Account(bench.home / "sandbox", "catalyst", {}).store
    with store.begin() as tx:
        tx.insert("volume", "pvc-1", "east", labels, {"size_gb": 1, "simulated": True})
        tx.db.execute(
            "CREATE TRIGGER rising AFTER DELETE ON resources WHEN OLD.kind = 'volume' BEGIN "
            "INSERT INTO resources (kind, name, region, labels, spec) "
            "VALUES (OLD.kind, OLD.name, OLD.region, OLD.labels, OLD.spec); "
            "UPDATE resources SET id = printf('vol-%06d', seq) WHERE id IS NULL; END"
        )
    yield
    with store.begin() as tx:
        tx.db.execute("DROP TRIGGER rising")


async def test_a_cluster_that_never_gets_empty_ends_its_undo_and_is_named(start: Start) -> None:
    async with start(time_scale=0.001) as bench:
        await bench.create()
        plan = await bench.plan()
        arm(bench, "quota", kind="server", name="*data-1*", times=-1)
        run = await bench.apply(plan)
        await blocked(bench, run, "have the limit raised")
        labels = dict(next(row["labels"] for row in bench.cloud() if row["kind"] == "network"))
        with rising_again(bench, labels):
            await bench.runs.CancelRun(rpc.CancelRunRequest(name=run, mode=MODES.MODE_COMPENSATE))
            ended = await bench.ended(run)
        assert ended.state == pb.Run.STATE_CANCELLED_WITH_LEFTOVERS
        failed = (await bench.steps(run))["infra.sb-east-mgt-dev"].error
        assert "still has volume pvc-" in failed.message
        assert {row["kind"] for row in bench.cloud()} <= {"volume"}
        assert {one.id for one in ended.leftovers} >= {row["id"] for row in bench.cloud()}
        await bench.runs.CancelRun(rpc.CancelRunRequest(name=run, mode=MODES.MODE_COMPENSATE))

        async def clean() -> bool:
            return bool((await bench.run_of(run)).state == pb.Run.STATE_CANCELLED_CLEAN)

        await eventually(clean, within=60)
        assert bench.cloud() == []
        assert not bench.world.names.held


async def test_servers_that_cannot_be_bought_again_end_the_undo_and_a_plan_brings_them(bench: Bench) -> None:
    await active(bench)
    arm(bench, "capacity", kind="server", name="*general-3*", times=-1)
    run = await bench.apply(await bench.plan(spec=changed(wider)))
    await blocked(bench, run, "in place of this run")
    before = {row["name"]: row["id"] for row in bench.cloud()}
    with Account(bench.home / "sandbox", "catalyst", {}).store.begin() as tx:
        gone = next(one for one in tx.resources() if "data-1" in one.name and one.kind == "server")
        tx.delete(gone.id)
    arm(bench, "capacity", kind="server", name="*data-1*", times=1)
    await bench.runs.CancelRun(rpc.CancelRunRequest(name=run, mode=MODES.MODE_COMPENSATE))
    ended = await bench.ended(run)
    assert ended.state == pb.Run.STATE_CANCELLED_WITH_LEFTOVERS
    failed: Any = (await bench.steps(run))["infra.sb-east-mgt-dev"].error
    assert getattr(failed, "class") == pb.StepError.CLASS_CAPACITY
    assert {row["id"] for row in bench.cloud()} <= set(before.values())
    again = await bench.ended(await bench.apply(await bench.plan(spec=changed(lambda wanted: None))))
    assert again.state == pb.Run.STATE_SUCCEEDED, (again.error, await bench.steps(again.name))
    assert {row["name"] for row in bench.cloud()} == set(before) - {n for n in before if "general-2" in n}
