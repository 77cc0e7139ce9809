"""A real daemon of one aggregate and a real gateway before it, on one NATS server that tests kill and wipe."""

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from catalyst.mesh.v1 import service_pb2
from catalyst.mesh.v1.service_pb2_grpc import EventServiceStub
from catalyst.pooldomain.v1 import events_pb2
from catalyst.pooldomain.v1.service_pb2 import ReserveAllocationRequest
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub
from catalyst_gateway.app import compose as compose_gateway
from catalyst_gateway.settings import GatewaySettings
from catalyst_mesh import Daemon, Handled
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, running
from catalyst_testkit.servers import NatsServer, free_port
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import insert, select

from lib.mesh.tests.toy import ToySettings, compose, heard, metadata

from .guarantees import Event

POOL = "pools/omani.works"
SUBJECT = "catalyst.v1.pooldomain.allocation.reserved"


@dataclass
class Mesh:
    """The two daemons, and what can be asked of them."""

    daemon: RunningDaemon
    gateway: RunningDaemon
    url: str
    token: str
    followed: list[Event] = field(default_factory=list)

    async def reserve(self, label: str) -> None:
        """One command, which tells one event."""
        wish = ReserveAllocationRequest(parent=POOL, label=label, owner="organizations/one", request_id=str(uuid4()))
        await self.daemon.stub(AllocationServiceStub).ReserveAllocation(wish)

    async def replay(self) -> int:
        """Send everything again; how many events."""
        wish = service_pb2.ReplayEventsRequest(start_time=Timestamp())
        answer = await self.daemon.admin(EventServiceStub).ReplayEvents(wish)
        return int(answer.replays[0].events)

    async def told(self) -> list[Event]:
        """What the daemon committed."""
        return [(row["aggregate"], row["version"]) for row in await self._rows(self.daemon, "outbox")]

    async def unpublished(self) -> int:
        """How many of its events wait."""
        return sum(row["published_at"] is None for row in await self._rows(self.daemon, "outbox"))

    async def handled(self) -> list[Event]:
        """Effects at the consumer, in their order."""
        async with self.daemon.daemon.db.read() as sql:
            rows = (await sql.execute(select(heard.c.name).order_by(heard.c.number))).scalars()
            return [_event(name) for name in rows]

    async def projected(self) -> list[Event]:
        """The gateway's read model."""
        return [(row["aggregate"], row["version"]) for row in await self._rows(self.gateway, "stream_event")]

    async def _rows(self, of: RunningDaemon, table: str) -> Sequence[Any]:
        t = of.daemon.metadata.tables[table]
        async with of.daemon.db.read() as sql:
            return (await sql.execute(select(t).order_by(t.c.number))).mappings().all()

    async def follow(self, until: int, chance: random.Random, cuts: int) -> None:
        """Read `/v1/stream` from the start until `until` events, cut off `cuts` times at random places."""
        last, places = "0", sorted(chance.sample(range(1, until), cuts))
        async with httpx.AsyncClient(base_url=self.url, headers={"authorization": f"Bearer {self.token}"}) as http:
            while len(self.followed) < until:
                stop_at = places.pop(0) if places else until
                with suppress(httpx.TransportError):
                    last = await self._read(http, last, stop_at)

    async def _read(self, http: httpx.AsyncClient, last: str, stop_at: int) -> str:
        async with http.stream("GET", "/v1/stream", headers={"last-event-id": last}, timeout=60) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("id: "):
                    last = line.removeprefix("id: ")
                elif line.startswith("data: "):
                    data = json.loads(line.removeprefix("data: "))
                    self.followed.append((data["aggregate"], data["version"]))
                    if len(self.followed) >= stop_at:
                        break
        return last


def _event(name: str) -> Event:
    aggregate, _, version = name.rpartition("@")
    return aggregate, int(version)


@asynccontextmanager
async def mesh(
    home: Path,
    nats: NatsServer,
    *,
    chance: random.Random,
    failing: float = 0.0,
    compare_seconds: float = 60,
    databases: tuple[str, str] | None = None,
) -> AsyncIterator[Mesh]:  # fmt: skip - one list
    """Both daemons for the block; the consumer's handler fails with a chance of `failing`.

    databases   of the daemon and of the gateway; None: files in `home`
    """
    first, second = databases or (f"sqlite+aiosqlite:///{home}/toy.db", f"sqlite+aiosqlite:///{home}/gateway.db")
    numbers = itertools.count(1)

    async def handle(tx: Any, message: Any, told: Any) -> None:
        name = f"{message.allocation}@{message.version}"
        await tx.sql.execute(insert(heard).values(number=next(numbers), name=name))
        if chance.random() < failing:
            raise ZeroDivisionError

    async def composed(settings: ToySettings) -> Daemon:
        made = await compose(settings)
        made.handled = [Handled(SUBJECT, events_pb2.AllocationReserved, handle)]
        made.back_off = (0.05,) * 400
        return made

    assert "heard" in metadata.tables
    port = free_port()
    (home / "gateway").mkdir()
    (home / "gateway" / "issuer").symlink_to(home / "issuer")
    async with running(composed, ToySettings, home, nats_url=nats.url, database_url=first) as daemon:
        token = daemon.issuer.token("admin", roles=["sovereign-admin"])
        dead = {f"{name}_target": "127.0.0.1:9" for name in ("catalog", "continuum", "billing")}
        own = home / "gateway" / "own-token"
        own.write_text(daemon.issuer.token("gateway", service="gateway"))
        values = {
            "token_file": own, "compare_seconds": compare_seconds,
            "database_url": second, "nats_url": nats.url,
            "http_listen": f"127.0.0.1:{port}", "provisioner_target": daemon.target, "pdm_target": daemon.target,
            "jwks_file": home / "issuer" / "jwks.json", **dead,
        }  # fmt: skip
        async with running(compose_gateway, GatewaySettings, home / "gateway", **values) as gateway:
            made = Mesh(daemon, gateway, f"http://127.0.0.1:{port}", token)
            await eventually(lambda: _up(made.url), within=60)
            yield made


async def _up(url: str) -> bool:
    async with httpx.AsyncClient() as http:
        with suppress(httpx.TransportError):
            return (await http.get(f"{url}/v1/openapi.json")).status_code == 200
    return False


async def all_in_turn(calls: Sequence[Any]) -> None:
    """Await many calls, twenty at a time."""
    for n in range(0, len(calls), 20):
        await asyncio.gather(*calls[n : n + 20])
