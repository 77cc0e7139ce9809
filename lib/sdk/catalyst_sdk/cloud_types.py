"""Words of the `cloud_provider` contract: frozen dataclasses of plain values. Import them from `catalyst_sdk.cloud`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from .manifests import Manifest

CAPABILITIES = frozenset({
    "network", "firewall", "lb_tcp", "private_lb", "volumes", "placement_groups", "object_store", "floating_ip", "arm",
    "snapshot", "power_off", "fence", "prices", "stock", "multi_zone", "adopt",
    "air_gap", "replace",
})  # fmt: skip
"""What a cloud may declare; what it lacks is handled when a plan is made."""

REASONS = frozenset({"CAPACITY", "QUOTA", "AUTH", "CONFLICT", "INVALID", "PROTECTED", "UNKNOWN"})
"""Reasons of a `Permanent` from a cloud: its error class. The classes transient and rate_limited are the errors
`Temporary` and `RateLimited`. CONFLICT: the name is held by a resource that isn't ours."""


@dataclass(frozen=True, slots=True)
class Region:
    """A region that the cloud offers, with its codes for names (long `^[a-z]{2,5}$`, and one letter)."""

    id: str
    code: str
    letter: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class CloudManifest:
    """Facts about a cloud that hold without asking it."""

    provider: str
    code: str
    letter: str
    regions: tuple[Region, ...]
    capabilities: frozenset[str]
    credential_schema: Mapping[str, Any] = field(default_factory=dict)
    """JSON Schema of a credential; the whole credential is one secret."""
    simulated: bool = False

    def region(self, id: str) -> Region | None:
        """The region of that id, if the cloud has it."""
        return next((region for region in self.regions if region.id == id), None)


@dataclass(frozen=True, slots=True)
class Binary:
    """A program that servers fetch and whose digest they demand."""

    arch: str
    """As programs are named: `amd64`, `arm64`."""
    url: str
    sha256: str


def cloud_manifest(manifest: Manifest) -> CloudManifest:
    """The facts that a cloud's `manifest.toml` adds: tables `naming`, `regions` and `credential`. Its name is the provider's."""
    extra = manifest.extra
    return CloudManifest(
        provider=manifest.name,
        code=extra["naming"]["code"],
        letter=extra["naming"]["letter"],
        regions=tuple(Region(**region) for region in extra["regions"]),
        capabilities=frozenset(manifest.capabilities),
        credential_schema=extra.get("credential", {}),
        simulated=extra.get("simulated", False),
    )


