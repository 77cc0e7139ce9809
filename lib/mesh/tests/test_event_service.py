"""Events sent again and dead letters, over gRPC and NATS."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from catalyst.mesh.v1 import resources_pb2, service_pb2
from catalyst.mesh.v1.service_pb2_grpc import EventServiceStub
from catalyst.pooldomain.v1 import events_pb2
from catalyst.pooldomain.v1.service_pb2 import ReserveAllocationRequest
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub
from catalyst_mesh import Bus, Daemon, Handled, stamp
from catalyst_mesh.event_service import ADMIN_ONLY
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of, running
from catalyst_testkit.servers import NatsServer
from nats.js.errors import NotFoundError
from sqlalchemy import select, update

from .bench import SUBJECT
from .toy import Store, ToySettings, compose, hear, heard, metadata

pytestmark = pytest.mark.either_database

POOL = "pools/omani.works"
AGES_AGO = stamp(datetime(2020, 1, 1, tzinfo=UTC))
Request = service_pb2.ReplayEventsRequest


class Moody:
    """A handler that fails while it is told to."""

    def __init__(self) -> None:
        self.fails = False

    async def __call__(self, tx: Store, message: Any, told: Any) -> Sequence[object] | None:
        if self.fails:
            raise ZeroDivisionError("the handler is moody")
        return await hear(tx, message, told)


@pytest.fixture
def moody() -> Moody:
    return Moody()


@pytest.fixture
async def daemon(home: Any, own_nats: NatsServer, database: str, moody: Moody) -> AsyncIterator[RunningDaemon]:
    async def composed(settings: ToySettings) -> Daemon:
        made = await compose(settings)
        made.back_off = (0.01,) * 400  # tries soon, and waits long for a predecessor, on a busy machine too
        made.handled = [Handled(SUBJECT, events_pb2.AllocationReserved, moody)]
        return made

    values = {"nats_url": own_nats.url, "database_url": database, "nats_monitor_url": own_nats.monitor_url}
    async with running(composed, ToySettings, home, **values) as running_daemon:
        yield running_daemon


async def reserve(daemon: RunningDaemon, *labels: str) -> None:
    stub = daemon.stub(AllocationServiceStub)
    for label in labels:
        await stub.ReserveAllocation(
            ReserveAllocationRequest(parent=POOL, label=label, owner="organizations/one", request_id=str(uuid4()))
        )


async def told(daemon: RunningDaemon) -> list[str]:
    async with daemon.daemon.db.read() as sql:
        rows = (await sql.execute(select(heard).order_by(heard.c.number))).all()
    return [row.name.rpartition("/")[2] for row in rows]


async def hears(daemon: RunningDaemon, *wanted: str) -> None:
    """Those of one aggregate in their order; between two aggregates there is none."""

    def of_one(label: str) -> str:
        return label.partition("@")[0]

    async def check() -> bool:
        assert sorted(await told(daemon), key=of_one) == sorted(wanted, key=of_one)
        return True

    await eventually(check, within=60)


async def stored(bus: Bus) -> int:
    try:
        return int((await (await bus.jetstream()).stream_info("CATALYST_POOLDOMAIN")).state.messages)
    except NotFoundError:
        return 0  # it was wiped, and nobody has made it anew yet


async def holds(daemon: RunningDaemon, count: int) -> None:
    async def check() -> bool:
        assert await stored(daemon.daemon.bus) == count
        return True

    await eventually(check, within=60)


async def marked(daemon: RunningDaemon, count: int) -> None:
    """The relay says that an event is sent only after its consumers may have heard it."""
    events = daemon.admin(EventServiceStub)

    async def check() -> bool:
        counted = await events.ReplayEvents(Request(start_time=AGES_AGO, validate_only=True))
        assert [row.events for row in counted.replays] == [count]
        return True

    await eventually(check, within=60)


async def test_what_is_replayed_arrives_within_the_window_of_duplicates_and_has_no_second_effect(
    daemon: RunningDaemon,
) -> None:
    await reserve(daemon, "acme", "acme", "bee")
    await hears(daemon, "acme@1", "acme@2", "bee@1")
    events = daemon.admin(EventServiceStub)
    for already in (3, 6):
        await marked(daemon, 3)
        answer = await events.ReplayEvents(Request(start_time=AGES_AGO))
        assert [(r.daemon, r.events) for r in answer.replays] == [("pooldomain", 3)]
        assert answer.replays[0].HasField("oldest_time")
        await holds(daemon, already + 3)
    await reserve(daemon, "acme")
    await hears(daemon, "acme@1", "acme@2", "bee@1", "acme@3")


async def test_a_wiped_server_is_refilled_in_order(daemon: RunningDaemon, own_nats: NatsServer, moody: Moody) -> None:
    await reserve(daemon, "acme", "acme")
    await hears(daemon, "acme@1", "acme@2")
    moody.fails = True
    await reserve(daemon, "acme", "acme")
    await holds(daemon, 4)
    await marked(daemon, 4)  # else the relay sends the last one again before all others are sent anew
    own_nats.wipe()
    moody.fails = False
    await daemon.admin(EventServiceStub).ReplayEvents(Request(start_time=AGES_AGO, service="pooldomain"))
    await hears(daemon, "acme@1", "acme@2", "acme@3", "acme@4")
    # Who had fetched the last two before the server was wiped may hear them before the stream has them again.
    await holds(daemon, 4)


async def test_a_replay_is_narrowed_and_counted_before_it_is_done(daemon: RunningDaemon) -> None:
    await reserve(daemon, "acme", "bee", "bee")
    await hears(daemon, "acme@1", "bee@1", "bee@2")
    await marked(daemon, 3)
    events = daemon.admin(EventServiceStub)
    bee = f"{POOL}/allocations/bee"
    later = stamp(datetime.now(UTC) + timedelta(minutes=5))
    for wish, wanted in (
        (Request(start_time=AGES_AGO, aggregate=bee, validate_only=True), [2]),
        (Request(start_time=AGES_AGO, subject_prefix="catalyst.v1.pooldomain.pool.", validate_only=True), [0]),
        (Request(start_time=later, validate_only=True), [0]),
        (Request(start_time=AGES_AGO, service="billing"), []),
        (Request(start_time=AGES_AGO, aggregate=bee, subject_prefix="catalyst.v1.pooldomain.allocation."), [2]),
    ):
        assert [r.events for r in (await events.ReplayEvents(wish)).replays] == wanted
    await holds(daemon, 5)


async def test_events_are_listed_by_their_number_page_by_page(daemon: RunningDaemon) -> None:
    await reserve(daemon, "acme", "bee", "cat")
    await marked(daemon, 3)
    gateway, seen, token = daemon.stub(EventServiceStub, "gateway", service="gateway"), [], ""
    for size in (2, 1):
        wish = service_pb2.ListEventsRequest(service="pooldomain", page_size=2, page_token=token)
        answer = await gateway.ListEvents(wish)
        assert len(answer.events) == size
        seen, token = [*seen, *answer.events], answer.next_page_token
    assert token == ""
    assert [event.name for event in seen] == [f"events/pooldomain-{n}" for n in (1, 2, 3)]
    told = events_pb2.AllocationReserved.FromString(seen[2].body)
    assert (told.allocation, told.version) == (seen[2].aggregate, seen[2].version)
    assert not (await gateway.ListEvents(service_pb2.ListEventsRequest(service="billing"))).events


@pytest.mark.parametrize("who", [{"service": "billing"}, {"groups": ["/one/org-admin"]}])
async def test_only_the_gateway_and_the_admin_list_events(daemon: RunningDaemon, who: dict[str, Any]) -> None:
    wish = service_pb2.ListEventsRequest(service="pooldomain")
    assert await reason_of(daemon.stub(EventServiceStub, "x", **who).ListEvents(wish)) == "CALL_DENIED"
    await daemon.admin(EventServiceStub).ListEvents(wish)


async def test_a_replay_without_a_moment_is_refused(daemon: RunningDaemon) -> None:
    assert await reason_of(daemon.admin(EventServiceStub).ReplayEvents(Request())) == "REQUEST_INVALID"


@pytest.mark.parametrize("method", ADMIN_ONLY)
async def test_only_the_admin_of_the_sovereign_touches_events(daemon: RunningDaemon, method: str) -> None:
    wish = getattr(service_pb2, f"{method}Request")()
    for stub in (daemon.member(EventServiceStub, "one"), daemon.stub(EventServiceStub, "x", service="billing")):
        assert await reason_of(getattr(stub, method)(wish)) == "CALL_DENIED"


async def letters(daemon: RunningDaemon, count: int) -> list[resources_pb2.DeadLetter]:
    events = daemon.admin(EventServiceStub)

    async def check() -> list[resources_pb2.DeadLetter]:
        found = list((await events.ListDeadLetters(service_pb2.ListDeadLettersRequest())).dead_letters)
        assert len(found) == count
        return found or [resources_pb2.DeadLetter()]

    found = await eventually(check, within=60)
    return found if count else []


async def given_up(daemon: RunningDaemon, *labels: str) -> None:
    """A letter for each label; the eight tries follow one another at once."""
    await reserve(daemon, *labels)


async def test_a_dead_letter_is_listed_read_and_replayed_and_has_one_effect_however_often_it_is_asked(
    daemon: RunningDaemon, moody: Moody
) -> None:
    moody.fails = True
    await given_up(daemon, "acme")
    (letter,) = await letters(daemon, 1)
    assert (letter.consumer, letter.attempts) == ("pooldomain-from-pooldomain", 8)
    assert (letter.error, letter.body) == ("ZeroDivisionError: the handler is moody", b"")
    assert letter.aggregate.endswith("/acme")
    assert len(letter.trace_id) == 32

    events = daemon.admin(EventServiceStub)
    whole = await events.GetDeadLetter(service_pb2.GetDeadLetterRequest(name=letter.name))
    assert events_pb2.AllocationReserved.FromString(whole.body).version == 1

    wish = service_pb2.ReplayDeadLetterRequest(name=letter.name)
    assert await reason_of(events.ReplayDeadLetter(wish)) == "DEAD_LETTER_NOT_HANDLED"
    moody.fails = False
    reasons = await asyncio.gather(*(reason_of(events.ReplayDeadLetter(wish)) for _ in range(5)))
    assert set(reasons) <= {"OK", "DEAD_LETTER_NOT_FOUND"}
    assert "OK" in reasons
    await hears(daemon, "acme@1")
    assert await reason_of(events.ReplayDeadLetter(wish)) == "DEAD_LETTER_NOT_FOUND"
    await letters(daemon, 0)


async def test_a_letter_whose_event_had_its_effect_meanwhile_goes_without_another(
    daemon: RunningDaemon, moody: Moody
) -> None:
    moody.fails = True
    await given_up(daemon, "acme")
    (letter,) = await letters(daemon, 1)
    moody.fails = False
    await daemon.admin(EventServiceStub).ReplayEvents(Request(start_time=AGES_AGO))
    await hears(daemon, "acme@1")
    wish = service_pb2.ReplayDeadLetterRequest(name=letter.name)
    assert not (await daemon.admin(EventServiceStub).ReplayDeadLetter(wish)).handled
    assert await told(daemon) == ["acme@1"]


async def test_letters_come_in_pages_and_a_discarded_one_is_gone(daemon: RunningDaemon, moody: Moody) -> None:
    moody.fails = True
    await given_up(daemon, "one", "two", "three")  # each fetch of the consumer takes up to a second
    all_of_them = [letter.name for letter in await letters(daemon, 3)]
    events = daemon.admin(EventServiceStub)
    first = await events.ListDeadLetters(service_pb2.ListDeadLettersRequest(page_size=2))
    rest = await events.ListDeadLetters(service_pb2.ListDeadLettersRequest(page_token=first.next_page_token))
    assert [x.name for x in (*first.dead_letters, *rest.dead_letters)] == all_of_them
    await events.DiscardDeadLetter(service_pb2.DiscardDeadLetterRequest(name=all_of_them[1]))
    assert [x.name for x in await letters(daemon, 2)] == [all_of_them[0], all_of_them[2]]
    assert await told(daemon) == []


async def test_a_name_of_another_letter_or_daemon_finds_nothing(daemon: RunningDaemon, moody: Moody) -> None:
    moody.fails = True
    await given_up(daemon, "acme")
    (letter,) = await letters(daemon, 1)
    stem = letter.name.rpartition("-")[0]
    events = daemon.admin(EventServiceStub)
    for name in (f"{stem}-00000000", letter.name.replace("pooldomain", "billing"), "deadLetters/pooldomain-9-aaaaaaaa"):
        wish = service_pb2.GetDeadLetterRequest(name=name)
        assert await reason_of(events.GetDeadLetter(wish)) == "DEAD_LETTER_NOT_FOUND"


async def test_the_bus_is_reported(daemon: RunningDaemon, moody: Moody) -> None:
    moody.fails = True
    await given_up(daemon, "acme")
    await letters(daemon, 1)
    events = daemon.admin(EventServiceStub)
    (report,) = (await events.ListBusReports(service_pb2.ListBusReportsRequest())).reports
    yes = resources_pb2.BusReport.TRUTH_YES
    assert (report.daemon, report.connected, report.jetstream, report.sync_always) == ("pooldomain", True, yes, yes)
    assert report.server_version.startswith("2.")
    assert [(s.name, s.replicas, s.messages) for s in report.streams] == [("CATALYST_POOLDOMAIN", 1, 1)]
    assert [(c.name, c.exists, c.dead_letters) for c in report.consumers] == [("pooldomain-from-pooldomain", True, 1)]


async def test_a_server_that_is_away_is_part_of_the_report_and_letters_are_unavailable(
    daemon: RunningDaemon, own_nats: NatsServer
) -> None:
    own_nats.kill()
    events = daemon.admin(EventServiceStub)

    async def unknown() -> bool:
        (report,) = (await events.ListBusReports(service_pb2.ListBusReportsRequest())).reports
        no_answer = resources_pb2.BusReport.TRUTH_UNSPECIFIED
        return not report.connected and report.jetstream == report.sync_always == no_answer

    await eventually(unknown, within=60)
    assert await reason_of(events.ListDeadLetters(service_pb2.ListDeadLettersRequest())) == "BUS_UNAVAILABLE"
    own_nats.start()


async def test_a_row_keeps_its_age_through_replays(daemon: RunningDaemon) -> None:
    await reserve(daemon, "acme")
    await hears(daemon, "acme@1")
    outbox = metadata.tables["outbox"]
    old = datetime.now(UTC) - timedelta(days=3)
    async with daemon.daemon.db.begin() as sql:
        await sql.execute(update(outbox).values(published_at=old))
    for _ in range(2):
        await daemon.admin(EventServiceStub).ReplayEvents(Request(start_time=AGES_AGO))

        async def sent() -> bool:
            async with daemon.daemon.db.read() as sql:
                return (await sql.execute(select(outbox.c.published_at))).scalar_one() is not None

        await eventually(sent, within=60)
    async with daemon.daemon.db.read() as sql:
        row = (await sql.execute(select(outbox))).mappings().one()
    assert (row["first_published_at"], row["replays"]) == (old, 2)
