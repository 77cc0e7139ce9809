"""NameServerSetService."""

from dataclasses import replace

from catalyst.pooldomain.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page, Work
from catalyst_sdk import Decision
from google.protobuf.empty_pb2 import Empty

from catalyst_pool_domain_manager.domain import hosting, refusals, server_sets
from catalyst_pool_domain_manager.domain.record_sets import frame, reframe
from catalyst_pool_domain_manager.domain.server_sets import ServerSet, ServerSetNotFound
from catalyst_pool_domain_manager.store import Store

from .masks import wanted
from .messages import etag
from .server_set_messages import changed, from_set, to_set

CHANGEABLE = ("published", "polled", "targets", "also_notify", "glue")


class NameServerSetService(service_pb2_grpc.NameServerSetServiceServicer):
    """Sets of servers. A change of one is a wish for every zone that uses it, in the same transaction."""

    def __init__(self, work: Work[Store]) -> None:
        self._work = work

    async def CreateNameServerSet(
        self, request: service_pb2.CreateNameServerSetRequest, context: Context
    ) -> resources_pb2.NameServerSet:
        id = request.name_server_set_id

        async def step(tx: Store) -> Decision[ServerSet]:
            return server_sets.create(await tx.server_set(id), from_set(id, request.name_server_set, tx.now))

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=to_set)

    async def GetNameServerSet(
        self, request: service_pb2.GetNameServerSetRequest, context: Context
    ) -> resources_pb2.NameServerSet:
        async with self._work.reading() as tx:
            return to_set(await _found(tx, request.name))

    async def ListNameServerSets(
        self, request: service_pb2.ListNameServerSetsRequest, context: Context
    ) -> service_pb2.ListNameServerSetsResponse:
        page = Page.of(request.page_size, request.page_token, "nameServerSets", most=500)
        async with self._work.reading() as tx:
            cut = page.cut(await tx.server_sets(page.after or "", page.size + 1), lambda s: s.id)
        return service_pb2.ListNameServerSetsResponse(
            name_server_sets=[to_set(s) for s in cut.rows], next_page_token=cut.next_page_token
        )

    async def UpdateNameServerSet(
        self, request: service_pb2.UpdateNameServerSetRequest, context: Context
    ) -> resources_pb2.NameServerSet:
        wish = request.name_server_set
        fields = wanted(request.update_mask, wish, CHANGEABLE)

        async def step(tx: Store) -> Decision[ServerSet]:
            known = await _found(tx, wish.name, lock=True)
            _fresh(known, request.etag)
            decision = server_sets.change(known, replace(known, **changed(known, wish, fields)), tx.now)
            if decision.state is not known:
                await _rewish(tx, known, decision.state, rehearsed=request.validate_only)
            return decision

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=to_set)

    async def DeleteNameServerSet(
        self, request: service_pb2.DeleteNameServerSetRequest, context: Context
    ) -> Empty:  # fmt: skip
        async def step(tx: Store) -> Decision[None]:
            known = await _found(tx, request.name, lock=True)
            _fresh(known, request.etag)
            if user := await tx.user_of_set(known.name) or await tx.pool_of_set(known.name):
                raise server_sets.ServerSetInUse(name=known.name, user=user)
            if left := await tx.left_by(known.name):
                raise server_sets.ServerSetInUse(name=known.name, user=left[0], what=left[1].sentence)
            if not request.validate_only:
                await tx.forget_server_set(known)
            return Decision(None)

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=lambda _: Empty())


async def _rewish(tx: Store, before: ServerSet, after: ServerSet, *, rehearsed: bool) -> None:
    """Every zone of the set wishes its new frame. Raises GlueRequired where a zone would lose sight of its servers."""
    for zone in await tx.zones_after("", 1_000_000, None, name_server_set=before.name):
        server_sets.demand_glue(after, zone.origin)
        if rehearsed:
            continue
        locked = await tx.zone(zone.domain, lock=True)
        if locked is None:
            continue
        wished = hosting.wish(locked, tx.now)
        old, new = (frame(locked, one, locked.soa) for one in (before, after))
        await tx.wish_sets(zone.domain, reframe(wished, await tx.wishes_of(zone.domain), old, new))
        await tx.save_zone(wished)


async def _found(tx: Store, name: str, *, lock: bool = False) -> ServerSet:
    known = await tx.server_set(name.removeprefix("nameServerSets/"), lock=lock)
    if known is None:
        raise ServerSetNotFound(name=name)
    return known


def _fresh(known: ServerSet, given: str) -> None:
    if given and given != etag(known.version):
        raise refusals.EtagMismatch(name=known.name)
