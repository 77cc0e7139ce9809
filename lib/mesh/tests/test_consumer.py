"""Events of others: one effect each, and what cannot be handled ends in the dead letters with its copy."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from catalyst.pooldomain.v1 import events_pb2
from catalyst_mesh import Bus, Handled
from catalyst_mesh.bus import DEAD_LETTERS
from catalyst_mesh.consumer import TRIES, consumers
from catalyst_testkit import eventually
from catalyst_testkit.servers import NatsServer
from nats.errors import Error as NatsError

from .bench import SUBJECT, Bench, going
from .toy import Name, Reserved, Store, hear, metadata

RELEASED = "catalyst.v1.pooldomain.allocation.released"
NAME = "toy-from-pooldomain"


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


@pytest.fixture
async def quick(home: Path) -> AsyncIterator[Bench]:
    """On SQLite only, for what does not depend on the database and takes its time."""
    opened = await Bench.open(f"sqlite+aiosqlite:///{home}/quick.db")
    yield opened
    await opened.db.close()


async def publish(bus: Bus, name: str, event_id: str = "", *, subject: str = SUBJECT, **headers: str) -> None:
    allocation, version = name.split("@")
    body = events_pb2.AllocationReserved(allocation=allocation, version=int(version)).SerializeToString()
    given = {"ce-id": event_id or name, "ce-time": "2026-01-01T12:00:00Z"}
    given |= {key.replace("_", "-"): value for key, value in headers.items()}
    await (await bus.jetstream()).publish(subject, body, headers=given)


async def heard(bench: Bench, *wanted: str) -> None:
    async def check() -> bool:
        assert await bench.heard() == list(wanted)
        return True

    await eventually(check, within=60)


async def settled(bus: Bus) -> None:
    """Nothing waits for a delivery or an acknowledgement."""

    async def check() -> bool:
        info = await (await bus.jetstream()).consumer_info("CATALYST_POOLDOMAIN", NAME)
        assert (info.num_pending, info.num_ack_pending) == (0, 0)
        return True

    await eventually(check, within=60)


def counted(bench: Bench, metric: str) -> float | None:
    return bench.metrics.registry.get_sample_value(metric, {"consumer": NAME})


async def test_an_event_told_twice_has_one_effect(bench: Bench, bus: Bus) -> None:
    for _ in range(3):
        await publish(bus, "a@1", "same")  # no Nats-Msg-Id: the stream holds all three
    await publish(bus, "a@2")
    async with going(bench.consumer(bus)):
        await heard(bench, "a@1", "a@2")
        await settled(bus)
    assert counted(bench, "catalyst_inbox_duplicates_total") == 2


async def test_an_error_leaves_no_trace_and_the_next_try_has_the_effect(bench: Bench, bus: Bus) -> None:
    attempts: list[int] = []

    async def flaky(tx: Store, message: Any, told: Any) -> Sequence[object] | None:
        attempts.append(told.attempt)
        await hear(tx, message, told)
        if len(attempts) < 3:
            raise ZeroDivisionError
        return None

    await publish(bus, "a@1")
    async with going(bench.consumer(bus, flaky)):
        await heard(bench, "a@1")
        await settled(bus)
    assert attempts == [1, 2, 3]


async def test_after_eight_tries_a_copy_lies_in_the_dead_letters_and_the_next_ones_are_handled(
    bench: Bench, bus: Bus
) -> None:
    tries = 0

    async def refuses_a(tx: Store, message: Any, told: Any) -> Sequence[object] | None:
        nonlocal tries
        if message.allocation == "a":
            tries += 1
            raise ZeroDivisionError("a cannot be had")
        return await hear(tx, message, told)

    await publish(bus, "a@1", "event-1", ce_subject="a")
    await publish(bus, "b@1")
    async with going(bench.consumer(bus, refuses_a)):
        await heard(bench, "b@1")
        await eventually(lambda: counted(bench, "catalyst_dlq_messages_total"), within=60)
        await settled(bus)
    assert tries == TRIES == 8
    copy = await (await bus.jetstream()).get_msg(DEAD_LETTERS, 1)
    assert copy.subject == f"catalyst.dlq.{NAME}"
    assert copy.data is not None
    assert copy.headers is not None
    assert events_pb2.AllocationReserved.FromString(copy.data).allocation == "a"
    assert (copy.headers["ce-id"], copy.headers["ce-subject"]) == ("event-1", "a")
    assert copy.headers["catalyst-error"] == "ZeroDivisionError: a cannot be had"
    # What was given up has no inbox row, so a replay can still have its effect.
    assert [row["event_id"] for row in await bench.rows("inbox")] == ["b@1"]


async def test_what_fails_once_after_a_long_outage_is_not_given_up(quick: Bench, bus: Bus) -> None:
    """The deliveries during the outage are no tries."""
    attempts: list[int] = []

    async def away_then_flaky(tx: Store, message: Any, told: Any) -> Sequence[object] | None:
        attempts.append(told.attempt)
        if len(attempts) <= TRIES:
            raise OSError("the database is away")
        if len(attempts) == TRIES + 1:
            raise ZeroDivisionError
        return await hear(tx, message, told)

    await publish(bus, "a@1")
    async with going(quick.consumer(bus, away_then_flaky)):
        await heard(quick, "a@1")
        await settled(bus)
    assert attempts == list(range(1, TRIES + 3))


async def test_a_body_that_is_no_message_is_given_up_and_stops_nothing(bench: Bench, bus: Bus) -> None:
    await (await bus.jetstream()).publish(SUBJECT, b"\xff\xff\xff")
    await publish(bus, "b@1")
    async with going(bench.consumer(bus)):
        await heard(bench, "b@1")
        await eventually(lambda: counted(bench, "catalyst_dlq_messages_total"), within=60)
    assert (await (await bus.jetstream()).get_msg(DEAD_LETTERS, 1)).data == b"\xff\xff\xff"


@pytest.mark.parametrize("time", ["", "yesterday", "2026-01-01T12:00:00", "%ff%fe"])
async def test_rubbish_in_the_headers_does_not_hold_up_the_events_behind_it(bench: Bench, bus: Bus, time: str) -> None:
    await publish(bus, "a@1", ce_time=time, traceparent="rubbish")
    await publish(bus, "b@1")
    async with going(bench.consumer(bus)):
        await heard(bench, "a@1", "b@1")


async def test_an_event_without_any_header_has_its_effect_once(bench: Bench, bus: Bus) -> None:
    body = events_pb2.AllocationReserved(allocation="a", version=1).SerializeToString()
    await (await bus.jetstream()).publish(SUBJECT, body)
    async with going(bench.consumer(bus)):
        await heard(bench, "a@1")
        await settled(bus)
    assert [row["event_id"] for row in await bench.rows("inbox")] == ["CATALYST_POOLDOMAIN:1"]


async def test_a_new_release_that_handles_more_is_told_more(bench: Bench, bus: Bus) -> None:
    await publish(bus, "a@1")
    async with going(bench.consumer(bus)):
        await heard(bench, "a@1")
    await publish(bus, "a@2", subject=RELEASED)
    async with going(bench.consumer(bus, subjects=(SUBJECT, RELEASED))):
        await heard(bench, "a@1", "a@2")


async def test_it_goes_on_at_once_where_it_stopped(bench: Bench, bus: Bus) -> None:
    for version in (1, 2):
        await publish(bus, f"a@{version}")
        async with going(bench.consumer(bus)):
            await heard(bench, *(f"a@{v}" for v in range(1, version + 1)))


async def test_a_batch_that_is_not_begun_goes_back_when_the_daemon_stops(bench: Bench, bus: Bus) -> None:
    began, may_end = asyncio.Event(), asyncio.Event()

    async def slow(tx: Store, message: Any, told: Any) -> Sequence[object] | None:
        began.set()
        await may_end.wait()
        return await hear(tx, message, told)

    for version in range(1, 21):
        await publish(bus, f"a@{version}")
    stop = asyncio.Event()
    running = asyncio.create_task(bench.consumer(bus, slow).run(stop))
    await asyncio.wait_for(began.wait(), 60)
    stop.set()
    may_end.set()
    await asyncio.wait_for(running, 60)
    assert await bench.heard() == ["a@1"]
    async with going(bench.consumer(bus)):
        await heard(bench, *(f"a@{v}" for v in range(1, 21)))


@pytest.mark.parametrize("seed", range(3))
async def test_what_was_fetched_at_the_moment_of_a_stop_is_at_once_anothers(quick: Bench, bus: Bus, seed: int) -> None:
    """Nothing is left to the end of `ack_wait`, which here comes after that of the test."""
    chance = random.Random(seed)
    names = [f"n{n}@1" for n in range(200)]

    async def tell() -> None:
        for name in names:
            await publish(bus, name)

    telling = asyncio.create_task(tell())
    while not telling.done():
        async with going(quick.consumer(bus, ack_wait=600)):
            # Where the stop falls is what is drawn; nothing is waited for.
            await asyncio.sleep(chance.uniform(0, 0.02))
    await telling
    async with going(quick.consumer(bus, ack_wait=600)):
        await settled(bus)
    assert sorted(await quick.heard()) == sorted(names)
    assert not counted(quick, "catalyst_inbox_gaps_total")


async def test_what_is_in_hand_when_a_consumer_is_cancelled_goes_back(quick: Bench, bus: Bus) -> None:
    began = asyncio.Event()

    async def never(tx: Store, message: Any, told: Any) -> Sequence[object] | None:
        began.set()
        await asyncio.Event().wait()
        return None

    for name in ("a@1", "b@1", "c@1"):
        await publish(bus, name)
    running = asyncio.create_task(quick.consumer(bus, never, ack_wait=600).run(asyncio.Event()))
    await asyncio.wait_for(began.wait(), 60)
    running.cancel()
    await asyncio.wait([running])
    async with going(quick.consumer(bus, ack_wait=600)):
        await heard(quick, "a@1", "b@1", "c@1")
        await settled(bus)


async def test_what_a_handler_tells_goes_out_with_its_effect(bench: Bench, bus: Bus) -> None:
    async def passes_on(tx: Store, message: Any, told: Any) -> Sequence[object] | None:
        await hear(tx, message, told)
        return [Reserved(Name("mine", "me", told.version + 1))]

    await publish(bus, "a@1")
    async with going(bench.consumer(bus, passes_on)):
        await heard(bench, "a@1")
        await settled(bus)
    assert await bench.waiting() == ["mine@2"]


async def test_a_server_that_is_killed_and_comes_back_is_listened_to_again(
    bench: Bench, bus: Bus, own_nats: NatsServer
) -> None:
    async with going(bench.consumer(bus)):
        await publish(bus, "a@1")
        await heard(bench, "a@1")
        own_nats.kill()
        own_nats.start()
        await eventually(lambda: published(bus, "a@2"), within=60)
        await heard(bench, "a@1", "a@2")


async def published(bus: Bus, name: str) -> bool:
    try:
        await publish(bus, name)
    except (NatsError, OSError, TimeoutError):
        return False
    return True


PATIENT = {"back_off": (0.02,) * 500}
"""Patience that no test uses up: twenty seconds of it."""


async def tell(bus: Bus, name: str, number: int, previous: int = 0, *, of: str = "reserved", **rest: str) -> None:
    """An event as a relay sends it, with its number and its predecessor of type `of`."""
    chain = f"allocation.{of}={previous}" if previous else ""
    await publish(bus, name, ce_number=str(number), ce_previous=chain, **rest)


async def test_an_event_behind_a_lost_one_is_handled_and_the_gap_is_counted(bench: Bench, bus: Bus) -> None:
    await tell(bus, "a@1", 1)
    await tell(bus, "a@4", 9, previous=7)
    await tell(bus, "a@5", 11, previous=9)
    async with going(bench.consumer(bus, **PATIENT)):
        await heard(bench, "a@1", "a@4", "a@5")
        await settled(bus)
    assert counted(bench, "catalyst_inbox_gaps_total") == 1
    (seen,) = await bench.rows("inbox_seen")
    assert (seen["consumer"], seen["aggregate"], seen["number"], seen["version"]) == (NAME, "a", 11, 5)


async def test_what_is_lost_before_the_first_event_of_an_aggregate_is_a_gap_too(quick: Bench, bus: Bus) -> None:
    await tell(bus, "a@2", 5, previous=3)
    async with going(quick.consumer(bus, **PATIENT)):
        await heard(quick, "a@2")
    assert counted(quick, "catalyst_inbox_gaps_total") == 1


async def test_who_handles_some_types_only_sees_no_gap_where_the_others_were(quick: Bench, bus: Bus) -> None:
    await tell(bus, "a@1", 1)
    await tell(bus, "a@3", 3, previous=2, of="released")
    async with going(quick.consumer(bus, **PATIENT)):
        await heard(quick, "a@1", "a@3")
    assert not counted(quick, "catalyst_inbox_gaps_total")


async def test_two_events_of_one_version_and_an_aggregate_made_anew_are_no_gap_and_are_all_handled(
    quick: Bench, bus: Bus
) -> None:
    await tell(bus, "a@7", 1, event_id="one")
    await tell(bus, "a@7", 2, previous=1, event_id="two")
    await tell(bus, "a@1", 3, previous=2, event_id="three")
    async with going(quick.consumer(bus, **PATIENT)):
        await heard(quick, "a@7", "a@7", "a@1")
    assert not counted(quick, "catalyst_inbox_gaps_total")


async def test_an_event_waits_for_its_predecessor_that_fails_and_others_do_not(quick: Bench, bus: Bus) -> None:
    failing = asyncio.Event()

    async def first_one_fails(tx: Store, message: Any, told: Any) -> Sequence[object] | None:
        if (message.allocation, message.version) == ("a", 1) and not failing.is_set():
            raise ZeroDivisionError
        return await hear(tx, message, told)

    for version in (1, 2, 3):
        await tell(bus, f"a@{version}", version, version - 1)
    await tell(bus, "b@1", 4)
    async with going(quick.consumer(bus, first_one_fails, **PATIENT)):
        await heard(quick, "b@1")
        failing.set()
        await heard(quick, "b@1", "a@1", "a@2", "a@3")
        await settled(bus)
    assert not counted(quick, "catalyst_inbox_gaps_total")


async def test_a_predecessor_that_is_given_up_is_no_gap_and_frees_its_successors(quick: Bench, bus: Bus) -> None:
    async def first_one_fails(tx: Store, message: Any, told: Any) -> Sequence[object] | None:
        if message.version == 1:
            raise ZeroDivisionError
        return await hear(tx, message, told)

    await tell(bus, "a@1", 1)
    await tell(bus, "a@2", 2, previous=1)
    async with going(quick.consumer(bus, first_one_fails, **PATIENT)):
        await heard(quick, "a@2")
        await settled(bus)
    assert counted(quick, "catalyst_dlq_messages_total") == 1
    assert not counted(quick, "catalyst_inbox_gaps_total")


async def test_waiting_for_a_predecessor_uses_up_no_try(quick: Bench, bus: Bus) -> None:
    may_pass = asyncio.Event()
    tries: list[int] = []

    async def both_fail(tx: Store, message: Any, told: Any) -> Sequence[object] | None:
        tries.append(message.version)
        if message.version == 2 or not may_pass.is_set():
            raise ZeroDivisionError
        return await hear(tx, message, told)

    await tell(bus, "a@1", 1)
    await tell(bus, "a@2", 2, previous=1)
    consumer = quick.consumer(bus, both_fail, **PATIENT)
    async with going(consumer):
        await eventually(lambda: sum(w.times for w in consumer._waiting.values()) >= 4, within=60)
        may_pass.set()
        await eventually(lambda: counted(quick, "catalyst_dlq_messages_total"), within=60)
    assert tries.count(2) == TRIES


async def test_behind_a_gap_the_resource_is_read_anew_and_what_comes_late_is_skipped(bench: Bench, bus: Bus) -> None:
    asked: list[str] = []

    async def ask(tx: Store, aggregate: str) -> Sequence[object] | None:
        asked.append(aggregate)
        return [Reserved(Name("mine", "me", len(asked)))]

    await tell(bus, "a@1", 1)
    await tell(bus, "a@3", 3, previous=2)
    async with going(bench.consumer(bus, refresh=ask, **PATIENT)):
        await heard(bench, "a@1", "a@3")
        await tell(bus, "a@2", 2, previous=1)  # replayed
        await tell(bus, "a@4", 4, previous=3)
        await heard(bench, "a@1", "a@3", "a@4")
        await settled(bus)
    assert asked == ["a", "a"]  # again for the late one: what it tells is part of what the resource is now
    assert await bench.waiting() == ["mine@1", "mine@2"]


async def test_a_refresh_that_fails_leaves_no_trace_and_is_tried_again(quick: Bench, bus: Bus) -> None:
    asked = 0

    async def ask(tx: Store, aggregate: str) -> Sequence[object] | None:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise TimeoutError
        return None

    await tell(bus, "a@3", 3, previous=2)
    async with going(quick.consumer(bus, refresh=ask, **PATIENT)):
        await heard(quick, "a@3")
    assert asked == 3
    assert counted(quick, "catalyst_inbox_gaps_total") == 1


async def test_where_nobody_can_be_asked_a_late_event_is_handled_late_rather_than_never(bench: Bench, bus: Bus) -> None:
    await tell(bus, "a@3", 3, previous=2)
    async with going(bench.consumer(bus, **PATIENT)):
        await heard(bench, "a@3")
        await tell(bus, "a@2", 2)
        await tell(bus, "a@4", 4, previous=3)
        await heard(bench, "a@3", "a@2", "a@4")
    (seen,) = await bench.rows("inbox_seen")
    assert seen["number"] == 4


@pytest.mark.parametrize("seed", [1, 2])
async def test_two_replicas_that_fail_at_random_handle_each_event_once_and_in_order(
    quick: Bench, bus: Bus, own_nats: NatsServer, seed: int
) -> None:
    chance = random.Random(seed)

    async def flaky(tx: Store, message: Any, told: Any) -> Sequence[object] | None:
        if chance.random() < 0.15:
            raise ZeroDivisionError
        return await hear(tx, message, told)

    other = Bus(own_nats.url, "other")
    versions = range(1, 11)
    for version in versions:
        await quick.tell(*(f"{name}@{version}" for name in "abc"))
    parts = [quick.relay(bus), *(quick.consumer(b, flaky, **PATIENT) for b in (bus, other))]
    async with going(*parts):

        async def all_heard() -> bool:
            return len(await quick.heard()) == 3 * len(versions)

        await eventually(all_heard, within=60)
        await settled(bus)
    await other.close()
    for name in "abc":
        assert [h for h in await quick.heard() if h.startswith(name)] == [f"{name}@{v}" for v in versions]
    assert not counted(quick, "catalyst_inbox_gaps_total")


async def test_two_consumers_that_give_up_one_event_leave_two_letters(quick: Bench, bus: Bus) -> None:
    async def refuses(tx: Store, message: Any, told: Any) -> Sequence[object] | None:
        raise ZeroDivisionError("two\nlines and ümlaut")

    await publish(bus, "a@1", Nats_Msg_Id="event-1")
    async with going(quick.consumer(bus, refuses), quick.consumer(bus, refuses, service="other")):

        async def two() -> bool:
            return (await (await bus.jetstream()).stream_info(DEAD_LETTERS)).state.messages == 2

        await eventually(lambda: counted(quick, "catalyst_dlq_messages_total"), within=60)
        await eventually(two, within=60)


async def test_long_work_is_not_given_to_another_replica_meanwhile(quick: Bench, bus: Bus) -> None:
    attempts: list[int] = []

    async def slow(tx: Store, message: Any, told: Any) -> Sequence[object] | None:
        attempts.append(told.attempt)
        began = time.monotonic()
        await eventually(lambda: time.monotonic() > began + 1.5, within=60)
        return await hear(tx, message, told)

    await publish(bus, "a@1")
    await publish(bus, "a@2")  # the second of the batch waits for longer than the server would
    async with going(*(quick.consumer(bus, slow, ack_wait=0.9) for _ in range(2))):
        await heard(quick, "a@1", "a@2")
        await settled(bus)
    assert attempts == [1, 1]
    assert not counted(quick, "catalyst_inbox_duplicates_total")


async def test_there_is_one_consumer_per_daemon_that_is_listened_to(bench: Bench, bus: Bus) -> None:
    subjects = [SUBJECT, RELEASED, "catalyst.v1.billing.order.paid"]
    handled = [Handled(subject, events_pb2.AllocationReserved, hear) for subject in subjects]
    made = consumers("toy", handled, work=bench.work, metadata=metadata, bus=bus, metrics=bench.metrics)
    assert [consumer.name for consumer in made] == ["toy-from-billing", NAME]
