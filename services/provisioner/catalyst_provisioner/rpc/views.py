"""How Sovereigns, plans and ledger rows look to callers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from catalyst.mesh.v1 import resources_pb2 as mesh
from catalyst.provisioner.v1 import resources_pb2 as contract
from catalyst_mesh import stamp
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value

from ..chronicle import DRIFT
from ..domain import conditions, costs, credentials, plans, wishes
from ..domain import plan_diff as plan_differences
from ..domain.claims import CROSSPLANE
from ..domain.component_states import ComponentState
from ..domain.conditions import ClusterFacts, ComponentFact, Condition, Facts
from ..domain.sovereign import Sovereign, State
from ..planning import CURRENCY
from ..steps.making import http_ports
from ..store import ClusterRow, ComponentRow, Entry, PlanRow, Store

Seen = Mapping[str, tuple[Any, datetime]]


@dataclass(frozen=True, slots=True)
class Observed:
    """A Sovereign with all that is known of it."""

    sovereign: Sovereign
    clusters: Sequence[ClusterRow]
    components: Sequence[ComponentRow]
    entries: Sequence[Entry]
    seen: Seen
    gitops_url: str
    now: datetime
    checks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The last check of each of its credentials."""


async def observed(tx: Store, held: Sovereign, gitops_url: str) -> Observed:
    """Read all that is known of a Sovereign."""
    rows = await tx.clusters(held.id)
    return Observed(
        held,
        rows,
        await tx.components(held.id),
        await tx.entries(held.id),
        await tx.facts(held.id),
        gitops_url,
        tx.now,
        await tx.credential_checks({row.credential for row in rows}),
    )  # fmt: skip - in the order of the fields


def sovereign(o: Observed) -> contract.Sovereign:
    """The resource."""
    s = o.sovereign
    found = () if s.state is State.DESTROYED else conditions.of_sovereign(facts_of(o), o.now)
    made = contract.Sovereign(
        name=s.name,
        uid=s.uid,
        etag=s.etag,
        version=s.version,
        generation=s.generation,
        create_time=stamp(s.created_at),
        update_time=stamp(s.updated_at),
        observed_generation=s.applied_generation,
        conditions=[condition(c, s.applied_generation) for c in found],
        state=state(s.state),
        health=contract.Sovereign.Health.Value(conditions.health(found, was_active=s.activated_at is not None)),
        spec=ParseDict(dict(s.spec), contract.SovereignSpec()),
        fqdn=s.fqdn,
        console_url=console_url(o),
        gitops_url=o.gitops_url if "tree" in o.seen else "",
        clusters=[_cluster(o, row) for row in o.clusters] if s.state is not State.DESTROYED else [],
        lock_digest=s.lock_digest,
        last_plan=s.last_plan,
        last_run=s.last_run,
        order=s.order,
        activate_time=stamp(s.activated_at),
        expire_time=stamp(wishes.ends_at(s.spec, s.created_at)),
        destroy_time=stamp(s.destroyed_at),
        simulated=s.simulated,
    )  # fmt: skip - reads as a table
    if o.entries:
        made.cost.CopyFrom(ledger_cost(o.entries))
    return made


def console_url(o: Observed) -> str:
    """Address of the console, with a port where it is not the usual one. Empty until the name is held."""
    if "name_held" not in o.seen:
        return ""
    front = next((row for row in o.clusters if row.made), None)
    ports = http_ports(front) if front else {}
    scheme = "http" if ports and "https" not in ports else "https"
    port = ports.get(scheme, {"http": 80, "https": 443}[scheme])
    usual = {"http": 80, "https": 443}[scheme]
    return f"{scheme}://console.{o.sovereign.fqdn}" + ("" if port == usual else f":{port}")


def state(value: State) -> Any:
    """The contract's word for a state."""
    return contract.Sovereign.State.Value(f"STATE_{value.upper()}")


def condition(c: Condition, generation: int) -> mesh.Condition:
    """One condition."""
    return mesh.Condition(
        type=c.type, status=mesh.Condition.Status.Value(c.status), reason=c.reason, message=c.message,
        observed_generation=generation, since=stamp(c.since),
    )  # fmt: skip


