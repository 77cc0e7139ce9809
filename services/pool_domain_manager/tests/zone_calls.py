"""Calls on zones, as operators and owners make them."""

from uuid import uuid4

from catalyst.pooldomain.v1.resources_pb2 import NameServerEndpoint, NameServerSet, Plan, RecordChange, RecordSet, Zone
from catalyst.pooldomain.v1.service_pb2 import (
    ApplyPlanRequest,
    CreateNameServerSetRequest,
    CreateZoneRequest,
    GetZoneRequest,
    ListRecordSetsRequest,
    PlanZoneRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import NameServerSetServiceStub, ZoneServiceStub
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of
from google.longrunning.operations_pb2 import GetOperationRequest, Operation
from google.longrunning.operations_pb2_grpc import OperationsStub
from google.protobuf.duration_pb2 import Duration

from .conftest import Dns

SET = "nameServerSets/main"
DOMAIN = "acme.example"
ZONE = f"zones/{DOMAIN}"
OWNER = "organizations/acme"
HOSTS = ("ns1.dns.example", "ns2.dns.example")


def admin(daemon: RunningDaemon) -> ZoneServiceStub:
    return daemon.admin(ZoneServiceStub)


def owner(daemon: RunningDaemon) -> ZoneServiceStub:
    return daemon.member(ZoneServiceStub, "acme")


def servers(dns: Dns, *hosts: str) -> NameServerSet:
    """Every host is the one server of the test."""
    address, port = dns.served_at
    polled = [NameServerEndpoint(host=h, addresses=[address], port=port) for h in hosts or HOSTS]
    return NameServerSet(published=hosts or HOSTS, polled=polled)


async def made_servers(daemon: RunningDaemon, dns: Dns) -> None:
    wish = CreateNameServerSetRequest(name_server_set_id="main", name_server_set=servers(dns))
    assert await reason_of(daemon.admin(NameServerSetServiceStub).CreateNameServerSet(wish)) in (
        "OK", "NAME_SERVER_SET_EXISTS",
    )  # fmt: skip


def zone(
    dns: Dns, domain: str = DOMAIN, kind: "Zone.Kind.ValueType" = Zone.KIND_BYO, **rest: object
) -> CreateZoneRequest:
    fields = {"kind": kind, "owner": OWNER, "backend": dns.pool_backend, "name_server_set": SET, **rest}
    return CreateZoneRequest(zone_id=domain, zone=Zone(**fields), request_id=str(uuid4()))  # type: ignore[arg-type]


async def until_zone(
    daemon: RunningDaemon, name: str = ZONE, state: "Zone.State.ValueType" = Zone.STATE_ACTIVE
) -> Zone:
    seen = Zone()

    async def is_so() -> bool:
        seen.CopyFrom(await admin(daemon).GetZone(GetZoneRequest(name=name)))
        return seen.state == state

    await eventually(is_so, within=60, what=f"{name} is {Zone.State.Name(state)}, last {seen}")
    return seen


async def made_zone(daemon: RunningDaemon, dns: Dns, domain: str = DOMAIN, **rest: object) -> Zone:
    """A zone that every server serves."""
    await made_servers(daemon, dns)
    await admin(daemon).CreateZone(zone(dns, domain, **rest))
    return await until_zone(daemon, f"zones/{domain}")


def upsert(name: str, kind: str, *values: str, ttl: int = 300) -> RecordChange:
    wished = RecordSet(name=name, type=kind, ttl=Duration(seconds=ttl), values=values)
    return RecordChange(action=RecordChange.ACTION_UPSERT, record_set=wished)


def remove(name: str, kind: str) -> RecordChange:
    return RecordChange(action=RecordChange.ACTION_DELETE, record_set=RecordSet(name=name, type=kind))


async def listed(
    daemon: RunningDaemon, source: "ListRecordSetsRequest.Source.ValueType" = ListRecordSetsRequest.SOURCE_DESIRED,
    name: str = ZONE,
) -> dict[tuple[str, str], list[str]]:  # fmt: skip
    request = ListRecordSetsRequest(parent=name, source=source, page_size=500)
    answer = await admin(daemon).ListRecordSets(request)
    return {(r.name, r.type): sorted(r.values) for r in answer.record_sets}


async def planned(daemon: RunningDaemon, *changes: RecordChange, name: str = ZONE, **rest: object) -> Plan:
    request = PlanZoneRequest(parent=name, changes=changes, **rest)  # type: ignore[arg-type]
    return await owner(daemon).PlanZone(request)


async def applied(daemon: RunningDaemon, plan: Plan, *force: str) -> Plan:
    """Apply and wait; what the operation came to. Raises AssertionError with its error."""
    started = await owner(daemon).ApplyPlan(ApplyPlanRequest(name=plan.name, hash=plan.hash, force=force))
    seen = await ended(daemon, started.name)
    assert seen.HasField("response"), seen.error
    found = Plan()
    seen.response.Unpack(found)
    return found


async def ended(daemon: RunningDaemon, name: str) -> Operation:
    operations = daemon.admin(OperationsStub)
    seen = Operation()

    async def done() -> bool:
        seen.CopyFrom(await operations.GetOperation(GetOperationRequest(name=name)))
        return bool(seen.done)

    await eventually(done, within=60, what=f"{name} is done")
    return seen
