"""What customers do at each daemon, and what must be true of it afterwards, whichever release answered them."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import httpx
from catalyst.billing.v1 import resources_pb2 as billing
from catalyst.billing.v1 import service_pb2 as billing_rpc
from catalyst.billing.v1 import service_pb2_grpc as billing_stubs
from catalyst.catalog.v1 import resources_pb2 as catalog
from catalyst.catalog.v1 import service_pb2 as catalog_rpc
from catalyst.catalog.v1.service_pb2_grpc import StorefrontServiceStub
from catalyst.continuum.v1.service_pb2_grpc import ContinuumServiceStub
from catalyst.environment.v1 import resources_pb2 as environment
from catalyst.environment.v1 import service_pb2 as environment_rpc
from catalyst.environment.v1.service_pb2_grpc import OrganizationServiceStub
from catalyst.mesh.v1.resources_pb2 import Money
from catalyst.pooldomain.v1.resources_pb2 import Allocation, Pool
from catalyst.pooldomain.v1.service_pb2 import CreatePoolRequest
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub, PoolServiceStub
from catalyst.provisioner.v1 import resources_pb2 as provisioner
from catalyst.provisioner.v1 import service_pb2 as provisioner_rpc
from catalyst.provisioner.v1.service_pb2_grpc import PlanServiceStub, SovereignServiceStub
from catalyst_mesh import Issuer
from catalyst_testkit import eventually
from catalyst_testkit.processes import Nursery, Replicas
from catalyst_testkit.servers import NatsServer, free_port
from google.protobuf.message import Message

from services.continuum.tests.manifests import lone
from services.continuum.tests.test_daemon import Cells
from services.continuum.tests.test_resource import wish as slot
from services.environment.tests.house import serving_billing
from services.provisioner.tests.conftest import wish as sovereign
from services.provisioner.tests.peers import world

from .callers import POOL, RESERVED, Names, rows, wish

Method = Callable[..., Awaitable[Any]]
Step = tuple[Sequence[Method], Message]
"""One thing that a customer wants: a method of each replica, and the request."""
ADMIN: Mapping[str, Any] = {"subject": "admin", "roles": ["sovereign-admin"]}


@dataclass
class Trade:
    """What is done at one daemon. Each customer comes once, with a name of its own."""

    home: Path
    nats: NatsServer
    born: Nursery
    """Forks daemons of this release, for those that are not replaced."""
    program = ""
    prefix = ""
    subject = ""
    """Of the event that tells of each customer once."""

    @asynccontextmanager
    async def around(self) -> AsyncIterator[Mapping[str, Any]]:
        """What the daemon needs about it, for the block: settings that both releases know."""
        yield {}

    async def open(self, replicas: Replicas) -> None:
        """What is there before the first customer."""

    def token(self, issuer: Issuer, name: str) -> str:
        """As whom a customer comes."""
        return issuer.token(name, groups=[f"/{name}/org-admin"])

    def steps(self, name: str, channels: Sequence[grpc.aio.Channel]) -> Iterable[Step]:
        """What a customer wants; the answer to the last one names what it got."""
        raise NotImplementedError

    async def told(self, replicas: Replicas) -> list[str]:
        """What the daemon told that customers got."""
        query = "SELECT aggregate FROM outbox WHERE subject = :subject"
        return [one for (one,) in await rows(str(replicas.settings["database_url"]), query, subject=self.subject)]

    async def demand(self, replicas: Replicas, got: Mapping[str, str]) -> None:
        """What else must be true of everything that customers got, by their names."""


class Billing(Trade):
    """Each redeems a voucher and orders credit."""

    program, prefix = "catalyst_billing", "CATALYST_BILLING_"
    subject = "catalyst.v1.billing.order.created"
    price, code = 7_000, "OMANI-26"
    staff: Mapping[str, Any] = {"subject": "staff", "roles": ["billing-admin"]}

    @asynccontextmanager
    async def around(self) -> AsyncIterator[Mapping[str, Any]]:
        script = {"payment_provider:fake": {"script": "never"}}  # its books are one process' own
        yield {"catalog_target": "127.0.0.1:9", "plugins": script}

    async def open(self, replicas: Replicas) -> None:
        voucher = billing.Voucher(code=self.code, amount=Money(minor=self.price, currency="OMR"))
        issue = billing_rpc.CreateVoucherRequest(voucher=voucher, activate=True)
        stub = replicas.stub(billing_stubs.VoucherServiceStub, replicas.all[0], **self.staff)
        await stub.CreateVoucher(issue, timeout=60)

    def steps(self, name: str, channels: Sequence[grpc.aio.Channel]) -> Iterable[Step]:
        parent, money = f"billingAccounts/{name}", Money(minor=self.price, currency="OMR")
        gift = billing_rpc.RedeemVoucherRequest(parent=parent, code=self.code, request_id=str(uuid4()))
        top_up = billing_rpc.CreateTopUpRequest(parent=parent, amount=money, request_id=str(uuid4()))
        yield [billing_stubs.VoucherServiceStub(each).RedeemVoucher for each in channels], gift
        yield [billing_stubs.OrderServiceStub(each).CreateTopUp for each in channels], top_up

    async def demand(self, replicas: Replicas, got: Mapping[str, str]) -> None:
        accounts = replicas.stub(billing_stubs.AccountServiceStub, replicas.all[1], **self.staff)
        for name in got:
            wanted = billing_rpc.GetBalanceRequest(name=f"billingAccounts/{name}/balance")
            balance = await accounts.GetBalance(wanted, timeout=60)
            assert balance.available.minor == self.price, name
        ledger = replicas.stub(billing_stubs.LedgerServiceStub, replicas.all[0], **self.staff)
        operation = await ledger.ProveLedger(billing_rpc.ProveLedgerRequest(), timeout=60)
        proof = billing_rpc.ProveLedgerResponse()
        assert operation.response.Unpack(proof)
        assert proof.proved


class Domains(Trade):
    """Each reserves a name."""

    program, prefix = "catalyst_pool_domain_manager", "CATALYST_PDM_"
    subject = RESERVED

    async def open(self, replicas: Replicas) -> None:
        pool = Pool(kinds=[Pool.KIND_SOVEREIGN], zone="zones/omani.works", allow_private_targets=True)
        stub = replicas.stub(PoolServiceStub, replicas.all[0], **ADMIN)
        await stub.CreatePool(CreatePoolRequest(pool_id="omani.works", pool=pool), timeout=60)

    def token(self, issuer: Issuer, name: str) -> str:
        return issuer.token("provisioner", service="provisioner")

    def steps(self, name: str, channels: Sequence[grpc.aio.Channel]) -> Iterable[Step]:
        methods = [_named(AllocationServiceStub(each).ReserveAllocation) for each in channels]
        yield methods, wish(name, owner=f"organizations/{name}")


def _named(reserve: Method) -> Method:
    """What is reserved, of the answer to a reservation."""

    async def call(request: Message, **how: Any) -> Any:
        return (await reserve(request, **how)).allocation

    return call


class Catalogue(Trade):
    """Each adds an industry to the storefront."""

    program, prefix = "catalyst_catalog", "CATALYST_CATALOG_"
    subject = "catalyst.v1.catalog.offer.changed"

    @asynccontextmanager
    async def around(self) -> AsyncIterator[Mapping[str, Any]]:
        (self.home / "blueprints").mkdir()
        yield {"blueprints": self.home / "blueprints"}

    def token(self, issuer: Issuer, name: str) -> str:
        return issuer.token(name, roles=["sovereign-admin"])

    def steps(self, name: str, channels: Sequence[grpc.aio.Channel]) -> Iterable[Step]:
        request = catalog_rpc.CreateIndustryRequest(
            industry_id=name, industry=catalog.Industry(title=name), request_id=str(uuid4())
        )
        yield [StorefrontServiceStub(each).CreateIndustry for each in channels], request

    async def told(self, replicas: Replicas) -> list[str]:
        """Without what its seed brought."""
        return [name for name in await super().told(replicas) if name.startswith("industries/customer-")]


class Sovereigns(Trade):
    """Each wishes a Sovereign and has it planned."""

    program, prefix = "catalyst_provisioner", "CATALYST_PROVISIONER_"
    subject = "catalyst.v1.provisioner.plan.created"

    @asynccontextmanager
    async def around(self) -> AsyncIterator[Mapping[str, Any]]:
        async with world() as peers:
            targets = {f"{name}_target": peers.target for name in ("catalog", "pdm", "billing")}
            git = f"127.0.0.1:{free_port()}"
            yield {**targets, "sandbox_dir": self.home / "sandbox", "git_listen": git, "shared_ports": True}

    def token(self, issuer: Issuer, name: str) -> str:
        return issuer.token(name, roles=["sovereign-admin"])

    def steps(self, name: str, channels: Sequence[grpc.aio.Channel]) -> Iterable[Step]:
        domain = {"mode": "pool", "pool": "omani.works", "label": name}
        owner = {"slug": name, "admin_email": f"ops@{name}.example"}
        wished = sovereign(f"sovereigns/{name}", domain=domain, organization=owner)
        wished.request_id = str(uuid4())
        plan = provisioner_rpc.CreatePlanRequest(
            parent=f"sovereigns/{name}", intent=provisioner.Plan.INTENT_APPLY, request_id=str(uuid4())
        )
        yield [SovereignServiceStub(each).CreateSovereign for each in channels], wished
        yield [PlanServiceStub(each).CreatePlan for each in channels], plan
        read = provisioner_rpc.GetSovereignRequest(name=f"sovereigns/{name}")
        yield [SovereignServiceStub(each).GetSovereign for each in channels], read


class Organizations(Trade):
    """Each founds an Organization, which is there at the end: its run goes on in whatever release it finds."""

    program, prefix = "catalyst_environment", "CATALYST_ENVIRONMENT_"
    subject = "catalyst.v1.environment.organization.created"

    @asynccontextmanager
    async def around(self) -> AsyncIterator[Mapping[str, Any]]:
        async with serving_billing() as (_, target):
            yield {"billing_target": target}

    def token(self, issuer: Issuer, name: str) -> str:
        return issuer.token(name)

    def steps(self, name: str, channels: Sequence[grpc.aio.Channel]) -> Iterable[Step]:
        wished = environment.Organization(display_name=name)
        request = environment_rpc.CreateOrganizationRequest(
            organization_id=name, organization=wished, request_id=str(uuid4())
        )
        yield [OrganizationServiceStub(each).CreateOrganization for each in channels], request

    async def demand(self, replicas: Replicas, got: Mapping[str, str]) -> None:
        url = str(replicas.settings["database_url"])
        query = "SELECT aggregate FROM outbox WHERE subject = 'catalyst.v1.environment.organization.activated'"

        async def active() -> bool:
            return sorted(one for (one,) in await rows(url, query)) == sorted(got.values())

        await eventually(active, within=120, what="each has become ACTIVE, once")  # type: ignore[arg-type]  # T is bool


class Slots(Trade):
    """Each makes a slot in its namespace."""

    program, prefix = "catalyst_continuum", "CATALYST_CONTINUUM_"
    subject = "catalyst.v1.continuum.continuum.created"

    @asynccontextmanager
    async def around(self) -> AsyncIterator[Mapping[str, Any]]:
        cells = Cells(self.home)
        await asyncio.to_thread(cells.start_all)
        try:
            yield {"cells": cells.setting, "tsig_key_file": cells.key}
        finally:
            cells.kill_all()

    def token(self, issuer: Issuer, name: str) -> str:
        return issuer.token(name, groups=["/demo/org-admin"])

    def steps(self, name: str, channels: Sequence[grpc.aio.Channel]) -> Iterable[Step]:
        request = slot(lone(), name, request_id=str(uuid4()))
        yield [ContinuumServiceStub(each).CreateContinuum for each in channels], request


class Browser:
    """Follows the stream of events from its start, and goes on where it was when the stream ends."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._last = "0"
        self.seen: list[str] = []
        """Names of what was reserved, in the order in which it was told."""

    async def follow(self) -> None:
        """Without an end."""
        async with httpx.AsyncClient(base_url=self._url, headers={"authorization": f"Bearer {self._token}"}) as http:
            while True:
                with suppress(httpx.TransportError, httpx.HTTPStatusError):
                    await self._read(http)
                await asyncio.sleep(0.1)  # what a browser waits, too, before it comes back

    async def _read(self, http: httpx.AsyncClient) -> None:
        async with http.stream("GET", "/v1/stream", headers={"last-event-id": self._last}, timeout=60) as answer:
            answer.raise_for_status()
            frame: dict[str, str] = {}
            async for line in answer.aiter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    frame[name] = value
                    continue
                # A frame counts when it is whole: one that was cut off is asked for again.
                self._take(frame)
                frame = {}

    def _take(self, frame: Mapping[str, str]) -> None:
        self._last = frame.get("id", self._last)
        if frame.get("event") == "reset":
            self.seen.append("reset")
        elif told := json.loads(frame.get("data") or "{}").get("aggregate"):
            self.seen.append(told)


