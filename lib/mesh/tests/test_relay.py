"""From the outbox to the stream: nothing lost, in order per aggregate, one publisher."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from catalyst.pooldomain.v1 import events_pb2
from catalyst_mesh import Bus, Leases
from catalyst_mesh.relay import KEEP, headers
from catalyst_testkit import eventually
from catalyst_testkit.servers import NatsServer
from nats.errors import TimeoutError as NatsTimeout
from sqlalchemy import update

from .bench import NOON, Bench, going
from .toy import metadata


class TroubledBus(Bus):
    """A real connection; `before` each publish and `after` its acknowledgement trouble may happen."""

    def __init__(self, url: str) -> None:
        super().__init__(url, "troubled")
        self.before: Callable[[str], Any] = lambda _: None
        self.after: Callable[[str], Any] = lambda _: None
        self.published: list[str] = []

    async def jetstream(self) -> Any:
        return Troubled(await super().jetstream(), self)


class Troubled:
    def __init__(self, js: Any, bus: TroubledBus) -> None:
        self._js, self._bus = js, bus

    def __getattr__(self, name: str) -> Any:
        return getattr(self._js, name)

    async def publish(self, subject: str, body: bytes, **rest: Any) -> Any:
        message = events_pb2.AllocationReserved.FromString(body)
        name = f"{message.allocation}@{message.version}"
        await _maybe(self._bus.before(name))
        ack = await self._js.publish(subject, body, **rest)
        self._bus.published.append(name)
        await _maybe(self._bus.after(name))
        return ack


async def _maybe(answer: Any) -> None:
    if asyncio.iscoroutine(answer):
        await answer


@pytest.fixture
async def bus(own_nats: NatsServer) -> AsyncIterator[TroubledBus]:
    troubled = TroubledBus(own_nats.url)
    yield troubled
    await troubled.close()


@pytest.fixture
async def bench(database: str) -> AsyncIterator[Bench]:
    opened = await Bench.open(database)
    yield opened
    await opened.db.close()


async def waiting(bench: Bench, *wanted: str) -> None:
    async def check() -> bool:
        assert await bench.waiting() == list(wanted)
        return True

    await eventually(check, within=10)


async def heard(bench: Bench, *wanted: str) -> None:
    async def check() -> bool:
        assert await bench.heard() == list(wanted)
        return True

    await eventually(check, within=10)


async def in_stream(bus: Bus) -> int:
    js = await bus.jetstream()
    return int((await js.stream_info("CATALYST_POOLDOMAIN")).state.messages)


async def test_events_of_one_aggregate_keep_their_order(bench: Bench, bus: TroubledBus) -> None:
    for version in range(1, 21):
        await bench.tell(*(f"{name}@{version}" for name in "abc"))
    async with going(bench.relay(bus)):
        await waiting(bench)
    for name in "abc":
        assert [p for p in bus.published if p.startswith(name)] == [f"{name}@{v}" for v in range(1, 21)]


async def test_one_that_fails_is_not_passed_by_later_ones_and_holds_up_no_other_aggregate(
    bench: Bench, bus: TroubledBus
) -> None:
    healed = asyncio.Event()

    def fail(name: str) -> None:
        if name == "a@2" and not healed.is_set():
            raise NatsTimeout

    bus.before = fail
    await bench.tell("a@1", "a@2", "b@1", "a@3", "b@2")
    async with going(bench.relay(bus)):
        await waiting(bench, "a@2", "a@3")
        assert sorted(bus.published) == ["a@1", "b@1", "b@2"]
        healed.set()
        bench.work.committed.set()
        await waiting(bench)
    assert [p for p in bus.published if p.startswith("a")] == ["a@1", "a@2", "a@3"]


async def test_a_row_is_marked_only_after_the_acknowledgement(bench: Bench, bus: TroubledBus) -> None:
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def hold(name: str) -> None:
        asked.set()
        await may_answer.wait()

    bus.before = hold
    await bench.tell("a@1")
    async with going(bench.relay(bus)):
        await asyncio.wait_for(asked.wait(), 5)
        assert await bench.waiting() == ["a@1"]
        may_answer.set()
        await waiting(bench)


async def test_killed_between_publish_and_mark_the_stream_and_the_consumer_have_it_once(
    bench: Bench, bus: TroubledBus
) -> None:
    acknowledged = asyncio.Event()

    async def die(name: str) -> None:
        acknowledged.set()
        await asyncio.Event().wait()

    bus.after = die
    await bench.tell("a@1")
    dying = asyncio.create_task(bench.relay(bus).run(asyncio.Event()))
    await asyncio.wait_for(acknowledged.wait(), 10)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    assert await bench.waiting() == ["a@1"]

    bus.after = lambda _: None
    async with bench.db.begin() as sql:  # the dead one's lease has ended
        await sql.execute(update(metadata.tables["lease"]).values(until=NOON))
    async with going(bench.relay(bus), bench.consumer(bus)):
        await waiting(bench)
        await bench.tell("a@2")
        await heard(bench, "a@1", "a@2")
    assert bus.published == ["a@1", "a@1", "a@2"]
    assert await in_stream(bus) == 2


async def test_one_replica_relays_and_another_takes_over_when_it_stops(bench: Bench, bus: TroubledBus) -> None:
    await bench.tell("a@1")
    other = Leases(bench.db, metadata, replica="other")
    async with going(bench.relay(bus)):
        await waiting(bench)
        assert await other.acquire("relay") is None
    assert await other.acquire("relay") == 2


async def test_a_server_that_lost_its_stream_gets_it_again(bench: Bench, bus: TroubledBus) -> None:
    async with going(bench.relay(bus)):
        await bench.tell("a@1")
        await waiting(bench)
        await (await bus.jetstream()).delete_stream("CATALYST_POOLDOMAIN")
        await bench.tell("a@2")
        await waiting(bench)
    assert await in_stream(bus) == 1


async def test_published_rows_are_swept_after_seven_days_and_waiting_ones_never(bench: Bench, bus: TroubledBus) -> None:
    await bench.tell("a@1", "a@2", "a@3")
    outbox = metadata.tables["outbox"]
    async with bench.db.begin() as sql:
        now = await bench.db.now(sql)
        for number, age in ((1, KEEP + timedelta(seconds=1)), (2, KEEP - timedelta(minutes=1))):
            await sql.execute(update(outbox).where(outbox.c.number == number).values(published_at=now - age))
        await sql.execute(update(outbox).where(outbox.c.number == 3).values(created_at=NOON - 9 * KEEP))
    relay = bench.relay(bus)
    assert await relay.sweep() == 1
    assert await relay.pending() == 1
    assert [row["number"] for row in await bench.rows("outbox")] == [2, 3]


async def test_headers_are_cloudevents_and_hold_no_line_break(bench: Bench) -> None:
    await bench.tell("ü\r\nX: y@7")
    (row,) = await bench.rows("outbox")
    made = headers("pooldomain", row)
    assert made["ce-id"] == made["Nats-Msg-Id"] == row["event_id"]
    assert (made["ce-specversion"], made["ce-type"], made["ce-version"]) == ("1.0", row["subject"], "7")
    assert made["ce-dataschema"] == "catalyst.pooldomain.v1.AllocationReserved"
    assert made["ce-subject"] == "%C3%BC%0D%0AX: y"
    assert all(value.isascii() and "\n" not in value for value in made.values())
