"""The read model of the gateway: built anew from its events, read as a snapshot, and kept to the memory of one bite."""

import os
import resource
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalyst_gateway.rebuild import Rebuild
from catalyst_gateway.state import MOST, State
from catalyst_gateway.store import Store, metadata
from catalyst_gateway.tables import stream_event
from catalyst_gateway.things import Fact
from catalyst_mesh import Caller, Database, Leases, Work, migrate
from sqlalchemy import insert, select

from .harness import Goal, Round, batch, compare, measured, one_by_one
from .table import Table

EVENTS = int(os.environ.get("CATALYST_PERF_EVENTS", "20000"))
"""The specification's goal is for 100,000 in 60 s; 1,000,000 are asked for by themselves, because making them takes minutes."""
ROUNDS = 3 if EVENTS <= 100_000 else 1
THINGS = 2000
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MEMBER = Caller("ann", groups=frozenset({"/acme/org-viewer"}))


def row(number: int) -> dict[str, Any]:
    name = f"zones/{number % THINGS}.example"
    return {
        "event_id": str(number), "subject": "catalyst.v1.pooldomain.zone.changed", "aggregate": name, "version": number,
        "time": NOON, "body": {"zone": name, "owner": "organizations/acme"}, "organization": "acme",
        "major": number, "minor": number,
    }  # fmt: skip


@measured
async def test_the_model_is_built_anew(table: Table, home: Path) -> None:
    db = await Database.open(f"sqlite+aiosqlite:///{home}/test.db")
    await migrate(db, "catalyst_gateway", metadata)
    work = Work(db, Store, metadata=metadata)
    for start in range(1, EVENTS + 1, 5000):
        async with db.begin() as sql:
            await sql.execute(insert(stream_event), [row(n) for n in range(start, min(start + 5000, EVENTS + 1))])
    leases = Leases(db, metadata)
    rebuild = Rebuild(work=work, leases=leases)

    async def rebuilt() -> None:
        async with work.transaction() as tx:
            await tx.wish_rebuild()
        going = True
        while going:
            going = bool(await leases.attempt("rebuild", rebuild._step))

    async def read() -> None:
        async with db.read() as sql:
            for start in range(0, EVENTS, 500):
                query = (
                    select(stream_event).where(stream_event.c.number > start).order_by(stream_event.c.number).limit(500)
                )
                assert (await sql.execute(query)).mappings().all()

    await rebuilt()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    goal = Goal("throughput", 0.05, "reading the same events by pages of 500")
    found = await compare(
        f"rebuild from {EVENTS:,} events (aim 1,700/s), SQLite", goal,
        ours=lambda: batch(rebuilt, EVENTS), bare=lambda: batch(read, EVENTS), rounds=ROUNDS,
    )  # fmt: skip
    table.add(found)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"memory grew by {grown:.1f} MiB in {ROUNDS + 1} rebuilds of {EVENTS:,} events after the first")  # noqa: T201 - printing is its purpose
    await db.close()


@measured
async def test_a_snapshot_of_2000_objects(table: Table, home: Path) -> None:
    db = await Database.open(f"sqlite+aiosqlite:///{home}/test.db")
    await migrate(db, "catalyst_gateway", metadata)
    work = Work(db, Store, metadata=metadata)
    body = {"metadata": {"name": "blog", "labels": {"app.kubernetes.io/name": "blog"}}, "status": {"phase": "Running"}}
    subject = "ws.acme-prod.k8s.pod.blog.blog"
    facts = [
        Fact(f"ws/acme-prod/u{n}", "k8s.pod", f"blog.p{n}", "acme-prod", "acme", subject, (1, n), 1, NOON, body)
        for n in range(MOST)
    ]
    async with work.transaction() as tx:
        await tx.tell_runtime([(fact.key, fact) for fact in facts])
    state = State(work)

    async def ours() -> Round:
        return await one_by_one(lambda: state.environment(MEMBER, "acme-prod", {"pageSize": str(MOST)}), 10)

    async def bare() -> Round:
        async def rows() -> None:
            async with work.reading() as tx:
                assert len(await tx.facts_of("acme-prod")) == MOST

        return await one_by_one(rows, 10)

    table.add(
        await compare("snapshot of 2,000 objects (aim 200 ms)", Goal("p50", 2, "the rows alone"), ours=ours, bare=bare)
    )
    await db.close()
