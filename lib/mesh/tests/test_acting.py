"""A daemon that serves a person may do no more than both may: a chain of daemons over real gRPC."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from catalyst.pooldomain.v1.resources_pb2 import Allocation
from catalyst.pooldomain.v1.service_pb2 import GetAllocationRequest
from catalyst.pooldomain.v1.service_pb2_grpc import (
    AllocationServiceServicer,
    AllocationServiceStub,
    add_AllocationServiceServicer_to_server,
)
from catalyst_mesh import Caller, ChassisMetrics, Issuer, KeyFileVerifier, caller, connect, rows
from catalyst_mesh.access import Access
from catalyst_mesh.calls import ON_BEHALF_OF
from catalyst_mesh.interceptor import Interceptor
from catalyst_mesh.memberships import Memberships, MembershipsUnavailable
from catalyst_testkit.daemons import reason_of
from prometheus_client import CollectorRegistry

SERVICE = "catalyst.pooldomain.v1.AllocationService"
WISH = GetAllocationRequest(name="pools/omani.works/allocations/acme")


class Link(AllocationServiceServicer):
    """A daemon that remembers whom it saw and asks the next one."""

    def __init__(self, channel: grpc.aio.Channel | None) -> None:
        self._next = AllocationServiceStub(channel) if channel else None
        self.seen: list[Caller] = []

    async def GetAllocation(self, request: Any, context: Any) -> Allocation:
        self.seen.append(caller(context))
        return await self._next.GetAllocation(request) if self._next else Allocation()


@dataclass
class Chain:
    """Daemons one behind another: gateway-like `first`, then `provisioner`, then `billing`."""

    issuer: Issuer
    targets: list[str] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)

    def call(self, at: int, token: str, **metadata: str) -> Any:
        """The link at this place is asked with these tokens."""
        channel = grpc.aio.insecure_channel(self.targets[at])
        sent = [("authorization", f"Bearer {token}")] + [(ON_BEHALF_OF, value) for value in metadata.values()]

        async def asked() -> Any:
            async with channel:
                return await AllocationServiceStub(channel).GetAllocation(WISH, timeout=10, metadata=sent)

        return asked()


Make = Callable[..., Any]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Starts links, last one first; each takes the roles of its row."""

    @asynccontextmanager
    async def started(*row: str, memberships: Memberships | None = None) -> AsyncIterator[Chain]:
        chain = Chain(Issuer.open(tmp_path))
        names = ["provisioner", "billing", "catalog"]
        async with AsyncExitStack() as stack:
            for place in reversed(range(len(row))):
                own = chain.issuer.token(f"service:{names[place]}", service=names[place])
                channel = connect(chain.targets[0], token=lambda own=own: own) if chain.targets else None
                link = Link(channel)
                server = grpc.aio.server(
                    interceptors=[
                        Interceptor(
                            verifier=KeyFileVerifier(tmp_path / "jwks.json"),
                            access=Access(rows(SERVICE, GetAllocation=row[place])),
                            metrics=ChassisMetrics(CollectorRegistry()),
                            memberships=memberships,
                        )
                    ]
                )
                add_AllocationServiceServicer_to_server(link, server)
                port = server.add_insecure_port("127.0.0.1:0")
                await server.start()
                stack.push_async_callback(server.stop, None)
                if channel is not None:
                    stack.push_async_callback(channel.close, None)
                chain.targets.insert(0, f"127.0.0.1:{port}")
                chain.links.insert(0, link)
            yield chain

    return started


PEERS = "org-admin service:provisioner service:billing"


async def test_the_last_daemon_of_a_chain_sees_the_person_at_its_start(make: Make) -> None:
    async with make("org-admin", PEERS, PEERS) as chain:
        await chain.call(0, chain.issuer.token("ada", groups=["/acme/org-admin"]))
        seen = [link.seen[0] for link in chain.links]
        assert [(who.subject, who.via, who.everywhere) for who in seen] == [
            ("ada", "", False), ("ada", "provisioner", False), ("ada", "billing", False)
        ]  # fmt: skip
        assert all(who.has_role("org-admin", org="acme") for who in seen)
        assert not any(who.has_role("org-admin", org="globex") or who.is_service() for who in seen)


