"""Other daemons as the provisioner sees them: a few questions each, in our words.

A peer that does not answer is a `Refused` with UNAVAILABLE, which a run tries again; a peer that says no is `SaidNo`.
"""

import re
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

import grpc
from catalyst.billing.v1 import resources_pb2 as billing
from catalyst.billing.v1 import service_pb2 as billing_service
from catalyst.billing.v1.service_pb2_grpc import OrderServiceStub
from catalyst.catalog.v1 import resources_pb2 as catalog
from catalyst.catalog.v1 import service_pb2 as catalog_service
from catalyst.catalog.v1.service_pb2_grpc import CatalogServiceStub
from catalyst.pooldomain.v1 import resources_pb2 as pooldomain
from catalyst.pooldomain.v1 import service_pb2 as pooldomain_service
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub, PoolServiceStub
from catalyst_mesh import Explained, explain, span
from catalyst_sdk import Code, Refused, Violation
from google.protobuf import field_mask_pb2
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from .domain.locks import Component, Lock, Traits, ordered

T = TypeVar("T")
VERSION = re.compile(r"^[0-9]+\.[0-9]+\.[0-9]+(-[a-z0-9.-]+)?$")
PASSING = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "CANCELLED", "INTERNAL", "UNKNOWN"}
PREFIX = "blueprints/"


class CatalogUnavailable(Refused):
    code, reason, message = Code.UNAVAILABLE, "CATALOG_UNAVAILABLE", "the catalog does not answer: {why}"


class NamesUnavailable(Refused):
    code, reason, message = Code.UNAVAILABLE, "PDM_UNAVAILABLE", "the pool domain manager does not answer: {why}"


class BillingUnavailable(Refused):
    code, reason, message = (
        Code.UNAVAILABLE,
        "BILLING_UNAVAILABLE",
        "billing does not answer: {why}; nothing has started",
    )


class SaidNo(Refused):
    """A peer refused; `said` has its reason and sentence, which pass on where nobody knows better."""

    reason, message = "PEER_REFUSED", "{sentence}"

    def __init__(self, said: Explained) -> None:
        super().__init__(sentence=said.message)
        self.metadata |= {key: value for key, value in said.metadata.items() if key != "sentence"}
        self.said = said


@dataclass(frozen=True, slots=True)
class Choice:
    """Which components a spec asks for."""

    families: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Selected:
    """What a choice leads to."""

    ids: tuple[str, ...]
    removed: tuple[str, ...] = ()
    """What goes, dependents of what is left out among it."""
    planned: tuple[str, ...] = ()
    """What would belong, and is not released."""
    traits: Mapping[str, Traits] = field(default_factory=dict)
    """What each component tells of itself, once there is a lock."""


