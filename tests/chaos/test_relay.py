"""A relay that dies between the stream's acknowledgement and its own mark."""

import signal
from collections import Counter
from contextlib import suppress
from uuid import uuid4

import grpc
import pytest
from catalyst.pooldomain.v1.service_pb2 import ReserveAllocationRequest
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub
from catalyst_mesh import connect
from catalyst_testkit import eventually
from catalyst_testkit.processes import Replica, Replicas

from .callers import POOL, let_leases_end, rows

pytestmark = pytest.mark.chaos
UNMARKED = "SELECT 1 FROM outbox WHERE published_at IS NULL"


async def test_row_2_a_relay_killed_between_publish_and_mark_has_its_effect_at_the_consumer_once(
    toy: Replicas, long: bool
) -> None:
    """Each life publishes what the one before had not marked, then dies with the next event acknowledged, not marked."""
    url = str(toy.settings["database_url"])
    kills = 500 if long else 20 if "sqlite" in url else 4  # the cheaper database has the short count
    await toy.start(1)
    (replica,) = toy.all
    await replica.kill()
    token = toy.issuer.token("somebody")
    for number in range(kills):
        wish = ReserveAllocationRequest(
            parent=POOL, label=f"n{number}", owner="organizations/o", request_id=str(uuid4())
        )  # fmt: skip - one wish, however often it is asked
        while not await rows(url, f"SELECT 1 FROM names WHERE name = '{POOL}/allocations/n{number}'"):
            await let_leases_end(url)
            unmarked = await rows(url, UNMARKED)
            replica.start(f"relay.published=kill@{2 if unmarked else 1}")
            await ask(token, wish, replica, url)
            assert await replica.ended(within=60) == -signal.SIGKILL
    await let_leases_end(url)
    replica.start()
    await replica.serves()

    async def heard() -> Counter[str]:
        return Counter(name for (name,) in await rows(url, "SELECT name FROM heard"))

    wanted = Counter({f"{POOL}/allocations/n{number}@1": 1 for number in range(kills)})
    await eventually(lambda: _are(heard, wanted), within=60, what="all is heard")
    await marked(url, replica)
    assert await heard() == wanted, "once each"


async def ask(token: str, wish: ReserveAllocationRequest, replica: Replica, url: str) -> None:
    """Ask, if it lives so long: a replica that publishes in two parts what it found dies before, or before it answers."""
    with suppress(grpc.aio.AioRpcError, AssertionError):
        await replica.serves()
        await marked(url, replica)
        # A channel that met the replica dead would not look again at once.
        async with connect(f"127.0.0.1:{replica.port}", token=lambda: token) as channel:
            await AllocationServiceStub(channel).ReserveAllocation(wish, timeout=60)


async def _are(heard: object, wanted: Counter[str]) -> bool:
    return len(await heard()) >= len(wanted)  # type: ignore[operator]  # it is a coroutine function


async def marked(url: str, replica: Replica) -> None:
    """Wait until nothing is left to mark, or nobody to mark it."""

    async def all_are() -> bool:
        return replica.code is not None or not await rows(url, UNMARKED)

    await eventually(all_are, within=60, what="what was published before is marked")
