"""What PDM tells."""

from collections.abc import Callable
from typing import Any

from catalyst.mesh.v1 import resources_pb2 as mesh_pb2
from catalyst.pooldomain.v1 import events_pb2, resources_pb2
from catalyst_mesh import Emitted, span, stamp
from catalyst_sdk.registrar import Target
from google.protobuf.message import Message

from .domain import allocations as a
from .domain import delegations, drifts, hosting, propagation, registrars
from .domain.allocations import Allocation, Fact
from .domain.conditions import Condition
from .domain.dnssec import KeyRolled
from .domain.pools import Pool, PoolChanged, PoolGone, PoolMade, PoolMoved
from .domain.registrars import registrar_name
from .domain.traffic import Policy, Probe
from .domain.zones import ZoneCreated, ZoneDeleted, ZoneSigned

_ROOT = "catalyst.v1.pooldomain"


def _about(x: Allocation) -> dict[str, Any]:
    return {"allocation": x.name, "version": x.version, "fqdn": x.fqdn, "owner": x.owner}


def _decisive(x: Allocation) -> mesh_pb2.Condition | None:
    """The condition that made it fail, whose message is the next step."""
    return next((_shown(c) for c in x.conditions if c.status == "False" and c.message == x.reason), None)


def _shown(c: Condition) -> mesh_pb2.Condition:
    status = {"True": mesh_pb2.Condition.STATUS_TRUE, "False": mesh_pb2.Condition.STATUS_FALSE}
    return mesh_pb2.Condition(
        type=c.type, status=status.get(c.status, mesh_pb2.Condition.STATUS_UNKNOWN), reason=c.reason, message=c.message,
        observed_generation=c.generation, since=stamp(c.since),
    )  # fmt: skip


def targets(x: Allocation) -> list[resources_pb2.Target]:
    """Targets as the contract shows them."""
    return [resources_pb2.Target(slot=slot, address=address) for slot, address in x.targets]


def policies(x: Allocation) -> list[resources_pb2.TrafficPolicy]:
    """Traffic policies as the contract shows them."""
    return [_policy(p) for p in x.traffic]


def _policy(p: Policy) -> resources_pb2.TrafficPolicy:
    members = [
        resources_pb2.TrafficMember(address=m.address, weight=m.weight, rank=m.rank, region=m.region) for m in p.members
    ]
    strategy = resources_pb2.TrafficPolicy.Strategy.Value(f"STRATEGY_{p.strategy.name}")
    return resources_pb2.TrafficPolicy(
        hostname=p.hostname, strategy=strategy, members=members, probe=_probe(p.probe) if p.probe else None,
        ttl=span(p.ttl) if p.ttl else None, epoch=p.epoch,
    )  # fmt: skip


def _probe(p: Probe) -> resources_pb2.TrafficProbe:
    made = resources_pb2.TrafficProbe(interval=span(p.interval), timeout=span(p.timeout), down_after=p.down_after)
    if p.port:
        made.tcp_port = p.port
    else:
        made.url = p.url
    return made


def reserved(f: Fact) -> events_pb2.AllocationReserved:
    x = f.allocation
    return events_pb2.AllocationReserved(
        **_about(x), holder=x.holder, created_by=x.created_by, expire_time=stamp(x.expires_at)
    )


def renewed(f: Fact) -> events_pb2.AllocationRenewed:
    x = f.allocation
    return events_pb2.AllocationRenewed(**_about(x), holder=x.holder, expire_time=stamp(x.expires_at))


def expired(f: Fact) -> events_pb2.AllocationExpired:
    x = f.allocation
    return events_pb2.AllocationExpired(**_about(x), holder=x.holder, expire_time=stamp(x.expires_at))


def committed(f: Fact) -> events_pb2.AllocationCommitted:
    x = f.allocation
    return events_pb2.AllocationCommitted(
        **_about(x), holder=x.holder, targets=targets(x), traffic=policies(x), generation=x.generation
    )


def retargeted(f: a.Retargeted) -> events_pb2.AllocationRetargeted:
    x = f.allocation
    return events_pb2.AllocationRetargeted(
        **_about(x), targets=targets(x), traffic=policies(x), generation=x.generation, epoch=f.epoch, actor=f.actor
    )


def activated(f: Fact) -> events_pb2.AllocationActivated:
    x = f.allocation
    return events_pb2.AllocationActivated(**_about(x), generation=x.generation, zone=f"zones/{x.fqdn}")


def failed(f: Fact) -> events_pb2.AllocationFailed:
    x = f.allocation
    return events_pb2.AllocationFailed(**_about(x), generation=x.generation, condition=_decisive(x))


def degraded(f: Fact) -> events_pb2.AllocationDegraded:
    x = f.allocation
    fallen = next((one for one in x.conditions if one.status != "True"), None)
    return events_pb2.AllocationDegraded(
        **_about(x), generation=x.generation, condition=_shown(fallen) if fallen else None
    )


