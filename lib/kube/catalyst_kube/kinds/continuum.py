"""Continuum: which region may write, and what happens when it dies (continuum specification, section 2)."""

from typing import Annotated, Any, Literal

from pydantic import Field

from ..kind import AGE, HOST_CLUSTER, Column, Kind, Part, Rule, Scope, Status

Region = Annotated[str, Field(pattern=HOST_CLUSTER, max_length=32)]
Span = Annotated[str, Field(pattern="^[0-9]+(s|m|h)$")]
Name = Annotated[str, Field(min_length=1, max_length=253)]
LEASES = ("dns-quorum", "quorum", "cloudflare-kv", "durable-object", "k8s-lease", "in-memory")


class Named(Part):
    name: Name
    namespace: Annotated[str, Field(max_length=63)] = ""


class ApplicationRef(Part):
    name: Name


class RegionPart(Part):
    name: Region
    lb_ips: Annotated[list[Annotated[str, Field(max_length=45)]], Field(alias="lbIPs", max_length=16)] = []
    agent_endpoint: Annotated[str, Field(max_length=260, pattern="^[^:/ ]+:[0-9]{1,5}$")] | None = None
    gateway_ref: Named | None = None
    promotable: bool = True
    weight: Annotated[int, Field(ge=0, le=1000)] | None = None


class LeaseClient(Part):
    kind: Literal["dns-quorum", "quorum", "cloudflare-kv", "durable-object", "k8s-lease", "in-memory"]
    config: dict[str, Any] = {}
    """Of its kind: times, name servers or cells, secrets by reference. Judged by continuum, which knows the plugin."""


class HealthCheck(Part):
    url: Annotated[str, Field(pattern="^https?://.+", max_length=2048)] | None = None
    interval_seconds: Annotated[int, Field(ge=1, le=60)] = 5
    timeout_seconds: Annotated[int, Field(ge=1, le=30)] = 2
    failure_threshold: Annotated[int, Field(ge=1, le=100)] = 3


class LuaRecord(Part):
    selector: Literal["ifurlup", "ifportup", "pickclosest", "pickwhashed", "pickfirst", "static"] | None = None
    hostnames: Annotated[list[Name], Field(max_length=64)] = []
    ttl: Annotated[int, Field(ge=1, le=300)] = 10
    zone: Annotated[str, Field(max_length=253)] | None = None
    pdm_zone: Annotated[str, Field(max_length=253)] | None = None
    """An older name of zone."""
    health_check: HealthCheck | None = None


class RaftTransition(Part):
    namespace: Annotated[str, Field(min_length=1, max_length=63)]
    pod: Annotated[str, Field(max_length=253)] = ""
    pod_selector: dict[str, str] = {}
    container: Annotated[str, Field(max_length=63)] = "openbao"
    raft_data_path: Annotated[str, Field(max_length=1024)] = "/openbao/data"
    snapshot_path: Annotated[str, Field(max_length=1024)] = ""
    bao_binary: Annotated[str, Field(max_length=253)] = "bao"


class Switchover(Part):
    mechanism: Literal["cnpg-topology", "cnpg-pair", "postgres", "raft-transition", "stateless"] = "cnpg-topology"
    drain_seconds: Annotated[int, Field(ge=0, le=300)] | None = None
    raft_transition: RaftTransition | None = None
    requested: bool = False
    target_region: Region | None = None
    requested_by: Annotated[str, Field(max_length=320)] = ""
    reason: Annotated[str, Field(max_length=1024)] = ""
    request_id: Annotated[str, Field(max_length=64)] = ""


class Database(Part):
    clusters: dict[str, Named] = {}
    sync_mode: Literal["required", "preferred", "async"] = "required"


class Approval(Part):
    required: Literal["never", "failover", "switchover", "failback", "always"] = "failback"
    approvers: Annotated[list[Annotated[str, Field(max_length=320)]], Field(max_length=64)] = []
    quorum: Annotated[int, Field(ge=1, le=10)] = 1
    timeout: Span = "15m"


