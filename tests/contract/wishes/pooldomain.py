"""What the pool-domain manager is asked to write."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from catalyst.pooldomain.v1 import service_pb2 as pdm
from catalyst_pool_domain_manager.domain import delegations
from catalyst_pool_domain_manager.domain.delegations import Snapshot
from catalyst_pool_domain_manager.domain.drifts import Drift, Kind, Sight, State
from catalyst_pool_domain_manager.domain.imports import Completeness, ZoneImport
from catalyst_pool_domain_manager.domain.record_sets import Wish as Wished
from catalyst_sdk.dns import RecordSet
from catalyst_sdk.registrar import Target

from ..mesh import Mesh
from .wish import Wish

_PDM = "catalyst.pooldomain.v1"


POOL = "pools/omani.works"


async def reserved(m: Mesh, owner: str = "organizations/acme") -> Any:
    return await m.call(f"{_PDM}.AllocationService/ReserveAllocation", await a_reservation(m, owner))


async def a_reservation(m: Mesh, owner: str = "organizations/acme") -> Any:
    return pdm.ReserveAllocationRequest(parent=POOL, label=m.fresh(), owner=owner)


async def renewal(m: Mesh) -> Any:
    held = await reserved(m)
    return pdm.RenewAllocationRequest(name=held.allocation.name, reservation_token=held.reservation_token)


async def commit(m: Mesh, owner: str = "organizations/acme") -> Any:
    held = await reserved(m, owner)
    wish = pdm.CommitAllocationRequest(name=held.allocation.name, reservation_token=held.reservation_token)
    wish.targets.add(slot="default", address="127.7.0.1")
    return wish


async def committed(m: Mesh, owner: str = "organizations/acme") -> Any:
    return await m.call(f"{_PDM}.AllocationService/CommitAllocation", await commit(m, owner))


async def retarget(m: Mesh) -> Any:
    held = await committed(m)
    wish = pdm.UpdateAllocationRequest(update_mask={"paths": ["targets"]}, etag=held.etag)
    wish.allocation.name = held.name
    wish.allocation.targets.add(slot="default", address="127.7.0.2")
    return wish


async def steered(m: Mesh) -> Any:
    """What continuum may do too: its addresses stay."""
    held = await committed(m)
    wish = pdm.UpdateAllocationRequest(update_mask={"paths": ["traffic"]}, etag=held.etag)
    wish.allocation.name = held.name
    return wish


async def hurry(m: Mesh) -> Any:
    held = await committed(m)
    return pdm.ReconcileAllocationRequest(name=held.name, etag=held.etag)


async def release(m: Mesh) -> Any:
    held = await committed(m)
    return pdm.ReleaseAllocationRequest(name=held.name, reason="not needed", etag=held.etag)


async def a_pool(m: Mesh) -> Any:
    return pool(f"{m.fresh()}.example")


def pool(domain: str) -> Any:
    wish = pdm.CreatePoolRequest(pool_id=domain)
    wish.pool.zone, wish.pool.allow_private_targets = f"zones/{domain}", True
    wish.pool.policy.max_reservations_per_owner, wish.pool.policy.max_names_per_owner = 1000, 1000
    wish.pool.policy.reservations_per_minute = 10_000
    wish.pool.kinds.append(1)
    return wish


async def force_release(m: Mesh) -> Any:
    """Of a name that is going already, which takes neither 720 hours nor a look at the world."""
    held = await m.call(f"{_PDM}.AllocationService/ReleaseAllocation", await release(m))
    return pdm.ForceReleaseAllocationRequest(
        name=held.name, reason="abandoned", confirm_fqdn=held.fqdn, grace_confirmed=True
    )


async def offer(m: Mesh, giver: str = "organizations/acme", taker: str = "organizations/taker") -> Any:
    held = await committed(m, giver)
    return pdm.TransferAllocationRequest(name=held.name, new_owner=taker, reason="sold", etag=held.etag)


async def acceptance(m: Mesh, giver: str = "organizations/acme", taker: str = "organizations/taker") -> Any:
    wish = await offer(m, giver, taker)
    made = await m.call(f"{_PDM}.AllocationService/TransferAllocation", wish)
    return pdm.AcceptAllocationTransferRequest(name=wish.name, code=made.code)


async def changed_pool(m: Mesh) -> Any:
    made = await m.call(f"{_PDM}.PoolService/CreatePool", await a_pool(m))
    wish = pdm.UpdatePoolRequest(update_mask={"paths": ["quarantine"]}, etag=made.etag)
    wish.pool.name = made.name
    wish.pool.quarantine.FromSeconds(7200)
    return wish


async def removed_pool(m: Mesh) -> Any:
    made = await m.call(f"{_PDM}.PoolService/CreatePool", await a_pool(m))
    return pdm.DeletePoolRequest(name=made.name, etag=made.etag)


async def a_server_set(m: Mesh) -> Any:
    wish = pdm.CreateNameServerSetRequest(name_server_set_id=m.fresh())
    wish.name_server_set.published.extend(["ns1.dns.example", "ns2.dns.example"])
    for host in wish.name_server_set.published:
        wish.name_server_set.polled.add(host=host, addresses=["127.0.0.1"], port=9)
    return wish


async def server_set(m: Mesh) -> Any:
    return await m.call(f"{_PDM}.NameServerSetService/CreateNameServerSet", await a_server_set(m))


async def moved_servers(m: Mesh) -> Any:
    held = await server_set(m)
    wish = pdm.UpdateNameServerSetRequest(etag=held.etag, update_mask={"paths": ["also_notify"]})
    wish.name_server_set.name = held.name
    wish.name_server_set.also_notify.add(host="ns3.dns.example")
    return wish


async def gone_servers(m: Mesh) -> Any:
    held = await server_set(m)
    return pdm.DeleteNameServerSetRequest(name=held.name, etag=held.etag)


async def a_backend(m: Mesh) -> Any:
    wish = pdm.CreateBackendRequest(backend_id=m.fresh())
    wish.backend.plugin, wish.backend.secret_ref = "powerdns", "powerdns"
    wish.backend.config.update({"url": "http://127.0.0.1:9/api/v1/servers/localhost"})
    return wish


async def backend(m: Mesh) -> Any:
    return await m.call(f"{_PDM}.BackendService/CreateBackend", await a_backend(m))


async def moved_backend(m: Mesh) -> Any:
    held = await backend(m)
    wish = pdm.UpdateBackendRequest(etag=held.etag, update_mask={"paths": ["secret_ref"]})
    wish.backend.name, wish.backend.secret_ref = held.name, "another"
    return wish


async def gone_backend(m: Mesh) -> Any:
    held = await backend(m)
    return pdm.DeleteBackendRequest(name=held.name, etag=held.etag)


async def probe(m: Mesh) -> Any:
    held = await backend(m)
    return pdm.ProbeBackendRequest(name=held.name, etag=held.etag)


async def an_account(m: Mesh) -> Any:
    wish = pdm.CreateRegistrarAccountRequest(registrar_account_id=m.fresh())
    wish.registrar_account.registrar, wish.registrar_account.owner = "registrars/godaddy", "organizations/acme"
    wish.registrar_account.credential.update({"key": "0123456789", "secret": "0123456789"})
    return wish


async def registrar_account(m: Mesh) -> Any:
    return await m.call(f"{_PDM}.RegistrarService/CreateRegistrarAccount", await an_account(m))


async def moved_account(m: Mesh) -> Any:
    held = await registrar_account(m)
    wish = pdm.UpdateRegistrarAccountRequest(etag=held.etag, update_mask={"paths": ["credential"]})
    wish.registrar_account.name = held.name
    wish.registrar_account.credential.update({"key": "9876543210", "secret": "9876543210"})
    return wish


async def gone_account(m: Mesh) -> Any:
    held = await registrar_account(m)
    return pdm.DeleteRegistrarAccountRequest(name=held.name, etag=held.etag)


async def a_zone(m: Mesh) -> Any:
    wish = pdm.CreateZoneRequest(zone_id=f"{m.fresh()}.example")
    wish.zone.kind, wish.zone.owner, wish.zone.backend = 3, "organizations/acme", "backends/embedded"
    wish.zone.name_server_set = (await server_set(m)).name
    return wish


async def zone(m: Mesh) -> Any:
    return await m.call(f"{_PDM}.ZoneService/CreateZone", await a_zone(m))


async def moved_zone(m: Mesh) -> Any:
    held = await zone(m)
    wish = pdm.UpdateZoneRequest(etag=held.etag, update_mask={"paths": ["drift_policy"]})
    wish.zone.name, wish.zone.drift_policy = held.name, 2
    return wish


async def unsigned_zone(m: Mesh) -> Any:
    held = await zone(m)
    return pdm.DisableDnssecRequest(name=f"{held.name}/dnssec", reason="a test", etag=held.etag)


async def gone_zone(m: Mesh) -> Any:
    held = await zone(m)
    return pdm.DeleteZoneRequest(name=held.name, etag=held.etag)


async def a_zone_plan(m: Mesh) -> Any:
    wish = pdm.PlanZoneRequest(parent=(await zone(m)).name)
    change = wish.changes.add(action=1)
    change.record_set.name, change.record_set.type = "www", "A"
    change.record_set.values.append("192.0.2.1")
    return wish


async def zone_plan(m: Mesh) -> Any:
    return await m.call(f"{_PDM}.ZoneService/PlanZone", await a_zone_plan(m))


async def zone_application(m: Mesh) -> Any:
    plan = await zone_plan(m)
    return pdm.ApplyPlanRequest(name=plan.name, hash=plan.hash)


async def zone_reversal(m: Mesh) -> Any:
    """Of a plan that was carried out; the keeper would do it, and stands still."""
    plan = await zone_plan(m)
    _, domain, _, id = plan.name.split("/")

    async def step(tx: Any) -> None:
        held = await tx.plan(domain, id)
        await tx.save_plan(replace(held, state=held.state.APPLIED, version=held.version + 1))
        one = held.changes[0].after
        await tx.wish_sets(domain, [Wished(one.name, one.type, 1, one.records, "organizations/acme", 1)])

    await m.daemons["pooldomain"].daemon.work.again(step)
    return pdm.RevertPlanRequest(name=plan.name)


async def an_import(m: Mesh) -> Any:
    text = "@ 300 IN SOA ns1.x.example. root.x.example. 1 1 1 1 1\nwww 300 IN A 192.0.2.1\n"
    return pdm.ImportZoneRequest(parent=(await zone(m)).name, zone_file=text)


async def full_zone(m: Mesh) -> str:
    """A zone with several of everything."""
    made = (await drift(m)).partition("/drifts/")[0]
    for _ in range(3):
        wish = pdm.PlanZoneRequest(parent=made)
        change = wish.changes.add(action=1)
        change.record_set.name, change.record_set.type = "x", "A"
        change.record_set.values.append("192.0.2.1")
        await m.call(f"{_PDM}.ZoneService/PlanZone", wish)
    for id in ("two", "three", "four"):
        await kept_import(m, made.partition("/")[2], id)
    for label in ("a", "b", "c"):
        await drift(m, made.partition("/")[2], label)
    return made


async def kept_import(m: Mesh, domain: str = "", id: str = "one") -> str:
    """What an import found; the run would find it, and stands still."""
    domain = domain or (await zone(m)).name.partition("/")[2]

    async def step(tx: Any) -> None:
        found = ZoneImport(domain, id, "probe", Completeness.PARTIAL, (), False, "tester", tx.now)
        await tx.keep_import(found)

    await m.daemons["pooldomain"].daemon.work.again(step)
    return f"zones/{domain}/imports/{id}"


async def drift(m: Mesh, domain: str = "", label: str = "www") -> str:
    """A difference; the sweep would see it, and stands still."""
    domain = domain or (await zone(m)).name.partition("/")[2]
    wished = RecordSet(f"{label}.{domain}.", "A", 300, ("192.0.2.1",))

    async def step(tx: Any) -> str:
        await tx.wish_sets(domain, [Wished(wished.name, "A", 300, wished.records, "organizations/acme", 1)])
        sight = Sight(Kind.MISSING, name=wished.name, type="A", wished=wished)
        return str((await tx.open_drift(Drift(0, domain, "organizations/acme", sight, State.OPEN, tx.now))).name)

    return str(await m.daemons["pooldomain"].daemon.work.again(step))


async def repair(m: Mesh) -> Any:
    return pdm.RepairDriftRequest(name=await drift(m))


async def accepted_drift(m: Mesh) -> Any:
    return pdm.AcceptDriftRequest(name=await drift(m))


async def a_delegation_plan(m: Mesh) -> Any:
    held = await zone(m)
    wish = pdm.PlanDelegationRequest(name=f"{held.name}/delegation")
    servers: Any = await m.call(
        f"{_PDM}.NameServerSetService/GetNameServerSet", pdm.GetNameServerSetRequest(name=held.name_server_set)
    )
    wish.target.ns.extend(servers.published)
    for host in servers.published:
        wish.target.glue.add(host=host, addresses=["127.0.0.1"])
    return wish


async def delegation_application(m: Mesh) -> Any:
    wish = await a_delegation_plan(m)
    plan: Any = await m.call(f"{_PDM}.DelegationService/PlanDelegation", wish)
    return pdm.ApplyDelegationRequest(
        name=wish.name, plan=plan.name, hash=plan.hash, etag=await _cut_etag(m, wish.name)
    )


async def delegation_rollback(m: Mesh) -> Any:
    name = await moved_delegation(m)
    return pdm.RollbackDelegationRequest(name=name, reason="a test", etag=await _cut_etag(m, name))


async def closed_window(m: Mesh) -> Any:
    name = await moved_delegation(m)
    return pdm.CloseRollbackWindowRequest(name=name, etag=await _cut_etag(m, name))


async def moved_delegation(m: Mesh) -> str:
    """One that was flipped; the run would do it, and stands still."""
    held = await zone(m)
    domain = held.name.partition("/")[2]

    async def step(tx: Any) -> str:
        d = delegations.none_yet(domain, held.uid, held.owner, tx.now)
        before = Snapshot("p", Target(("ns1.old.test.", "ns2.old.test.")), "etag", tx.now)
        until = tx.now + delegations.WINDOW
        d = replace(d, state=delegations.State.DELEGATED, snapshot=before, rollback_until=until, version=1)
        await tx.save_delegation(d)
        return d.name

    return str(await m.daemons["pooldomain"].daemon.work.again(step))


async def _cut_etag(m: Mesh, name: str) -> str:
    seen: Any = await m.call(f"{_PDM}.DelegationService/GetDelegation", pdm.GetDelegationRequest(name=name))
    return str(seen.etag)


async def challenge(m: Mesh) -> Any:
    domain = (await zone(m)).name.partition("/")[2]
    return pdm.PresentChallengeRequest(fqdn=f"_acme-challenge.{domain}", value="proof")


async def clean_up(m: Mesh) -> Any:
    wish = await challenge(m)
    return pdm.CleanUpChallengeRequest(fqdn=wish.fqdn, value=wish.value)


WRITES: Mapping[str, Wish] = {
    f"{_PDM}.PoolService/CreatePool": a_pool,
    f"{_PDM}.PoolService/UpdatePool": changed_pool,
    f"{_PDM}.PoolService/DeletePool": removed_pool,
    f"{_PDM}.AllocationService/ReserveAllocation": a_reservation,
    f"{_PDM}.AllocationService/RenewAllocation": renewal,
    f"{_PDM}.AllocationService/CommitAllocation": commit,
    f"{_PDM}.AllocationService/UpdateAllocation": retarget,
    f"{_PDM}.AllocationService/ReconcileAllocation": hurry,
    f"{_PDM}.AllocationService/ReleaseAllocation": release,
    f"{_PDM}.BackendService/CreateBackend": a_backend,
    f"{_PDM}.BackendService/UpdateBackend": moved_backend,
    f"{_PDM}.BackendService/DeleteBackend": gone_backend,
    f"{_PDM}.BackendService/ProbeBackend": probe,
    f"{_PDM}.NameServerSetService/CreateNameServerSet": a_server_set,
    f"{_PDM}.NameServerSetService/UpdateNameServerSet": moved_servers,
    f"{_PDM}.NameServerSetService/DeleteNameServerSet": gone_servers,
    f"{_PDM}.RegistrarService/CreateRegistrarAccount": an_account,
    f"{_PDM}.RegistrarService/UpdateRegistrarAccount": moved_account,
    f"{_PDM}.RegistrarService/DeleteRegistrarAccount": gone_account,
    f"{_PDM}.ZoneService/CreateZone": a_zone,
    f"{_PDM}.ZoneService/UpdateZone": moved_zone,
    f"{_PDM}.ZoneService/DeleteZone": gone_zone,
    f"{_PDM}.AllocationService/ForceReleaseAllocation": force_release,
    f"{_PDM}.AllocationService/TransferAllocation": offer,
    f"{_PDM}.AllocationService/AcceptAllocationTransfer": acceptance,
    f"{_PDM}.ZoneService/PlanZone": a_zone_plan,
    f"{_PDM}.ZoneService/ApplyPlan": zone_application,
    f"{_PDM}.ZoneService/RevertPlan": zone_reversal,
    f"{_PDM}.ZoneService/ImportZone": an_import,
    f"{_PDM}.ZoneService/RepairDrift": repair,
    f"{_PDM}.ZoneService/AcceptDrift": accepted_drift,
    f"{_PDM}.DelegationService/PlanDelegation": a_delegation_plan,
    f"{_PDM}.DelegationService/ApplyDelegation": delegation_application,
    f"{_PDM}.DelegationService/RollbackDelegation": delegation_rollback,
    f"{_PDM}.DelegationService/CloseRollbackWindow": closed_window,
    f"{_PDM}.ZoneService/DisableDnssec": unsigned_zone,
    f"{_PDM}.ZoneService/PresentChallenge": challenge,
    f"{_PDM}.ZoneService/CleanUpChallenge": clean_up,
}
"""Good requests by method."""

STEPS_OF_RUNS = {
    f"{_PDM}.ZoneService/RollKey": "asks the zone's DNS server for the key that there is",
}
"""Writers without a request here, with the reason; the daemon's own tests ask them."""
