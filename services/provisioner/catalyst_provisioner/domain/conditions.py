"""Conditions of a Sovereign and its clusters: from observation only, never by guess, never stale.

Invariants
  unknown    what hangs on a silent agent is Unknown, not False and not what it was;
  nothing    an empty list of components is "not observed", not "done";
  together   Ready is True only when every other condition that counts is.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .component_states import ComponentState

SILENCE = timedelta(seconds=90)
"""Without a report for so long, nothing is believed of a cluster."""
LEAST_LIFE = timedelta(days=7)
"""A certificate that ends sooner counts as none."""
VALID, REJECTED, UNSURE = "valid", "rejected", "unsure"
"""What a credential's check came to."""
HEARD_SINCE, PLANE_SINCE = "heard_since", "plane_since"
"""Where moments stand in what is kept of a heartbeat."""
TRUE, FALSE, UNKNOWN = "STATUS_TRUE", "STATUS_FALSE", "STATUS_UNKNOWN"


@dataclass(frozen=True, slots=True)
class Condition:
    """One observed fact."""

    type: str
    status: str
    reason: str
    message: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ComponentFact:
    """A component as judged last."""

    state: ComponentState
    optional: bool
    since: datetime


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What is known of one cluster."""

    name: str
    made_at: datetime | None
    """When its infrastructure was complete."""
    heartbeat_at: datetime | None
    api_healthy: bool
    ready_nodes: int
    wished_nodes: int
    components: tuple[ComponentFact, ...]
    plane_since: datetime | None = None
    """Since when its control plane is as it is."""
    heard_since: datetime | None = None
    """Since when its agent is heard without a silence."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a Sovereign."""

    created_at: datetime
    planned_at: datetime | None
    name_held_at: datetime | None
    dns_ready_at: datetime | None
    probed_at: datetime | None
    clusters: tuple[ClusterFacts, ...]
    is_current: bool
    """Whether the last successful run made the present generation true."""
    tls_until: datetime | None = None
    """End of the certificate that the console showed; None: it was not seen over TLS."""
    checks: tuple[tuple[str, str, datetime], ...] = ()
    """Name of each credential that was checked, whether it is valid, and when."""
    handed_off_at: datetime | None = None
    """When Crossplane got what is there."""
    hand_off_wished: bool = False
    drifts: tuple[int, datetime] | None = None
    """How many differences the newest look has found, and when; None: nobody has looked since the last run."""


def is_silent(heartbeat_at: datetime | None, now: datetime) -> bool:
    """Whether a cluster that has reported is not heard of any more."""
    return heartbeat_at is not None and now - heartbeat_at > SILENCE


def signs(
    known: Mapping[str, Any], told: Mapping[str, Any], *, heard_at: datetime | None, now: datetime
) -> dict[str, Any]:
    """A heartbeat as it is kept: what it says, and since when the control plane and the agent are as they are now.

    known, heard_at   what is kept of the last one, and when anything was heard last
    """
    stands = heard_at is not None and not is_silent(heard_at, now)
    same = stands and all(known.get(fact) == told.get(fact) for fact in ("api_healthy", "ready_nodes"))
    since = {HEARD_SINCE: stands, PLANE_SINCE: same}
    return {**told, **{key: (known.get(key) if kept else None) or now.isoformat() for key, kept in since.items()}}


def of_cluster(cluster: ClusterFacts, now: datetime) -> tuple[Condition, ...]:
    """Conditions of one cluster."""
    infra = (
        Condition("InfraReady", TRUE, "Complete", since=cluster.made_at)
        if cluster.made_at
        else Condition("InfraReady", FALSE, "NotMade", "its resources are not complete")
    )
    if cluster.heartbeat_at is None:
        nothing = [
            Condition(kind, UNKNOWN, "NotObserved", "no report yet")
            for kind in ("ControlPlaneReady", "AgentConnected", "ComponentsReady")
        ]
        return (infra, *nothing)
    if is_silent(cluster.heartbeat_at, now):
        silent = [
            Condition(kind, UNKNOWN, "AgentSilent", f"no report since {cluster.heartbeat_at:%FT%TZ}",
                      cluster.heartbeat_at + SILENCE)
            for kind in ("ControlPlaneReady", "AgentConnected", "ComponentsReady")
        ]  # fmt: skip
        return (infra, *silent)
    healthy = cluster.api_healthy and cluster.ready_nodes >= cluster.wished_nodes
    text = f"{cluster.ready_nodes} of {cluster.wished_nodes} nodes are ready"
    state = (TRUE, "Ready") if healthy else (FALSE, "NotReady")
    plane = Condition("ControlPlaneReady", *state, text, cluster.plane_since)
    connected = Condition("AgentConnected", TRUE, "Reporting", since=cluster.heard_since)
    return (infra, plane, connected, _components(cluster.components))


