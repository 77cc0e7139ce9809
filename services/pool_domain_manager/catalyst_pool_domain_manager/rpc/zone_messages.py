"""Zones and record sets, between the contract's messages and the domain's values."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import uuid4

from catalyst.pooldomain.v1 import resources_pb2
from catalyst_mesh import InvalidRequest, span, stamp
from catalyst_sdk import Violation
from catalyst_sdk.dns import RecordSet

from catalyst_pool_domain_manager.domain import record_sets
from catalyst_pool_domain_manager.domain.allocations import Allocation
from catalyst_pool_domain_manager.domain.allocations import State as NameState
from catalyst_pool_domain_manager.domain.backends import resource_of
from catalyst_pool_domain_manager.domain.hosting import ChangePolicy, DriftPolicy, Kind, Soa, State, Zone
from catalyst_pool_domain_manager.domain.pools import Pool
from catalyst_pool_domain_manager.domain.server_sets import ServerSet

from .backends import thresholds_of, to_thresholds
from .messages import etag, to_condition

CHANGEABLE = ("backend", "name_server_set", "soa", "dnssec", "drift_policy", "change_policy", "thresholds")
_TIMERS = ("refresh", "retry", "expire", "minimum")
_NAME_STATES = {
    NameState.PROVISIONING: resources_pb2.Zone.STATE_SYNCING,
    NameState.ACTIVE: resources_pb2.Zone.STATE_ACTIVE,
    NameState.DEGRADED: resources_pb2.Zone.STATE_DEGRADED,
    NameState.FAILED: resources_pb2.Zone.STATE_FAILED,
    NameState.RELEASING: resources_pb2.Zone.STATE_DELETING,
}


def to_zone(z: Zone, servers: ServerSet | None = None) -> resources_pb2.Zone:
    """A zone that is kept here."""
    soa = resources_pb2.Soa(
        mname=servers.published[0].rstrip(".") if servers else "", rname=z.soa.rname,
        **{name: span(getattr(z.soa, name)) for name in _TIMERS},
    )  # fmt: skip
    return resources_pb2.Zone(
        name=z.name, kind=resources_pb2.Zone.Kind.Value(f"KIND_{z.kind.name}"), owner=z.owner, backend=z.backend,
        name_server_set=z.name_server_set, soa=soa, serial_observed=z.serial, revision=z.written,
        dnssec=resources_pb2.DnssecPolicy(enabled=z.signed, algorithm=13 if z.signed else 0, publish_cds=z.signed),
        drift_policy=resources_pb2.Zone.DriftPolicy.Value(f"DRIFT_POLICY_{z.drift_policy.name}"),
        change_policy=resources_pb2.Zone.ChangePolicy.Value(f"CHANGE_POLICY_{z.change_policy.name}"),
        thresholds=to_thresholds(z.thresholds), state=resources_pb2.Zone.State.Value(f"STATE_{z.state.name}"),
        uid=z.uid, etag=etag(z.version), version=z.version, create_time=stamp(z.created_at),
        update_time=stamp(z.updated_at), generation=z.generation, observed_generation=z.observed_generation,
        conditions=[to_condition(c) for c in z.conditions],
    )  # fmt: skip


def to_child(a: Allocation, pool: Pool) -> resources_pb2.Zone:
    """The zone of a name."""
    return resources_pb2.Zone(
        name=f"zones/{a.fqdn}",
        kind=resources_pb2.Zone.KIND_CHILD,
        owner=a.owner,
        backend=resource_of(pool.backend),
        revision=a.observed_generation,
        dnssec=resources_pb2.DnssecPolicy(enabled=True, algorithm=13, publish_cds=True),
        state=_NAME_STATES.get(a.state, resources_pb2.Zone.STATE_UNSPECIFIED),
        uid=a.uid,
        etag=etag(a.version),
        version=a.zone_version,
        create_time=stamp(a.committed_at),
        update_time=stamp(a.updated_at),
        generation=a.generation,
        observed_generation=a.observed_generation,
        conditions=[to_condition(c) for c in a.conditions],
    )  # fmt: skip - fields in the contract's order


def to_pool_zone(p: Pool) -> resources_pb2.Zone:
    """The zone of a pool that was not made here; PDM changes it and never makes it."""
    return resources_pb2.Zone(
        name=f"zones/{p.domain}", kind=resources_pb2.Zone.KIND_POOL, owner=p.name, backend=resource_of(p.backend),
        state=resources_pb2.Zone.STATE_ACTIVE if p.ready else resources_pb2.Zone.STATE_PENDING, uid=p.uid,
        etag=etag(p.version), version=p.version, create_time=stamp(p.created_at), update_time=stamp(p.updated_at),
    )  # fmt: skip


def from_zone(domain: str, wish: resources_pb2.Zone, now: datetime) -> Zone:
    """A new zone. Raises InvalidRequest with everything that is wrong."""
    found = []
    if wish.kind not in (resources_pb2.Zone.KIND_POOL, resources_pb2.Zone.KIND_BYO):
        found.append(Violation("zone.kind", "callers make POOL and BYO zones", "kind"))
    for name in ("owner", "backend", "name_server_set"):
        if not getattr(wish, name):
            found.append(Violation(f"zone.{name}", f"say the {name.replace('_', ' ')}", "required"))
    found += _faults(domain, wish)
    if found:
        raise InvalidRequest(tuple(found))
    fields = changed(wish, ("soa", "dnssec", "drift_policy", "change_policy", "thresholds"))
    kind = Kind(resources_pb2.Zone.Kind.Name(wish.kind).removeprefix("KIND_").lower())
    return Zone(
        domain, str(uuid4()), kind, wish.owner, wish.backend, wish.name_server_set, State.PENDING, now, now,
        **fields,
    )  # fmt: skip


def changed(wish: resources_pb2.Zone, fields: Iterable[str]) -> dict[str, Any]:
    """What a zone's fields become. Raises InvalidRequest."""
    if found := _faults(wish.name.removeprefix("zones/"), wish):
        raise InvalidRequest(tuple(found))
    drift = resources_pb2.Zone.DriftPolicy.Name(
        wish.drift_policy or resources_pb2.Zone.DRIFT_POLICY_REPORT
    ).removeprefix("DRIFT_POLICY_")
    change = resources_pb2.Zone.ChangePolicy.Name(
        wish.change_policy or resources_pb2.Zone.CHANGE_POLICY_SYNC
    ).removeprefix("CHANGE_POLICY_")
    read: dict[str, tuple[str, Any]] = {
        "backend": ("backend", wish.backend),
        "name_server_set": ("name_server_set", wish.name_server_set),
        "soa": ("soa", _soa(wish.soa)),
        "dnssec": ("signed", wish.dnssec.enabled if wish.HasField("dnssec") else True),
        "drift_policy": ("drift_policy", DriftPolicy[drift]),
        "change_policy": ("change_policy", ChangePolicy[change]),
        "thresholds": ("thresholds", thresholds_of(wish)),
    }
    return dict(read[name] for name in fields)