class AntiFlap(Part):
    min_interval: Span = "1h"
    max_auto_failovers: Annotated[int, Field(ge=0, le=100)] = 2
    window: Span = "24h"


class Failback(Part):
    policy: Literal["manual", "scheduled", "never"] = "manual"
    stable_for: Span = "15m"
    window: Annotated[str, Field(max_length=253)] | None = None


class SafetyRule(Part):
    name: Annotated[str, Field(min_length=1, max_length=63)]
    expr: Annotated[str, Field(max_length=4096)] | None = None
    plugin: Annotated[str, Field(max_length=63)] | None = None
    when: Annotated[str, Field(max_length=63)] = ""


class Drill(Part):
    schedule: Annotated[str, Field(max_length=128)] | None = None
    kind: Literal["dry-run", "isolated", "game-day"] = "dry-run"
    max_age: Annotated[str, Field(pattern="^[0-9]+(s|m|h|d)$")] = "30d"


class ContinuumSpec(Part):
    application_ref: ApplicationRef | None = None
    primary_region: Region
    """The preferred one; the live one stands in status."""
    hot_standby_regions: Annotated[list[Region], Field(max_length=4)] = []
    regions: Annotated[list[RegionPart], Field(max_length=5)] = []
    lease_client: LeaseClient
    lua_record: LuaRecord | None = None
    rto: Span = "60s"
    rpo: Span = "5s"
    mode: Literal["automatic", "semi-automatic", "manual"] | None = None
    auto_failover: bool = False
    switchover: Switchover | None = None
    cnpg_pair: Named | None = None
    database: Database | None = None
    standby_grace_seconds: Annotated[int, Field(ge=0, le=3600)] = 30
    http_route: Named | None = None
    approval: Approval | None = None
    anti_flap: AntiFlap | None = None
    failback: Failback | None = None
    witness_loss: Literal["failsafe-peers", "fence"] = "failsafe-peers"
    safety_rules: Annotated[list[SafetyRule], Field(max_length=64)] = []
    drill: Drill | None = None
    suspend: bool = False


class Cell(Part):
    name: str
    reachable: bool = False
    lag_ballots: int | None = None
    identity: str = ""
    rtt: str = ""


class Witness(Part):
    cells: list[Cell] = []
    quorum: int = 0
    size: int = 0


class Run(Part):
    id: str
    kind: str = ""
    from_: Annotated[str, Field(alias="from")] = ""
    to: str = ""
    phase: str = ""
    step: str = ""
    epoch: int = 0
    started_at: str | None = None
    deadline: str | None = None
    attempt: int = 0
    waiting_for: str = ""
    evidence: list[str] = []


class Move(Part):
    at: str
    from_: Annotated[str, Field(alias="from")] = ""
    to: str = ""
    reason: str = ""
    kind: str = ""
    rto_observed: str = ""
    rpo_observed: str = ""
    initiated_by: str = ""
    result: str = ""
    epoch: int = 0
    components: dict[str, str] = {}


class LuaRecordRow(Part):
    hostname: str
    body: str = ""
    ttl: int = 0
    primary_region: str = ""


class LastLuaRecord(Part):
    records: list[LuaRecordRow] = []


class LastDrill(Part):
    at: str
    kind: str = ""
    result: str = ""
    rto: str = ""


class RejoinRepair(Part):
    target: str = ""
    attempts: int = 0
    bounded: bool = False
    message: str = ""
    at: str | None = None


