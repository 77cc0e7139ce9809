"""Application: an installed Blueprint."""

from typing import Annotated, Any, Literal

from pydantic import Field

from ..kind import AGE, ENVIRONMENT, SPAN, Column, Kind, Part, Person, Rule, Scope, Status

VERSION = r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$"
"""An exact one: a range would install something else tomorrow."""
Mode = Literal["single-region", "active-active", "active-hotstandby"]
RegionName = Annotated[str, Field(min_length=1, max_length=63)]


class BlueprintRef(Part):
    name: Annotated[str, Field(pattern="^bp-[a-z0-9-]+$", max_length=66)]
    version: Annotated[str, Field(pattern=VERSION, max_length=64)]


class Placement(Part):
    mode: Mode
    regions: Annotated[list[RegionName], Field(max_length=5)] = []
    vcluster: Annotated[str, Field(max_length=63)] = ""


class HealthCheck(Part):
    path: Annotated[str, Field(pattern="^/", max_length=1024)] = "/healthz"
    port: Annotated[int, Field(ge=1, le=65535)]
    interval_seconds: Annotated[int, Field(ge=5, le=300)] = 30
    timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 5


class Topology(Part):
    auto_failover: bool = False
    rto: Annotated[str, Field(pattern=SPAN)] | None = None
    rpo: Annotated[str, Field(pattern=SPAN)] | None = None
    min_replicas: Annotated[int, Field(ge=1, le=9)] | None = None


class HelmRelease(Part):
    name: Annotated[str, Field(min_length=1, max_length=253)]
    namespace: Annotated[str, Field(min_length=1, max_length=63)]


class Dependency(Part):
    name: Annotated[str, Field(min_length=1, max_length=63)]
    namespace: Annotated[str, Field(max_length=63)] = ""
    context: Annotated[str, Field(pattern="^[A-Za-z]+/[a-z0-9.-]+$")] | None = None
    """kind/name."""


class ApplicationSpec(Part):
    blueprint_ref: BlueprintRef
    environment_ref: Annotated[str, Field(pattern=ENVIRONMENT)] | None = None
    regions: Annotated[list[RegionName], Field(min_length=1, max_length=5)] | None = None
    """In the order of their priority."""
    placement: Mode | Placement | None = None
    """Default: the Blueprint's."""
    parameters: dict[str, Any] = {}
    """Configuration, checked against the Blueprint's schema."""
    health_check: HealthCheck | None = None
    owners: Annotated[list[Person], Field(max_length=64)] = []
    topology: Topology | None = None
    instance_id: Annotated[str, Field(pattern="^[a-z0-9]{4,32}$")] | None = None
    """Default: the first eight characters of the uid."""
    isolation_level: Literal["namespace", "vcluster"] = "namespace"
    naming_template: Annotated[str, Field(max_length=256)] = ""
    """With {app}, {instance}, {org}, {blueprint}."""
    bootstrap: bool = False
    """Adopted: its status is told, nothing is rendered."""
    helm_release: HelmRelease | None = None
    depends_on: Annotated[list[Dependency], Field(max_length=64)] = []


class RegionStatus(Part):
    name: str
    role: Literal["primary", "standby", "active"] | None = None
    replicas: int = 0
    ready: bool = False
    last_transition_time: str | None = None


class Installed(Part):
    name: str
    version: str
    digest: str = ""


class ApplicationStatus(Status):
    phase: Literal["Pending", "Provisioning", "Ready", "Degraded", "Failed", "Uninstalling"] = "Pending"
    primary_region: str = ""
    regions: list[RegionStatus] = []
    gitea_repo: str = ""
    installed_blueprint: Installed | None = None


APPLICATION = Kind(
    "apps.openova.io",
    "v1",
    "Application",
    "applications",
    ("app", "apps"),
    Scope.NAMESPACED,
    ApplicationSpec,
    ApplicationStatus,
    columns=(
        Column("Blueprint", ".spec.blueprintRef.name"),
        Column("Version", ".spec.blueprintRef.version"),
        Column("Environment", ".spec.environmentRef"),
        Column("Placement", ".spec.placement"),
        Column("Phase", ".status.phase"),
        Column("Primary", ".status.primaryRegion", priority=1),
        Column("Isolation", ".spec.isolationLevel", priority=1),
        AGE,
    ),
    rules=(
        Rule(
            "(has(self.bootstrap) && self.bootstrap) || (has(self.environmentRef) && has(self.regions))",
            "environmentRef and regions are needed, but for an adopted Application (bootstrap: true)",
            "spec.environmentRef",
        ),
        Rule(
            "!has(oldSelf.instanceId) || (has(self.instanceId) && self.instanceId == oldSelf.instanceId)",
            "instanceId never changes",
            "spec.instanceId",
        ),
        Rule(
            "!has(self.helmRelease) || (has(self.bootstrap) && self.bootstrap)",
            "only an adopted Application names its helmRelease",
            "spec.helmRelease",
        ),
        Rule(
            "!has(self.healthCheck) || !has(self.healthCheck.timeoutSeconds) || !has(self.healthCheck.intervalSeconds) || "
            "self.healthCheck.timeoutSeconds < self.healthCheck.intervalSeconds",
            "a check ends before the next begins",
            "spec.healthCheck.timeoutSeconds",
        ),
        Rule(
            "!has(self.regions) || self.regions.all(r, self.regions.exists_one(s, s == r))",
            "each region stands there once",
            "spec.regions",
        ),
    ),
)  # fmt: skip - a table
