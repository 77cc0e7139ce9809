"""What the fields of a wish may say together, and which times follow from its goals (continuum specification, 2.1 and 3.6).

Rules see what could be read: a field that is wrong by itself has been said already, and is absent here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from catalyst_sdk import Violation

from .timing import FAST, PROFILES, Costs, Profile

PUBLIC_RESOLVERS = frozenset(
    (
        "8.8.8.8",
        "8.8.4.4",
        "1.1.1.1",
        "1.0.0.1",
        "9.9.9.9",
        "149.112.112.112",
        "208.67.222.222",
        "208.67.220.220",
    )
)  # fmt: skip - a table
"""Recursive resolvers that everybody may use; none is ever a cell."""
_TIMES = {
    "ttlSeconds": "ttl",
    "renewSeconds": "renew",
    "pollSeconds": "poll",
    "opTimeoutSeconds": "op",
    "fenceBudgetSeconds": "fence",
}  # fmt: skip - a table
_CHECKS = {"C1": "ttlSeconds", "C2": "fenceBudgetSeconds", "C3": "renewSeconds", "C4": "pollSeconds"}
"""Field at which a breach of admission is shown."""
_OF_DATABASE = ("cnpg-topology", "postgres")
"""Mechanisms that need one cluster in each region."""
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class House:
    """What the daemon adds to a wish.

    namespace     of the slot
    in_memory     whether a register in one process is allowed
    regulated     whether two persons must agree, neither of them the one who asks
    fence_worst   seconds that the fencers at hand take at worst, as they declare
    promote       seconds that the promoter takes at worst, as it declares
    """

    namespace: str
    in_memory: bool = False
    regulated: bool = False
    fence_worst: float = 0.0
    promote: float = 10.0


@dataclass(frozen=True, slots=True)
class Times:
    """The profile of a lease, the goal, and what a failover takes at worst."""

    profile: Profile
    rto: float
    worst: float

    @property
    def is_feasible(self) -> bool:
        """Whether the goal can be kept."""
        return self.worst <= self.rto


def times(values: Values, house: House) -> Times:
    """The times as given; where T and R are left out, those of the calmest profile that keeps the goal, or of the fastest."""
    config = _config(values)
    given = {name: float(config[key]) for key, name in _TIMES.items() if key in config}
    if "maxDriftPpm" in config:
        given["drift"] = config["maxDriftPpm"] / 1_000_000
    rto = values.get("rto", 60.0)
    costs = Costs(promote=house.promote, dns_ttl=values.get("luaRecord", {}).get("ttl", 10.0))
    if given.keys() & {"ttl", "renew"}:
        profile = _following(given, house)
    else:
        fitted = [_adjusted(profile, given, house) for profile in PROFILES]
        kept = [profile for profile in fitted if profile.worst_rto(costs) <= rto and not profile.faults()]
        profile = kept[0] if kept else _adjusted(FAST, given, house)
    return Times(profile, rto, profile.worst_rto(costs))


def _adjusted(profile: Profile, given: Mapping[str, float], house: House) -> Profile:
    """A profile with what is given, and with time enough for the fencers."""
    return replace(profile, **{"fence": max(profile.fence, house.fence_worst), **given})


def _following(given: Mapping[str, float], house: House) -> Profile:
    ttl = given.get("ttl", 30.0)
    renew = given.get("renew", float(max(1, min(10, int(ttl / 3)))))
    others = {"op": min(3.0, renew / 2), "fence": max(5.0, house.fence_worst), "poll": max(0.2, renew / 5)}
    return Profile(**{**others, **given, "ttl": ttl, "renew": renew})


def mode(values: Values) -> str:
    """Who decides about a failover: as said, or as the short form says."""
    return str(values.get("mode") or ("automatic" if values.get("autoFailover") else "manual"))


def selector(values: Values) -> str:
    """How names are answered: the holder's addresses only where data has a primary, else by a test of each region."""
    default = "ifurlup" if mechanism(values) == "stateless" else "static"
    return str(values.get("luaRecord", {}).get("selector") or default)


def mechanism(values: Values) -> str:
    """How what is stateful moves."""
    return str(values.get("switchover", {}).get("mechanism", "cnpg-topology"))


def violations(values: Values, found: Times, house: House) -> list[Violation]:
    """Everything that is wrong between the fields."""
    rules = (_members, _regions, _mode, _names, _switchover, _database, _approval, _failback, _safety)
    return [
        *(violation for rule in rules for violation in rule(values, house)),
        *_lease(values, house),
        *_arithmetic(found.profile, house),
    ]


def _standbys(values: Values) -> Sequence[str]:
    return [name for name in values.get("hotStandbyRegions", ()) if name]


def _members(values: Values, house: House) -> Iterator[Violation]:
    primary, standbys = values.get("primaryRegion"), _standbys(values)
    if primary in standbys:
        path = f"spec.hotStandbyRegions[{values['hotStandbyRegions'].index(primary)}]"
        yield Violation(path, "is the preferred primary", "unique")
    if standbys and "applicationRef" not in values:
        yield Violation("spec.applicationRef", "is required where there is a standby", "required")