def of_sovereign(facts: Facts, now: datetime) -> tuple[Condition, ...]:
    """Conditions of the whole."""
    per_cluster = [of_cluster(cluster, now) for cluster in facts.clusters]
    found = [
        _moment("Planned", facts.planned_at, "NoPlan"),
        _moment("NameHeld", facts.name_held_at, "NotHeld"),
        *(_together(kind, per_cluster) for kind in ("InfraReady", "ControlPlaneReady", "AgentConnected",
                                                    "ComponentsReady")),
        _moment("DNSReady", facts.dns_ready_at, "NotServed"),
        *_tls(facts, now),
        *_credentials(facts.checks),
        *_handed_off(facts),
        *_drift_free(facts.drifts),
    ]  # fmt: skip
    return (*found, _ready(found, facts))


def health(conditions: Sequence[Condition], *, was_active: bool) -> str:
    """HEALTHY, DEGRADED, FAILED or UNKNOWN; UNSPECIFIED of what is destroyed, of which no condition is told."""
    if not conditions:
        return "HEALTH_UNSPECIFIED"
    by_type = {c.type: c.status for c in conditions}
    if not was_active or UNKNOWN in by_type.values():
        return "HEALTH_UNKNOWN"
    if by_type.get("Ready") == TRUE:
        return "HEALTH_HEALTHY"
    return "HEALTH_FAILED" if by_type.get("ControlPlaneReady") == FALSE else "HEALTH_DEGRADED"


def counts(states: Iterable[ComponentState]) -> Mapping[str, int]:
    """How many components are where."""
    count = Counter(states)
    return {"total": sum(count.values())} | {state.value: count[state] for state in ComponentState}


def _components(components: tuple[ComponentFact, ...]) -> Condition:
    kind = "ComponentsReady"
    if not components:
        return Condition(kind, UNKNOWN, "NotObserved", "no component is known")
    missing = [c for c in components if c.state is not ComponentState.READY and not c.optional]
    if missing:
        return Condition(kind, FALSE, "NotReady", f"{len(missing)} of {len(components)} components are not ready")
    return Condition(kind, TRUE, "Ready", since=max(c.since for c in components))


def _tls(facts: Facts, now: datetime) -> tuple[Condition, ...]:
    """No condition where the console does not speak TLS, as on a simulated cloud."""
    if facts.tls_until is None:
        return ()
    text = f"the certificate ends at {facts.tls_until:%FT%TZ}"
    good = facts.tls_until - now >= LEAST_LIFE
    return (Condition("TLSReady", TRUE if good else FALSE, "Valid" if good else "Expires", text, facts.probed_at),)


def _credentials(checks: tuple[tuple[str, str, datetime], ...]) -> tuple[Condition, ...]:
    """No condition where nobody was asked: a new version is not in doubt because of that."""
    kind = "CredentialsValid"
    for wrong, status, reason in ((REJECTED, FALSE, "Rejected"), (UNSURE, UNKNOWN, "NotAnswered")):
        if bad := [check for check in checks if check[1] == wrong]:
            text = f"{', '.join(name for name, _, _ in bad)}: see its last check"
            return (Condition(kind, status, reason, text, min(at for _, _, at in bad)),)
    return (Condition(kind, TRUE, "Checked", since=max(at for _, _, at in checks)),) if checks else ()


def _handed_off(facts: Facts) -> tuple[Condition, ...]:
    """No condition where nobody has wished it."""
    if facts.handed_off_at:
        return (Condition("HandedOff", TRUE, "Adopted", since=facts.handed_off_at),)
    return (Condition("HandedOff", FALSE, "NotYet", "Crossplane keeps nothing yet"),) if facts.hand_off_wished else ()


def _drift_free(drifts: tuple[int, datetime] | None) -> tuple[Condition, ...]:
    """No condition where nobody has looked: what was just applied is not in doubt because of that."""
    if drifts is None:
        return ()
    count, at = drifts
    if count:
        return (Condition("DriftFree", FALSE, "Drifted", f"{count} difference(s) were found", at),)
    return (Condition("DriftFree", TRUE, "Compared", since=at),)


def _moment(kind: str, at: datetime | None, reason: str) -> Condition:
    return Condition(kind, TRUE, "Observed", since=at) if at else Condition(kind, FALSE, reason)


def _together(kind: str, clusters: Sequence[Sequence[Condition]]) -> Condition:
    found = [c for conditions in clusters for c in conditions if c.type == kind]
    for status in (FALSE, UNKNOWN):
        worst = next((c for c in found if c.status == status), None)
        if worst:
            return worst
    if not found:
        return Condition(kind, UNKNOWN, "NotObserved", "no cluster is known")
    moments = [c.since for c in found if c.since]
    return Condition(kind, TRUE, found[0].reason, since=max(moments, default=None))


def _ready(found: Sequence[Condition], facts: Facts) -> Condition:
    for status in (FALSE, UNKNOWN):
        if bad := next((c for c in found if c.status == status), None):
            return Condition("Ready", status, bad.reason, f"{bad.type}: {bad.message or bad.reason}", bad.since)
    if facts.probed_at is None or not facts.is_current:
        return Condition("Ready", FALSE, "NotProbed", "the present wish has not been seen to answer")
    return Condition("Ready", TRUE, "Probed", since=facts.probed_at)
