"""Memberships that are asked for: remembered for a while, forgotten when told so, and closed where nobody answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from catalyst.environment.v1 import events_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Bus, Caller, connect
from catalyst_mesh.asked_memberships import AskedMemberships
from catalyst_mesh.memberships import MembershipsUnavailable, merged
from catalyst_testkit import eventually
from catalyst_testkit.servers import NatsServer

ADA = Caller("ada", groups=frozenset({"/acme/org-admin", "/other/org-viewer"}))


class FakeOrganizations(service_pb2_grpc.MemberServiceServicer):
    """Answers as it is told, or not at all, and counts."""

    def __init__(self) -> None:
        self.rows = {"acme": "org-viewer"}
        self.asked = 0
        self.is_away = False
        self.waits: asyncio.Event | None = None

    async def LookUpMemberships(self, request: Any, context: Any) -> service_pb2.LookUpMembershipsResponse:
        self.asked += 1
        if self.is_away:
            await context.abort(grpc.StatusCode.INTERNAL, "away")
        kind = service_pb2.LookUpMembershipsResponse.Membership
        told = [kind(organization=f"organizations/{org}", role=role) for org, role in self.rows.items()]
        if self.waits is not None:
            await self.waits.wait()
        return service_pb2.LookUpMembershipsResponse(memberships=told)


class Asking:
    """The fake, who asks it, and the clock by which answers grow old."""

    def __init__(self, fake: FakeOrganizations, target: str, bus: Bus) -> None:
        self.fake = fake
        self.now = 1000.0
        self.memberships = AskedMemberships(connect(target), bus, monotonic=lambda: self.now)

    async def of(self, person: Caller = ADA) -> set[str]:
        return set(await self.memberships.of(person))


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[Asking]:
    server, fake, bus = grpc.aio.server(), FakeOrganizations(), Bus(url, "test")
    service_pb2_grpc.add_MemberServiceServicer_to_server(fake, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    one = Asking(fake, f"127.0.0.1:{port}", bus)
    try:
        yield one
    finally:
        await one.memberships.close()
        await bus.close()
        await server.stop(None)


@pytest.fixture
async def one() -> AsyncIterator[Asking]:
    async with asking("nats://127.0.0.1:9") as made:
        yield made


def test_of_an_organization_that_knows_the_person_the_token_says_nothing() -> None:
    assert merged(ADA.groups, {}) == ADA.groups
    assert merged(ADA.groups, {"acme": "org-viewer"}) == {"/acme/org-viewer", "/other/org-viewer"}
    assert merged(ADA.groups, {"acme": "", "new": "org-admin"}) == {"/other/org-viewer", "/new/org-admin"}
    assert merged(frozenset({"/acme", "acme/org-admin"}), {}) == set()


async def test_an_answer_counts_for_half_a_minute_and_no_longer(one: Asking) -> None:
    assert await one.of() == {"/acme/org-viewer", "/other/org-viewer"}
    one.fake.rows = {"acme": ""}
    one.now += 29.9
    assert "/acme/org-viewer" in await one.of()
    assert one.fake.asked == 1
    one.now += 0.2
    assert await one.of() == {"/other/org-viewer"}


async def test_who_cannot_be_asked_for_is_nobody_s_member_unless_that_is_remembered(one: Asking) -> None:
    await one.of()
    one.fake.is_away = True
    assert "/acme/org-viewer" in await one.of()
    one.now += 31
    with pytest.raises(MembershipsUnavailable, match="ada"):
        await one.of()
    keeper = Caller("root", roles=frozenset({"sovereign-admin"}), groups=frozenset({"/acme/org-admin"}))
    assert await one.of(keeper) == set()


async def test_an_answer_from_before_a_change_is_not_remembered(one: Asking) -> None:
    one.fake.waits = asyncio.Event()
    early = asyncio.create_task(one.of())
    await eventually(lambda: one.fake.asked == 1, within=60)
    one.memberships.forget("ada")
    one.fake.rows = {"acme": ""}
    one.fake.waits.set()
    await early
    assert await one.of() == {"/other/org-viewer"}


async def test_what_is_told_of_a_member_ends_what_was_remembered(clean_nats: NatsServer) -> None:
    async with asking(clean_nats.url) as one:
        stop = asyncio.Event()
        listening = asyncio.create_task(one.memberships.run(stop))
        client = await Bus.client(bus := Bus(clean_nats.url, "teller"))
        try:
            body = events_pb2.MemberRemoved(member="m", version=2, organization="organizations/acme", subject="ada")
            headers = {"ce-dataschema": body.DESCRIPTOR.full_name}
            await one.of()
            one.fake.rows = {"acme": ""}

            async def is_out() -> bool:
                # Told again and again: whoever listens may have begun only now.
                await client.publish(
                    "catalyst.v1.environment.member.removed", body.SerializeToString(), headers=headers
                )
                return "/acme/org-viewer" not in await one.of()

            await eventually(is_out, within=60, what="the membership is forgotten")
        finally:
            stop.set()
            await listening
            await bus.close()