def recovered(f: Fact) -> events_pb2.AllocationRecovered:
    return events_pb2.AllocationRecovered(**_about(f.allocation), generation=f.allocation.generation)


def transferred(f: a.Transferred) -> events_pb2.AllocationTransferred:
    x = f.allocation
    return events_pb2.AllocationTransferred(**_about(x), previous_owner=f.previous, reason=x.reason, actor=f.actor)


def withdrawn(f: a.Withdrawn) -> events_pb2.AllocationWithdrawn:
    x = f.allocation
    return events_pb2.AllocationWithdrawn(**_about(x), reason=x.reason, forced=f.forced, actor=f.actor)


def quarantined(f: Fact) -> events_pb2.AllocationQuarantined:
    x = f.allocation
    return events_pb2.AllocationQuarantined(**_about(x), available_time=stamp(x.available_at), extended=x.extended)


def freed(f: Fact) -> events_pb2.AllocationFreed:
    return events_pb2.AllocationFreed(**_about(f.allocation), reason=f.allocation.reason)


def zone_created(f: ZoneCreated) -> events_pb2.ZoneCreated:
    kind = resources_pb2.Zone.KIND_CHILD
    return events_pb2.ZoneCreated(
        zone=f"zones/{f.fqdn}", version=f.version, owner=f.owner, kind=kind, serial=f.serial, revision=f.revision
    )


def zone_signed(f: ZoneSigned) -> events_pb2.ZoneSigned:
    return events_pb2.ZoneSigned(
        zone=f"zones/{f.fqdn}", version=f.version, owner=f.owner, serial=f.serial, revision=f.revision
    )


def zone_deleted(f: ZoneDeleted) -> events_pb2.ZoneDeleted:
    return events_pb2.ZoneDeleted(zone=f"zones/{f.fqdn}", version=f.version, owner=f.owner)


def pool_made(f: PoolMade) -> events_pb2.PoolCreated:
    mode = resources_pb2.Pool.ZoneMode.Value(f"ZONE_MODE_{f.pool.zone_mode.name}")
    return events_pb2.PoolCreated(
        pool=f.pool.name, version=f.pool.version, kinds=_kinds(f.pool), zone_mode=mode, actor=f.actor
    )


def pool_moved(f: PoolMoved) -> events_pb2.PoolUpdated:
    return _updated(f.pool, ("conditions",), "")


def pool_changed(f: PoolChanged) -> events_pb2.PoolUpdated:
    return _updated(f.pool, f.fields, f.actor)


def pool_gone(f: PoolGone) -> events_pb2.PoolDeleted:
    return events_pb2.PoolDeleted(pool=f.pool.name, version=f.pool.version, actor=f.actor)


def _updated(p: Pool, fields: tuple[str, ...], actor: str) -> events_pb2.PoolUpdated:
    told = {"layout": "record_layout", "rules": "policy"}  # by their names in the contract
    return events_pb2.PoolUpdated(
        pool=p.name, version=p.version, kinds=_kinds(p), changed_fields=[told.get(f, f) for f in fields],
        generation=p.generation, actor=actor,
    )  # fmt: skip


def _kinds(p: Pool) -> list["resources_pb2.Pool.Kind.ValueType"]:
    return [resources_pb2.Pool.Kind.Value(kind) for kind in p.kinds]


def _kept(z: hosting.Zone) -> dict[str, Any]:
    return {"zone": z.name, "version": z.version, "owner": z.owner}


def kept_made(f: hosting.Made) -> events_pb2.ZoneCreated:
    z = f.zone
    kind = resources_pb2.Zone.Kind.Value(f"KIND_{z.kind.name}")
    return events_pb2.ZoneCreated(
        **_kept(z), kind=kind, backend=z.backend, serial=z.serial, revision=z.revision
    )  # fmt: skip


def kept_changed(f: hosting.Written) -> events_pb2.ZoneChanged:
    z = f.zone
    return events_pb2.ZoneChanged(
        **_kept(z), serial=z.serial, revision=z.written, plan=f.plan, created=f.created, updated=f.updated,
        deleted=f.deleted,
    )  # fmt: skip


def kept_signed(f: hosting.Signed) -> events_pb2.ZoneSigned:
    z = f.zone
    return events_pb2.ZoneSigned(**_kept(z), serial=z.serial, revision=z.written, ds=[ds_record(d) for d in f.ds])


def kept_removed(f: hosting.Removed) -> events_pb2.ZoneDeleted:
    return events_pb2.ZoneDeleted(**_kept(f.zone), backend=f.zone.backend)


