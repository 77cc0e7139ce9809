"""Small stand-ins of the daemons that the provisioner asks: real gRPC, little memory."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import httpx
from catalyst.billing.v1 import resources_pb2 as billing
from catalyst.billing.v1 import service_pb2_grpc as billing_grpc
from catalyst.catalog.v1 import resources_pb2 as catalog
from catalyst.catalog.v1 import service_pb2 as catalog_service
from catalyst.catalog.v1 import service_pb2_grpc as catalog_grpc
from catalyst.pooldomain.v1 import resources_pb2 as pooldomain
from catalyst.pooldomain.v1 import service_pb2 as pooldomain_service
from catalyst.pooldomain.v1 import service_pb2_grpc as pooldomain_grpc
from catalyst_mesh import stamp
from catalyst_mesh.errors import DETAILS_KEY, to_status
from catalyst_sdk import Code, Refused
from google.longrunning import operations_pb2

NEEDS: Mapping[str, tuple[str, ...]] = {
    "bp-cilium": (),
    "bp-cert-manager": ("bp-cilium",),
    "bp-flux": ("bp-cert-manager",),
    "bp-grafana": ("bp-flux",),
    "bp-catalyst-platform": ("bp-flux", "bp-cert-manager"),
}
SERVERS = "nameServerSets/main"
MANDATORY = ("bp-catalyst-platform", "bp-cert-manager", "bp-cilium", "bp-flux")


def refuse(code: Code, reason: str, message: str, **metadata: str) -> Refused:
    """A refusal as another daemon would give it."""
    kind = type(reason.title(), (Refused,), {"code": code, "reason": reason, "message": message})
    made: Refused = kind(**metadata)
    return made


async def abort(context: Any, refusal: Refused) -> None:
    status = to_status(refusal)
    trailing = ((DETAILS_KEY, status.SerializeToString()),)
    await context.abort(grpc.StatusCode[refusal.code.name], status.message, trailing)


class Catalog(catalog_grpc.CatalogServiceServicer):
    """Five components."""

    def __init__(self) -> None:
        self.version = "1.0.0"
        self.blocks = ""
        """Version from which nothing can be upgraded."""
        self.away = False
        self.tells: dict[str, dict[str, Any]] = {}
        """What a Blueprint tells of itself, by its id."""

    async def SelectComponents(self, request: Any, context: Any) -> Any:
        await self._answering(context)
        unknown = sorted({*request.add, *request.remove} - NEEDS.keys())
        if unknown:
            text = "there is no component {components}"
            await abort(
                context, refuse(Code.INVALID_ARGUMENT, "COMPONENT_UNKNOWN", text, components=", ".join(unknown))
            )
        if kept := sorted(set(request.remove) & set(MANDATORY)):
            text = "{component} is mandatory"
            await abort(context, refuse(Code.FAILED_PRECONDITION, "MANDATORY_COMPONENT", text, component=kept[0]))
        wanted = set(MANDATORY) if request.from_empty else set(NEEDS)
        return catalog_service.SelectComponentsResponse(
            selected=sorted((wanted | set(request.add)) - set(request.remove))
        )

    async def Resolve(self, request: Any, context: Any) -> Any:
        await self._answering(context)
        names = sorted(root.name.removeprefix("blueprints/") for root in request.roots)
        stands = {one.name.removeprefix("blueprints/"): one.version for one in request.installed}
        asked = {root.name.removeprefix("blueprints/"): root.range.removeprefix("=") for root in request.roots}
        versions = {name: asked[name] or stands.get(name) or self.version for name in names}
        if stuck := [n for n in names if stands.get(n) == self.blocks != versions[n] and self.blocks]:
            text = "{component} has no upgrade path from {version}"
            why = refuse(Code.FAILED_PRECONDITION, "UNSATISFIABLE", text, component=stuck[0], version=self.blocks)
            await abort(context, why)
        entries = [
            catalog.LockEntry(
                name=f"blueprints/{name}", version=versions[name], digest=f"sha256:{name.encode().hex():0<64}"[:71],
                parents=[f"blueprints/{parent}" for parent in names if name in NEEDS[parent]],
                **self.tells.get(name, {}),
            )
            for name in names
        ]  # fmt: skip
        digest = f"sha256:{'+'.join(names).encode().hex()}{''.join(versions.values())}"
        return catalog_service.ResolveResponse(lock=catalog.Lock(lock_version=1, entries=entries, lock_digest=digest))

    async def _answering(self, context: Any) -> None:
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")


@dataclass
class Held:
    """A name that is held."""

    owner: str
    token: str
    ends: datetime
    state: int = pooldomain.Allocation.STATE_RESERVED
    targets: list[tuple[str, str]] = field(default_factory=list)
    looks: int = 0


class Names(pooldomain_grpc.AllocationServiceServicer):
    """Names in memory. A committed one is ACTIVE at the second look, a released one gone at the second."""

    def __init__(self) -> None:
        self.held: dict[str, Held] = {}
        self.answers: dict[str, Any] = {}
        self.reserved = 0
        self.renewed = 0
        self.commits = 0
        self.released = 0
        self.over = False
        self.before_answer: Callable[[], Awaitable[None]] | None = None
        """Done between a reservation and its answer."""
        self.refuses = ""
        """Reason with which reservations are refused."""

    def put(self, name: str) -> None:
        """Somebody else holds `name`."""
        self.held[name] = Held("organizations/other", "rsv_other", datetime.now(UTC) + timedelta(hours=1))

    async def CheckName(self, request: Any, context: Any) -> Any:
        taken = self._live(f"{request.parent}/allocations/{request.label}") is not None
        return pooldomain_service.CheckNameResponse(
            available=not taken, reason="NAME_TAKEN" if taken else "", detail="somebody has it" if taken else ""
        )

    async def ReserveAllocation(self, request: Any, context: Any) -> Any:
        if request.request_id in self.answers:
            return self.answers[request.request_id]
        if self.refuses:
            await abort(context, refuse(Code.FAILED_PRECONDITION, self.refuses, "no more names"))
        name = f"{request.parent}/allocations/{request.label}"
        held = self._live(name)
        if held is not None:
            await abort(context, refuse(Code.ALREADY_EXISTS, "NAME_TAKEN", "{name} is taken", name=name))
        self.reserved += 1
        ends = datetime.now(UTC) + request.ttl.ToTimedelta()
        self.held[name] = Held(request.owner, f"rsv_{self.reserved}", ends)
        answer = pooldomain_service.ReserveAllocationResponse(
            allocation=self._shown(name), reservation_token=self.held[name].token
        )
        self.answers[request.request_id] = answer
        if self.before_answer:
            await self.before_answer()
        return answer

    def expires(self) -> None:
        """Whoever renews comes too late."""
        self.over = True

    async def RenewAllocation(self, request: Any, context: Any) -> Any:
        held = None if self.over else self._live(request.name)
        if held is None:
            await abort(context, refuse(Code.FAILED_PRECONDITION, "RESERVATION_EXPIRED", "it is over"))
        assert held is not None
        self.renewed += 1
        held.ends = datetime.now(UTC) + request.ttl.ToTimedelta()
        return self._shown(request.name)

    async def CommitAllocation(self, request: Any, context: Any) -> Any:
        held = self._live(request.name)
        if held is None:
            await abort(context, refuse(Code.FAILED_PRECONDITION, "RESERVATION_EXPIRED", "it is over"))
        assert held is not None
        if held.token != request.reservation_token:
            await abort(context, refuse(Code.PERMISSION_DENIED, "TOKEN_MISMATCH", "another token"))
        self.commits += held.state == pooldomain.Allocation.STATE_RESERVED
        held.state = pooldomain.Allocation.STATE_PROVISIONING
        held.targets = [(t.slot, t.address) for t in request.targets]
        return self._shown(request.name)

    async def GetAllocation(self, request: Any, context: Any) -> Any:
        held = self.held.get(request.name)
        if held is None:
            await abort(context, refuse(Code.NOT_FOUND, "ALLOCATION_NOT_FOUND", "there is none"))
        assert held is not None
        held.looks += 1
        states = pooldomain.Allocation
        if held.state == states.STATE_PROVISIONING and held.looks > 1:
            held.state = states.STATE_ACTIVE
        elif held.state == states.STATE_RELEASING and held.looks > 1:
            del self.held[request.name]
            return states(name=request.name, state=states.STATE_QUARANTINED)
        return self._shown(request.name)

    async def UpdateAllocation(self, request: Any, context: Any) -> Any:
        held = self._live(request.allocation.name)
        assert held is not None
        held.state, held.looks = pooldomain.Allocation.STATE_PROVISIONING, 0
        held.targets = [(t.slot, t.address) for t in request.allocation.targets]
        return self._shown(request.allocation.name)

    async def ReleaseAllocation(self, request: Any, context: Any) -> Any:
        held = self.held.get(request.name)
        if held is None:
            await abort(context, refuse(Code.NOT_FOUND, "ALLOCATION_NOT_FOUND", "there is none"))
        assert held is not None
        self.released += 1
        held.state, held.looks = pooldomain.Allocation.STATE_RELEASING, 0
        return self._shown(request.name)

    def _live(self, name: str) -> Held | None:
        held = self.held.get(name)
        reserved = held is not None and held.state == pooldomain.Allocation.STATE_RESERVED
        return None if held is None or (reserved and held.ends <= datetime.now(UTC)) else held

    def _shown(self, name: str) -> Any:
        held = self.held[name]
        return pooldomain.Allocation(
            name=name,
            state=held.state,
            owner=held.owner,
            expire_time=stamp(held.ends),
            targets=[pooldomain.Target(slot=slot, address=address) for slot, address in held.targets],
        )  # type: ignore[arg-type]  # fmt: skip - states are numbers here


class Pools(pooldomain_grpc.PoolServiceServicer):
    """One pool."""

    async def ListPools(self, request: Any, context: Any) -> Any:
        pool = pooldomain.Pool(name="pools/omani.works", backend="backends/embedded", name_server_set=SERVERS)
        return pooldomain_service.ListPoolsResponse(pools=[pool])


class ServerSets(pooldomain_grpc.NameServerSetServiceServicer):
    """One set."""

    async def GetNameServerSet(self, request: Any, context: Any) -> Any:
        return pooldomain.NameServerSet(name=request.name, published=["ns1.catalyst.example", "ns2.catalyst.example"])


class Zones(pooldomain_grpc.ZoneServiceServicer):
    """Zones of one's own: what a plan was made of is there when it is applied."""

    def __init__(self) -> None:
        self.zones: dict[str, Any] = {}
        self.records: dict[tuple[str, str], list[str]] = {}
        self.plans: dict[str, Any] = {}
        self.delegated = False

    async def GetZone(self, request: Any, context: Any) -> Any:
        if request.name not in self.zones:
            await abort(context, refuse(Code.NOT_FOUND, "ZONE_NOT_FOUND", "there is none"))
        return self.zones[request.name]

    async def CreateZone(self, request: Any, context: Any) -> Any:
        made = pooldomain.Zone()
        made.CopyFrom(request.zone)
        made.name, made.state, made.etag = f"zones/{request.zone_id}", pooldomain.Zone.STATE_ACTIVE, '"1"'
        self.zones[made.name] = made
        return made

    async def GetDnssec(self, request: Any, context: Any) -> Any:
        ds = pooldomain.DsRecord(key_tag=1, algorithm=13, digest_type=2, digest="ab" * 32)
        return pooldomain.ZoneDnssec(name=request.name, ds=[ds])

    async def CheckPropagation(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield pooldomain_service.CheckPropagationResponse(
            summary=pooldomain.PropagationSummary(delegated=self.delegated)
        )

    async def PlanZone(self, request: Any, context: Any) -> Any:
        name = f"{request.parent}/plans/{len(self.plans)}"
        self.plans[name] = list(request.changes)
        changes = [pooldomain.PlanChange() for _ in request.changes]
        return pooldomain.Plan(name=name, hash="0" * 64, changes=changes)

    async def ApplyPlan(self, request: Any, context: Any) -> Any:
        for change in self.plans[request.name]:
            key = (change.record_set.name, change.record_set.type)
            self.records.pop(key, None)
            if change.action == pooldomain.RecordChange.ACTION_UPSERT:
                self.records[key] = list(change.record_set.values)
        return operations_pb2.Operation(name="operations/1")

    async def DeleteZone(self, request: Any, context: Any) -> Any:
        if self.delegated:
            await abort(context, refuse(Code.FAILED_PRECONDITION, "ZONE_DELEGATED", "a parent points to it"))
        return self.zones.pop(request.name)


class Orders(billing_grpc.OrderServiceServicer):
    """Orders by name."""

    def __init__(self) -> None:
        self.orders: dict[str, billing.Order] = {}

    def put(self, name: str, sovereign: str, state: str) -> None:
        order = billing.Order(name=name, state=billing.Order.State.Value(f"STATE_{state}"))
        order.selection.sovereign = sovereign
        self.orders[name] = order

    async def GetOrder(self, request: Any, context: Any) -> Any:
        if request.name not in self.orders:
            await abort(context, refuse(Code.NOT_FOUND, "ORDER_NOT_FOUND", "there is none"))
        return self.orders[request.name]


@dataclass
class World:
    """All of them, and where they listen."""

    catalog: Catalog
    names: Names
    orders: Orders
    zones: Zones
    target: str


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """Serve them on one port for the block."""
    made = World(Catalog(), Names(), Orders(), Zones(), "")
    server = grpc.aio.server()
    catalog_grpc.add_CatalogServiceServicer_to_server(made.catalog, server)
    pooldomain_grpc.add_AllocationServiceServicer_to_server(made.names, server)
    pooldomain_grpc.add_PoolServiceServicer_to_server(Pools(), server)
    pooldomain_grpc.add_ZoneServiceServicer_to_server(made.zones, server)
    pooldomain_grpc.add_NameServerSetServiceServicer_to_server(ServerSets(), server)
    billing_grpc.add_OrderServiceServicer_to_server(made.orders, server)
    made.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield made
    finally:
        await server.stop(None)


class NamesProbe:
    """Looks where the stand-in of the names points to; the HTTP request is real."""

    def __init__(self, names: Names, zones: Zones) -> None:
        self._names = names
        self._zones = zones
        self.blind = False
        """Whether it sees nothing, so that a run does not end."""

    async def console(self, fqdn: str, ports: Mapping[str, int]) -> Mapping[str, Any]:
        label, _, pool = fqdn.partition(".")
        held = self._names.held.get(f"pools/{pool}/allocations/{label}")
        own = self._zones.records.get(("console", "A"), [""]) if self._zones.delegated else [""]
        address = dict(held.targets).get("default", "") if held else own[0]
        if not address or self.blind:
            return {"status": 0, "why": "no address"}
        try:
            async with httpx.AsyncClient(timeout=2, trust_env=False) as http:
                url = f"http://{address}:{ports.get('http', 80)}/"
                answer = await http.get(url, headers={"Host": f"console.{fqdn}"})
        except httpx.HTTPError as error:
            return {"status": 0, "why": type(error).__name__}
        return {"status": answer.status_code, "address": address}


SOON = timedelta(seconds=30)
