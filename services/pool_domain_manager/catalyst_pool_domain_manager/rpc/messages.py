"""Between the contract's messages and the domain's values."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from catalyst.mesh.v1 import resources_pb2 as mesh_pb2
from catalyst.pooldomain.v1 import resources_pb2
from catalyst_mesh import span, stamp

from catalyst_pool_domain_manager.domain.allocations import Allocation, State
from catalyst_pool_domain_manager.domain.conditions import Condition
from catalyst_pool_domain_manager.domain.labels import BASE_PATTERNS, BASE_RESERVED, Policy
from catalyst_pool_domain_manager.domain.pools import Pool, Ttls
from catalyst_pool_domain_manager.events import targets

BACKENDS = {"backends/embedded": "dns_embedded", "backends/powerdns": "dns_powerdns", "backends/rfc2136": "dns_rfc2136"}
"""Plugin by resource name; backends become resources of their own later."""
DEFAULT_LAYOUT = ("@", "console", "api", "gitea", "harbor")
_STATUS = {
    "True": mesh_pb2.Condition.STATUS_TRUE,
    "False": mesh_pb2.Condition.STATUS_FALSE,
    "Unknown": mesh_pb2.Condition.STATUS_UNKNOWN,
}


def etag(version: int) -> str:
    """With its quotes (AIP-154)."""
    return f'"{version}"'


def to_allocation(a: Allocation) -> resources_pb2.Allocation:
    """An allocation; never its token."""
    return resources_pb2.Allocation(
        name=a.name,
        fqdn=a.fqdn,
        owner=a.owner,
        holder=a.holder,
        created_by=a.created_by,
        # A reservation is gone in the moment of its release; the contract has no state for what is not there.
        state=_state(State.RELEASING if a.state is State.FREE else a.state),
        targets=targets(a),
        zone=f"zones/{a.fqdn}" if a.zone_told else "",
        reserve_time=stamp(a.reserved_at),
        expire_time=stamp(a.expires_at if a.state == "reserved" else None),
        commit_time=stamp(a.committed_at),
        release_time=stamp(a.released_at),
        available_time=stamp(a.available_at),
        uid=a.uid,
        etag=etag(a.version),
        version=a.version,
        create_time=stamp(a.created_at),
        update_time=stamp(a.updated_at),
        generation=a.generation,
        observed_generation=a.observed_generation,
        conditions=[to_condition(c) for c in a.conditions],
    )  # fmt: skip - fields in the contract's order


def to_entry(row: Any) -> resources_pb2.AllocationHistoryEntry:
    """One line of a name's history; a name that became free has no state."""
    return resources_pb2.AllocationHistoryEntry(
        version=row["version"], uid=row["uid"], event=row["event"], owner=row["owner"], actor=row["actor"],
        reason=row["reason"], request_id=row["request_id"], change_time=stamp(row["at"]),
        state=_state(State(row["state"])),
    )  # fmt: skip


def to_condition(c: Condition) -> mesh_pb2.Condition:
    """A condition."""
    return mesh_pb2.Condition(
        type=c.type, status=_STATUS[c.status], reason=c.reason, message=c.message, observed_generation=c.generation,
        since=stamp(c.since),
    )  # fmt: skip


def to_pool(p: Pool) -> resources_pb2.Pool:
    """A pool, with the policy that is in force."""
    state = resources_pb2.Pool.STATE_ACTIVE if p.ready else resources_pb2.Pool.STATE_PENDING
    ready = Condition("ZoneReady", "True" if p.ready else "False", "Observed" if p.ready else "ZoneAbsent", p.message)
    return resources_pb2.Pool(
        name=p.name, kinds=[resources_pb2.Pool.Kind.Value(k) for k in p.kinds], zone=f"zones/{p.domain}",
        effective_policy=to_policy(p.policy), zone_mode=resources_pb2.Pool.ZONE_MODE_DELEGATED,
        record_layout=[resources_pb2.RecordLayoutEntry(name=name, slot=slot) for name, slot in p.layout],
        ttls=resources_pb2.PoolTtls(
            ns=span(p.ttls.ns), ds=span(p.ttls.ds), record=span(p.ttls.record), negative=span(p.ttls.negative)
        ),
        backend=backend_name(p),
        reservation_ttl=span(p.reservation_ttl), quarantine=span(p.quarantine),
        allow_private_targets=p.allow_private_targets, state=state, uid=p.uid, etag=etag(p.version), version=p.version,
        create_time=stamp(p.created_at), update_time=stamp(p.updated_at), conditions=[to_condition(ready)],
    )  # fmt: skip