class Catalog:
    """What can be installed, and what it needs."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = CatalogServiceStub(channel)

    async def select(self, choice: Choice) -> Selected:
        """What `choice` leads to. Raises SaidNo for what is unknown or cannot be left out."""
        request = catalog_service.SelectComponentsRequest(
            add=choice.include, remove=choice.exclude, add_families=choice.families
        )
        answer = await asked(self._stub.SelectComponents(request), CatalogUnavailable)
        return Selected(tuple(answer.selected), tuple(answer.removed), tuple(answer.unavailable))

    async def lock(
        self, choice: Choice, installed: Mapping[str, str] | None = None, *, newest: bool = False,
        pins: Mapping[str, str] | None = None,
    ) -> tuple[Lock, Selected]:  # fmt: skip
        """Exact versions of everything that `choice` leads to, in the order of installation.

        installed   what stands: it stays where it can; with `newest` it is raised, as far as `upgrades` of the Blueprints
                    let it. Raises SaidNo where there is no way from what stands
        pins        exact versions by component, as a channel demands them; with pins what has none stays where it is
        """
        selected = await self.select(choice)
        # Without a default selection only what is mandatory is left; all else may fail and only degrades.
        least = catalog_service.SelectComponentsRequest(from_empty=True)
        mandatory = set((await asked(self._stub.SelectComponents(least), CatalogUnavailable)).selected)
        stands = {name: v for name, v in (installed or {}).items() if name in selected.ids and VERSION.match(v)}
        if pins is not None:
            ranges = {name: f"={pins[name]}" if name in pins else "" for name in selected.ids}
            lock = await self._resolved(ranges, stands)
        elif newest and stands:
            # What would be taken if nothing stood there is demanded exactly; the catalog says whether it can be reached.
            best = await self._resolved(dict.fromkeys(selected.ids, ""), {})
            ranges = {e.name.removeprefix("blueprints/"): f"={e.version}" for e in best.entries}
            lock = await self._resolved({name: ranges.get(name, "") for name in selected.ids}, stands)
        else:
            lock = await self._resolved(dict.fromkeys(selected.ids, ""), stands)
        traits = {_id(entry.name): _traits(entry) for entry in lock.entries}
        return _lock(lock, mandatory, set(choice.include)), replace(selected, traits=traits)

    async def _resolved(self, ranges: Mapping[str, str], stands: Mapping[str, str]) -> catalog.Lock:
        roots = [catalog.Demand(name=_resource(name), range=range) for name, range in ranges.items()]
        held = [catalog.Installed(name=_resource(name), version=version) for name, version in stands.items()]
        request = catalog_service.ResolveRequest(roots=roots, installed=held)
        return (await asked(self._stub.Resolve(request), CatalogUnavailable)).lock

    async def faults(self, name: str, version: str, values: Mapping[str, Any]) -> tuple[Violation, ...]:
        """What a Blueprint's schema has against values: JSON pointers, and never a secret's value."""
        request = catalog_service.ValidateConfigRequest(
            version=f"{_resource(name)}/versions/{version}", config=ParseDict(dict(values), Struct())
        )
        try:
            await asked(self._stub.ValidateConfig(request), CatalogUnavailable)
        except SaidNo as no:
            return no.said.violations or (Violation("", no.said.message, no.said.reason),)
        return ()


class Names:
    """Names under pool domains."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = AllocationServiceStub(channel)
        self._pools = PoolServiceStub(channel)

    async def pools(self) -> tuple[str, ...]:
        """Domains of all pools."""
        found: list[str] = []
        token = ""
        while True:
            request = pooldomain_service.ListPoolsRequest(page_size=500, page_token=token)
            answer = await asked(self._pools.ListPools(request), NamesUnavailable)
            found += [pool.name.removeprefix("pools/") for pool in answer.pools]
            token = answer.next_page_token
            if not token:
                return tuple(found)

    async def check(self, pool: str, label: str) -> pooldomain_service.CheckNameResponse:
        """Whether a label could be reserved now."""
        request = pooldomain_service.CheckNameRequest(parent=f"pools/{pool}", label=label)
        return await asked(self._stub.CheckName(request), NamesUnavailable)

    async def reserve(
        self, pool: str, label: str, *, owner: str, holder: str, actor: str, ttl: timedelta, request_id: str
    ) -> pooldomain_service.ReserveAllocationResponse:
        """Hold a name; the same `request_id` gets the same token."""
        request = pooldomain_service.ReserveAllocationRequest(
            parent=f"pools/{pool}", label=label, owner=owner, holder=holder, created_by=actor, ttl=span(ttl),
            request_id=request_id,
        )  # fmt: skip
        return await asked(self._stub.ReserveAllocation(request), NamesUnavailable)

    async def renew(self, name: str, token: str, ttl: timedelta) -> pooldomain.Allocation:
        """Hold it for `ttl` from now."""
        request = pooldomain_service.RenewAllocationRequest(name=name, reservation_token=token, ttl=span(ttl))
        return await asked(self._stub.RenewAllocation(request), NamesUnavailable)

    async def commit(self, name: str, token: str, fqdn: str, targets: list[tuple[str, str]]) -> pooldomain.Allocation:
        """Take the name for good; an equal repeat changes nothing. `targets` are slots and addresses."""
        request = pooldomain_service.CommitAllocationRequest(
            name=name,
            reservation_token=token,
            sovereign_fqdn=fqdn,
            targets=[pooldomain.Target(slot=slot, address=address) for slot, address in targets],
        )
        return await asked(self._stub.CommitAllocation(request), NamesUnavailable)

    async def get(self, name: str) -> pooldomain.Allocation | None:
        """The name as it stands; None where it is absent."""
        request = pooldomain_service.GetAllocationRequest(name=name)
        try:
            return await asked(self._stub.GetAllocation(request), NamesUnavailable)
        except SaidNo as no:
            if no.said.code == "NOT_FOUND":
                return None
            raise

    async def point(self, allocation: pooldomain.Allocation, targets: list[tuple[str, str]]) -> pooldomain.Allocation:
        """Change where a committed name points to."""
        changed = pooldomain.Allocation(
            name=allocation.name,
            etag=allocation.etag,
            targets=[pooldomain.Target(slot=slot, address=address) for slot, address in targets],
        )
        request = pooldomain_service.UpdateAllocationRequest(
            allocation=changed, update_mask=field_mask_pb2.FieldMask(paths=["targets"])
        )
        return await asked(self._stub.UpdateAllocation(request), NamesUnavailable)

    async def release(self, name: str, token: str, reason: str) -> None:
        """Give it back; one that is absent is given back already."""
        request = pooldomain_service.ReleaseAllocationRequest(name=name, reservation_token=token, reason=reason)
        try:
            await asked(self._stub.ReleaseAllocation(request), NamesUnavailable)
        except SaidNo as no:
            if no.said.code != "NOT_FOUND":
                raise


