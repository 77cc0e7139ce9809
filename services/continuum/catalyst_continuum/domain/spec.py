"""The wish for a slot, with every default, and with the times that follow from its goals; `parsing` reads it. In seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from catalyst_sdk import Code, Refused, Violation

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