def _regions(values: Values, house: House) -> Iterator[Violation]:
    rows = {row["name"]: (i, row) for i, row in enumerate(values.get("regions", ())) if row and "name" in row}
    wanted = [name for name in (values.get("primaryRegion"), *_standbys(values)) if name]
    for name, (i, row) in rows.items():
        if name not in wanted:
            yield Violation(f"spec.regions[{i}].name", f"{name} is neither primary nor standby", "member")
        if _standbys(values) and not row.get("agentEndpoint"):
            yield Violation(f"spec.regions[{i}].agentEndpoint", "is required where there is a standby", "required")
        if "luaRecord" in values and not row.get("lbIPs"):
            yield Violation(f"spec.regions[{i}].lbIPs", "at least one is required with luaRecord", "required")
        yield from _own(row.get("gatewayRef"), f"spec.regions[{i}].gatewayRef", house)
    if rows or _standbys(values) or "luaRecord" in values:
        for name in wanted:
            if name not in rows:
                yield Violation("spec.regions", f"{name} is missing", "member")


def _mode(values: Values, house: House) -> Iterator[Violation]:
    said, short = values.get("mode"), values.get("autoFailover")
    if said and short is not None and (said == "automatic") != short:
        text = f"{said} contradicts autoFailover: {str(short).lower()}"
        yield Violation("spec.mode", text, "contradiction")
    elif not _standbys(values) and mode(values) != "manual":
        path = "spec.mode" if said else "spec.autoFailover"
        yield Violation(path, "a slot without standby has mode manual: there is nothing to fail over to", "standby")


def _names(values: Values, house: House) -> Iterator[Violation]:
    row = values.get("luaRecord")
    if row is None:
        return
    zone = row.get("zone", "").rstrip(".").lower()
    for i, name in enumerate(row.get("hostnames", ())):
        host = (name or "").rstrip(".").lower()
        if host and zone and host != zone and not host.endswith(f".{zone}"):
            yield Violation(f"spec.luaRecord.hostnames[{i}]", f"{name[:60]} lies outside of {zone}", "zone")
    check = row.get("healthCheck", {})
    interval, patience = check.get("intervalSeconds", 5.0), check.get("timeoutSeconds", 2.0)
    if patience >= interval:
        text = f"{patience:g} s must be below the interval of {interval:g} s"
        yield Violation("spec.luaRecord.healthCheck.timeoutSeconds", text, "order")
    if mechanism(values) != "stateless" and selector(values) != "static":
        # Such a selector goes to another region, and back, by itself: a second decider, which knows of no epoch.
        text = f"{selector(values)} decides by itself where writes go; with a database it is static"
        yield Violation("spec.luaRecord.selector", text, "stateful")


def _switchover(values: Values, house: House) -> Iterator[Violation]:
    row, kind, path = values.get("switchover", {}), mechanism(values), "spec.switchover"
    raft = row.get("raftTransition")
    if kind == "raft-transition" and raft is None:
        yield Violation(f"{path}.raftTransition", f"is required by {kind}", "required")
    if raft is not None and not (raft.get("pod") or raft.get("podSelector")):
        yield Violation(f"{path}.raftTransition.pod", "pod or podSelector is required", "required")
    if row.get("requested") and not row.get("requestId"):
        yield Violation(f"{path}.requestId", "is required with requested: it tells one wish from the next", "required")
    target = row.get("targetRegion")
    if target and target not in (values.get("primaryRegion"), *_standbys(values)):
        yield Violation(f"{path}.targetRegion", f"{target} is no region of the slot", "member")
    yield from _own(values.get("httpRoute"), "spec.httpRoute", house)


def _database(values: Values, house: House) -> Iterator[Violation]:
    kind, clusters = mechanism(values), values.get("database", {}).get("clusters")
    wanted = {name for name in (values.get("primaryRegion"), *_standbys(values)) if name}
    for name in sorted((clusters or {}).keys() - wanted):
        yield Violation(f"spec.database.clusters.{name}", "is no region of the slot", "member")
    for name, row in (clusters or {}).items():
        yield from _own(row, f"spec.database.clusters.{name}", house)
    if _standbys(values) and (clusters is not None or kind in _OF_DATABASE):
        for name in sorted(wanted - (clusters or {}).keys()):
            text = f"{name} is missing: {kind} needs one cluster in each region"
            yield Violation("spec.database.clusters", text, "member")
    if kind == "cnpg-pair" and "cnpgPair" not in values:
        yield Violation("spec.cnpgPair", "is required by cnpg-pair", "required")
    yield from _own(values.get("cnpgPair"), "spec.cnpgPair", house)


