"""Three replicas over one database, one of which dies by kill -9 at random moments while a Sovereign of two regions comes and
goes: what is there in the end is what a run without a death would have left, each thing once."""

import asyncio
import faulthandler
import json
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst_mesh import Database, Issuer, connect
from catalyst_provisioner.store import metadata
from catalyst_testkit import eventually
from catalyst_testkit.processes import Nursery
from catalyst_testkit.servers import free_port
from sqlalchemy import select

from .conftest import ENDED, NAME, Bench, Start, child, spec

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
ROUNDS, DEATHS = (20, (3, 2)) if LONG else (1, (1, 1))
"""Lives of a Sovereign, and deaths while it comes and while it goes: 100 in a long run, 2 in a short one."""
MANY = int(os.environ.get("CATALYST_MANY", "100" if LONG else "4"))
"""Sovereigns at once."""
REPLICAS = 3
RUNS = metadata.tables["journal_run"]
pytestmark = [pytest.mark.either_database, pytest.mark.chaos]
WEST = {**spec()["clusters"][0], "region": "west"}


class Replicas:
    """Provisioners in processes of their own, over one database and one folder."""

    def __init__(self, start: Any, born: Nursery, dice: random.Random) -> None:
        self.home: Path = start.home
        self.around = start.around
        self.dice = dice
        self.deaths = 0
        self._issuer = Issuer.open(self.home / "issuer")
        (self.home / "token").write_text(self._issuer.token("provisioner", service="provisioner"))
        ports = [free_port() for _ in range(REPLICAS)]
        given = {k: v for k, v in start.settings.items() if k != "service"} | {
            "jwks_file": str(self.home / "issuer" / "jwks.json"), "token_file": str(self.home / "token"),
            "data_folder": str(self.home), "drain_seconds": 0.0, "lease_ttl": 5.0 if LONG else 1.0, "shared_ports": True,
            "public_url": f"127.0.0.1:{ports[0]}",
        }  # fmt: skip
        self.settings = [{**given, "listen": f"127.0.0.1:{port}"} for port in ports]
        self.children = [child(born, self.home, number) for number in range(REPLICAS)]
        self.channels: list[grpc.aio.Channel] = []

    async def up(self, number: int) -> None:
        """Start a replica, and wait until it serves; where somebody sits on its port for a moment it is started again."""
        for _ in range(20):
            if await self.children[number].serves("never", json.dumps(self.settings[number], default=str), within=90):
                return
        raise AssertionError(f"replica {number} does not come up at {self.settings[number]['listen']}")

    async def kill(self) -> None:
        """kill -9 of any one, and its next life."""
        number = self.dice.randrange(REPLICAS)
        await self.children[number].kill()
        self.deaths += 1
        await self.up(number)

    def bench(self) -> Bench:
        """Callers of the first replica; a call during its death is asked again by the channel."""
        token = self._issuer.token("admin", roles=["sovereign-admin"])
        channel = connect(self.settings[0]["listen"], token=lambda: token)
        self.channels.append(channel)
        daemon: Any = SimpleNamespace(admin=lambda stub: stub(channel))
        return Bench(daemon, self.around, self.home)

    async def down(self) -> None:
        for channel in self.channels:
            await channel.close()
        for one in self.children:
            await one.kill()


@pytest.fixture
async def replicas(start: Start, born: Nursery) -> AsyncIterator[Replicas]:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - to run it again
    made = Replicas(start, born, random.Random(seed))
    await asyncio.gather(*(made.up(n) for n in range(REPLICAS)))
    yield made
    await made.down()


async def carried(replicas: Replicas, db: Database, bench: Bench, run: str, deaths: int) -> Any:
    """The end of a run during which replicas died; the moments are numbers of its events, drawn beforehand."""
    id = run.rpartition("/")[2]

    async def seq() -> tuple[int, str]:
        async with db.read() as sql:
            row = (await sql.execute(select(RUNS.c.seq, RUNS.c.state).where(RUNS.c.id == id))).one()
        return row.seq, row.state

    for moment in sorted(replicas.dice.randint(2, 90) for _ in range(deaths)):

        async def reached(moment: int = moment) -> bool:
            at, state = await seq()
            return at >= moment or state in ("succeeded", "failed", "stuck")

        await eventually(reached, within=120)
        await replicas.kill()

    return await over(bench, run, within=180)


async def over(bench: Bench, run: str, within: float, every: float = 0.02) -> Any:
    """The run once it has ended, whatever becomes of a call that asks for it."""

    async def ended() -> Any:
        try:
            found = await bench.run_of(run)
        except grpc.aio.AioRpcError:  # its replica is just coming back, or has its hands full
            return None
        return found if found.state in ENDED else None

    return await eventually(ended, within=within, every=every, what=f"{run} ends")


@pytest.mark.parametrize("life", range(ROUNDS))
async def test_replicas_that_die_at_random_moments_lose_nothing_and_make_nothing_twice(
    replicas: Replicas, database: str, life: int
) -> None:
    db, bench = await Database.open(database), replicas.bench()
    names = bench.world.names
    try:
        await bench.create(clusters=[spec()["clusters"][0], WEST])
        run = await bench.apply(await bench.plan())
        ended = await carried(replicas, db, bench, run, DEATHS[0])
        assert ended.state == pb.Run.STATE_SUCCEEDED, (ended.error, await bench.steps(run))
        ledger = await bench.infra.ListLedger(rpc.ListLedgerRequest(parent=NAME, page_size=1000))
        made = Counter((r["kind"], r["name"]) for r in bench.cloud())
        assert (len(made), set(made.values())) == (12, {1})
        assert {e.resource_id for e in ledger.entries} == {r["id"] for r in bench.cloud()}
        assert (names.reserved, names.commits) == (1, 1)
        seqs = [event.seq for event in await bench.events(run)]
        assert seqs == list(range(1, len(seqs) + 1))
        run = await bench.apply(await bench.plan("DESTROY"))
        ended = await carried(replicas, db, bench, run, DEATHS[1])
        assert ended.state == pb.Run.STATE_SUCCEEDED, (ended.error, await bench.steps(run))
        assert bench.cloud() == []
        assert not names.held
        assert replicas.deaths == sum(DEATHS)
    finally:
        await db.close()


async def test_many_sovereigns_at_once_all_become_active_each_with_its_own_things(bench: Bench) -> None:
    count, door = MANY, asyncio.Semaphore(4)
    if count > 4:
        faulthandler.cancel_dump_traceback_later()  # many take longer than any test may

    async def one(number: int) -> str:
        label = f"bank{number:03}"
        organization = {"slug": label, "admin_email": f"ops@{label}.example"}
        domain = {"mode": "pool", "pool": "omani.works", "label": label}
        async with door:  # runs are many at once, callers are few: one process here plays all of them
            await bench.create(f"sovereigns/{label}", organization=organization, domain=domain)
            run = await bench.apply(await bench.plan(name=f"sovereigns/{label}"))
        ended = await over(bench, run, within=3600, every=0.02 * count)
        assert ended.state == pb.Run.STATE_SUCCEEDED, (label, ended.error)
        return label

    labels = await asyncio.gather(*(one(n) for n in range(count)))
    owners = Counter(r["labels"]["openova.io/sovereign"] for r in bench.cloud())
    assert owners == dict.fromkeys(labels, 6)
