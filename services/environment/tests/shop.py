"""An Organization in which a developer installs, over a real catalog."""

from collections.abc import Awaitable
from typing import Any

from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst.environment.v1 import service_pb2_grpc as stubs
from catalyst_environment.repositories import Repositories
from catalyst_testkit.daemons import RunningDaemon

from .house import House

MULTI = {"multiInstance": {"enabled": True, "maxPerOrg": 9, "isolation": "namespace"}}
ENV = "environments/acme-prod"
Apps = stubs.ApplicationServiceStub
State = pb.Application


class Shop:
    """An Organization in which a developer installs."""

    def __init__(self, house: House, catalog: RunningDaemon) -> None:
        self.house = house
        self.catalog = catalog
        self.repositories = Repositories(house.git)
        self.dev: Any = house.daemon.member(Apps, "acme", "org-developer")
        self.cluster: Any = house.daemon.stub(Apps, "provisioner", service="provisioner")

    async def install(self, id: str, version: str = "1.0.0", **fields: Any) -> pb.Application:
        wish = pb.Application(blueprint=f"blueprints/bp-{id}", blueprint_version=version, **fields)
        made: pb.Application = await self.dev.CreateApplication(
            rpc.CreateApplicationRequest(parent=ENV, application_id=id, application=wish)
        )
        return made

    async def settled(self, made: Awaitable[pb.Application] | pb.Application) -> pb.Application:
        """The Application once its operation has ended well."""
        one = made if isinstance(made, pb.Application) else await made
        operation = await self.house.ended(one.operation)
        assert not operation.HasField("error"), operation
        found = pb.Application()
        assert operation.response.Unpack(found)
        return found

    async def seen(self, one: pb.Application, *, healthy: bool = True, commit: str = "") -> pb.Application:
        """What a cluster reports of it."""
        report = rpc.ReportApplicationRequest(name=one.name, commit=commit or one.pin.commit, healthy=healthy)
        answer: pb.Application = await self.cluster.ReportApplication(report)
        return answer

    async def get(self, id: str) -> pb.Application:
        answer: pb.Application = await self.dev.GetApplication(
            rpc.GetApplicationRequest(name=f"{ENV}/applications/{id}")
        )
        return answer

    def files(self, id: str, branch: str = "main") -> dict[str, bytes]:
        head = self.repositories.head("acme", id, branch)
        assert head is not None
        return self.repositories.files("acme", id, head.id)
