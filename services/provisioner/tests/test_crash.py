"""kill -9 of the daemon in the middle of a run: after a restart it goes on and ends the same, nothing made twice."""

import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst_mesh import Issuer, connect
from catalyst_testkit.processes import Nursery

from .conftest import NAME, Bench, Start, child
from .test_nodes import ASK, asked, shown
from .test_runs import active

pytestmark = pytest.mark.either_database

CLUSTER = "sb-east-mgt-dev"
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
MAKING = [f"run:infra.{CLUSTER}.after", "run:dns.commit.after"]
REMOVING = [f"run:remove.{CLUSTER}.after"]
"""A sample; the storm of replicas dies anywhere else, and a long run at each of these."""
if LONG:
    MAKING += ["run:name.reserve.after", "run:git.render.after", f"run:kit.{CLUSTER}.bp-flux.after"]
    REMOVING += ["run:name.release.after"]


@asynccontextmanager
async def doomed(start: Any, born: Nursery, point: str) -> AsyncIterator[Bench]:
    """A provisioner in a process of its own that dies at `point`, while the block uses it."""
    home: Path = start.home
    issuer = Issuer.open(home / "issuer")
    (home / "token").write_text(issuer.token("provisioner", service="provisioner"))
    settings = start.settings | {
        "jwks_file": str(home / "issuer" / "jwks.json"),
        "token_file": str(home / "token"), "data_folder": str(home), "drain_seconds": 0.0, "lease_ttl": 1.0,
    }  # fmt: skip
    settings.pop("service")
    one = child(born, home)
    assert await one.serves(point, json.dumps(settings, default=str)), one.log.read_text()[-3000:]
    token = issuer.token("admin", roles=["sovereign-admin"])
    channel = connect(settings["listen"], token=lambda: token)
    try:
        daemon: Any = SimpleNamespace(admin=lambda stub: stub(channel))
        yield Bench(daemon, start.around, home)
        assert await one.ended() == -signal.SIGKILL
    finally:
        await channel.close()
        await one.kill()


@pytest.mark.chaos
@pytest.mark.parametrize("point", MAKING)
async def test_a_creation_goes_on_after_kill_9_and_makes_nothing_twice(start: Start, born: Nursery, point: str) -> None:
    async with doomed(start, born, point) as bench:
        await bench.create()
        run = await bench.apply(await bench.plan())
    async with start(lease_ttl=1.0) as bench:
        ended = await bench.ended(run)
        assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error
        assert (await bench.get()).state == pb.Sovereign.STATE_ACTIVE
        ledger = await bench.infra.ListLedger(rpc.ListLedgerRequest(parent=NAME))
        made = Counter((r["kind"], r["name"]) for r in bench.cloud())
        assert set(made.values()) == {1}
        assert {e.resource_id for e in ledger.entries} == {r["id"] for r in bench.cloud()}
        assert (bench.world.names.reserved, bench.world.names.commits) == (1, 1)
        seqs = [event.seq for event in await bench.events(run)]
        assert seqs == list(range(1, len(seqs) + 1))


@pytest.mark.chaos
@pytest.mark.parametrize("point", REMOVING)
async def test_a_destroy_goes_on_after_kill_9(start: Start, born: Nursery, point: str) -> None:
    async with doomed(start, born, point) as bench:
        await bench.create()
        await bench.ended(await bench.apply(await bench.plan()))
        run = await bench.apply(await bench.plan("DESTROY"))
    async with start(lease_ttl=1.0) as bench:
        ended = await bench.ended(run)
        assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error
        assert bench.cloud() == []
        assert bench.world.names.released == 1
        assert (await bench.get()).state == pb.Sovereign.STATE_DESTROYED


@pytest.mark.chaos
@pytest.mark.parametrize("verb", ["REPLACE", "REBOOT"] if LONG else ["REPLACE"])
async def test_work_on_a_node_goes_on_after_kill_9_and_is_done_once(start: Start, born: Nursery, verb: str) -> None:
    async with start(lease_ttl=1.0) as bench:
        await active(bench)
        before = await shown(bench)
    node = next(id for id in before if "-data-1-" in id)
    point = f"run:infra.{CLUSTER}.after" if verb == "REPLACE" else "run:node.reboot.*.after"
    async with doomed(start, born, point) as bench:
        run = await bench.apply(await bench.plans.PreviewChange(asked(ASK.Verb.Value(f"VERB_{verb}"), node)))
    async with start(lease_ttl=1.0) as bench:
        ended = await bench.ended(run)
        assert ended.state == pb.Run.STATE_SUCCEEDED, (ended.error, await bench.steps(run))
        after = await shown(bench)
        assert {id for id in after if after[id].boot_id != before[id].boot_id} == {node}
        assert after[node].boot_id == f"{after[node].server_id}-{int(verb == 'REBOOT')}"
        assert len(bench.cloud()) == len({(r["kind"], r["name"]) for r in bench.cloud()})
        told = [event.data["name"] for event in await bench.events(run) if event.code == "resource.created"]
        assert told == ([node] if verb == "REPLACE" else [])