def backend_name(p: Pool) -> str:
    """Resource name of the pool's backend."""
    return next(name for name, plugin in BACKENDS.items() if plugin == p.backend)


def to_policy(p: Policy) -> resources_pb2.PoolPolicy:
    """A policy."""
    return resources_pb2.PoolPolicy(
        version=1, min_label_length=p.shortest, max_label_length=p.longest, allow_leading_digit=p.leading_digit,
        allow_idn=False, reserved_labels=sorted(p.reserved), reserved_patterns=p.patterns,
        max_reservations_per_owner=p.most_reservations, max_names_per_owner=p.most_names,
    )  # fmt: skip


def from_pool(domain: str, wish: resources_pb2.Pool, plugin: str, now: datetime, defaults: tuple[float, float]) -> Pool:
    """A new pool; what the wish leaves open is the default. `defaults`: reservation and quarantine in seconds."""
    organization = list(wish.kinds) == [resources_pb2.Pool.KIND_ORGANIZATION]
    layout = tuple((e.name, e.slot or _slot(e.name)) for e in wish.record_layout)
    return Pool(
        domain=domain, kinds=tuple(resources_pb2.Pool.Kind.Name(k) for k in wish.kinds), backend=plugin,
        layout=layout or tuple((name, _slot(name)) for name in DEFAULT_LAYOUT), ttls=_ttls(wish.ttls),
        reservation_ttl=_span(wish, "reservation_ttl", defaults[0]), quarantine=_span(wish, "quarantine", defaults[1]),
        allow_private_targets=wish.allow_private_targets, created_at=now, updated_at=now, uid=str(uuid4()),
        policy=_policy(wish.policy, organization=organization),
    )  # fmt: skip


def _state(state: State) -> resources_pb2.Allocation.State.ValueType:
    if state is State.FREE:
        return resources_pb2.Allocation.STATE_UNSPECIFIED
    return resources_pb2.Allocation.State.Value(f"STATE_{state.name}")


def _slot(name: str) -> str:
    return "console" if name == "console" else "default"


def _policy(wish: resources_pb2.PoolPolicy, *, organization: bool) -> Policy:
    """The base rules, with what the pool adds; the base's reserved names can only grow."""

    def value(field: Any, default: int) -> int:
        return int(getattr(wish, field)) if wish.HasField(field) else default

    return Policy(
        shortest=value("min_label_length", 2 if organization else 1),
        longest=value("max_label_length", 32 if organization else 63),
        leading_digit=wish.allow_leading_digit if wish.HasField("allow_leading_digit") else organization,
        reserved=BASE_RESERVED | set(wish.reserved_labels),
        patterns=(*BASE_PATTERNS, *wish.reserved_patterns),
        most_reservations=value("max_reservations_per_owner", 5),
        most_names=value("max_names_per_owner", 50),
    )


def _ttls(wish: resources_pb2.PoolTtls) -> Ttls:
    base = Ttls()

    def seconds(field: Any) -> int:
        return int(getattr(wish, field).ToTimedelta().total_seconds()) if wish.HasField(field) else getattr(base, field)

    return Ttls(*(seconds(field) for field in ("ns", "ds", "record", "negative")))


def _span(wish: resources_pb2.Pool, field: Any, default: float) -> timedelta:
    return getattr(wish, field).ToTimedelta() if wish.HasField(field) else timedelta(seconds=default)
