"""Between the contract's messages and the domain's values."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from catalyst.mesh.v1 import resources_pb2 as mesh_pb2
from catalyst.pooldomain.v1 import resources_pb2
from catalyst_mesh import span, stamp

from catalyst_pool_domain_manager.domain import idn
from catalyst_pool_domain_manager.domain.allocations import Allocation, State
from catalyst_pool_domain_manager.domain.backends import resource_of
from catalyst_pool_domain_manager.domain.conditions import Condition
from catalyst_pool_domain_manager.domain.policy import BASE_PATTERNS, BASE_RESERVED, Policy, Rules
from catalyst_pool_domain_manager.domain.pools import Pool, Ttls, ZoneMode
from catalyst_pool_domain_manager.events import policies, targets

DEFAULT_LAYOUT = ("@", "console", "api", "gitea", "harbor")
_STATUS = {
    "True": mesh_pb2.Condition.STATUS_TRUE,
    "False": mesh_pb2.Condition.STATUS_FALSE,
    "Unknown": mesh_pb2.Condition.STATUS_UNKNOWN,
}


def etag(version: int) -> str:
    """With its quotes (AIP-154)."""
    return f'"{version}"'


def etag_of_pool(p: Pool) -> str:
    """Of what is wished of it: the state of its zone, which a worker notes meanwhile, is in nobody's way."""
    return etag(p.generation)