class ContinuumStatus(Status):
    phase: Literal[
        "Pending",
        "Healthy",
        "Degraded",
        "SwitchingOver",
        "FailedOver",
        "Failed",
        "Suspended",
        "AwaitingApproval",
        "Fenced",
    ] = "Pending"  # fmt: skip - a list
    primary_region: str = ""
    lease_holder: str = ""
    lease_expires_at: str | None = None
    """For people to look at; nothing is decided by it."""
    epoch: int = 0
    seq: int = 0
    self_region: str = ""
    self_authority: Literal["held", "expiring", "none"] | None = None
    authority_remaining: str = ""
    replication_lag: dict[str, str] = {}
    max_replication_lag: str = ""
    replication_gap_bytes: dict[str, int] = {}
    sync_standby: list[str] = []
    standby_available: bool | None = None
    hot_standby_absent: bool | None = None
    witness: Witness | None = None
    run: Run | None = None
    last_switchover: Move | None = None
    history: Annotated[list[Move], Field(max_length=20)] = []
    last_lua_record: LastLuaRecord | None = None
    last_lua_record_at: str | None = None
    last_drill: LastDrill | None = None
    rejoin_repair: RejoinRepair | None = None
    rto_worst_case: str = ""
    observed_request_id: str = ""


_STANDBYS = "(has(self.hotStandbyRegions) ? self.hotStandbyRegions : [])"

CONTINUUM = Kind(
    "dr.openova.io",
    "v1",
    "Continuum",
    "continuums",
    ("dr",),
    Scope.NAMESPACED,
    ContinuumSpec,
    ContinuumStatus,
    columns=(
        Column("Application", ".spec.applicationRef.name"),
        Column("Primary", ".status.primaryRegion"),
        Column("Lease", ".status.leaseHolder"),
        Column("Lag", ".status.maxReplicationLag", priority=1),
        Column("RTO", ".spec.rto", priority=1),
        Column("RPO", ".spec.rpo", priority=1),
        Column("Phase", ".status.phase"),
        AGE,
        Column("Epoch", ".status.epoch", "integer"),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
    ),
    rules=(
        Rule(
            f"size({_STANDBYS}) == 0 || has(self.applicationRef)",
            "a slot with a standby names its Application",
            "spec.applicationRef",
        ),
        Rule(
            f"!(self.primaryRegion in {_STANDBYS}) && {_STANDBYS}.all(r, {_STANDBYS}.exists_one(s, s == r))",
            "standbys differ from each other and from primaryRegion",
            "spec.hotStandbyRegions",
        ),
        Rule(
            f"size({_STANDBYS}) > 0 || ((!has(self.mode) || self.mode == 'manual') && "
            "(!has(self.autoFailover) || !self.autoFailover))",
            "without a standby nothing fails over: mode is manual",
            "spec.mode",
        ),
        Rule(
            "!has(self.mode) || !has(self.autoFailover) || self.mode != 'manual' || !self.autoFailover",
            "mode manual and autoFailover contradict each other",
            "spec.autoFailover",
        ),
        Rule(
            f"!has(self.regions) || size(self.regions) == 0 || (size(self.regions) == size({_STANDBYS}) + 1 && "
            f"self.regions.all(r, r.name == self.primaryRegion || r.name in {_STANDBYS}))",
            "regions hold each region of the slot once, and no other",
            "spec.regions",
        ),
        Rule(
            "!has(self.luaRecord) || !has(self.luaRecord.healthCheck) || !has(self.luaRecord.healthCheck.timeoutSeconds) || "
            "!has(self.luaRecord.healthCheck.intervalSeconds) || "
            "self.luaRecord.healthCheck.timeoutSeconds < self.luaRecord.healthCheck.intervalSeconds",
            "a check ends before the next begins",
            "spec.luaRecord.healthCheck.timeoutSeconds",
        ),
        Rule(
            "!has(self.switchover) || !has(self.switchover.mechanism) || self.switchover.mechanism != 'raft-transition' || "
            "has(self.switchover.raftTransition)",
            "raft-transition needs its block",
            "spec.switchover.raftTransition",
        ),
        Rule(
            "!has(self.safetyRules) || self.safetyRules.all(r, has(r.expr) != has(r.plugin))",
            "a safety rule has an expression or a plugin",
            "spec.safetyRules",
        ),
    ),
    categories=("catalyst", "openova"),
)  # fmt: skip - a table
