"""One transaction: what of two writers, of a second try, of a crash."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from catalyst.pooldomain.v1 import service_pb2
from catalyst_mesh import Contended, LostRace
from catalyst_mesh.work import TRIES, RequestIdReused
from catalyst_sdk import Decision
from sqlalchemy import CheckConstraint, Column, Integer, MetaData, Table, insert, select
from sqlalchemy.exc import IntegrityError

from .bench import Bench, call
from .toy import Name, NameTaken, Store, reserve, t, to_response


@pytest.fixture
async def bench(home: Path, database: str) -> AsyncIterator[Bench]:
    opened = await Bench.open(database, seal=home / "seal")
    yield opened
    await opened.db.close()


async def take(bench: Bench, name: str = "acme", owner: str = "one") -> int:
    async def step(tx: Store) -> Decision[Name]:
        return reserve(await tx.lock(name), name, owner)

    return int((await bench.work.run(step, answer=to_response)).allocation.version)


async def versions(bench: Bench) -> dict[str, int]:
    return {row["name"]: row["version"] for row in await bench.rows("names")}


async def test_a_lost_race_is_decided_anew_on_what_the_winner_left(bench: Bench) -> None:
    seen: list[int] = []

    async def step(tx: Store) -> Decision[Name]:
        held = await tx.lock("acme")
        seen.append(held.version if held else 0)
        if len(seen) < 3:  # as if another writer had been there between our look and our write
            await tx.sql.execute(t.delete())
            await tx.sql.execute(insert(t).values(name="acme", owner="one", version=40 + len(seen)))
            raise LostRace
        return reserve(held, "acme", "one")

    assert (await bench.work.run(step, answer=to_response)).allocation.version == 1
    assert seen == [0, 0, 0], "what a loser wrote is rolled back"
    assert len(await bench.rows("outbox")) == 1


async def test_a_version_that_is_not_the_next_one_is_a_lost_race(bench: Bench) -> None:
    await take(bench)
    for stale in (1, 3):
        with pytest.raises(LostRace):
            async with bench.work.transaction() as tx:
                await tx.save(Name("acme", "one", stale))
    assert await versions(bench) == {"acme": 1}


async def test_a_decision_that_changes_nothing_writes_nothing_whoever_writes_meanwhile(bench: Bench) -> None:
    await take(bench)
    async with bench.work.transaction() as tx:
        held = await tx.lock("acme")
        assert held is not None
        await tx.save(held)
    assert await versions(bench) == {"acme": 1}


async def test_who_asks_for_the_same_words_waits_for_the_one_before(bench: Bench) -> None:
    other, order = await Bench.open(bench.url), []

    async def enter(one: Bench, name: str) -> None:
        async with one.work.transaction() as tx:
            await tx.alone("quota", "ada")
            order.append(f"{name} in")
            await asyncio.sleep(0)  # whoever could pass would pass here
            order.append(f"{name} out")

    await asyncio.gather(*(enter(one, str(n)) for n in range(10) for one in (bench, other)))
    assert [line.split()[1] for line in order] == ["in", "out"] * 20
    await other.db.close()


async def test_who_always_loses_is_told_that_it_is_contended(bench: Bench) -> None:
    tries = 0

    async def step(tx: Store) -> Decision[Name]:
        nonlocal tries
        tries += 1
        raise LostRace

    with pytest.raises(Contended):
        await bench.work.run(step, answer=to_response)
    assert tries == TRIES


async def test_two_writers_in_two_processes_lose_no_change(bench: Bench) -> None:
    other = await Bench.open(bench.url)
    got = await asyncio.gather(*(take(b) for _ in range(20) for b in (bench, other)))
    assert sorted(got) == list(range(1, 41))
    assert sorted(row["version"] for row in await other.rows("outbox")) == list(range(1, 41))
    await other.db.close()


async def test_a_refusal_changes_nothing_and_is_not_kept(bench: Bench) -> None:
    await take(bench)
    call(request_id="r", body=b"x")
    for _ in range(2):
        with pytest.raises(NameTaken):
            await take(bench, owner="rival")
    assert await bench.rows("idempotency") == []
    assert len(await bench.rows("outbox")) == 1


async def test_a_bug_after_the_save_leaves_neither_state_nor_fact(bench: Bench) -> None:
    async def step(tx: Store) -> Decision[Name]:
        return reserve(await tx.lock("acme"), "acme", "one")

    def broken(state: Name) -> service_pb2.ReserveAllocationResponse:
        raise ZeroDivisionError

    call(request_id="r", body=b"x")
    with pytest.raises(ZeroDivisionError):
        await bench.work.run(step, answer=broken)
    assert [await bench.rows(table) for table in ("names", "outbox", "idempotency")] == [[], [], []]


async def test_a_fact_that_the_daemon_does_not_emit_stops_its_transaction(bench: Bench) -> None:
    with pytest.raises(KeyError):
        async with bench.work.transaction() as tx:
            await tx.save(Name("acme", "one", 1))
            tx.emit("no fact of ours")
    assert await bench.rows("names") == []


async def test_the_first_answer_is_given_again_for_the_same_wish(bench: Bench) -> None:
    call(request_id="wish", body=b"same")
    assert [await take(bench) for _ in range(3)] == [1, 1, 1]
    assert await versions(bench) == {"acme": 1}


@pytest.mark.parametrize(
    "other", [{"subject": "eve"}, {"method": "a.v1.S/Other"}, {"request_id": "another"}, {"request_id": ""}], ids=str
)
async def test_a_wish_is_the_caller_s_own_and_its_method_s(bench: Bench, other: dict[str, Any]) -> None:
    call(request_id="wish", body=b"same")
    await take(bench)
    call(**{"request_id": "wish", "body": b"same", **other})
    assert await take(bench) == 2


async def test_the_same_id_for_another_request_is_refused(bench: Bench) -> None:
    call(request_id="wish", body=b"same")
    await take(bench)
    call(request_id="wish", body=b"other")
    with pytest.raises(RequestIdReused) as caught:
        await take(bench, "other")
    assert caught.value.metadata == {"request_id": "wish", "method": "a.v1.S/Reserve"}
    assert await versions(bench) == {"acme": 1}


async def test_twins_that_come_at_once_in_two_processes_have_one_effect(home: Path, bench: Bench) -> None:
    other = await Bench.open(bench.url, seal=home / "seal")
    call(request_id="wish", body=b"same")
    assert set(await asyncio.gather(*(take(b) for _ in range(10) for b in (bench, other)))) == {1}
    assert len(await bench.rows("outbox")) == 1
    await other.db.close()


async def test_kept_answers_are_sealed(bench: Bench) -> None:
    call(request_id="wish", body=b"same")
    await take(bench, "canary-name")
    (kept,) = await bench.rows("idempotency")
    assert kept["answer_type"] == "catalyst.pooldomain.v1.ReserveAllocationResponse"
    assert b"canary-name" not in kept["answer"]
    assert await take(bench, "canary-name") == 1


async def test_a_broken_rule_of_the_schema_is_a_bug_and_no_lost_race(bench: Bench) -> None:
    rules = Table("rules", MetaData(), Column("n", Integer, CheckConstraint("n > 0"), primary_key=True))
    async with bench.db.begin() as sql:
        await sql.run_sync(rules.create)
    for statement in (insert(rules).values(n=-1), insert(t).values(name="acme", owner=None, version=1)):
        with pytest.raises(IntegrityError):
            async with bench.work.transaction() as tx:
                await tx.write(statement)
    async with bench.work.transaction() as tx:
        await tx.write(insert(rules).values(n=1))
    with pytest.raises(LostRace):
        async with bench.work.transaction() as tx:
            await tx.write(insert(rules).values(n=1))


async def test_a_view_cannot_write(bench: Bench) -> None:
    async with bench.work.reading() as tx:
        await tx.sql.execute(insert(t).values(name="acme", owner="one", version=1))
    assert await bench.rows("names") == []


async def test_the_relay_is_woken_by_a_commit_that_told_something_and_by_no_other(bench: Bench) -> None:
    async with bench.work.transaction() as tx:
        await tx.save(Name("acme", "one", 1))
    assert not bench.work.committed.is_set()
    await bench.tell("acme@1")
    assert bench.work.committed.is_set()


async def test_an_interrupted_transaction_does_not_hold_up_the_next(bench: Bench) -> None:
    inside = asyncio.Event()

    async def hang() -> None:
        async with bench.work.transaction() as tx:
            await tx.save(Name("acme", "one", 1))
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await inside.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await asyncio.wait_for(take(bench), 60) == 1
    async with bench.db.read() as sql:
        assert len((await sql.execute(select(t))).all()) == 1
