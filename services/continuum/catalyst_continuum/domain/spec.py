"""The wish for a slot, as its manifest says it: parsed, with every default, and with the times that follow from the goals.

What a single field may say stands in `catalyst_sdk.continuum_form`, what they may say together in `spec_rules`; here is what
it comes to. Seconds, everywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from catalyst_sdk import Code, Refused, Violation
from catalyst_sdk.continuum_form import SPEC
from catalyst_sdk.forms import read

from . import spec_rules
from .spec_rules import House, Times
from .timing import Profile
from .view import Mode, Wish

RESOLVERS = ("8.8.8.8", "1.1.1.1", "9.9.9.9")


class LeaseKind(StrEnum):
    """What the cells are."""

    DNS_QUORUM = "dns-quorum"
    QUORUM = "quorum"
    CLOUDFLARE_KV = "cloudflare-kv"
    DURABLE_OBJECT = "durable-object"
    K8S_LEASE = "k8s-lease"
    IN_MEMORY = "in-memory"


class Selector(StrEnum):
    """How a name is answered."""

    STATIC = "static"
    """The holder's addresses."""
    IFURLUP = "ifurlup"
    """The holder's where they pass a test by URL, else the next region's."""
    IFPORTUP = "ifportup"
    """All that accept a connection."""
    PICKCLOSEST = "pickclosest"
    PICKWHASHED = "pickwhashed"
    """By weight, the same for the same client."""


class Mechanism(StrEnum):
    """How what is stateful moves: the promoter's name, dashes for underscores."""

    CNPG_TOPOLOGY = "cnpg-topology"
    CNPG_PAIR = "cnpg-pair"
    POSTGRES = "postgres"
    RAFT_TRANSITION = "raft-transition"
    STATELESS = "stateless"
    DEMO = "demo"


class SyncMode(StrEnum):
    """When a write is acknowledged."""

    REQUIRED = "required"
    PREFERRED = "preferred"
    ASYNC = "async"


class WitnessLoss(StrEnum):
    """What the holder does without a majority of cells."""

    FAILSAFE_PEERS = "failsafe-peers"
    FENCE = "fence"


class Required(StrEnum):
    """Runs that need approval."""

    NEVER = "never"
    FAILOVER = "failover"
    SWITCHOVER = "switchover"
    FAILBACK = "failback"
    ALWAYS = "always"


class Policy(StrEnum):
    """Who starts a failback."""

    MANUAL = "manual"
    SCHEDULED = "scheduled"
    NEVER = "never"


class DrillKind(StrEnum):
    """What is rehearsed."""

    DRY_RUN = "dry-run"
    ISOLATED = "isolated"
    GAME_DAY = "game-day"


@dataclass(frozen=True, slots=True)
class Ref:
    """An object of the slot's cluster."""

    name: str
    namespace: str


@dataclass(frozen=True, slots=True)
class SecretKey:
    """One key of a stored secret; the secret itself is never here."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Region:
    """One region that may hold the slot."""

    name: str
    lb_ips: tuple[str, ...] = ()
    agent_endpoint: str = ""
    gateway: Ref | None = None
    promotable: bool = True
    weight: int = 100


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. `kind` as in `cells[]`, `dns` for a name server; `region` empty: it stands in none."""

    name: str
    kind: str
    address: str = ""
    zone: str = ""
    base_url: str = ""
    secret: SecretKey | None = None
    transport: str = "udp"
    region: str = ""
    domain: str = ""


