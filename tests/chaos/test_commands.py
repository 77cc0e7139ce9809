"""Commands under kills, outages, races and drains: what was acknowledged happened once, and nothing else did."""

import asyncio
import random
from collections import Counter
from contextlib import suppress
from uuid import uuid4

import grpc
import pytest
from catalyst_mesh import explain
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of
from catalyst_testkit.postgres import PostgresServer

from .callers import Names, wish

pytestmark = pytest.mark.chaos


async def test_row_1_kill_9_during_commands_loses_and_doubles_nothing(
    pdm: Names, chosen: random.Random, long: bool
) -> None:
    await pdm.start(2)
    async with pdm.load(4, chosen):
        # The cheaper database has the short count.
        for _ in range(1000 if long else 20 if "sqlite" in pdm.url else 6):
            await asyncio.sleep(chosen.uniform(0, 0.3))  # the instant of a death is the subject of this test
            replica = chosen.choice(pdm.replicas.all)
            await pdm.restarted(replica)
    assert pdm.refused() == {}
    acknowledged = pdm.told.acknowledged
    assert len(acknowledged) > 20, "a test without commands proves nothing"
    assert pdm.told.seen["UNAVAILABLE"] > 0, "nor does one in which nobody noticed a death"
    events = await pdm.events()
    assert events == Counter(dict.fromkeys(acknowledged, 1)), "each acknowledged command has exactly one event"
    stored = await pdm.rows("SELECT label, version FROM allocation")
    assert sorted(label for label, _ in stored) == sorted(acknowledged), "none lost, none doubled"
    assert {version for _, version in stored} == {1}


async def test_row_5_while_postgresql_restarts_callers_are_told_unavailable_and_nothing_else(
    pdm_on_own: Names, own_postgres: PostgresServer, chosen: random.Random, long: bool
) -> None:
    pdm = pdm_on_own
    await pdm.start(2)

    async def more(status: str, count: int, within: float) -> None:
        wanted = pdm.told.seen[status] + count
        what = f"{count} more calls are told {status}"
        try:
            await eventually(lambda: pdm.told.seen[status] >= wanted, within=within, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}; {pdm.told.seen}; {pdm.refused()}; {_bugs(pdm)}") from error

    async with pdm.load(8, chosen):
        for number in range(20 if long else 2):
            await more("OK", 8, within=60)
            await asyncio.to_thread(own_postgres.kill if number % 2 else own_postgres.stop)
            await more("UNAVAILABLE", 1, within=30)
            await asyncio.to_thread(own_postgres.start)
            await more("OK", 8, within=30)  # the bound that quality.md states
    assert set(pdm.told.seen) == {"OK", "UNAVAILABLE"}, (pdm.told.seen, _bugs(pdm))
    assert pdm.refused() == {}
    assert await pdm.events() == Counter(dict.fromkeys(pdm.told.acknowledged, 1))
    assert not _bugs(pdm)


async def test_row_6_one_request_id_has_one_effect_and_one_answer(pdm: Names) -> None:
    await pdm.start(2)
    stubs = [pdm.at(replica) for replica in pdm.replicas.all]
    same = wish("acme", key := str(uuid4()))
    answers = await asyncio.gather(*(stubs[n % 2].ReserveAllocation(same, timeout=60) for n in range(1000)))
    assert len({answer.SerializeToString(deterministic=True) for answer in answers}) == 1
    assert await pdm.events() == {"acme": 1}
    others = (stubs[n % 2].ReserveAllocation(wish(f"other-{n}", key), timeout=60) for n in range(20))
    assert set(await asyncio.gather(*map(reason_of, others))) == {"REQUEST_ID_REUSED"}
    assert await pdm.events() == {"acme": 1}


async def test_row_6_of_two_bodies_under_one_request_id_one_happens_whoever_is_first(pdm: Names) -> None:
    await pdm.start(2)
    stubs, key = [pdm.at(replica) for replica in pdm.replicas.all], str(uuid4())
    bodies = [wish("left", key), wish("right", key)]
    calls = (reason_of(stubs[n % 2].ReserveAllocation(bodies[n // 2 % 2], timeout=60)) for n in range(100))
    reasons = await asyncio.gather(*calls)
    assert Counter(reasons) == {"OK": 50, "REQUEST_ID_REUSED": 50}
    assert sum((await pdm.events()).values()) == 1


async def test_row_8_of_200_callers_on_three_replicas_one_gets_the_name(pdm: Names) -> None:
    await pdm.start(3)
    stubs = [pdm.at(replica) for replica in pdm.replicas.all]

    async def ask(number: int) -> str:
        call = wish("acme", owner=f"organizations/o{number}")
        try:
            await stubs[number % 3].ReserveAllocation(call, timeout=60)
        except grpc.aio.AioRpcError as error:
            return explain(error).reason
        return "OK"

    assert Counter(await asyncio.gather(*map(ask, range(200)))) == {"OK": 1, "NAME_TAKEN": 199}
    assert await pdm.events() == {"acme": 1}


async def test_row_20_a_drain_under_load_fails_no_call(pdm: Names, chosen: random.Random, long: bool) -> None:
    await pdm.start(2)
    async with pdm.load(8, chosen, tries=4):  # as many as the retry policy has
        for number in range(20 if long else 2):
            before, replica = len(pdm.told.acknowledged), pdm.replicas.all[number % 2]
            await eventually(lambda n=before: len(pdm.told.acknowledged) > n + 8, within=60)  # type: ignore[misc]
            code = await pdm.drained(replica)
            assert code == 0, pdm.replicas.logs()[-2000:]
            await pdm.reached(replica)  # or with the other one drained next, there would be nobody to go to
    assert pdm.refused() == {}
    assert set(pdm.told.seen) <= {"OK", "UNAVAILABLE"}, pdm.told.seen
    assert await pdm.events() == Counter(dict.fromkeys(pdm.told.acknowledged, 1))


async def test_row_20_a_drained_replica_leaves_its_leases_to_the_other_at_once(pdm: Names) -> None:
    await pdm.start(2)

    async def held() -> dict[str, str]:
        return dict(await pdm.rows("SELECT name, holder FROM lease"))

    await eventually(held, within=60)  # type: ignore[arg-type]  # T is what the awaitable gives
    first, _ = pdm.replicas.all
    await pdm.drained(first, again=False)
    with suppress(grpc.aio.AioRpcError):
        await pdm.at(pdm.replicas.all[1]).ReserveAllocation(wish("acme"), timeout=10)

    async def published() -> bool:
        return not await pdm.rows("SELECT 1 FROM outbox WHERE published_at IS NULL")

    await eventually(published, within=60, what="the other one relays before a lease of 10 s could have ended")


def _bugs(pdm: Names) -> list[str]:
    return [line[-1200:] for line in pdm.replicas.logs().splitlines() if '"bug"' in line][:3]
