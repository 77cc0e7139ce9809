"""What the chassis takes away, and what it must not."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from catalyst_mesh import Leases
from catalyst_mesh.replays import Chosen, Replays
from catalyst_mesh.retention import ANSWERS_KEPT, BITE, INBOX_KEPT, OUTBOX_KEPT, Sweeper
from catalyst_testkit import eventually
from sqlalchemy import insert, update

from .bench import NOON, Bench, going
from .toy import metadata

OUTBOX, INBOX, SEEN, ANSWERS = (metadata.tables[n] for n in ("outbox", "inbox", "inbox_seen", "idempotency"))
SECOND = timedelta(seconds=1)


@pytest.fixture
async def bench(database: str) -> AsyncIterator[Bench]:
    opened = await Bench.open(database)
    yield opened
    await opened.db.close()


def sweeper(bench: Bench, replica: str = "") -> Sweeper:
    return Sweeper(bench.db, metadata, Leases(bench.db, metadata, replica=replica), pause=0.05)


async def now_of(bench: Bench) -> Any:
    async with bench.db.read() as sql:
        return await bench.db.now(sql)


async def left(bench: Bench, table: str, column: str, *wanted: Any) -> None:
    async def check() -> bool:
        assert sorted(row[column] for row in await bench.rows(table)) == sorted(wanted)
        return True

    await eventually(check, within=60)


async def test_published_events_stay_seven_days_and_waiting_ones_for_ever(bench: Bench) -> None:
    await bench.tell("old@1", "young@1", "waiting@1", "replayed@1", "sent-again@1", "newest@1")
    now = await now_of(bench)
    old, young = now - OUTBOX_KEPT - SECOND, now - OUTBOX_KEPT + timedelta(minutes=1)
    rows: dict[str, dict[str, Any]] = {
        "old": {"published_at": old},
        "young": {"published_at": young},
        "waiting": {"created_at": NOON - 9 * OUTBOX_KEPT},
        "replayed": {"published_at": None, "first_published_at": old, "replays": 1},
        # A replay must not make a row outlive the inbox rows of its consumers.
        "sent-again": {"published_at": now, "first_published_at": old, "replays": 1},
    }
    async with bench.db.begin() as sql:
        for aggregate, values in rows.items():
            await sql.execute(update(OUTBOX).where(OUTBOX.c.aggregate == aggregate).values(**values))
    async with going(sweeper(bench)):
        await left(bench, "outbox", "aggregate", "young", "waiting", "replayed", "newest")


async def test_numbers_go_on_growing_after_all_was_taken_away_and_the_row_that_says_so_is_never_sent_again(
    bench: Bench,
) -> None:
    await bench.tell("a@1", "a@2")
    old = await now_of(bench) - OUTBOX_KEPT - SECOND
    async with bench.db.begin() as sql:
        await sql.execute(update(OUTBOX).values(published_at=old))
    async with going(sweeper(bench)):
        await left(bench, "outbox", "number", 2)
    await bench.tell("a@3")
    await left(bench, "outbox", "number", 2, 3)
    assert await Replays(bench.db, metadata).mark(Chosen(NOON - 9 * OUTBOX_KEPT), validate_only=False) == 0


async def test_each_table_keeps_its_rows_as_long_as_it_must(bench: Bench) -> None:
    now = await now_of(bench)
    answer = {"principal": "ada", "method": "m", "request_hash": b"", "answer_type": "", "answer": b""}
    async with bench.db.begin() as sql:
        for name, beyond in (("young", -timedelta(minutes=1)), ("old", SECOND)):
            handled = now - INBOX_KEPT - beyond
            await sql.execute(insert(INBOX).values(consumer="c", event_id=name, handled_at=handled))
            place = {"consumer": "c", "aggregate": name, "number": 1, "version": 1, "seen_at": handled}
            await sql.execute(insert(SEEN).values(place))
            kept = {**answer, "request_id": name, "created_at": now - ANSWERS_KEPT - beyond}
            await sql.execute(insert(ANSWERS).values(kept))
    async with going(sweeper(bench)):
        await left(bench, "inbox", "event_id", "young")
        await left(bench, "inbox_seen", "aggregate", "young")
        await left(bench, "idempotency", "request_id", "young")


def test_inbox_rows_outlive_whatever_can_be_delivered_again() -> None:
    from catalyst_mesh.bus import KEPT

    assert OUTBOX_KEPT < INBOX_KEPT
    assert KEPT < INBOX_KEPT


async def test_a_bite_is_small_and_all_of_it_goes_in_the_end(bench: Bench) -> None:
    long_ago = await now_of(bench) - 2 * INBOX_KEPT
    rows = [{"consumer": "c", "event_id": str(n), "handled_at": long_ago} for n in range(2 * BITE + 1)]
    async with bench.db.begin() as sql:
        await sql.execute(insert(INBOX), rows)
    swept = sweeper(bench)
    (rule,) = [r for r in swept._rules if r.table is INBOX]
    assert [await swept.bite(rule) for _ in range(4)] == [BITE, BITE, 1, 0]


async def test_one_replica_sweeps_at_a_time(bench: Bench) -> None:
    long_ago = await now_of(bench) - 2 * INBOX_KEPT
    async with bench.db.begin() as sql:
        await sql.execute(insert(INBOX).values(consumer="c", event_id="x", handled_at=long_ago))
    other = Leases(bench.db, metadata, replica="other")
    await other.acquire("sweep")
    async with going(sweeper(bench, "mine")):
        await left(bench, "inbox", "event_id", "x")
        await other.release("sweep")
        await left(bench, "inbox", "event_id")
