"""Runtime facts of Environments, over a real NATS: followed by one replica each, copied, and told to browsers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from catalyst.mesh.v1 import service_pb2
from catalyst_gateway.copies import Copies
from catalyst_gateway.store import Store, metadata, stream_event
from catalyst_gateway.things import Fact
from catalyst_gateway.unread import Again, OwnLetters
from catalyst_gateway.workspaces import Workspaces
from catalyst_mesh import Bus, Caller, Database, Leases, Work, migrate
from catalyst_mesh.calls import RoleDenied
from catalyst_mesh.event_service import LetterNotHandled
from catalyst_mesh.facts import Told
from catalyst_testkit import eventually
from catalyst_testkit.servers import NatsServer
from nats.js.errors import KeyNotFoundError
from sqlalchemy import select

TTL = timedelta(seconds=2)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Replica:
    def __init__(self, db: Database, bus: Bus) -> None:
        self.work, self.bus = Work(db, Store, metadata=metadata), bus
        self.leases = Leases(db, metadata, ttl=TTL)
        self.workspaces = Workspaces(work=self.work, bus=bus, leases=self.leases, look=0.2)
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(self.workspaces.run(self.stop))

    async def end(self) -> None:
        self.stop.set()
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(self.task, 60)


@pytest.fixture
async def replicas(database: str, clean_nats: NatsServer) -> AsyncIterator[list[Replica]]:
    databases = [await Database.open(database) for _ in range(2)]
    await migrate(databases[0], "catalyst_gateway", metadata)
    two = [Replica(db, Bus(clean_nats.url, "test")) for db in databases]
    yield two
    for one in two:
        await one.end()
    js = await two[0].bus.jetstream()
    for name in ("CATALYST_WORKSPACES", "CATALYST_DLQ", "KV_ws-acme-prod-state", "KV_ws-acme-dev-state"):
        with suppress(Exception):
            await js.delete_stream(name)
    for one in two:
        await one.bus.close()
    for db in databases:
        await db.close()


async def tell(bus: Bus, name: str, number: int, environment: str = "acme-prod", **headers: str) -> None:
    await bus.ensure_workspaces()
    js = await bus.jetstream()
    body = {
        "metadata": {
            "uid": f"u-{name}",
            "name": name,
            "namespace": "blog",
            "generation": 1,
            "resourceVersion": str(number),
        }
    }
    subject = f"ws.{environment}.k8s.pod.blog.{name}"
    await js.publish(subject, json.dumps(body).encode(), headers={"ce-id": str(uuid4()), **headers})


async def words(replica: Replica) -> list[tuple[str, int]]:
    async with replica.work.reading() as tx:
        rows = (await tx.sql.execute(select(stream_event).order_by(stream_event.c.number))).mappings().all()
    return [(row["aggregate"].rpartition("/")[2], row["minor"]) for row in rows]


async def copy(replica: Replica, name: str) -> Any:
    """Return what lies in the bucket, None where nothing was copied yet: copies follow the store."""
    js = await replica.bus.jetstream()
    bucket = await js.key_value("ws-acme-prod-state")
    try:
        return json.loads((await bucket.get(f"k8s_pod/blog.{name}")).value or b"null")
    except KeyNotFoundError:
        return None


async def test_objects_are_told_once_in_their_order_and_copied_whoever_dies(replicas: list[Replica]) -> None:
    one, other = replicas
    for number in (5, 3, 5, 7):
        await tell(one.bus, "a", number)
    js = await one.bus.jetstream()
    await js.publish("ws.acme-prod.k8s.pod.blog.bad", b"rubbish")
    await tell(one.bus, "b", 1, "acme-dev")
    await eventually(lambda: _are(one, {("u-a", 5), ("u-a", 7), ("u-b", 1)}), within=60, what="all was read")
    holder = one if "acme-prod" in one.workspaces._held else other
    left = other if holder is one else one
    await holder.end()
    await tell(left.bus, "a", 9)
    await tell(left.bus, "c", 1)
    await tell(left.bus, "c", 2, **{"ce-type": "ws.deleted"})
    await eventually(lambda: _are(left, {("u-a", 9), ("u-c", 2)}), within=60, what="the other goes on")
    assert [n for key, n in await words(left) if key == "u-a"] == [5, 7, 9]
    await _unread_fact_is_a_letter(left)
    await eventually(lambda: _is_copied(left), within=60, what="the copy follows")


async def _unread_fact_is_a_letter(replica: Replica) -> None:
    """One, whoever read it; for who may see it; handed over again, and thrown away."""
    own, who = OwnLetters(replica.bus, replica.work, cast(Any, Known())), {"authorization": "Bearer admin"}

    async def ask(method: str, request: Any, who: dict[str, str] = who) -> Any:
        return await own.unary_unary(f"/catalyst.mesh.v1.EventService/{method}")(request, metadata=tuple(who.items()))

    (letter,) = (await ask("ListDeadLetters", service_pb2.ListDeadLettersRequest())).dead_letters
    assert (letter.subject, letter.consumer) == ("ws.acme-prod.k8s.pod.blog.bad", "gateway-from-workspaces")
    assert "it is no JSON" in letter.error
    with pytest.raises(RoleDenied):
        await ask("ListDeadLetters", service_pb2.ListDeadLettersRequest(), {"authorization": "Bearer viewer"})
    with pytest.raises(LetterNotHandled):
        await ask("ReplayDeadLetter", service_pb2.ReplayDeadLetterRequest(name=letter.name))
    await ask("DiscardDeadLetter", service_pb2.DiscardDeadLetterRequest(name=letter.name))
    assert not (await ask("ListDeadLetters", service_pb2.ListDeadLettersRequest())).dead_letters
    again = Again("x", is_gone=False, work=replica.work, copies=Copies(replica.bus))
    fact = json.dumps({"metadata": {"uid": "u-late", "name": "late", "resourceVersion": "3"}}).encode()
    told = Told("e-late", "ws.acme-prod.k8s.pod.blog.late", "", 0, NOON, "", 1)
    assert [await again.again(fact, told) for _ in range(2)] == [True, False], "by a release that can read it, once"


class Known:
    """Whose token is called as they are."""

    async def person(self, token: str) -> Caller:
        return Caller(token, roles=frozenset({"sovereign-admin"} if token == "admin" else ()))


async def _are(replica: Replica, wanted: set[tuple[str, int]]) -> bool:
    return wanted <= set(await words(replica))


async def _is_copied(replica: Replica) -> bool:
    newest, gone = await copy(replica, "a"), await copy(replica, "c")
    return bool(newest and gone and newest["rank"] == [1, 9] and gone["deleted"] and gone["body"] == {})


async def test_a_copy_is_never_taken_back(replicas: list[Replica]) -> None:
    one, other = replicas
    async with one.work.reading() as tx:
        now = tx.now

    def fact(number: int) -> Fact:
        return Fact("ws/acme-prod/u", "k8s.pod", "blog.x", "acme-prod", "acme", "s", (1, number), 1, now, {"n": number})

    both = (Copies(one.bus), Copies(other.bus))
    await asyncio.gather(*(both[n % 2].put("acme-prod", [fact(n)]) for n in (4, 9, 2, 7, 1, 8, 3)))
    assert (await copy(one, "x"))["body"] == {"n": 9}