class Orders:
    """Whether an order is paid."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = OrderServiceStub(channel)

    async def get(self, name: str) -> billing.Order:
        """One order. Raises SaidNo, BillingUnavailable."""
        return await asked(self._stub.GetOrder(billing_service.GetOrderRequest(name=name)), BillingUnavailable)


async def asked(call: Awaitable[T], unavailable: type[Refused]) -> T:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        said = explain(error)
        # ABORTED with a reason is an answer, such as a lost etag; without one it is the transport's.
        if said.code in PASSING and not (said.code in ("ABORTED", "RESOURCE_EXHAUSTED") and said.reason):
            raise unavailable(why=said.message or said.code) from error
        raise SaidNo(said) from error


def _resource(name: str) -> str:
    return name if "/" in name else f"{PREFIX}{name}"


def _lock(lock: catalog.Lock, mandatory: set[str], asked: set[str]) -> Lock:
    needs: dict[str, set[str]] = {}
    for entry in lock.entries:
        for parent in entry.parents:
            needs.setdefault(_id(parent), set()).add(_id(entry.name))
    components = [
        Component(
            name=_id(entry.name),
            version=entry.version,
            digest=entry.digest,
            needs=tuple(sorted(needs.get(_id(entry.name), ()))),
            optional=_id(entry.name) not in mandatory,
            requested=_id(entry.name) in asked,
        )
        for entry in lock.entries
    ]
    return Lock(lock.lock_digest, ordered(components))


def _traits(entry: catalog.LockEntry) -> Traits:
    """Requests in the units of offers; what is unmetered is not told."""
    asked = entry.requests
    told = {field.name: int(amount) for field, amount in asked.ListFields()}
    units = (("cpu", "cpu_milli", 1000), ("memory", "ram_mb", 1024), ("storage", "disk_gb", 1))
    requests = {name: told[key] / per for name, key, per in units if key in told}
    return Traits(tuple(entry.provides), tuple(entry.required_kinds), requests)


def _id(name: str) -> str:
    return name.removeprefix(PREFIX)