async def test_what_the_person_may_not_do_no_daemon_does_for_them(make: Make) -> None:
    async with make("signed-in", PEERS) as chain:
        assert await reason_of(chain.call(0, chain.issuer.token("bob", groups=["/acme/org-viewer"]))) != "OK"
        assert chain.links[1].seen == []
        await chain.call(0, chain.issuer.token("ada", groups=["/acme/org-admin"]))
        assert len(chain.links[1].seen) == 1


async def test_what_the_daemon_may_not_do_it_does_for_nobody(make: Make) -> None:
    async with make("signed-in", "org-admin service:billing") as chain:
        assert await reason_of(chain.call(0, chain.issuer.token("ada", groups=["/acme/org-admin"]))) != "OK"
        assert chain.links[1].seen == []


async def test_a_question_in_its_own_right_is_the_daemon_s_whoever_it_serves(make: Make) -> None:
    async with make("signed-in", "own:provisioner") as chain:
        await chain.call(0, chain.issuer.token("bob"))
        assert [(who.service, who.everywhere) for who in chain.links[1].seen] == [("provisioner", True)]


async def test_work_outside_of_calls_is_the_daemon_s_own(make: Make) -> None:
    async with make("signed-in", PEERS) as chain:
        assert chain.links[0]._next is not None
        await chain.links[0]._next.GetAllocation(WISH)
        assert [(who.service, who.everywhere) for who in chain.links[1].seen] == [("provisioner", True)]


async def test_nobody_but_a_daemon_acts_for_another_and_no_daemon_for_a_name(make: Make, tmp_path: Path) -> None:
    async with make(PEERS) as chain:
        peer = chain.issuer.token("service:billing", service="billing")
        ada = chain.issuer.token("ada", groups=["/acme/org-admin"])
        stranger = Issuer.open(tmp_path / "stranger").token("root", groups=["/acme/org-admin"])
        old = chain.issuer.token("ada", groups=["/acme/org-admin"], ttl=10, issued_at=1_700_000_000)
        wanted = {
            (ada, f"Bearer {ada}"): "ACTING_DENIED",
            (peer, f"Bearer {peer}"): "ACTING_DENIED",
            (peer, f"Bearer {stranger}"): "TOKEN_REJECTED",
            (peer, f"Bearer {old}"): "TOKEN_REJECTED",
            (peer, "ada"): "TOKEN_REJECTED",
            (peer, ""): "TOKEN_REJECTED",
            (peer, "Bearer "): "TOKEN_REJECTED",
            (peer, f"Bearer {ada}"): "OK",
        }  # fmt: skip - reads as a table
        got = {pair: await reason_of(chain.call(0, pair[0], person=pair[1])) for pair in wanted}
        assert list(got.values()) == list(wanted.values())
        assert [who.via for who in chain.links[0].seen] == ["billing"]


class FromElsewhere:
    """Says that Ada is an org-admin of acme, until it cannot say."""

    silent = False

    async def of(self, person: Caller) -> frozenset[str]:
        if self.silent:
            raise MembershipsUnavailable(subject=person.subject)
        return frozenset({"/acme/org-admin"} if person.subject == "ada" else ())


async def test_memberships_are_asked_and_not_taken_from_the_token_and_no_answer_is_a_no(make: Make) -> None:
    elsewhere = FromElsewhere()
    async with make(PEERS, memberships=elsewhere) as chain:
        ada, bob = chain.issuer.token("ada"), chain.issuer.token("bob", groups=["/acme/org-admin"])
        assert [await reason_of(chain.call(0, token)) for token in (ada, bob)] == ["OK", "CALL_DENIED"]
        elsewhere.silent = True
        assert await reason_of(chain.call(0, ada)) == "MEMBERSHIPS_UNAVAILABLE"
        peer = chain.issuer.token("service:billing", service="billing")
        assert await reason_of(chain.call(0, peer)) == "OK"


@pytest.mark.parametrize(
    ("roles", "wanted"),
    [
        ("org-admin own:provisioner", "it takes the role org-admin"),
        ("sovereign-admin org-viewer service:billing", "it takes one of the roles org-viewer, sovereign-admin"),
        ("service:billing", "it takes the token of a daemon"),
    ],
)
async def test_who_is_refused_hears_which_role_it_takes(make: Make, roles: str, wanted: str) -> None:
    async with make(roles) as chain:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await chain.call(0, chain.issuer.token("eve"))
        assert refused.value.details() == f"eve may not call {SERVICE}/GetAllocation: {wanted}"