class Edge(Trade):
    """Each reserves a name over HTTP, while a browser follows what happens."""

    program, prefix = "catalyst_gateway", "CATALYST_GATEWAY_"
    subject = RESERVED

    @asynccontextmanager
    async def around(self) -> AsyncIterator[Mapping[str, Any]]:
        issuer, inside = Issuer.open(self.home / "issuer"), self.home / "inside"
        inside.mkdir()
        (inside / "issuer").symlink_to(self.home / "issuer")
        settings = {"nats_url": self.nats.url, "database_url": f"sqlite+aiosqlite:///{inside}/pdm.db"}
        domains = Replicas(self.born, Domains.program, Domains.prefix, inside, settings)
        address = f"127.0.0.1:{free_port()}"
        self._url, self._issuer = f"http://{address}", issuer
        self._browser = Browser(self._url, self.token(issuer, "browser"))
        others = ("catalog", "provisioner", "continuum", "billing", "environment")
        async with Names(domains) as self._names:
            await self._names.start(1)
            targets = {f"{name}_target": "127.0.0.1:9" for name in others}
            targets["pdm_target"] = f"127.0.0.1:{domains.all[0].port}"
            following = asyncio.create_task(self._browser.follow())
            try:
                yield {**targets, "http_listen": address, "shared_ports": True}
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)

    def token(self, issuer: Issuer, name: str) -> str:
        return issuer.token(name, roles=["sovereign-admin"])

    def steps(self, name: str, channels: Sequence[grpc.aio.Channel]) -> Iterable[Step]:
        reserve = partial(self._reserve, self.token(self._issuer, name))
        yield [reserve] * len(channels), wish(name, owner=f"organizations/{name}")

    async def _reserve(self, token: str, request: Any, *, timeout: float) -> Any:  # noqa: ASYNC109 - as the methods of stubs have it
        """At whichever replica the machine chooses, as behind a Service."""
        body = {"label": request.label, "owner": request.owner, "requestId": request.request_id}
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=self._url, headers=headers, timeout=timeout) as http:
            answer = await http.post(f"/v1/{POOL}/allocations:reserve", json=body)
        answer.raise_for_status()
        return Allocation(name=answer.json()["allocation"]["name"])

    async def told(self, replicas: Replicas) -> list[str]:
        query = "SELECT aggregate FROM outbox WHERE subject = :subject"
        return [one for (one,) in await self._names.rows(query, subject=RESERVED)]

    async def demand(self, replicas: Replicas, got: Mapping[str, str]) -> None:
        wanted = sorted(got.values())
        await eventually(lambda: {*wanted} <= {*self._browser.seen}, within=60, what="the browser has seen all")
        # Of the pool itself it hears as well: that it was made, and perhaps that nobody serves its zone.
        seen = sorted(each for each in self._browser.seen if each != POOL)
        more, less = Counter(seen) - Counter(wanted), Counter(wanted) - Counter(seen)
        assert (more, less) == ({}, {}), f"{more} too often, {less} missing"  # no gap, no double, no beginning anew


TRADES: Mapping[str, type[Trade]] = {
    "catalog": Catalogue,
    "provisioner": Sovereigns,
    "pool_domain_manager": Domains,
    "continuum": Slots,
    "environment": Organizations,
    "gateway": Edge,
}
"""Of the daemons beside billing."""
