"""Events that wait together share a transaction, and each fares as if it had one of its own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from catalyst_mesh import Bus
from catalyst_mesh.runs import MOST
from catalyst_testkit.servers import NatsServer
from sqlalchemy import text

from .bench import Bench, going
from .test_consumer import PATIENT, counted, heard, publish, settled, tell
from .toy import Name, Reserved, Store, hear


@pytest.fixture
async def bus(own_nats: NatsServer) -> AsyncIterator[Bus]:
    opened = Bus(own_nats.url, "test")
    await opened.ensure_stream("pooldomain")
    yield opened
    await opened.close()


@pytest.fixture
async def bench(database: str) -> AsyncIterator[Bench]:
    opened = await Bench.open(database)
    yield opened
    await opened.db.close()


class Counted:
    """A handler that counts the transactions in which it is called, and refuses what `bad` names."""

    def __init__(self, *bad: str, error: Exception | None = None) -> None:
        self.transactions: list[Any] = []
        self.calls: list[str] = []
        self._bad = bad
        self._error = error

    async def __call__(self, tx: Store, message: Any, told: Any) -> Sequence[object] | None:
        self.calls.append(f"{message.allocation}@{message.version}")
        if tx not in self.transactions:
            self.transactions.append(tx)
        await hear(tx, message, told)
        if message.allocation in self._bad:
            if self._error is None:
                await tx.sql.execute(text("SELECT 1 FROM nowhere"))
            raise self._error or AssertionError
        return [Reserved(Name("mine", "me", told.version))]


async def test_events_that_wait_together_share_transactions_and_are_told_in_their_order(bench: Bench, bus: Bus) -> None:
    names = [f"n{n % 7}@{n}" for n in range(1, 2 * MOST)]
    for number, name in enumerate(names, 1):
        await tell(bus, name, number)
    handler = Counted()
    async with going(bench.consumer(bus, handler, **PATIENT)):
        await heard(bench, *names)
        await settled(bus)
    assert len(handler.transactions) < len(names) / 2
    assert await bench.waiting() == [f"mine@{n}" for n in range(1, 2 * MOST)]
    seen = {row["aggregate"]: row["number"] for row in await bench.rows("inbox_seen")}
    assert seen == {f"n{n % 7}": n for n in range(1, 2 * MOST)}
    assert counted(bench, "catalyst_inbox_handled_total") == len(names)


async def test_what_each_event_tells_carries_the_trace_of_that_event(bench: Bench, bus: Bus) -> None:
    traces = [f"{n:032x}" for n in range(1, 4)]
    for n, trace in enumerate(traces):
        await publish(bus, f"n{n}@1", traceparent=f"00-{trace}-00000000000000aa-01")
    async with going(bench.consumer(bus, Counted())):
        await heard(bench, "n0@1", "n1@1", "n2@1")
    assert [row["traceparent"].split("-")[1] for row in await bench.rows("outbox")] == traces


@pytest.mark.parametrize("error", [ZeroDivisionError(), None], ids=["of the handler", "of the database"])
async def test_an_event_that_fails_spoils_no_other_one_of_its_run(
    bench: Bench, bus: Bus, error: Exception | None
) -> None:
    names = [f"n{n}@1" for n in range(10)]
    for name in names:
        await publish(bus, name)
    handler = Counted("n4", error=error)
    async with going(bench.consumer(bus, handler, back_off=(60,))):
        await heard(bench, *names[:4], *names[5:])
    assert sorted(row["event_id"] for row in await bench.rows("inbox")) == names[:4] + names[5:]
    # What the handler itself raised is its answer; what the database did may have been a matter of the run.
    assert handler.calls.count("n4@1") == (1 if error else 2)


async def test_a_second_delivery_within_a_run_has_no_second_effect(bench: Bench, bus: Bus) -> None:
    for name, event in (("a@1", "one"), ("a@1", "one"), ("b@1", "two"), ("a@1", "one")):
        await publish(bus, name, event)
    async with going(bench.consumer(bus, Counted())):
        await heard(bench, "a@1", "b@1")
        await settled(bus)
    assert counted(bench, "catalyst_inbox_duplicates_total") == 2


async def test_a_run_that_another_replica_was_in_the_middle_of_has_one_effect(bench: Bench, bus: Bus) -> None:
    """Both are given the same events, as after an ACK_WAIT that was too short."""
    names = [f"n{n}@1" for n in range(20)]
    for name in names:
        await publish(bus, name)
    first, second = bench.consumer(bus), bench.consumer(bus)
    events = []
    pull = await (await bus.jetstream()).pull_subscribe("", durable="copies", stream="CATALYST_POOLDOMAIN")
    for message in await pull.fetch(20, timeout=60):
        events += first._run_of([message], {})
    both = await asyncio.gather(
        *(one._runs.handle(events, asyncio.Event()) for one in (first, second)), return_exceptions=True
    )
    assert any(isinstance(answer, list) for answer in both), both
    while events:  # on a busy machine a run ends before the last of them
        done = await first._runs.handle(events, asyncio.Event())
        events = events[len(done) :]
    assert sorted(await bench.heard()) == sorted(names)
