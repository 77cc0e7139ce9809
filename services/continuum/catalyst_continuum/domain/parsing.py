"""From the manifest of a slot to its wish.

What a single field may say stands in `catalyst_sdk.continuum_form`, what they may say together in `spec_rules`; here is what
it comes to.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from catalyst_sdk.continuum_form import SPEC
from catalyst_sdk.forms import read

from . import spec_rules
from .spec import (
    RESOLVERS,
    AntiFlap,
    Approval,
    Cell,
    Drill,
    DrillKind,
    Failback,
    HealthCheck,
    LeaseClient,
    LeaseKind,
    Mechanism,
    Names,
    Policy,
    Raft,
    Ref,
    Region,
    Required,
    SafetyRule,
    SecretKey,
    Selector,
    Spec,
    SpecInvalid,
    Switchover,
    SyncMode,
    Trigger,
    WitnessLoss,
)
from .spec_rules import House, Times
from .timing import Profile
from .view import Mode


def parse(document: Any, house: House) -> Spec:
    """The wish that the `spec` of a manifest says. Raises SpecInvalid with everything that is wrong with it."""
    values, faults = read(SPEC, document, "spec")
    times = spec_rules.times(values, house)
    said = {fault.field for fault in faults}  # what is wrong by itself was left out, and is not missing besides
    faults += [one for one in spec_rules.violations(values, times, house) if one.field not in said]
    if faults:
        raise SpecInvalid(faults)
    return _built(values, times, house, tuple(_warnings(document)))


def kept(document: Any, house: House) -> Spec:
    """A wish that was accepted once, as it is understood now: rules that came later do not make it unreadable."""
    values, _ = read(SPEC, document, "spec")
    return _built(values, spec_rules.times(values, house), house, ())


def safety_rules(document: Any) -> tuple[SafetyRule, ...]:
    """The rules of the user's own that can be read, however the rest is."""
    values, _ = read(SPEC, document, "spec")
    return _safety_rules(values)


def lease_client(row: Mapping[str, Any]) -> LeaseClient:
    """The `leaseClient` of a manifest that was accepted once."""
    return _lease(row)


def lone(region: str, profile: Profile, *, suspend: bool = False) -> Spec:
    """What is wished for a Sovereign's own slot: its region, on the daemon's cells and times, without standby."""
    return Spec(
        region, (), (Region(region),), LeaseClient(LeaseKind.DNS_QUORUM), profile, rto=60.0, rpo=5.0, rto_worst=0.0,
        is_rto_feasible=True, mode=Mode.MANUAL, suspend=suspend,
    )  # fmt: skip


def _built(values: Mapping[str, Any], times: Times, house: House, warnings: tuple[str, ...]) -> Spec:
    database = values.get("database", {})
    return Spec(
        primary=values["primaryRegion"], standbys=values.get("hotStandbyRegions", ()), regions=_regions(values, house),
        lease=_lease(values["leaseClient"]), profile=times.profile, rto=times.rto, rpo=values.get("rpo", 5.0),
        rto_worst=times.worst, is_rto_feasible=times.is_feasible, mode=Mode(spec_rules.mode(values)),
        application=values.get("applicationRef", {}).get("name", ""), names=_names(values),
        switchover=_switchover(values.get("switchover", {})), cnpg_pair=_ref(values.get("cnpgPair"), house),
        clusters={region: Ref(row["name"], row.get("namespace", house.namespace))
                  for region, row in database.get("clusters", {}).items()},
        sync_mode=SyncMode(database.get("syncMode", "required")),
        standby_grace=values.get("standbyGraceSeconds", 30.0), http_route=_ref(values.get("httpRoute"), house),
        approval=_approval(values.get("approval", {}), house), anti_flap=_anti_flap(values.get("antiFlap", {})),
        failback=_failback(values.get("failback", {})),
        witness_loss=WitnessLoss(values.get("witnessLoss", "failsafe-peers")),
        safety_rules=_safety_rules(values),
        drill=_drill(values.get("drill", {})), suspend=values.get("suspend", False), warnings=warnings,
    )  # fmt: skip


def _regions(values: Mapping[str, Any], house: House) -> tuple[Region, ...]:
    rows = {row["name"]: row for row in values.get("regions", ())}
    wanted = (values["primaryRegion"], *values.get("hotStandbyRegions", ()))
    return tuple(_region(name, rows.get(name, {}), house) for name in wanted)


def _region(name: str, row: Mapping[str, Any], house: House) -> Region:
    return Region(
        name, row.get("lbIPs", ()), row.get("agentEndpoint", ""), _ref(row.get("gatewayRef"), house),
        row.get("promotable", True), row.get("weight") or 100,
    )  # fmt: skip


