"""What a person waits for at the provisioner: a plan, and a run that goes on after a death."""

import asyncio
import time
from pathlib import Path
from typing import Any

import psutil
from catalyst.provisioner.v1 import service_pb2 as provisioner
from catalyst_testkit import eventually
from catalyst_testkit.processes import nursery
from catalyst_testkit.servers import NatsServer
from sqlalchemy import text

from lib.mesh.tests.journal import child
from lib.mesh.tests.journal.bench import Bench, reaches
from lib.mesh.tests.journal.test_processes import DRIVERS, Process, Replicas, onlooker
from tests.contract import wishes
from tests.contract.mesh import mesh

from .harness import Goal, Round, compare, measured, one_by_one
from .table import Table

FAMILIES = ("pilot", "spine", "surge", "silo", "guardian", "insights", "fabric", "cortex", "relay")
LEASE = 3.0
UP = 5.0
"""Seconds in which a replica is up on a busy machine too."""
ROOT = "catalyst.provisioner.v1"


async def lasting(seconds: float) -> Round:
    """A limit that is a time, as if the bare thing took it."""
    return Round([seconds], seconds, 1)


@measured
async def test_a_plan(table: Table, home: Path, nats: NatsServer) -> None:
    """Real catalog, real names, the simulated cloud; by gRPC, stored."""

    async def address(name: str) -> str:
        return f"sqlite+aiosqlite:///{home}/{name}.db"

    async with mesh(home, nats, address) as m:
        pool = wishes.pooldomain.pool(wishes.pooldomain.POOL.removeprefix("pools/"))
        await m.call("catalyst.pooldomain.v1.PoolService/CreatePool", pool)
        for clusters, families, words in ((3, FAMILIES, "three regions, all families"), (6, (), "six clusters")):
            wish: Any = await wishes.provisioner.a_sovereign(m)
            first = wish.sovereign.spec.clusters[0]
            for place in [(r, b) for b in ("mgt", "rtz") for r in ("east", "west", "north")][1:clusters]:
                other = wish.sovereign.spec.clusters.add()
                other.CopyFrom(first)
                other.region, other.building_block = place
                del other.hosts[:]
            wish.sovereign.spec.components.families.extend(families)
            made: Any = await m.call(f"{ROOT}.SovereignService/CreateSovereign", wish)

            async def plan(name: str = made.name) -> Any:
                request = provisioner.CreatePlanRequest(parent=name, intent=1)
                return await m.call(f"{ROOT}.PlanService/CreatePlan", request)

            components = len((await plan()).components)
            row = await compare(
                f"provisioner: plan of {words} ({components} components)", Goal("p50", 1, "one second"),
                ours=lambda p=plan: one_by_one(p, 3), bare=lambda: lasting(1.0),
            )  # fmt: skip
            table.add(row)


async def lives_for(process: Process, seconds: float) -> None:
    """Give a process that tells nothing the time to come up."""
    await eventually(lambda: time.time() - psutil.Process(process.pid).create_time() > seconds, within=2 * seconds)


@measured
async def test_recovery_after_kill_9(table: Table, home: Path) -> None:
    """From the death of the process that holds a run until another one has entered its step again."""
    bench = await Bench.open(f"sqlite+aiosqlite:///{home}/test.db")
    times = iter(range(100))

    async def ours() -> Round:
        folder = home / f"round-{next(times)}"
        folder.mkdir()
        effects, replicas = child.Effects(folder), Replicas(born, bench.url, folder)
        try:
            both = [replicas.start(LEASE), replicas.start(LEASE)]
            engine = onlooker(bench, folder)
            run = (await engine.start("freezer", subject=folder.name, key=folder.name, input={})).id
            await eventually(lambda: effects.all() == ["entered-1"], within=60)
            async with bench.db.read() as sql:
                owner = (
                    await sql.execute(text("SELECT owner FROM journal_run WHERE id = :id"), {"id": run})
                ).scalar_one()
            await asyncio.gather(*(lives_for(process, UP) for process in both))
            await replicas.kill(next(one for one in both if owner.startswith(f"pid{one.pid}.")))
            began = time.perf_counter()
            (folder / "go").touch()
            await eventually(lambda: "entered-2" in effects.all(), within=60, every=0.005)
            taken = time.perf_counter() - began
            await reaches(engine, run, "succeeded", within=60)  # or the next round would go on with it
            return await lasting(taken)
        finally:
            for process in list(replicas.alive):
                await replicas.kill(process)

    with nursery("catalyst_mesh.journal", "catalyst_testkit", *DRIVERS) as born:
        row = await compare(
            f"journal: a run goes on after kill -9, lease {LEASE:g} s", Goal("p50", (LEASE + 2) / LEASE, "the lease"),
            ours=ours, bare=lambda: lasting(LEASE), rounds=3,
        )  # fmt: skip
    table.add(row)
    await bench.close()