def kept_imported(f: hosting.Imported) -> events_pb2.ZoneImported:
    found = f.found
    completeness = resources_pb2.ZoneImport.Completeness.Value(f"COMPLETENESS_{found.completeness.name}")
    return events_pb2.ZoneImported(
        **{**_kept(f.zone), "import": found.name}, completeness=completeness, record_sets=len(found.record_sets)
    )


def _drift(d: drifts.Drift, version: int) -> dict[str, Any]:
    kind = resources_pb2.Drift.Kind.Value(f"KIND_{d.sight.kind.name}")
    return {"zone": f"zones/{d.zone}", "version": version, "owner": d.owner, "drift": d.name, "kind": kind}


def drifted(f: drifts.Drifted) -> events_pb2.ZoneDrifted:
    s = f.drift.sight
    key = resources_pb2.RecordKey(name=s.name, type=s.type) if s.name else None
    return events_pb2.ZoneDrifted(**_drift(f.drift, f.version), server=s.server, record_set=key)


def repaired(f: drifts.Repaired) -> events_pb2.ZoneRepaired:
    return events_pb2.ZoneRepaired(
        **_drift(f.drift, f.version), plan=f.drift.plan, serial=f.serial, revision=f.revision
    )  # fmt: skip


def key_rolled(f: KeyRolled) -> events_pb2.ZoneKeyRolled:
    return events_pb2.ZoneKeyRolled(
        zone=f"zones/{f.zone}", version=f.version, owner=f.owner, old_key_tag=f.old, new_key_tag=f.new,
        ds=[ds_record(text) for text in f.ds],
    )  # fmt: skip


def ds_record(text: str) -> resources_pb2.DsRecord:
    """A DS as the contract shows it, from its presentation form."""
    tag, algorithm, digest_type, digest = text.split(maxsplit=3)
    return resources_pb2.DsRecord(
        key_tag=int(tag), algorithm=int(algorithm), digest_type=int(digest_type), digest=digest.replace(" ", "").lower()
    )


def _of_account(x: registrars.Account) -> dict[str, Any]:
    return {
        "registrar_account": x.name, "version": x.version, "registrar": registrar_name(x.registrar), "owner": x.owner,
    }  # fmt: skip


def account_created(f: registrars.AccountMade) -> events_pb2.RegistrarAccountCreated:
    return events_pb2.RegistrarAccountCreated(**_of_account(f.account), actor=f.actor)


def account_validated(f: registrars.AccountValidated) -> events_pb2.RegistrarAccountValidated:
    return events_pb2.RegistrarAccountValidated(
        **_of_account(f.account),
        domain=f.domain,
        can_write_ns=f.access.can_write_ns,
        can_write_ds=f.access.can_write_ds,
    )  # fmt: skip - one message


def account_rejected(f: registrars.AccountRejected) -> events_pb2.RegistrarAccountRejected:
    return events_pb2.RegistrarAccountRejected(
        **_of_account(f.account),
        domain=f.domain,
        reason=registrars.reason_of(f.obstacle.reason),
        provider_code=f.obstacle.provider_code,
    )  # fmt: skip - one message


def account_deleted(f: registrars.AccountDeleted) -> events_pb2.RegistrarAccountDeleted:
    return events_pb2.RegistrarAccountDeleted(**_of_account(f.account), actor=f.actor)


def _cut(d: delegations.Delegation) -> dict[str, Any]:
    parent = resources_pb2.Delegation.Parent.Value(f"PARENT_{d.parent.name}")
    return {"delegation": d.name, "version": d.version, "owner": d.owner, "parent": parent}


def _plan_of(d: delegations.Delegation) -> str:
    return f"zones/{d.zone}/plans/{d.plan}"


def move_planned(f: delegations.Planned) -> events_pb2.DelegationPlanned:
    d = f.delegation
    return events_pb2.DelegationPlanned(**_cut(d), plan=_plan_of(d), expire_time=stamp(d.plan_until))


def move_applied(f: delegations.Applied) -> events_pb2.DelegationApplied:
    d = f.delegation
    return events_pb2.DelegationApplied(
        **_cut(d), plan=_plan_of(d), records=_at_parent(d), rollback_until_time=stamp(d.rollback_until)
    )


def move_confirmed(f: delegations.Confirmed) -> events_pb2.DelegationConfirmed:
    return events_pb2.DelegationConfirmed(**_cut(f.delegation), records=_at_parent(f.delegation))


def moved_back(f: delegations.RolledBack) -> events_pb2.DelegationRolledBack:
    d = f.delegation
    return events_pb2.DelegationRolledBack(
        **_cut(d), records=_at_parent(d), reason=d.reason, automatic=d.automatic
    )  # fmt: skip


