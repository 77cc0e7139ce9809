"""The daemon beside fakes of registrars, which its real plugins ask over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from catalyst.pooldomain.v1.resources_pb2 import RegistrarAccount
from catalyst.pooldomain.v1.service_pb2 import (
    CreateRegistrarAccountRequest,
    RegistrarCredential,
    ValidateRegistrarAccessRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import RegistrarServiceStub
from catalyst_pool_domain_manager.app import compose
from catalyst_pool_domain_manager.settings import PdmSettings
from catalyst_testkit.daemons import RunningDaemon, running
from catalyst_testkit.fake_registrar import FakeAnswer, FakeDomain, FakeRegistrar, FakeRequest, serving
from catalyst_testkit.servers import NatsServer

KEY, SECRET = "canary-key-0123456789", "canary-secret-0123456789"
GOOD = {"key": KEY, "secret": SECRET}
WRONG = {"key": KEY, "secret": "canary-wrong-0123456789"}
DOMAIN = "acme.example"


class FakeGodaddyLike(FakeRegistrar):
    """A fake with the two calls of GoDaddy's API that PDM's questions need, in its documented shapes.

    refusal   what every call is answered with; None: as it should be
    """

    def __init__(self) -> None:
        super().__init__()
        self.refusal: FakeAnswer | None = None
        self.domains[DOMAIN] = FakeDomain(["ns1.old.example", "ns2.old.example"])

    def answer(self, request: FakeRequest) -> FakeAnswer:
        if self.refusal:
            return self.refusal
        if request.headers.get("authorization") != f"sso-key {KEY}:{SECRET}":
            return FakeAnswer(401, {"code": "UNABLE_TO_AUTHENTICATE", "message": f"no: {request.headers}"})
        name = request.path.removeprefix("/v1/domains/")
        if name not in self.domains:
            return FakeAnswer(404, {"code": "NOT_FOUND", "message": "not registered"})
        return FakeAnswer(200, {"domain": name, "status": "ACTIVE", "nameServers": self.domains[name].ns})


@dataclass
class Desk:
    """The running daemon, and the fake that its plugin asks."""

    daemon: RunningDaemon
    fake: FakeGodaddyLike

    @property
    def admin(self) -> RegistrarServiceStub:
        return self.daemon.admin(RegistrarServiceStub)

    def member(self, org: str = "acme", role: str = "org-admin") -> RegistrarServiceStub:
        return self.daemon.member(RegistrarServiceStub, org, role)

    async def account(self, id: str = "acme-main", **fields: object) -> RegistrarAccount:
        wish = creation(id, **fields)
        return await self.member().CreateRegistrarAccount(wish)


def creation(id: str = "acme-main", **fields: object) -> CreateRegistrarAccountRequest:
    values = {"registrar": "registrars/godaddy", "credential": GOOD, **fields}
    return CreateRegistrarAccountRequest(registrar_account_id=id, registrar_account=RegistrarAccount(**values))


def question(domain: str = DOMAIN, registrar: str = "godaddy", **access: object) -> ValidateRegistrarAccessRequest:
    given = access or {"credential": RegistrarCredential(fields=GOOD)}
    return ValidateRegistrarAccessRequest(name=f"registrars/{registrar}", domain=domain, **given)


@asynccontextmanager
async def desk(home: Path, nats: NatsServer, database: str, **settings: object) -> AsyncIterator[Desk]:
    """The daemon on `database`, with GoDaddy's plugin on a fake."""
    async with serving(FakeGodaddyLike()) as fake:
        config = {"registrar:godaddy": {"url": fake.url, "try_seconds": 2}}
        values = {"nats_url": nats.url, "database_url": database, "plugins": config, **settings}
        async with running(compose, PdmSettings, home / "pdm", **values) as daemon:
            yield Desk(daemon, fake)
