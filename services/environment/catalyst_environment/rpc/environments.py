"""EnvironmentService."""

from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst.environment.v1 import service_pb2_grpc
from catalyst_mesh import Context, Page, Work
from catalyst_sdk import Decision
from google.protobuf.empty_pb2 import Empty

from ..domain import environments
from ..domain.environments import Environment, Region
from ..store import Store
from . import convert
from .masks import run
from .names import ADMINS, READERS, changeable, check_etag, environment, organization, require


class EnvironmentService(service_pb2_grpc.EnvironmentServiceServicer):
    """Environments of Organizations."""

    def __init__(self, work: Work[Store]) -> None:
        self._work = work

    async def GetEnvironment(self, request: rpc.GetEnvironmentRequest, context: Context) -> pb.Environment:
        require(request.name, *READERS)
        async with self._work.reading() as tx:
            return convert.environment(await environment(tx, request.name))

    async def ListEnvironments(
        self, request: rpc.ListEnvironmentsRequest, context: Context
    ) -> rpc.ListEnvironmentsResponse:
        org = require(request.parent, *READERS)
        page = Page.of(request.page_size, request.page_token, request.parent)
        async with self._work.reading() as tx:
            await organization(tx, org)
            rows = [one for one in await tx.environments(org) if one.id > (page.after or "")]
        cut = page.cut(rows, lambda one: one.id)
        return rpc.ListEnvironmentsResponse(
            environments=map(convert.environment, cut.rows), next_page_token=cut.next_page_token
        )

    async def CreateEnvironment(self, request: rpc.CreateEnvironmentRequest, context: Context) -> pb.Environment:
        org, wish = require(request.parent, *ADMINS), request.environment
        regions = tuple(Region(r.provider, r.region, r.building_block or "rtz", r.host_cluster) for r in wish.regions)

        async def step(tx: Store) -> Decision[Environment]:
            await changeable(tx, org)
            known = await tx.find(Environment, f"{org}-{wish.type}", lock=True)
            return environments.create(known, org, wish.type, regions, tx.now)

        return await run(self._work, step, convert.environment, validate_only=request.validate_only)

    async def DeleteEnvironment(self, request: rpc.DeleteEnvironmentRequest, context: Context) -> Empty:
        org = require(request.name, *ADMINS)

        async def step(tx: Store) -> Decision[Environment]:
            await changeable(tx, org)
            held = await environment(tx, request.name, lock=True)
            check_etag(request.etag, held.name, held.version)
            if standing := await tx.applications(held.id):
                names = ", ".join(one.id for one in standing)
                raise environments.EnvironmentNotEmpty(environment=held.name, applications=names)
            return environments.delete(held, tx.now)

        return await run(self._work, step, lambda _: Empty(), validate_only=request.validate_only)