def to_records(t: Target | None) -> resources_pb2.DelegationRecords | None:
    """What a parent says; host names without their final dot."""
    if t is None:
        return None
    return resources_pb2.DelegationRecords(
        ns=[host.rstrip(".") for host in t.ns],
        ds=[
            resources_pb2.DsRecord(
                key_tag=one.key_tag, algorithm=one.algorithm, digest_type=one.digest_type, digest=one.digest
            )
            for one in t.ds
        ],
        glue=[resources_pb2.Glue(host=one.host.rstrip("."), addresses=one.addresses) for one in t.glue],
    )


def _at_parent(d: delegations.Delegation) -> resources_pb2.DelegationRecords | None:
    """What the parent's servers showed."""
    return to_records(next((one.records for one in d.observed if one.records), d.wished))


def progressed(f: propagation.Progressed) -> events_pb2.PropagationProgressed:
    return events_pb2.PropagationProgressed(
        zone=f"zones/{f.zone}", version=f.version, owner=f.owner, summary=to_summary(f.summary), serial=f.serial,
        revision=f.revision,
    )  # fmt: skip


def to_summary(found: propagation.Summary) -> resources_pb2.PropagationSummary:
    """What a check found, as the contract shows it."""
    return resources_pb2.PropagationSummary(
        delegated=found.delegated, consistent=found.consistent, consensus_serial=found.consensus_serial,
        ttl_horizon_time=stamp(found.horizon), asked=found.asked, ok=found.ok,
    )  # fmt: skip


NAMES: dict[type, str] = {
    a.Reserved: "reserved",
    a.Renewed: "renewed",
    a.Expired: "expired",
    a.Committed: "committed",
    a.Retargeted: "retargeted",
    a.Activated: "activated",
    a.Degraded: "degraded",
    a.Recovered: "recovered",
    a.Transferred: "transferred",
    a.Failed: "failed",
    a.Withdrawn: "withdrawn",
    a.Quarantined: "quarantined",
    a.Freed: "freed",
}
SUBJECTS = {fact: f"{_ROOT}.allocation.{name}" for fact, name in NAMES.items()}
"""Subject by the fact's class; a name's history keeps it."""
_MADE: tuple[Callable[[Any], Message], ...] = (
    reserved,
    renewed,
    expired,
    committed,
    retargeted,
    activated,
    degraded,
    recovered,
    transferred,
    failed,
    withdrawn,
    quarantined,
    freed,
)  # fmt: skip - one a name

EMITTED = (
    *(
        Emitted(f"{_ROOT}.allocation.{name}", fact, to_message)
        for (fact, name), to_message in zip(NAMES.items(), _MADE, strict=True)
    ),
    Emitted(f"{_ROOT}.zone.created", ZoneCreated, zone_created),
    Emitted(f"{_ROOT}.zone.signed", ZoneSigned, zone_signed),
    Emitted(f"{_ROOT}.zone.deleted", ZoneDeleted, zone_deleted),
    Emitted(f"{_ROOT}.zone.created", hosting.Made, kept_made),
    Emitted(f"{_ROOT}.zone.changed", hosting.Written, kept_changed),
    Emitted(f"{_ROOT}.zone.signed", hosting.Signed, kept_signed),
    Emitted(f"{_ROOT}.zone.key_rolled", KeyRolled, key_rolled),
    Emitted(f"{_ROOT}.zone.deleted", hosting.Removed, kept_removed),
    Emitted(f"{_ROOT}.zone.imported", hosting.Imported, kept_imported),
    Emitted(f"{_ROOT}.zone.drifted", drifts.Drifted, drifted),
    Emitted(f"{_ROOT}.zone.repaired", drifts.Repaired, repaired),
    Emitted(f"{_ROOT}.delegation.planned", delegations.Planned, move_planned),
    Emitted(f"{_ROOT}.delegation.applied", delegations.Applied, move_applied),
    Emitted(f"{_ROOT}.delegation.confirmed", delegations.Confirmed, move_confirmed),
    Emitted(f"{_ROOT}.delegation.rolled_back", delegations.RolledBack, moved_back),
    Emitted(f"{_ROOT}.propagation.progressed", propagation.Progressed, progressed),
    Emitted(f"{_ROOT}.pool.created", PoolMade, pool_made),
    Emitted(f"{_ROOT}.pool.updated", PoolMoved, pool_moved),
    Emitted(f"{_ROOT}.pool.updated", PoolChanged, pool_changed),
    Emitted(f"{_ROOT}.pool.deleted", PoolGone, pool_gone),
    Emitted(f"{_ROOT}.registrar_account.created", registrars.AccountMade, account_created),
    Emitted(f"{_ROOT}.registrar_account.validated", registrars.AccountValidated, account_validated),
    Emitted(f"{_ROOT}.registrar_account.rejected", registrars.AccountRejected, account_rejected),
    Emitted(f"{_ROOT}.registrar_account.deleted", registrars.AccountDeleted, account_deleted),
)
