"""What an Organization needs beside its row, each behind one small interface: billing, Git, and what a cluster would give.

Nothing here says that it made what it did not make. Where this house has nothing that could, `ensure` raises NotAvailable, and
that becomes a condition of the Organization.
"""

import asyncio
from typing import Protocol

import grpc
from catalyst.billing.v1 import service_pb2 as billing
from catalyst.billing.v1.service_pb2_grpc import AccountServiceStub
from catalyst_mesh import Clock, explain
from catalyst_sdk import Code, Refused

from .domain.organizations import Organization
from .repositories import Repositories


class NotAvailable(Exception):
    """There is nothing here that could make this part; the text says what is missing."""


class BillingUnavailable(Refused):
    code, reason, message = Code.UNAVAILABLE, "BILLING_UNAVAILABLE", "billing does not answer: {why}; it is asked again"


class Part(Protocol):
    """One part of an Organization. Both methods may be called again at any time, and find what they did before."""

    condition: str
    """Name of the condition that tells of it."""

    async def ensure(self, organization: Organization) -> str:
        """Make it; a sentence about what is there now. Raises NotAvailable, or Refused with UNAVAILABLE."""
        ...

    async def remove(self, organization: Organization) -> None:
        """Take it away; what is not there is away already."""
        ...


class BillingAccount:
    """The account to which the Organization's use is booked. It closes by itself when the Organization has gone."""

    condition = "BillingAccount"

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = AccountServiceStub(channel)

    async def ensure(self, organization: Organization) -> str:
        try:
            account = await self._stub.EnsureAccount(billing.EnsureAccountRequest(org=organization.name))
        except grpc.aio.AioRpcError as error:
            said = explain(error)
            raise BillingUnavailable(why=said.message or said.code) from error
        return f"{account.name} in {account.currency}"

    async def remove(self, organization: Organization) -> None:
        """Billing hears that the Organization has gone, and settles what is open by itself."""


class GitHome:
    """A folder of bare repositories on this daemon's disk."""

    condition = "Git"

    def __init__(self, repositories: Repositories, clock: Clock) -> None:
        self._repositories = repositories
        self._clock = clock

    async def ensure(self, organization: Organization) -> str:
        at = int(self._clock.now().timestamp())
        await asyncio.to_thread(self._repositories.settle, organization.slug, organization.uid, at)
        return "bare repositories on this daemon's disk"

    async def remove(self, organization: Organization) -> None:
        await asyncio.to_thread(self._repositories.archive, organization.slug, organization.uid)


class Missing:
    """A part that nothing here can make."""

    def __init__(self, condition: str, why: str) -> None:
        self.condition = condition
        self._why = why

    async def ensure(self, organization: Organization) -> str:
        raise NotAvailable(self._why)

    async def remove(self, organization: Organization) -> None:
        """Nothing was made."""


IDENTITY: Part = Missing(
    "Identity", "no Keycloak is known here: members are kept by this daemon, and no group is made for them"
)
EVENT_BUS: Part = Missing(
    "EventBus", "the event server is asked for no accounts: this Organization has none of its own"
)
VCLUSTER: Part = Missing("Vcluster", "no host cluster is known here: the Organization has no vcluster")
