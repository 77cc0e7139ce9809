"""From the outbox to the stream: nothing lost, in order per aggregate, one publisher."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from catalyst.pooldomain.v1 import events_pb2
from catalyst_mesh import Bus, Leases
from catalyst_mesh.relay import BATCH, headers
from catalyst_testkit import eventually
from catalyst_testkit.servers import NatsServer
from nats.errors import MaxPayloadError
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


@pytest.fixture
async def quick(home: Path) -> AsyncIterator[Bench]:
    """On SQLite only, for what does not depend on the database and takes its time."""
    opened = await Bench.open(f"sqlite+aiosqlite:///{home}/quick.db")
    yield opened
    await opened.db.close()


async def waiting(bench: Bench, *wanted: str) -> None:
    async def check() -> bool:
        assert await bench.waiting() == list(wanted)
        return True

    await eventually(check, within=60)


async def heard(bench: Bench, *wanted: str) -> None:
    async def check() -> bool:
        assert await bench.heard() == list(wanted)
        return True

    await eventually(check, within=60)


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


@pytest.mark.parametrize("trouble", [NatsTimeout, MaxPayloadError, ValueError])
async def test_one_that_fails_is_not_passed_by_later_ones_and_holds_up_no_other_aggregate(
    bench: Bench, bus: TroubledBus, trouble: type[Exception]
) -> None:
    healed = asyncio.Event()

    def fail(name: str) -> None:
        if name == "a@2" and not healed.is_set():
            raise trouble

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
        await asyncio.wait_for(asked.wait(), 60)
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
    await asyncio.wait_for(acknowledged.wait(), 60)
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


class Asked(Leases):
    """Counts how often the lease was asked for."""

    times = 0

    async def acquire(self, name: str) -> int | None:
        self.times += 1
        return await super().acquire(name)


async def steal(bench: Bench, *, for_: timedelta = timedelta(hours=1)) -> None:
    """Another replica has the lease of the relay, as after a freeze that was longer than its end."""
    async with bench.db.begin() as sql:
        t = metadata.tables["lease"]
        until = await bench.db.now(sql) + for_
        await sql.execute(update(t).values(holder="other", fence=t.c.fence + 1, until=until))


async def test_a_relay_whose_lease_was_taken_publishes_nothing_more(bench: Bench, bus: TroubledBus) -> None:
    leases = Asked(bench.db, metadata)
    async with going(bench.relay(bus, leases)):
        await bench.tell("a@1")
        await waiting(bench)
        await steal(bench)
        before = leases.times
        await bench.tell("a@2")
        await eventually(lambda: leases.times > before, within=60)
    assert bus.published == ["a@1"]
    assert await bench.waiting() == ["a@2"]


async def test_a_lease_that_is_far_from_its_end_is_not_renewed_for_an_event(bench: Bench, bus: TroubledBus) -> None:
    leases = Asked(bench.db, metadata, ttl=timedelta(hours=1))
    async with going(bench.relay(bus, leases)):
        for version in (1, 2, 3):
            await bench.tell(f"a@{version}")
            await waiting(bench)
    assert bus.published == ["a@1", "a@2", "a@3"]
    assert leases.times == 1


async def test_a_relay_that_froze_past_the_end_of_its_lease_stops_in_the_middle_of_its_batch(
    quick: Bench, bus: TroubledBus
) -> None:
    leases = Asked(quick.db, metadata, ttl=timedelta(seconds=0.3))

    async def freeze(name: str) -> None:
        if name == "a@2":
            await steal(quick)
            frozen = time.monotonic()
            await eventually(lambda: time.monotonic() > frozen + 0.3, within=60)

    bus.before = freeze
    await quick.tell(*(f"a@{version}" for version in range(1, 6)))
    async with going(quick.relay(bus, leases)):
        await eventually(lambda: "a@2" in bus.published, within=60)
        before = leases.times
        await eventually(lambda: leases.times > before + 1, within=60)
    assert bus.published == ["a@1", "a@2"]  # the second was on its way when the lease ended


async def test_at_most_256_acknowledgements_are_in_flight(quick: Bench, bus: TroubledBus) -> None:
    on_their_way, most = 0, 0

    def sent(name: str) -> None:
        nonlocal on_their_way, most
        on_their_way += 1
        most = max(most, on_their_way)

    def arrived(name: str) -> None:
        nonlocal on_their_way
        on_their_way -= 1

    bus.before, bus.after = sent, arrived
    await quick.tell(*(f"{n}@1" for n in range(600)))
    async with going(quick.relay(bus)):
        await waiting(quick)
    assert 64 < most <= BATCH


async def drained(bench: Bench) -> bool:
    bench.work.committed.set()  # it need not wait for its next look
    return not await bench.waiting()


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_fails_each_event_arrives_once_and_in_order(quick: Bench, bus: TroubledBus, seed: int) -> None:
    chance = random.Random(seed)

    def lost(name: str) -> None:
        if chance.random() < 0.2:
            raise NatsTimeout

    bus.before = lost  # it never arrived
    bus.after = lost  # it arrived, and the acknowledgement was lost
    async with going(quick.relay(bus)):
        for version in range(1, 13):
            await quick.tell(*(f"{name}@{version}" for name in "abc"))
        await eventually(lambda: drained(quick), within=60)
    js = await bus.jetstream()
    stored = [await js.get_msg("CATALYST_POOLDOMAIN", n + 1) for n in range(await in_stream(bus))]
    arrived = [events_pb2.AllocationReserved.FromString(m.data or b"") for m in stored]
    for name in "abc":
        assert [m.version for m in arrived if m.allocation == name] == list(range(1, 13))


async def test_what_is_asked_for_again_while_it_is_being_published_is_published_again(
    bench: Bench, bus: TroubledBus
) -> None:
    asked = asyncio.Event()
    outbox = metadata.tables["outbox"]

    async def ask(name: str) -> None:
        if not asked.is_set():
            async with bench.db.begin() as sql:
                await sql.execute(update(outbox).values(replays=outbox.c.replays + 1))
            asked.set()

    bus.after = ask  # it is in the stream, and not marked yet
    await bench.tell("a@1")
    async with going(bench.relay(bus)):
        await asyncio.wait_for(asked.wait(), 60)
        await waiting(bench)
    assert bus.published == ["a@1", "a@1"]
    assert await in_stream(bus) == 2  # inside the window, and still not dropped


async def test_each_event_names_the_last_one_of_its_aggregate(bench: Bench, bus: TroubledBus) -> None:
    await bench.tell("a@1", "b@1", "a@2")
    async with going(bench.relay(bus)):
        await waiting(bench)
        await bench.tell("a@3")
        await waiting(bench)
    js = await bus.jetstream()
    told = {}
    for number in range(1, 5):
        message = await js.get_msg("CATALYST_POOLDOMAIN", number)
        name = events_pb2.AllocationReserved.FromString(message.data or b"")
        told[f"{name.allocation}@{name.version}"] = message.headers or {}
    assert {name: (h["ce-number"], h["ce-previous"]) for name, h in told.items()} == {
        "a@1": ("1", ""),
        "b@1": ("2", ""),
        "a@2": ("3", "allocation.reserved=1"),
        "a@3": ("4", "allocation.reserved=3"),
    }


async def test_the_backlog_and_its_age_are_told(bench: Bench, bus: TroubledBus) -> None:
    told = bench.metrics.registry.get_sample_value
    failing = True

    def away(name: str) -> None:
        if failing:
            raise NatsTimeout

    bus.before = away
    await bench.tell("a@1", "b@1")
    async with bench.db.begin() as sql:
        outbox = metadata.tables["outbox"]
        old = await bench.db.now(sql) - timedelta(minutes=5)
        await sql.execute(update(outbox).where(outbox.c.aggregate == "a").values(created_at=old))
    async with going(bench.relay(bus)):
        await eventually(lambda: (told("catalyst_outbox_oldest_seconds") or 0) >= 300, within=60)
        assert told("catalyst_outbox_pending") == 2
        failing = False
        await eventually(lambda: told("catalyst_outbox_oldest_seconds") == 0, within=60)
    assert told("catalyst_outbox_pending") == 0


async def test_headers_are_cloudevents_and_hold_no_line_break(bench: Bench) -> None:
    await bench.tell("ü\r\nX: y@7")
    (row,) = await bench.rows("outbox")
    made = headers("pooldomain", {**row, "previous": {}})
    assert made["ce-id"] == made["Nats-Msg-Id"] == row["event_id"]
    assert (made["ce-specversion"], made["ce-type"], made["ce-version"]) == ("1.0", row["subject"], "7")
    assert made["ce-dataschema"] == "catalyst.pooldomain.v1.AllocationReserved"
    assert made["ce-subject"] == "%C3%BC%0D%0AX: y"
    assert all(value.isascii() and "\n" not in value for value in made.values())
