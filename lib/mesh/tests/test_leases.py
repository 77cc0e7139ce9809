"""Leases: one holder, fences that grow, and a holder that stops before another begins."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count

import pytest
from catalyst_mesh import ChassisMetrics, Database, Lease, LeaseLost, Leases, ManualClock
from catalyst_testkit import eventually
from catalyst_testkit.postgres import PostgresServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from sqlalchemy import delete, func, insert, select

from .bench import NOON
from .toy import heard, metadata

TTL = timedelta(seconds=10)
BRIEF = timedelta(milliseconds=400)
"""Life of a lease that is renewed in real time. The clock of the database stands still all the same."""


class Steady:
    """A steady clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class House:
    """Replicas, each with connections of its own to one database, and the clock they share."""

    def __init__(self, databases: list[Database], clock: ManualClock) -> None:
        self.clock = clock
        self.databases = databases
        self.numbers = count(1)
        self.a, self.b = (Leases(db, metadata, replica=name, ttl=TTL) for db, name in zip(databases, "ab", strict=True))

    def brief(self, name: str, **more: object) -> Leases:
        """A replica whose leases are short."""
        return Leases(self.databases["ab".index(name)], metadata, replica=name, ttl=BRIEF, **more)  # type: ignore[arg-type]

    async def write(self, lease: Lease, word: str) -> None:
        """An effect under `lease`, in a transaction of its replica."""
        db = self.databases["ab".index(lease._leases.replica)]
        async with db.begin() as sql:
            await lease.guard(sql)
            await sql.execute(insert(heard).values(number=next(self.numbers), name=word))

    async def words(self) -> list[str]:
        async with self.databases[0].read() as sql:
            return list((await sql.execute(select(heard.c.name).order_by(heard.c.number))).scalars())


@pytest.fixture
async def house(database: str) -> AsyncIterator[House]:
    clock = ManualClock(NOON)
    opened = House([await Database.open(database, metadata=metadata, clock=clock) for _ in range(2)], clock)
    yield opened
    for db in opened.databases:
        await db.close()


async def test_one_holder_until_the_end_and_then_the_next_with_a_higher_fence(house: House) -> None:
    assert await house.a.acquire("relay") == 1
    assert await house.b.acquire("relay") is None
    house.clock.advance(TTL - timedelta(microseconds=1))
    assert await house.b.acquire("relay") is None
    house.clock.advance(timedelta(microseconds=1))
    assert await house.b.acquire("relay") == 2
    assert await house.a.acquire("relay") is None


async def test_renewing_keeps_the_fence_and_moves_the_end(house: House) -> None:
    for _ in range(3):
        assert await house.a.acquire("relay") == 1
        house.clock.advance(TTL / 2)
    assert await house.b.acquire("relay") is None


async def test_a_released_lease_is_free_at_once_and_its_fence_goes_on(house: House) -> None:
    await house.a.acquire("relay")
    await house.a.release("relay")
    assert await house.b.acquire("relay") == 2
    await house.b.release("relay")
    assert await house.a.acquire("relay") == 3


async def test_nobody_releases_another_s_lease(house: House) -> None:
    await house.a.acquire("relay")
    await house.b.release("relay")
    assert await house.b.acquire("relay") is None


async def test_leases_of_different_names_do_not_meet(house: House) -> None:
    assert await house.a.acquire("one") == 1
    assert await house.b.acquire("two") == 1


async def test_of_many_that_come_at_once_one_holds(house: House) -> None:
    many = [Leases(db, metadata, replica=str(n), ttl=TTL) for n, db in enumerate(house.databases * 10)]
    got = await asyncio.gather(*(leases.acquire("relay") for leases in many))
    assert sorted(got, key=str) == sorted([1] + [None] * 19, key=str)


async def test_waiting_ends_when_it_is_held_or_when_the_daemon_stops(house: House) -> None:
    stop = asyncio.Event()
    await house.a.acquire("relay")
    brief, now = timedelta(milliseconds=30), [0.0]

    class Patient(Leases):
        async def take(self, name: str) -> Lease | None:
            now[0] += 100  # seconds from one question to the next
            return await super().take(name)

    quick = Patient(house.databases[1], metadata, replica="b", ttl=brief, monotonic=lambda: now[0])
    waiting = asyncio.create_task(quick.held("relay", stop))
    await eventually(lambda: now[0] >= 200, 60, what="it has asked twice")
    house.clock.advance(TTL)
    held = await asyncio.wait_for(waiting, 60)
    assert held is not None
    assert held.fence == 2
    assert held.left == pytest.approx(brief.total_seconds()), "counted from its last question, however long was waited"
    waiting = asyncio.create_task(house.a.held("relay", stop))
    house.a.ttl = TTL
    stop.set()
    assert await asyncio.wait_for(waiting, 60) is None