def _approval(values: Values, house: House) -> Iterator[Violation]:
    row = values.get("approval", {})
    approvers, quorum = row.get("approvers", ()), row.get("quorum") or (2 if house.regulated else 1)
    persons = [name for name in approvers if name]
    if persons and quorum > len(persons) and not any(name.startswith("role:") for name in persons):
        text = f"{quorum} approvals cannot be given by {len(persons)} approver(s)"
        yield Violation("spec.approval.quorum", text, "quorum")
    if house.regulated and quorum < 2:
        yield Violation("spec.approval.quorum", "a regulated house needs 2", "regulated")


def _failback(values: Values, house: House) -> Iterator[Violation]:
    row = values.get("failback", {})
    if row.get("policy") == "scheduled" and not row.get("window"):
        yield Violation("spec.failback.window", "is required by policy scheduled", "required")
    for path, text in (
        ("failback.window", row.get("window")),
        ("drill.schedule", values.get("drill", {}).get("schedule")),
    ):
        if text and len(text.split()) != 5:
            yield Violation(f"spec.{path}", f"{text[:60]!r} has not the five fields of cron", "pattern")


def _safety(values: Values, house: House) -> Iterator[Violation]:
    for i, row in enumerate(values.get("safetyRules", ())):
        if row and ("expr" in row) == ("plugin" in row):
            yield Violation(f"spec.safetyRules[{i}]", "needs one of expr and plugin", "required")


def _lease(values: Values, house: House) -> Iterator[Violation]:
    kind, config, path = values.get("leaseClient", {}).get("kind"), _config(values), "spec.leaseClient.config"
    if kind == "in-memory" and not house.in_memory:
        text = "in-memory forgets with its process; CATALYST_CONTINUUM_ALLOW_IN_MEMORY=true allows it"
        yield Violation("spec.leaseClient.kind", text, "in-memory")
    for name, of in (("nameservers", "dns-quorum"), ("cells", "quorum")):
        if name in config and kind and kind != of:
            yield Violation(f"{path}.{name}", f"belongs to kind {of}", "kind")
    if kind == "quorum" and "cells" not in config:
        yield Violation(f"{path}.cells", "is required by quorum", "required")
    if kind in ("cloudflare-kv", "durable-object"):
        yield from _needed(config, path, "baseURL", "tokenSecretRef", by=kind)
    if kind == "k8s-lease":
        yield from _needed(config, path, "kubeconfigSecretRef", by=kind)
    yield from _cells(values, config, path)


def _cells(values: Values, config: Values, path: str) -> Iterator[Violation]:
    regions = {name for name in (values.get("primaryRegion"), *_standbys(values)) if name}
    resolvers = PUBLIC_RESOLVERS | {name for name in config.get("resolvers", ()) if name}
    for name in ("nameservers", "cells"):
        rows = [(i, row) for i, row in enumerate(config.get(name, ())) if row]
        for i, row in rows:
            here = f"{path}.{name}[{i}]"
            if row.get("address", "").rpartition(":")[0] in resolvers:
                text = "is a recursive resolver: it caches, and takes no conditional update"
                yield Violation(f"{here}.address", text, "resolver")
            if name == "cells":
                yield from _needed(row, here, *_CELL_NEEDS.get(row.get("kind", ""), ()), by=f"kind {row.get('kind')}")
        inside = [row for _, row in rows if row.get("region") in regions]
        if len(inside) * 2 >= len(rows) > 0:
            text = f"{len(inside)} of {len(rows)} stand in regions of the slot; a majority must stand in none"
            yield Violation(f"{path}.{name}", text, "majority")


_CELL_NEEDS = {
    "dns": ("address", "zone", "secretRef"),
    "durable-object": ("baseURL", "secretRef"),
    "http-cas": ("baseURL", "secretRef"),
    "etcd": ("address",),
    "postgres": ("address", "secretRef"),
    "k8s-lease": ("secretRef",),
}


def _arithmetic(profile: Profile, house: House) -> Iterator[Violation]:
    path = "spec.leaseClient.config"
    for fault in profile.faults():
        yield Violation(f"{path}.{_CHECKS[fault[:2]]}", fault, fault[:2])
    yield from fence_faults(profile, house.fence_worst)


def fence_faults(profile: Profile, worst: float) -> Iterator[Violation]:
    """A fence budget below what the fencers declare: writers might go on after the time that others wait for."""
    if profile.fence < worst:
        text = (
            f"{profile.fence:g} s are less than the {worst:g} s that the fencers declare at worst; {worst:g} s with a "
            f"ttlSeconds above {2 * worst:g} would do"
        )
        yield Violation("spec.leaseClient.config.fenceBudgetSeconds", text, "fencers")


def _own(row: Values | None, path: str, house: House) -> Iterator[Violation]:
    given = (row or {}).get("namespace")
    if given and given != house.namespace:
        yield Violation(f"{path}.namespace", f"must be the slot's own, {house.namespace}", "namespace")


def _needed(row: Values, path: str, *names: str, by: str) -> Iterator[Violation]:
    for name in names:
        if name not in row:
            yield Violation(f"{path}.{name}", f"is required by {by}", "required")


def _config(values: Values) -> Values:
    config: Values = values.get("leaseClient", {}).get("config", {})
    return config