def _ref(row: Mapping[str, Any] | None, house: House) -> Ref | None:
    return Ref(row["name"], row.get("namespace", house.namespace)) if row else None


def _secret(row: Mapping[str, Any] | None, key: str) -> SecretKey | None:
    return SecretKey(row["name"], row.get("key", key)) if row else None


def _lease(row: Mapping[str, Any]) -> LeaseClient:
    config = row.get("config", {})
    cells = [_nameserver(one) for one in config.get("nameservers", ())] + [
        _cell(one) for one in config.get("cells", ())
    ]
    return LeaseClient(
        LeaseKind(row["kind"]), tuple(cells), tuple(config.get("resolvers", RESOLVERS)), config.get("kvNamespaceId", ""),
        config.get("accountId", ""), config.get("baseURL", ""), _secret(config.get("tokenSecretRef"), "token"),
        _secret(config.get("kubeconfigSecretRef"), "kubeconfig"),
    )  # fmt: skip


def _nameserver(row: Mapping[str, Any]) -> Cell:
    return Cell(
        row["name"], "dns", row["address"], row["zone"], secret=_secret(row["tsigSecretRef"], "tsig"),
        transport=row.get("transport", "udp"), region=row.get("region", ""),
    )  # fmt: skip


def _cell(row: Mapping[str, Any]) -> Cell:
    key = "tsig" if row["kind"] == "dns" else "token"
    return Cell(
        row["name"], row["kind"], row.get("address", ""), row.get("zone", ""), row.get("baseURL", ""),
        _secret(row.get("secretRef"), key), row.get("transport", "udp"), row.get("region", ""), row["domain"],
    )  # fmt: skip


def _names(values: Mapping[str, Any]) -> Names | None:
    row = values.get("luaRecord")
    if row is None:
        return None
    check = row.get("healthCheck")
    health = HealthCheck(
        check["url"], check.get("intervalSeconds", 5.0), check.get("timeoutSeconds", 2.0),
        check.get("failureThreshold") or 3,
    ) if check else None  # fmt: skip
    return Names(row["hostnames"], row["zone"], Selector(spec_rules.selector(values)), row.get("ttl", 10.0), health)


def _switchover(row: Mapping[str, Any]) -> Switchover:
    raft = row.get("raftTransition")
    words = ("requested", "targetRegion", "requestedBy", "reason", "requestId")
    asked = [row.get(word, False if word == "requested" else "") for word in words]
    return Switchover(
        Mechanism(row.get("mechanism", "cnpg-topology")), row.get("drainSeconds"),
        Trigger(*asked) if any(word in row for word in words) else None, _raft(raft) if raft else None,
    )  # fmt: skip


def _raft(row: Mapping[str, Any]) -> Raft:
    return Raft(
        row["namespace"], row.get("pod", ""), row.get("podSelector", ""), row.get("container", "openbao"),
        row.get("raftDataPath", "/openbao/data"), row.get("snapshotPath", ""), row.get("baoBinary", "bao"),
    )  # fmt: skip


def _approval(row: Mapping[str, Any], house: House) -> Approval:
    quorum = row.get("quorum") or (2 if house.regulated else 1)
    return Approval(
        Required(row.get("required", "failback")), row.get("approvers", ()), quorum, row.get("timeout", 900.0)
    )


def _anti_flap(row: Mapping[str, Any]) -> AntiFlap:
    return AntiFlap(row.get("minInterval", 3600.0), row.get("maxAutoFailovers") or 2, row.get("window", 86400.0))


def _failback(row: Mapping[str, Any]) -> Failback:
    return Failback(Policy(row.get("policy", "manual")), row.get("stableFor", 900.0), row.get("window", ""))


def _safety_rules(values: Mapping[str, Any]) -> tuple[SafetyRule, ...]:
    rows = [row for row in values.get("safetyRules", ()) if row and row.get("name")]
    return tuple(SafetyRule(**row) for row in rows)


def _drill(row: Mapping[str, Any]) -> Drill:
    return Drill(
        row.get("schedule", "0 4 * * *"), DrillKind(row.get("kind", "dry-run")), row.get("maxAge", 30 * 86400.0)
    )


def _warnings(document: Mapping[str, Any]) -> Sequence[str]:
    record = document.get("luaRecord") or {}
    if record.get("selector") == "pickfirst":
        return ["spec.luaRecord.selector: PowerDNS knows no pickfirst; it is taken as static"]
    return []