async def test_a_frozen_holder_whose_lease_was_taken_over_writes_nothing(house: House) -> None:
    frozen = await house.a.take("reconcile")
    assert frozen is not None
    await house.write(frozen, "before")
    house.clock.advance(TTL)  # nobody heard of it for so long, though by its own clock no moment has passed
    other = await house.b.take("reconcile")
    assert other is not None
    assert (other.fence, frozen.trusted) == (2, True)
    await house.write(other, "after")
    with pytest.raises(LeaseLost, match="reconcile"):
        await house.write(frozen, "late")
    assert await house.words() == ["before", "after"]


async def test_a_holder_stops_by_its_own_clock_before_anybody_can_have_the_lease(house: House) -> None:
    steady = Steady()
    leases = Leases(house.databases[0], metadata, replica="a", ttl=TTL, monotonic=steady)
    lease = await leases.take("reconcile")
    assert lease is not None
    steady.now += TTL.total_seconds() * 0.79
    await house.write(lease, "in time")
    steady.now += TTL.total_seconds() * 0.02
    assert await house.b.acquire("reconcile") is None
    with pytest.raises(LeaseLost):
        lease.check()
    with pytest.raises(LeaseLost):
        await house.write(lease, "late")
    assert await house.words() == ["in time"]


async def test_a_renewal_is_counted_from_before_it_was_asked_for(house: House) -> None:
    steady = Steady()
    leases = Leases(house.databases[0], metadata, replica="a", ttl=TTL, monotonic=steady)
    lease = await leases.take("reconcile")
    assert lease is not None
    steady.now += 5
    assert await leases.renew(lease)
    assert lease.left == TTL.total_seconds()
    lease.renewed(steady.now - 3)  # an answer that comes late does not take anything back
    assert lease.left == TTL.total_seconds()


async def test_whoever_takes_over_waits_for_the_transaction_of_the_holder(house: House) -> None:
    lease = await house.a.take("reconcile")
    assert lease is not None
    house.clock.advance(TTL)
    async with house.databases[0].begin() as sql:
        await lease.guard(sql)
        taking = asyncio.create_task(house.b.acquire("reconcile"))
        await sql.execute(insert(heard).values(number=1, name="mine"))
        _, waiting = await asyncio.wait({taking}, timeout=0.1)
        assert waiting
    assert await asyncio.wait_for(taking, 60) == 2
    assert await house.words() == ["mine"]


async def test_a_renewal_need_not_wait_for_transactions_under_the_lease(postgres: PostgresServer) -> None:
    # On SQLite there is one writer at a time, whatever it writes.
    db = await Database.open(await postgres.database(), metadata=metadata)
    leases = Leases(db, metadata, ttl=TTL)
    lease = await leases.take("reconcile")
    assert lease is not None
    async with db.begin() as sql, db.begin() as beside:
        await lease.guard(sql)
        await lease.guard(beside)
        assert await asyncio.wait_for(leases.renew(lease), 60)
    await db.close()


async def test_work_goes_on_under_a_lease_that_is_renewed_beside_it(house: House) -> None:
    stop, fences = asyncio.Event(), []
    ends = asyncio.Event()
    leases = house.brief("a")

    async def work(lease: Lease) -> None:
        fences.append(lease.fence)
        before = lease._asked
        await eventually(lambda: lease._asked > before + BRIEF.total_seconds(), within=60, what="several renewals")
        assert lease.trusted
        ends.set()
        await stop.wait()

    keeping = asyncio.create_task(leases.keep("reconcile", stop, work))
    await asyncio.wait_for(ends.wait(), 60)
    stop.set()
    await asyncio.wait_for(keeping, 60)
    assert set(fences) == {1}, "on a busy machine the work may begin anew, but nobody else had the lease"
    assert await house.b.acquire("reconcile") == 2, "it was given back"


async def test_work_is_cancelled_when_another_has_the_lease_and_begins_anew_with_the_next(house: House) -> None:
    stop, began, cancelled = asyncio.Event(), [], []

    async def work(lease: Lease) -> None:
        began.append(lease.fence)
        try:
            await stop.wait()
        except asyncio.CancelledError:
            cancelled.append(lease.fence)
            raise

    keeping = asyncio.create_task(house.brief("a").keep("reconcile", stop, work))
    await eventually(lambda: began == [1], within=60, what="the work began")
    house.clock.advance(TTL)
    assert await house.b.acquire("reconcile") == 2
    await eventually(lambda: cancelled == [1], within=60, what="the work was cancelled")
    await house.b.release("reconcile")
    await eventually(lambda: began == [1, 3], within=60, what="it began anew")
    stop.set()
    await asyncio.wait_for(keeping, 60)
    assert cancelled == [1]