def to_set(r: RecordSet, owner: str = "", *, foreign: bool = False) -> resources_pb2.RecordSet:
    """A record set; full names, with their final dot."""
    return resources_pb2.RecordSet(
        name=r.name, type=r.type, ttl=span(r.ttl), values=list(r.records), owner=owner, foreign=foreign
    )  # fmt: skip


def from_set(wish: resources_pb2.RecordSet, origin: str) -> RecordSet:
    """A record set as it is kept; what is wrong with it is found by the rules of record sets."""
    ttl = wish.ttl.seconds if wish.HasField("ttl") else None
    return record_sets.given(wish.name, wish.type, ttl, wish.values, origin)


def _soa(wish: resources_pb2.Soa) -> Soa:
    base = Soa()
    timers = {n: getattr(wish, n).seconds if wish.HasField(n) else getattr(base, n) for n in _TIMERS}  # type: ignore[arg-type]  # names of fields
    return Soa(rname=wish.rname.lower().rstrip("."), **timers)


def _faults(domain: str, wish: resources_pb2.Zone) -> list[Violation]:
    found = []
    for name in _TIMERS:
        if wish.soa.HasField(name) and not 1 <= getattr(wish.soa, name).seconds < 2**31:  # type: ignore[arg-type]  # as above
            found.append(Violation(f"zone.soa.{name}", "a timer is 1 to 2147483647 seconds", "ttl"))
    if wish.dnssec.algorithm not in (0, 13):
        found.append(Violation("zone.dnssec.algorithm", "zones are signed by algorithm 13", "algorithm"))
    if any(len(label) > 63 or label[:1] == "-" or label[-1:] == "-" for label in domain.split(".")):
        found.append(Violation("zone_id", f"{domain} is no domain", "domain"))
    return found