@dataclass(frozen=True, slots=True)
class Price:
    """What one resource costs. An hour is often less than a minor unit, hence millionths of the currency's unit."""

    currency: str
    hour_micros: int
    """Millionths of one unit of the currency for an hour: 0.0064 EUR = 6400."""
    month_minor: int
    """Minor units for a whole month, with the cloud's monthly cap applied."""
    capped: bool = False
    """Whether the month is a cap rather than 730 hours."""

    @property
    def hour_minor(self) -> int:
        """Minor units for an hour, rounded up, of a currency with two decimals."""
        return -(-self.hour_micros // 10_000)


@dataclass(frozen=True, slots=True)
class OfferQuery:
    """Which offers are wanted; an empty field matches all."""

    kind: str = "server"
    region: str = ""
    size: str = ""
    arch: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """A size that a region sells now."""

    kind: str
    """`server` or `load_balancer`."""
    size: str
    region: str
    arch: str = ""
    vcpu: int = 0
    memory_mb: int = 0
    disk_gb: int = 0
    price: Price | None = None
    """None: the cloud tells none. It isn't free of charge then, it is unpriced."""
    stock: int | None = None
    """How many can be had; None: not known."""
    deprecated: bool = False
    is_live: bool = True
    """False: from a table that came with the plugin, as nobody could be asked. Since 0.2."""


@dataclass(frozen=True, slots=True)
class CredentialReport:
    """What a credential may do, found without creating anything."""

    valid: bool
    granted: tuple[str, ...] = ()
    """Of the rights asked for: `read`, `write`."""
    missing: tuple[str, ...] = ()
    account: str = ""
    message: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NodePool:
    """Servers of one role and size."""

    name: str
    size: str
    count: int


@dataclass(frozen=True, slots=True)
class Listener:
    """One port of the ingress load balancer."""

    port: int
    target_port: int


@dataclass(frozen=True, slots=True)
class ClusterRequest:
    """One cluster as it is wished; all names and labels are computed by the host."""

    sovereign: str
    """Resource name, `sovereigns/acme`."""
    fqdn: str
    cluster: str
    """`{provider}-{region}-{building block}-{env type}`, e.g. `sb-east-mgt-prod`; also the folder in the tree."""
    suffix: str
    """Short id of the Sovereign, the end of every resource's name, so that no cluster takes another's."""
    region: str
    labels: Mapping[str, str]
    """Ownership labels. They are put on every resource; what carries all of them is ours."""
    control_plane: NodePool
    worker_pools: tuple[NodePool, ...] = ()
    load_balancer: str = ""
    """Type of the load balancer; empty: the cloud's smallest."""
    listeners: tuple[Listener, ...] = (Listener(80, 31080), Listener(443, 31443))
    node_cidr: str = "10.0.0.0/16"
    subnet_cidr: str = "10.0.1.0/24"
    pod_cidr: str = "10.64.0.0/15"
    service_cidr: str = "10.128.0.0/16"
    ssh_public_keys: tuple[str, ...] = ()
    ssh_allowed_cidrs: tuple[str, ...] = ()
    api_public: bool = False
    allow_deprecated: bool = False
    adopted: Mapping[str, "Adopted"] = field(default_factory=dict)
    """By address: resources that were there before, that somebody has given to this cluster and that keep their names.
    They are ours whatever their labels say, and get ours. Capability `adopt`."""
    anew: Mapping[str, str] = field(default_factory=dict)
    """By name: the id of a server that is made anew, under its name. One that has another id by now was made anew already.
    Capability `replace`. Since 0.2."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """A resource that was there before."""

    name: str
    id: str


class Severity(StrEnum):
    """How much a finding weighs; ERROR makes a plan not applicable."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found before anything was spent."""

    code: str
    """Stable, e.g. `quota.servers`, `capacity.size`, `name.foreign_resource`."""
    severity: Severity
    path: str
    """Path of the field in the request."""
    message: str
    remedy: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


class Action(StrEnum):
    """What a plan does with a resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    IMPORT = "import"
    NO_OP = "no_op"


@dataclass(frozen=True, slots=True)
class Change:
    """One resource in a plan; `before` and `after` hold plain values, secrets masked."""

    action: Action
    kind: str
    name: str
    address: str
    """Place in the plugin's own model, unique within the cluster: `server.control_plane[1]`."""
    region: str
    id: str = ""
    reason: str = ""
    paths: tuple[str, ...] = ()
    """What differs, as paths into `after`."""
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CostLine:
    """What one resource of the wished state costs. `price` None: unpriced, and shown as such."""

    address: str
    kind: str
    size: str
    price: Price | None


@dataclass(frozen=True, slots=True)
class InfraPlan:
    """What an `apply` of `request` would do. Equal inputs give an equal plan."""

    request: ClusterRequest
    changes: tuple[Change, ...]
    cost: tuple[CostLine, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether applying it would change nothing."""
        return all(change.action is Action.NO_OP for change in self.changes)

    @property
    def is_applicable(self) -> bool:
        """Whether no finding forbids it."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """A way in. `ports` are those that really answer, which may differ from those wished for in a simulation."""

    purpose: str
    """`ingress` or `api`."""
    ipv4: str
    ports: Mapping[str, int]
    """Scheme to port: `{"http": 80}`."""
    ipv6: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """A server of the cluster."""

    name: str
    id: str
    role: str
    """`control_plane` or `worker`."""
    private_ip: str
    pool: str = ""


@dataclass(frozen=True, slots=True)
class Discovered:
    """A resource as the cloud shows it."""

    kind: str
    name: str
    id: str
    region: str
    labels: Mapping[str, str]
    price: Price | None = None


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What stands after an apply, read back from the cloud."""

    load_balancers: tuple[LoadBalancer, ...]
    api_endpoint: str
    servers: tuple[Server, ...]
    resources: tuple[Discovered, ...]
    simulated: bool = False


def owned(labels: Mapping[str, str], found: Mapping[str, str]) -> bool:
    """Whether a resource with the labels `found` carries all of `labels`. Without labels nothing is ours."""
    return bool(labels) and labels.items() <= found.items()
