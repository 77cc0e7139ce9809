"""Domains of one's own, as the pool domain manager keeps them: a zone, its records, and the cut above it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

import grpc
from catalyst.pooldomain.v1 import resources_pb2 as pooldomain
from catalyst.pooldomain.v1 import service_pb2 as service
from catalyst.pooldomain.v1.service_pb2_grpc import (
    DelegationServiceStub,
    NameServerSetServiceStub,
    PoolServiceStub,
    ZoneServiceStub,
)
from google.protobuf.duration_pb2 import Duration

from .peers import NamesUnavailable, SaidNo, asked

RECORD_TTL = Duration(seconds=300)
Sets = Sequence[tuple[str, str, Sequence[str]]]
"""Name relative to the zone, type, values."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What the parent of a domain has to show."""

    ns: tuple[str, ...]
    ds: tuple[str, ...]


class Zones:
    """Zones of Sovereigns that have a name of their own."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._zones = ZoneServiceStub(channel)
        self._cuts = DelegationServiceStub(channel)
        self._pools = PoolServiceStub(channel)
        self._servers = NameServerSetServiceStub(channel)

    async def get(self, domain: str) -> pooldomain.Zone | None:
        """The zone as it stands; None where it is absent."""
        try:
            return await asked(self._zones.GetZone(service.GetZoneRequest(name=f"zones/{domain}")), NamesUnavailable)
        except SaidNo as no:
            if no.said.code == "NOT_FOUND":
                return None
            raise

    async def make(self, domain: str, *, owner: str, uid: str) -> pooldomain.Zone:
        """The zone, made where it is absent, at the backend and the servers that the pools have. Raises SaidNo."""
        known = await self.get(domain)
        if known is not None:
            return known
        backend, servers = await self._place()
        wish = pooldomain.Zone(kind=pooldomain.Zone.KIND_BYO, owner=owner, backend=backend, name_server_set=servers)
        once = str(uuid5(NAMESPACE_URL, f"{uid}/zone"))
        request = service.CreateZoneRequest(zone_id=domain, zone=wish, request_id=once)
        return await asked(self._zones.CreateZone(request), NamesUnavailable)

    async def cut(self, zone: pooldomain.Zone) -> Cut:
        """What the parent has to show: our servers, and the keys of the zone once it has some."""
        named = service.GetNameServerSetRequest(name=zone.name_server_set)
        servers = await asked(self._servers.GetNameServerSet(named), NamesUnavailable)
        keys = await asked(
            self._zones.GetDnssec(service.GetDnssecRequest(name=f"{zone.name}/dnssec")), NamesUnavailable
        )
        ds = (f"{d.key_tag} {d.algorithm} {d.digest_type} {d.digest}" for d in keys.ds)
        return Cut(tuple(servers.published), tuple(ds))

    async def is_delegated(self, domain: str) -> bool:
        """Whether every server of the parent shows what it should, as seen right now."""
        request = service.CheckPropagationRequest(name=f"zones/{domain}")
        delegated = False

        async def look() -> None:
            nonlocal delegated
            async for message in self._zones.CheckPropagation(request):
                if message.HasField("summary"):
                    delegated = message.summary.delegated

        await asked(look(), NamesUnavailable)
        return delegated

    async def flip(self, domain: str, cut: Cut, account: str) -> None:
        """Have the registrar's account change the parent by a plan, keys included; it goes on by itself."""
        name = f"zones/{domain}/delegation"
        target = pooldomain.DelegationRecords(ns=cut.ns, ds=map(_ds, cut.ds))
        wish = service.PlanDelegationRequest(name=name, target=target, registrar_account=account)
        plan = await asked(self._cuts.PlanDelegation(wish), NamesUnavailable)
        apply = service.ApplyDelegationRequest(name=name, plan=plan.name, hash=plan.hash)
        await asked(self._cuts.ApplyDelegation(apply), NamesUnavailable)

    async def delegation(self, domain: str) -> pooldomain.Delegation:
        """How far the change of the parent is."""
        request = service.GetDelegationRequest(name=f"zones/{domain}/delegation")
        return await asked(self._cuts.GetDelegation(request), NamesUnavailable)

    async def write(self, domain: str, sets: Sets) -> None:
        """Have the zone hold these sets, by a plan; sets that are so already change nothing."""
        changes = [
            pooldomain.RecordChange(
                action=pooldomain.RecordChange.ACTION_UPSERT,
                record_set=pooldomain.RecordSet(name=name, type=kind, ttl=RECORD_TTL, values=values),
            )
            for name, kind, values in sets
        ]
        await self._change(domain, changes)

    async def erase(self, domain: str, names: Sequence[tuple[str, str]]) -> None:
        """Take sets out of the zone."""
        changes = [
            pooldomain.RecordChange(
                action=pooldomain.RecordChange.ACTION_DELETE,
                record_set=pooldomain.RecordSet(name=name, type=kind),
            )
            for name, kind in names
        ]
        await self._change(domain, changes)

    async def delete(self, zone: pooldomain.Zone) -> None:
        """Take the zone out of service. Raises SaidNo ZONE_DELEGATED while a parent points to it."""
        request = service.DeleteZoneRequest(name=zone.name, etag=zone.etag)
        await asked(self._zones.DeleteZone(request), NamesUnavailable)

    async def _change(self, domain: str, changes: Sequence[pooldomain.RecordChange]) -> None:
        request = service.PlanZoneRequest(parent=f"zones/{domain}", changes=changes)
        plan = await asked(self._zones.PlanZone(request), NamesUnavailable)
        if plan.changes:
            apply = service.ApplyPlanRequest(name=plan.name, hash=plan.hash)
            await asked(self._zones.ApplyPlan(apply), NamesUnavailable)

    async def _place(self) -> tuple[str, str]:
        """Backend and servers of the first pool that says both, else of the first pool and the first set."""
        answer = await asked(self._pools.ListPools(service.ListPoolsRequest(page_size=500)), NamesUnavailable)
        backend = next((pool.backend for pool in answer.pools if pool.backend), "")
        servers = next((pool.name_server_set for pool in answer.pools if pool.name_server_set), "")
        if not servers:
            listed = service.ListNameServerSetsRequest(page_size=1)
            sets = (await asked(self._servers.ListNameServerSets(listed), NamesUnavailable)).name_server_sets
            servers = sets[0].name if sets else ""
        return backend, servers


def _ds(text: str) -> pooldomain.DsRecord:
    tag, algorithm, kind, digest = text.split()
    return pooldomain.DsRecord(key_tag=int(tag), algorithm=int(algorithm), digest_type=int(kind), digest=digest)