@dataclass(frozen=True, slots=True)
class LeaseClient:
    """Where the register is kept. No cells: those of the daemon's own settings.

    resolvers   to look from, never cells
    """

    kind: LeaseKind
    cells: tuple[Cell, ...] = ()
    resolvers: tuple[str, ...] = RESOLVERS
    kv_namespace_id: str = ""
    account_id: str = ""
    base_url: str = ""
    token: SecretKey | None = None
    kubeconfig: SecretKey | None = None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A look at a region from outside."""

    url: str
    interval: float = 5.0
    timeout: float = 2.0
    failures: int = 3


@dataclass(frozen=True, slots=True)
class Names:
    """The names that follow the primary (`luaRecord`)."""

    hostnames: tuple[str, ...]
    zone: str
    selector: Selector
    ttl: float = 10.0
    health: HealthCheck | None = None


@dataclass(frozen=True, slots=True)
class Trigger:
    """The wish for a run inside a manifest, of the earlier system; acts once for each new `id`."""

    requested: bool = False
    target: str = ""
    by: str = ""
    reason: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Raft:
    """Where a Raft store runs."""

    namespace: str
    pod: str = ""
    pod_selector: str = ""
    container: str = "openbao"
    data_path: str = "/openbao/data"
    snapshot_path: str = ""
    bao_binary: str = "bao"


@dataclass(frozen=True, slots=True)
class Switchover:
    """How a region is drained and promoted. `drain` None: ten seconds for a planned move, none in a failover."""

    mechanism: Mechanism = Mechanism.CNPG_TOPOLOGY
    drain: float | None = None
    trigger: Trigger | None = None
    raft: Raft | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """Who must agree. No approvers: whoever may approve by role, see `domain.approvals`."""

    required: Required = Required.FAILBACK
    approvers: tuple[str, ...] = ()
    quorum: int = 1
    timeout: float = 900.0


@dataclass(frozen=True, slots=True)
class AntiFlap:
    """Bounds of automatic moves."""

    min_interval: float = 3600.0
    max_auto_failovers: int = 2
    window: float = 86400.0


@dataclass(frozen=True, slots=True)
class Failback:
    """When the way back is offered."""

    policy: Policy = Policy.MANUAL
    stable_for: float = 900.0
    window: str = ""


@dataclass(frozen=True, slots=True)
class SafetyRule:
    """A rule of the user's that can block a run; one of `expr` and `plugin`."""

    name: str
    expr: str = ""
    plugin: str = ""
    when: str = ""


@dataclass(frozen=True, slots=True)
class Drill:
    """Rehearsals. `schedule` is a cron expression in UTC."""

    schedule: str = "0 4 * * *"
    kind: DrillKind = DrillKind.DRY_RUN
    max_age: float = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Spec:
    """Everything that is wished for one slot.

    regions      the preferred primary first, then the standbys in order of preference
    times        the profile of the lease and what it comes to
    is_rto_feasible   whether the goal can be kept at worst (condition RTOFeasible)
    warnings     what was understood otherwise than it is written
    """

    primary: str
    standbys: tuple[str, ...]
    regions: tuple[Region, ...]
    lease: LeaseClient
    profile: Profile
    rto: float
    rpo: float
    rto_worst: float
    is_rto_feasible: bool
    mode: Mode
    application: str = ""
    names: Names | None = None
    switchover: Switchover = Switchover()
    cnpg_pair: Ref | None = None
    clusters: Mapping[str, Ref] = field(default_factory=dict)
    sync_mode: SyncMode = SyncMode.REQUIRED
    standby_grace: float = 30.0
    http_route: Ref | None = None
    approval: Approval = Approval()
    anti_flap: AntiFlap = AntiFlap()
    failback: Failback = Failback()
    witness_loss: WitnessLoss = WitnessLoss.FAILSAFE_PEERS
    safety_rules: tuple[SafetyRule, ...] = ()
    drill: Drill = Drill()
    suspend: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def has_standby(self) -> bool:
        """Without one the slot is lease and fencing only: no runs."""
        return bool(self.standbys)

    @property
    def has_database(self) -> bool:
        """Whether a promoter moves data."""
        return self.switchover.mechanism is not Mechanism.STATELESS

    @property
    def members(self) -> tuple[str, ...]:
        """All regions by name, in the order of preference."""
        return (self.primary, *self.standbys)

    def region(self, name: str) -> Region:
        """A region's row. Raises KeyError for one that is none of the slot's."""
        return {region.name: region for region in self.regions}[name]

    def peers(self, name: str) -> tuple[Region, ...]:
        """The other regions."""
        return tuple(region for region in self.regions if region.name != name)

    def wish(self, name: str, *, promote: float = 10.0) -> Wish:
        """What the slot asks of the agent in `name`."""
        order = [member for member in self.members if member != self.primary]
        return Wish(
            region=name, mode=self.mode, place=order.index(name) if name in order else 0, suspended=self.suspend,
            profile=self.profile, poll=self.profile.look, promote=promote, is_primary=name == self.primary,
        )  # fmt: skip


class SpecInvalid(Refused):
    """All that is wrong with a wish, at the paths of its manifest."""

    code, reason = Code.INVALID_ARGUMENT, "SPEC_INVALID"
    message = "{count} field(s) of the spec are wrong: {fields}"

    def __init__(self, violations: Sequence[Violation]) -> None:
        fields = ", ".join(dict.fromkeys(v.field for v in violations))
        super().__init__(violations=tuple(violations), count=len(violations), fields=fields)


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
