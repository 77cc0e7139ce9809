"""A running daemon, with a fake of billing beside it and a clock that the test moves."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import grpc
from catalyst.billing.v1 import resources_pb2 as billing_pb
from catalyst.billing.v1 import service_pb2_grpc as billing_grpc
from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst.environment.v1 import service_pb2_grpc as stubs
from catalyst_environment.store import metadata
from catalyst_mesh import ManualClock
from catalyst_mesh.journal import Backoff
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon
from google.longrunning import operations_pb2
from google.longrunning.operations_pb2_grpc import OperationsStub
from sqlalchemy import select

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SOON = Backoff(first=timedelta(milliseconds=1))
A_MOMENT = timedelta(milliseconds=10)
"""By how much the clock goes on between two looks, so that rests between tries end."""
Stub = TypeVar("Stub")


class FakeBilling(billing_grpc.AccountServiceServicer):
    """Counts the accounts that it was asked for; can be told to be away."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_away = False
        self.missed = 0
        """How often it was asked while it was away."""

    async def EnsureAccount(self, request: Any, context: Any) -> billing_pb.BillingAccount:
        if self.is_away:
            self.missed += 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        self.asked.append(request.org)
        return billing_pb.BillingAccount(name=request.org.replace("organizations", "billingAccounts"), currency="OMR")


class House:
    """The daemon, and the calls that tests make again and again."""

    def __init__(self, daemon: RunningDaemon, clock: ManualClock, billing: FakeBilling, home: Path) -> None:
        self.daemon = daemon
        self.clock = clock
        self.billing = billing
        self.home = home

    def person(self, stub: Callable[[grpc.aio.Channel], Stub], subject: str = "ada", email: str = "") -> Stub:
        """A stub as a person whose token says nothing of Organizations."""
        return self.daemon.stub(stub, token=self.daemon.issuer.token(subject, email=email))

    async def create(self, slug: str = "acme", owner: str = "ada", **fields: Any) -> pb.Organization:
        return await self.person(stubs.OrganizationServiceStub, owner).CreateOrganization(
            rpc.CreateOrganizationRequest(organization_id=slug, organization=pb.Organization(**fields))
        )

    async def get(self, slug: str = "acme") -> pb.Organization:
        stub = self.daemon.admin(stubs.OrganizationServiceStub)
        return await stub.GetOrganization(rpc.GetOrganizationRequest(name=f"organizations/{slug}"))

    async def reached(self, state: str, slug: str = "acme") -> pb.Organization:
        """The Organization, once it is in `state`."""

        async def check() -> pb.Organization | None:
            self.clock.advance(A_MOMENT)
            now = await self.get(slug)
            return now if pb.Organization.State.Name(now.state) == f"STATE_{state}" else None

        found: pb.Organization | None = await eventually(check, within=60, what=f"{slug} is {state}")
        assert found is not None
        return found

    async def active(self, slug: str = "acme", owner: str = "ada") -> pb.Organization:
        await self.create(slug, owner)
        return await self.reached("ACTIVE", slug)

    async def ended(self, operation: str) -> operations_pb2.Operation:
        """The operation, once it is done."""
        stub = self.daemon.stub(OperationsStub, "ada", roles=["sovereign-admin"])

        async def check() -> operations_pb2.Operation | None:
            self.clock.advance(A_MOMENT)
            now = await stub.GetOperation(operations_pb2.GetOperationRequest(name=operation))
            return now if now.done else None

        found: operations_pb2.Operation | None = await eventually(check, within=60, what=f"{operation} has ended")
        assert found is not None
        return found

    async def told(self) -> list[str]:
        """Short subjects of everything in the outbox, in order."""
        outbox = metadata.tables["outbox"]
        async with self.daemon.daemon.db.read() as sql:
            rows = (await sql.execute(select(outbox.c.subject).order_by(outbox.c.number))).scalars()
            return [subject.removeprefix("catalyst.v1.environment.") for subject in rows]

    @property
    def git(self) -> Path:
        return self.home / "git"


def metadata_of(operation: operations_pb2.Operation) -> pb.OperationMetadata:
    found = pb.OperationMetadata()
    assert operation.metadata.Unpack(found)
    return found


def conditions(of: Any) -> dict[str, str]:
    """Status and reason by type."""
    names = {1: "TRUE", 2: "FALSE", 3: "UNKNOWN"}
    return {one.type: f"{names[one.status]} {one.reason}" for one in of.conditions}


@asynccontextmanager
async def serving_billing() -> AsyncIterator[tuple[FakeBilling, str]]:
    """The fake, and its address."""
    server, served = grpc.aio.server(), FakeBilling()
    billing_grpc.add_AccountServiceServicer_to_server(served, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield served, f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
