"""A step of a run beside the two commits that nobody can do without."""

from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

from catalyst_mesh import Database
from catalyst_mesh.journal import Context, Engine, Kind, Step, journal_tables
from sqlalchemy import MetaData, text

from .harness import Goal, Round, batch, compare, measured
from .table import Table

STEPS = 100


def chain(_input: Mapping[str, Any]) -> Iterable[Step]:
    """Steps in a row that do nothing."""

    async def nothing(_ctx: Context) -> None: ...

    return [Step(f"s{n}", nothing, needs=(f"s{n - 1}",) if n else ()) for n in range(STEPS)]


@measured
async def test_journal_step(table: Table, store: tuple[str, str]) -> None:
    kind, url = store
    metadata = MetaData()
    journal_tables(metadata)
    db = await Database.open(url, metadata=metadata)
    engine, numbers = Engine(db, kinds=[Kind("chain", chain)]), count()
    async with db.begin() as sql:
        await sql.execute(text("CREATE TABLE bare_step (run INTEGER, n INTEGER, state TEXT, PRIMARY KEY (run, n))"))
        await sql.execute(text("CREATE TABLE bare_event (run INTEGER, n INTEGER, code TEXT)"))

    async def journalled() -> Round:
        number = next(numbers)
        run = await engine.start("chain", subject=f"sovereigns/n{number}", key=str(number), input={})

        async def carry() -> None:
            while await engine.turn():
                pass
            assert (await engine.status(run.id)).state.ended

        return await batch(carry, STEPS)

    async def two_commits() -> Round:
        number = next(numbers)
        async with db.begin() as sql:
            rows = [{"run": number, "n": n} for n in range(STEPS)]
            await sql.execute(text("INSERT INTO bare_step VALUES (:run, :n, 'pending')"), rows)

        async def loop() -> None:
            for n in range(STEPS):
                for state in ("running", "succeeded"):
                    row = {"run": number, "n": n, "state": state}
                    async with db.begin() as sql:
                        await sql.execute(text("UPDATE bare_step SET state = :state WHERE run = :run AND n = :n"), row)
                        await sql.execute(text("INSERT INTO bare_event VALUES (:run, :n, :state)"), row)

        return await batch(loop, STEPS)

    goal = Goal("p50", 1.5, "a bare loop of two commits")
    table.add(await compare(f"journal: a step with two commits, {kind}", goal, ours=journalled, bare=two_commits))
    await db.close()