def plan(row: PlanRow, now: datetime) -> contract.Plan:
    """A stored plan."""
    made = plan_body(row.body)
    made.name, made.uid, made.etag = row.name, row.id, f'"{row.id[-8:]}.{row.state_at(now)}"'
    made.version = 1 if row.state == "active" else 2
    for named, moment in (("create_time", row.created_at), ("update_time", row.updated_at),
                          ("expire_time", row.expires_at)):  # fmt: skip
        getattr(made, named).CopyFrom(stamp(moment))
    made.state = contract.Plan.State.Value(f"STATE_{row.state_at(now).upper()}")
    made.requester, made.run = row.requester, row.run
    if row.intent != plans.DESTROY:
        made.inputs.offers_time.FromDatetime(row.created_at)
    return made


def plan_diff(first: PlanRow, second: PlanRow) -> contract.PlanDiff:
    """How two plans differ."""
    rows = plan_differences.differences(first.body, second.body)
    made = contract.PlanDiff(
        plan=first.name, other_plan=second.name, equal=first.hash == second.hash,
        differences=[contract.FieldDiff(path=path, before=_value(a), after=_value(b)) for path, a, b in rows],
    )  # fmt: skip
    totals = (first.body["cost"]["after"], second.body["cost"]["after"])
    ParseDict(costs.difference(*totals), made.cost_difference)
    return made


def _value(value: Any) -> Value | None:
    return None if value is None else ParseDict(value, Value())


def plan_body(body: Mapping[str, Any]) -> contract.Plan:
    """A plan without what storing adds."""
    return ParseDict({key: value for key, value in body.items() if key not in plans.INNER}, contract.Plan())


def ledger_entry(e: Entry) -> contract.LedgerEntry:
    """One row of the ledger."""
    line = {"cluster": e.cluster, "kind": e.kind, "address": e.name, "count": 1}
    made = contract.LedgerEntry(
        name=f"sovereigns/{e.sovereign}/ledger/e{e.position:06d}",
        cluster=e.cluster,
        kind=e.kind,
        resource_name=e.name,
        labels=dict(e.labels),
        provider=e.provider,
        region=e.region,
        credential=e.credential,
        manager=e.manager or "native",
        address=f"{e.kind}.{e.name}",
        resource_id=e.resource_id,
        state=contract.LedgerEntry.State.Value(f"STATE_{e.state.upper()}"),
        run=f"sovereigns/{e.sovereign}/runs/{e.run}" if e.run else "",
        create_time=stamp(e.created_at),
        update_time=stamp(e.updated_at),
        leftover=e.leftover,
    )  # fmt: skip - reads as a table
    if e.row.price:
        made.price.CopyFrom(ParseDict(line | {"price": costs.price(e.row.price)}, contract.CostLine()))
    return made


def component(row: ComponentRow, now: datetime, *, simulated: bool, silent: bool) -> contract.Component:
    """One component; of a silent cluster nothing is believed."""
    current = ComponentState.UNKNOWN if silent else row.state
    release = row.release
    return contract.Component(
        name=f"sovereigns/{row.sovereign}/clusters/{row.cluster}/components/{row.name}",
        blueprint=row.name,
        state=contract.Component.State.Value(f"STATE_{current.upper()}"),
        release=row.name,
        namespace=row.name.removeprefix("bp-"),
        since=stamp(row.since),
        message=row.message,
        depends_on=row.needs,
        version=release.version if release else "",
        digest=release.digest if release else "",
        wished_digest=row.wished_digest,
        attempts=release.failures if release else 0,
        suspended=release.suspended if release else False,
        optional=row.optional,
        wave=row.wave,
        observe_time=stamp(row.observed_at),
        simulated=simulated,
    )  # fmt: skip - reads as a table


def differ(before: contract.Component, after: contract.Component) -> bool:
    """Whether anything but the moment of the last look changed."""
    a, b = contract.Component(), contract.Component()
    a.CopyFrom(before)
    b.CopyFrom(after)
    for one in (a, b):
        one.ClearField("observe_time")
    return a != b


