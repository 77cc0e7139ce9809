"""Events of others: one effect each, and what cannot be handled ends in the dead letters with its copy."""

import asyncio
from collections.abc import AsyncIterator, Sequence
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

    await eventually(check, within=10)


async def settled(bus: Bus) -> None:
    """Nothing waits for a delivery or an acknowledgement."""

    async def check() -> bool:
        info = await (await bus.jetstream()).consumer_info("CATALYST_POOLDOMAIN", NAME)
        assert (info.num_pending, info.num_ack_pending) == (0, 0)
        return True

    await eventually(check, within=10)


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
        await eventually(lambda: counted(bench, "catalyst_dlq_messages_total"), within=10)
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


async def test_a_body_that_is_no_message_is_given_up_and_stops_nothing(bench: Bench, bus: Bus) -> None:
    await (await bus.jetstream()).publish(SUBJECT, b"\xff\xff\xff")
    await publish(bus, "b@1")
    async with going(bench.consumer(bus)):
        await heard(bench, "b@1")
        await eventually(lambda: counted(bench, "catalyst_dlq_messages_total"), within=10)
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
    await asyncio.wait_for(began.wait(), 10)
    stop.set()
    may_end.set()
    await asyncio.wait_for(running, 10)
    assert await bench.heard() == ["a@1"]
    async with going(bench.consumer(bus)):
        await heard(bench, *(f"a@{v}" for v in range(1, 21)))


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
        await eventually(lambda: published(bus, "a@2"), within=10)
        await heard(bench, "a@1", "a@2")


async def published(bus: Bus, name: str) -> bool:
    try:
        await publish(bus, name)
    except (NatsError, OSError, TimeoutError):
        return False
    return True


async def test_there_is_one_consumer_per_daemon_that_is_listened_to(bench: Bench, bus: Bus) -> None:
    subjects = [SUBJECT, RELEASED, "catalyst.v1.billing.order.paid"]
    handled = [Handled(subject, events_pb2.AllocationReserved, hear) for subject in subjects]
    made = consumers("toy", handled, work=bench.work, metadata=metadata, bus=bus, metrics=bench.metrics)
    assert [consumer.name for consumer in made] == ["toy-from-billing", NAME]
