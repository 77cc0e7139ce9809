"""Those who reserve names, over and over, by the retry policy of any client: what they were told is the history."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import uuid4

import grpc
from catalyst.pooldomain.v1.resources_pb2 import Pool
from catalyst.pooldomain.v1.service_pb2 import (
    CheckNameRequest,
    CreatePoolRequest,
    ReserveAllocationRequest,
    ReserveAllocationResponse,
)
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub, PoolServiceStub
from catalyst_mesh import Database, explain
from catalyst_testkit import eventually
from catalyst_testkit.processes import Replica, Replicas
from sqlalchemy import text

POOL = "pools/omani.works"
RESERVED = "catalyst.v1.pooldomain.allocation.reserved"
AGAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
"""After these the same `request_id` is sent once more (conventions, section 2)."""


@dataclass
class Told:
    """What callers were told, call by call."""

    acknowledged: dict[str, ReserveAllocationResponse] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """Calls that ended otherwise after all their tries."""
    seen: Counter[str] = field(default_factory=Counter)
    """Every status that a channel gave, a repeated call's too."""
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass
class Names:
    """The pool-domain manager's replicas, with one pool."""

    replicas: Replicas
    told: Told = field(default_factory=Told)
    _stubs: dict[int, AllocationServiceStub] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.replicas.close()

    @property
    def url(self) -> str:
        """Of the daemon's database."""
        return str(self.replicas.settings["database_url"])

    async def start(self, count: int) -> None:
        """Start so many replicas, and make the pool."""
        await self.replicas.start(count)
        pool = Pool(kinds=[Pool.KIND_SOVEREIGN], zone="zones/omani.works", allow_private_targets=True)
        admin = self.replicas.stub(PoolServiceStub, self.replicas.all[0], "admin", roles=["sovereign-admin"])
        await admin.CreatePool(CreatePoolRequest(pool_id="omani.works", pool=pool))

    def at(self, replica: Replica) -> AllocationServiceStub:
        """A stub on one replica, as the provisioner."""
        if replica.port not in self._stubs:
            self._stubs[replica.port] = self.replicas.stub(
                AllocationServiceStub, replica, "provisioner", service="provisioner"
            )
        return self._stubs[replica.port]

    async def reserve(self, label: str, chosen: random.Random, *, tries: int = 40, pause: float = 0.25) -> None:
        """Reserve `label`, again with the same `request_id` after what may be repeated; note what was told."""
        first = chosen.randrange(len(self.replicas.all))
        call = wish(label, owner=f"organizations/{label}")  # one each: an Organization has a quota
        for attempt in range(tries):
            try:
                # The next one each time, as where an endpoint that does not serve is taken off the list.
                stub = self.at(self.replicas.all[(first + attempt) % len(self.replicas.all)])
                self.told.acknowledged[label] = await stub.ReserveAllocation(call, timeout=10)
                self.told.seen["OK"] += 1
                return
            except grpc.aio.AioRpcError as error:
                self.told.seen[error.code().name] += 1
                self.told.failed[label] = f"{error.code().name} {explain(error).reason} {error.details()}"
                if error.code() not in AGAIN:
                    return
            await asyncio.sleep(pause * chosen.uniform(0.5, 1))

    @asynccontextmanager
    async def load(self, callers: int, chosen: random.Random, **how: Any) -> AsyncIterator[None]:
        """Names are reserved by so many callers at a time during the block; each call comes to an end after it."""
        stop = asyncio.Event()

        async def caller(number: int) -> None:
            count = 0
            while not stop.is_set():
                await self.reserve(f"n{number}-{count}", chosen, **how)
                count += 1

        async with asyncio.TaskGroup() as group:
            for number in range(callers):
                group.create_task(caller(number))
            try:
                yield
            finally:
                stop.set()

    async def restarted(self, replica: Replica) -> None:
        """kill -9, and a new one in its place."""
        await replica.kill()
        replica.start()
        await replica.serves()

    async def drained(self, replica: Replica, *, again: bool = True) -> int:
        """SIGTERM; the exit code, which must come within 25 s. With `again`, a new one takes its place."""
        replica.signal(signal.SIGTERM)
        code = await replica.ended(within=25)
        if again:
            replica.start()
            await replica.serves()
        return code

    async def reached(self, replica: Replica) -> None:
        """Wait until callers have a connection to a replica that was started again; gRPC looks for it every two seconds."""

        async def answers() -> bool:
            try:
                await self.at(replica).CheckName(CheckNameRequest(parent=POOL, label="acme"), timeout=10)
            except grpc.aio.AioRpcError:
                return False
            return True

        await eventually(answers, within=60, what="the callers reach it")

    def refused(self) -> dict[str, str]:
        """Calls that were given up, with what the last try was told."""
        return {label: why for label, why in self.told.failed.items() if label not in self.told.acknowledged}

    async def events(self) -> Counter[str]:
        """How often the outbox tells of each label that it was reserved."""
        rows = await self.rows("SELECT aggregate FROM outbox WHERE subject = :subject", subject=RESERVED)
        return Counter(aggregate.rpartition("/")[2] for (aggregate,) in rows)

    async def rows(self, query: str, **values: Any) -> list[Any]:
        """What stands in the daemon's database."""
        return await rows(self.url, query, **values)


def wish(label: str, request_id: str = "", owner: str = "organizations/one") -> ReserveAllocationRequest:
    return ReserveAllocationRequest(parent=POOL, label=label, owner=owner, request_id=request_id or str(uuid4()))


async def rows(url: str, query: str, **values: Any) -> list[Any]:
    """What stands in a database."""
    db = await Database.open(url)
    try:
        async with db.read() as sql:
            return list((await sql.execute(text(query), values)).all())
    finally:
        await db.close()


async def let_leases_end(url: str) -> None:
    """What time does after a death: the dead one's leases end."""
    db = await Database.open(url)
    with suppress(Exception):
        async with db.begin() as sql:
            await sql.execute(text("UPDATE lease SET until = '2000-01-01 00:00:00.000000+00:00'"))
    await db.close()