def to_allocation(a: Allocation) -> resources_pb2.Allocation:
    """An allocation; never its token."""
    return resources_pb2.Allocation(
        name=a.name,
        fqdn=a.fqdn,
        unicode_fqdn=idn_fqdn(a),
        owner=a.owner,
        holder=a.holder,
        created_by=a.created_by,
        # A reservation is gone in the moment of its release; the contract has no state for what is not there.
        state=to_state(State.RELEASING if a.state is State.FREE else a.state),
        targets=targets(a),
        traffic=policies(a),
        zone=_zone(a),
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


def _zone(a: Allocation) -> str:
    """The zone that serves the name; none before the commit, unless warmed."""
    if a.inside:
        return f"zones/{a.pool}" if a.generation else ""
    return f"zones/{a.fqdn}" if a.zone_told else ""


def idn_fqdn(a: Allocation) -> str:
    """The full name for people, where its label is in another script; else empty."""
    return f"{idn.decoded(a.label)}.{a.pool}" if idn.is_idn(a.label) else ""


def to_entry(row: Any) -> resources_pb2.AllocationHistoryEntry:
    """One line of a name's history; a name that became free has no state."""
    return resources_pb2.AllocationHistoryEntry(
        version=row["version"], uid=row["uid"], event=row["event"], owner=row["owner"], actor=row["actor"],
        reason=row["reason"], request_id=row["request_id"], change_time=stamp(row["at"]),
        state=to_state(State(row["state"])),
    )  # fmt: skip


def to_condition(c: Condition) -> mesh_pb2.Condition:
    """A condition."""
    return mesh_pb2.Condition(
        type=c.type, status=_STATUS[c.status], reason=c.reason, message=c.message, observed_generation=c.generation,
        since=stamp(c.since),
    )  # fmt: skip


def to_pool(p: Pool) -> resources_pb2.Pool:
    """A pool, with the policy that is in force."""
    active = resources_pb2.Pool.STATE_DEGRADED if p.unswept else resources_pb2.Pool.STATE_ACTIVE
    state = active if p.ready else resources_pb2.Pool.STATE_PENDING
    ready = Condition("ZoneReady", "True" if p.ready else "False", "Observed" if p.ready else "ZoneAbsent", p.message)
    told = [f"{one.servers}: {one.sentence}" for one in p.left_servers]
    left = [Condition("FormerServersQuiet", "False", "StillAsked", "; ".join(told))] if told else []
    swept = [Condition("NamesWatched", "False", "BackendUnavailable", _unswept(p))] if p.unswept else []
    return resources_pb2.Pool(
        name=p.name, kinds=[resources_pb2.Pool.Kind.Value(k) for k in p.kinds], zone=f"zones/{p.domain}",
        policy=to_rules(p.rules), effective_policy=to_policy(p.policy),
        zone_mode=resources_pb2.Pool.ZoneMode.Value(f"ZONE_MODE_{p.zone_mode.name}"),
        record_layout=[resources_pb2.RecordLayoutEntry(name=name, slot=slot) for name, slot in p.layout],
        ttls=resources_pb2.PoolTtls(
            ns=span(p.ttls.ns), ds=span(p.ttls.ds), record=span(p.ttls.record), negative=span(p.ttls.negative)
        ),
        dnssec=resources_pb2.DnssecPolicy(enabled=True, algorithm=13, publish_cds=True),
        backend=resource_of(p.backend), registrar_account=p.registrar_account, name_server_set=p.name_server_set,
        reservation_ttl=span(p.reservation_ttl), quarantine=span(p.quarantine),
        allow_private_targets=p.allow_private_targets, state=state, uid=p.uid, etag=etag_of_pool(p), version=p.version,
        create_time=stamp(p.created_at), update_time=stamp(p.updated_at), generation=p.generation,
        observed_generation=p.generation, conditions=list(map(to_condition, (ready, *swept, *left))),
    )  # fmt: skip


def _unswept(p: Pool) -> str:
    return f"the last sweep for drift left the names of {p.name} out, and tries again: {p.unswept}"


def to_policy(p: Policy) -> resources_pb2.PoolPolicy:
    """The rules in force, every one of them said."""
    return resources_pb2.PoolPolicy(
        version=p.version, min_label_length=p.shortest, max_label_length=p.longest, allow_leading_digit=p.leading_digit,
        allow_idn=p.idn, reserved_labels=sorted(p.reserved), reserved_patterns=p.patterns,
        max_reservations_per_owner=p.most_reservations, max_names_per_owner=p.most_names,
        checks_per_second=p.checks_per_second, check_burst=p.check_burst,
        reservations_per_minute=p.reservations_per_minute, issuers=p.issuers, account_uri=p.account_uri,
    )  # fmt: skip


def to_rules(r: Rules) -> resources_pb2.PoolPolicy:
    """What the pool says itself."""
    return resources_pb2.PoolPolicy(
        version=r.version, min_label_length=r.shortest, max_label_length=r.longest, allow_leading_digit=r.leading_digit,
        allow_idn=r.idn, reserved_labels=r.reserved, reserved_patterns=r.patterns, max_reservations_per_owner=r.most_reservations,
        max_names_per_owner=r.most_names, checks_per_second=r.checks_per_second, check_burst=r.check_burst,
        reservations_per_minute=r.reservations_per_minute, issuers=r.issuers, account_uri=r.account_uri or "",
    )  # fmt: skip


def from_pool(domain: str, wish: resources_pb2.Pool, plugin: str, now: datetime, defaults: tuple[float, float]) -> Pool:
    """A new pool; what the wish leaves open is the default. `defaults`: reservation and quarantine in seconds."""
    layout = tuple((e.name, e.slot or _slot(e.name)) for e in wish.record_layout)
    return Pool(
        domain=domain, kinds=tuple(resources_pb2.Pool.Kind.Name(k) for k in wish.kinds), backend=plugin,
        layout=layout or tuple((name, _slot(name)) for name in DEFAULT_LAYOUT), ttls=_ttls(wish.ttls),
        reservation_ttl=_span(wish, "reservation_ttl", defaults[0]), quarantine=_span(wish, "quarantine", defaults[1]),
        allow_private_targets=wish.allow_private_targets, created_at=now, updated_at=now, uid=str(uuid4()),
        rules=from_rules(wish.policy), registrar_account=wish.registrar_account, name_server_set=wish.name_server_set,
        zone_mode=ZoneMode.IN_PARENT if wish.zone_mode == resources_pb2.Pool.ZONE_MODE_IN_PARENT else ZoneMode.DELEGATED,
    )  # fmt: skip


def to_state(state: State) -> resources_pb2.Allocation.State.ValueType:
    """A state; a free name has none."""
    if state is State.FREE:
        return resources_pb2.Allocation.STATE_UNSPECIFIED
    return resources_pb2.Allocation.State.Value(f"STATE_{state.name}")


def _slot(name: str) -> str:
    return "console" if name == "console" else "default"


def from_rules(wish: resources_pb2.PoolPolicy) -> Rules:
    """The pool's own document; what the base keeps back anyway is no part of it."""

    def said(field: Any) -> Any:
        return getattr(wish, field) if wish.HasField(field) else None

    return Rules(
        shortest=said("min_label_length"), longest=said("max_label_length"), leading_digit=said("allow_leading_digit"),
        idn=said("allow_idn"),
        reserved=tuple(sorted(set(wish.reserved_labels) - BASE_RESERVED)),
        patterns=tuple(p for p in wish.reserved_patterns if p not in BASE_PATTERNS),
        most_reservations=said("max_reservations_per_owner"), most_names=said("max_names_per_owner"),
        checks_per_second=said("checks_per_second"), check_burst=said("check_burst"),
        reservations_per_minute=said("reservations_per_minute"), issuers=tuple(wish.issuers),
        account_uri=wish.account_uri or None,
    )  # fmt: skip


def _ttls(wish: resources_pb2.PoolTtls) -> Ttls:
    base = Ttls()

    def seconds(field: Any) -> int:
        return int(getattr(wish, field).ToTimedelta().total_seconds()) if wish.HasField(field) else getattr(base, field)

    return Ttls(*(seconds(field) for field in ("ns", "ds", "record", "negative")))


def _span(wish: resources_pb2.Pool, field: Any, default: float) -> timedelta:
    return getattr(wish, field).ToTimedelta() if wish.HasField(field) else timedelta(seconds=default)