def counts(rows: Sequence[ComponentRow], *, silent: bool = False) -> contract.ComponentCounts:
    """How many components are where."""
    states = [ComponentState.UNKNOWN if silent else row.state for row in rows]
    return contract.ComponentCounts(**conditions.counts(states))


def ledger_cost(entries: Sequence[Entry]) -> contract.Cost:
    """What the resources of a ledger cost."""
    lines = [costs.Line(e.cluster, e.kind, e.name, e.kind, e.row.price) for e in entries]
    return ParseDict(costs.cost(lines, CURRENCY), contract.Cost())


def document(spec: Message) -> dict[str, Any]:
    """A spec, or options, as the domain reads them: the contract's own names."""
    return MessageToDict(spec, preserving_proto_field_name=True)


def _cluster(o: Observed, row: ClusterRow) -> contract.ClusterStatus:
    rows = [component for component in o.components if component.cluster == row.name]
    found = conditions.of_cluster(_cluster_facts(row, rows), o.now)
    beat = row.heartbeat or {}
    silent = conditions.is_silent(row.heartbeat_at, o.now)
    return contract.ClusterStatus(
        name=row.resource,
        provider=row.provider,
        region=row.region,
        building_block=row.spec["building_block"],
        env_type=row.spec["env_type"],
        location_code=row.spec["location_code"],
        index=row.number,
        conditions=[condition(c, o.sovereign.applied_generation) for c in found],
        health=contract.Sovereign.Health.Value(
            conditions.health(found, was_active=o.sovereign.activated_at is not None)
            if any(c.status != conditions.TRUE for c in found)
            else "HEALTH_HEALTHY"
        ),
        addresses=row.addresses,
        api_endpoint=(row.made or {}).get("api_endpoint", ""),
        k3s_version=str(beat.get("k3s_version", "")),
        heartbeat_time=stamp(row.heartbeat_at),
        components=counts(rows, silent=silent),
        manager=CROSSPLANE if row.name in o.seen.get("handed_off", ((),))[0] else "native",
    )  # fmt: skip - reads as a table


def facts_of(o: Observed) -> Facts:
    """What is known, as conditions are made of it."""

    def at(name: str) -> datetime | None:
        return o.seen[name][1] if name in o.seen else None

    s = o.sovereign
    return Facts(
        created_at=s.created_at,
        planned_at=s.created_at if s.last_plan else None,
        name_held_at=at("name_held"),
        dns_ready_at=at("dns_ready"),
        probed_at=at("probed"),
        clusters=tuple(_cluster_facts(r, [c for c in o.components if c.cluster == r.name]) for r in o.clusters),
        is_current=s.applied_generation == s.generation and s.state is State.ACTIVE,
        tls_until=_tls_until(o.seen),
        checks=tuple(_check(name, row) for name, row in sorted(o.checks.items())),
        handed_off_at=at("handed_off"),
        hand_off_wished=bool(s.spec.get("hand_off")),
        drifts=(len(o.seen[DRIFT][0]["drifts"]), o.seen[DRIFT][1]) if DRIFT in o.seen else None,
    )


def _tls_until(seen: Seen) -> datetime | None:
    return _moment((seen["probed"][0] or {}).get("tls_until") if "probed" in seen else None)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _check(name: str, row: Mapping[str, Any]) -> tuple[str, str, datetime]:
    words = {credentials.VALID: conditions.VALID, credentials.UNKNOWN: conditions.UNSURE}
    at = datetime.fromisoformat(row["check_time"].replace("Z", "+00:00"))
    return name, words.get(row["state"], conditions.REJECTED), at


def _cluster_facts(row: ClusterRow, rows: Sequence[ComponentRow]) -> ClusterFacts:
    beat = row.heartbeat or {}
    return ClusterFacts(
        row.name,
        row.made_at,
        row.heartbeat_at,
        bool(beat.get("api_healthy")),
        int(beat.get("ready_nodes", 0)),
        int(row.spec.get("nodes", 0)),
        tuple(ComponentFact(c.state, c.optional, c.since) for c in rows),
        *(_moment(beat.get(key)) for key in (conditions.PLANE_SINCE, conditions.HEARD_SINCE)),
    )  # fmt: skip - in the order of the fields