async def test_work_is_cancelled_when_the_lease_cannot_be_renewed_in_time(house: House) -> None:
    stop, began, lost = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(lease: Lease) -> None:
        began.set()
        try:
            await stop.wait()
        except asyncio.CancelledError:
            assert not lease.trusted
            lost.set()
            raise

    keeping = asyncio.create_task(house.brief("a").keep("reconcile", stop, work))
    await asyncio.wait_for(began.wait(), 60)
    async with house.databases[1].begin() as sql:  # somebody sits on the row, or on all of SQLite
        await sql.execute(select(metadata.tables["lease"]).with_for_update())
        await asyncio.wait_for(lost.wait(), 60)
        stop.set()
    await asyncio.wait_for(keeping, 60)


async def test_work_that_was_refused_by_the_fence_waits_for_the_lease_again(house: House) -> None:
    stop, tries = asyncio.Event(), []

    async def work(lease: Lease) -> None:
        tries.append(lease.fence)
        if len(tries) > 1:
            await stop.wait()
            return
        house.clock.advance(TTL)
        try:
            # A renewal that comes behind this ends the work, perhaps before it has heard the answer.
            assert await house.b.acquire("reconcile") == 2
            await house.write(lease, "late")
        finally:
            await house.b.release("reconcile")

    # Its own clock stands still: the fence is to refuse it, and not its doubt about a lease that a busy machine makes old.
    keeping = asyncio.create_task(house.brief("a", monotonic=Steady()).keep("reconcile", stop, work))
    await eventually(lambda: tries == [1, 3], within=60, what="a second try")
    stop.set()
    await asyncio.wait_for(keeping, 60)
    assert await house.words() == []


async def test_what_work_fails_with_is_told_and_the_lease_is_given_back(house: House) -> None:
    async def work(lease: Lease) -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await house.a.keep("reconcile", asyncio.Event(), work)
    assert await house.b.acquire("reconcile") == 2


async def test_an_attempt_answers_once_and_does_not_wait_for_another(house: House) -> None:
    async def work(lease: Lease) -> str:
        assert await house.b.attempt("sync/public", work) is None
        return f"done under {lease.fence}"

    assert await house.a.attempt("sync/public", work) == "done under 1"
    assert await house.b.acquire("sync/public") == 2


async def test_the_gauges_say_what_is_held_and_with_which_fence(house: House) -> None:
    metrics = ChassisMetrics(CollectorRegistry())
    leases = Leases(house.databases[0], metadata, replica="a", ttl=TTL, metrics=metrics)

    def told() -> tuple[float | None, float | None]:
        names = ("catalyst_lease_held", "catalyst_lease_epoch")
        held, epoch = (metrics.registry.get_sample_value(name, {"lease": "sync"}) for name in names)
        return held, epoch

    async def work(lease: Lease) -> None:
        assert told() == (1.0, 1.0)

    await leases.attempt("sync/public", work)
    assert told() == (0.0, 1.0)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["a takes", "b takes", "a gives", "b gives", "time passes"]), max_size=25))
async def test_in_any_order_one_holder_and_growing_fences(house: House, events: list[str]) -> None:
    async with house.databases[0].begin() as sql:
        await sql.execute(delete(metadata.tables["lease"]))
        await sql.execute(delete(heard))
    holder, until, fences, written = "", house.clock.now(), [0], 0
    leases: dict[str, Lease | None] = {"a": None, "b": None}
    for event in events:
        who, _, what = event.partition(" ")
        if event == "time passes":
            house.clock.advance(TTL / 2)
        elif what == "gives":
            await getattr(house, who).release("relay")
            until = house.clock.now() if who == holder else until
        else:
            lease = await getattr(house, who).take("relay")
            assert (lease is None) == (holder not in ("", who) and until > house.clock.now())
            if lease is not None:
                assert lease.fence == fences[-1] + (holder != who)
                fences.append(lease.fence)
                holder, until = who, house.clock.now() + TTL
                leases[who] = lease
        for name, lease in leases.items():
            if lease is not None and name == holder:
                await house.write(lease, name)
                written += 1
            elif lease is not None:
                with pytest.raises(LeaseLost):
                    await house.write(lease, name)
    async with house.databases[0].read() as sql:
        assert (await sql.execute(select(func.count()).select_from(heard))).scalar_one() == written
