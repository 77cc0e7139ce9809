"""BackendService."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from catalyst.pooldomain.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page, Work, stamp
from catalyst_sdk import Decision
from google.protobuf import json_format
from google.protobuf.empty_pb2 import Empty

from catalyst_pool_domain_manager.domain import backends, refusals
from catalyst_pool_domain_manager.domain.backends import Backend, resource_of
from catalyst_pool_domain_manager.domain.hosting import Thresholds
from catalyst_pool_domain_manager.store import Store
from catalyst_pool_domain_manager.workers.backends import Backends

from .masks import wanted
from .messages import etag, to_condition

CHANGEABLE = ("config", "secret_ref", "thresholds")
_FLAGS = frozenset(resources_pb2.BackendCapabilities.DESCRIPTOR.fields_by_name) - {"record_types"}


class BackendService(service_pb2_grpc.BackendServiceServicer):
    """Backends: a probe follows each change, and tells what the server can do."""

    def __init__(self, work: Work[Store], plugins: Backends) -> None:
        self._work = work
        self._plugins = plugins

    async def CreateBackend(
        self, request: service_pb2.CreateBackendRequest, context: Context
    ) -> resources_pb2.Backend:  # fmt: skip
        wish = request.backend
        plugin = self._plugins.plugin_of(wish.plugin)

        async def step(tx: Store) -> Decision[Backend]:
            made = Backend(
                request.backend_id, str(uuid4()), plugin, tx.now, tx.now, json_format.MessageToDict(wish.config),
                wish.secret_ref, thresholds_of(wish),
            )  # fmt: skip
            decision = backends.create(await tx.backend(request.backend_id), made)
            self._plugins.made(decision.state)  # refuses a configuration that its plugin does not take
            return decision

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=to_backend)

    async def GetBackend(self, request: service_pb2.GetBackendRequest, context: Context) -> resources_pb2.Backend:
        async with self._work.reading() as tx:
            return to_backend(await _found(tx, request.name))

    async def ListBackends(
        self, request: service_pb2.ListBackendsRequest, context: Context
    ) -> service_pb2.ListBackendsResponse:
        page = Page.of(request.page_size, request.page_token, "backends", most=500)
        async with self._work.reading() as tx:
            cut = page.cut(await tx.backends(page.after or "", page.size + 1), lambda b: b.id)
        return service_pb2.ListBackendsResponse(
            backends=[to_backend(b) for b in cut.rows], next_page_token=cut.next_page_token
        )

    async def UpdateBackend(
        self, request: service_pb2.UpdateBackendRequest, context: Context
    ) -> resources_pb2.Backend:  # fmt: skip
        wish = request.backend
        fields = wanted(request.update_mask, wish, CHANGEABLE)
        read: Mapping[str, Any] = {
            "config": json_format.MessageToDict(wish.config), "secret_ref": wish.secret_ref,
            "thresholds": thresholds_of(wish),
        }  # fmt: skip

        async def step(tx: Store) -> Decision[Backend]:
            known = await _found(tx, wish.name)
            _fresh(known, request.etag)
            return backends.change(known, tx.now, **{name: read[name] for name in fields})

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=to_backend)

    async def DeleteBackend(self, request: service_pb2.DeleteBackendRequest, context: Context) -> Empty:
        async def step(tx: Store) -> Decision[None]:
            known = await _found(tx, request.name)
            _fresh(known, request.etag)
            pools = (pool.name for pool in await tx.all_pools() if resource_of(pool.backend) == known.name)
            if user := await tx.zone_at(known.name) or next(pools, ""):
                raise backends.BackendInUse(name=known.name, user=user)
            if not request.validate_only:
                await tx.forget_backend(known)
            return Decision(None)

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=lambda _: Empty())

    async def ProbeBackend(
        self, request: service_pb2.ProbeBackendRequest, context: Context
    ) -> resources_pb2.Backend:  # fmt: skip
        async def step(tx: Store) -> Decision[Backend]:
            known = await _found(tx, request.name)
            _fresh(known, request.etag)
            return backends.ask(known, tx.now)

        return await self._work.run(step, answer=to_backend)


def to_backend(b: Backend) -> resources_pb2.Backend:
    """A backend; its secret by reference only."""
    answer = resources_pb2.Backend(
        name=b.name, plugin=b.plugin, secret_ref=b.secret_ref, thresholds=to_thresholds(b.thresholds),
        probe_time=stamp(b.probed_at), uid=b.uid, etag=etag(b.version), version=b.version,
        create_time=stamp(b.created_at), update_time=stamp(b.updated_at), generation=b.generation,
        observed_generation=b.observed_generation, conditions=[to_condition(c) for c in b.conditions],
    )  # fmt: skip
    if b.config:
        json_format.ParseDict(dict(b.config), answer.config)
    if b.capabilities is not None:
        can = {name: True for name in b.capabilities["capabilities"] if name in _FLAGS}
        answer.capabilities.CopyFrom(
            resources_pb2.BackendCapabilities(record_types=b.capabilities["record_types"], **can)
        )
    return answer


def to_thresholds(known: Thresholds | None) -> resources_pb2.ChangeThresholds | None:
    """Limits; absent where none are stated."""
    if known is None:
        return None
    return resources_pb2.ChangeThresholds(
        update_percent=known.updates, delete_percent=known.deletes, min_record_sets=known.least
    )


def thresholds_of(wish: resources_pb2.Backend | resources_pb2.Zone) -> Thresholds | None:
    """Limits as wished; what is left out is the default."""
    if not wish.HasField("thresholds"):
        return None
    base, given = Thresholds(), wish.thresholds
    return Thresholds(
        given.update_percent if given.HasField("update_percent") else base.updates,
        given.delete_percent if given.HasField("delete_percent") else base.deletes,
        given.min_record_sets if given.HasField("min_record_sets") else base.least,
    )


async def _found(tx: Store, name: str) -> Backend:
    known = await tx.backend(name.removeprefix("backends/"))
    if known is None:
        raise refusals.BackendNotFound(backend=name)
    return known


def _fresh(known: Backend, given: str) -> None:
    if given and given != etag(known.version):
        raise refusals.EtagMismatch(name=known.name)
