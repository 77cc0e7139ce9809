"""Sovereign: one deployed Catalyst."""

from typing import Annotated, Literal

from pydantic import Field

from ..kind import AGE, HOST, PROVIDER, Block, Column, Kind, Part, Rule, Scope, Status

Topology = Literal["single-region", "active-hotstandby", "active-active"]


class Region(Part):
    code: Annotated[str, Field(min_length=1, max_length=64)]
    role: Annotated[str, Field(max_length=32)] = ""
    """primary, standby or active."""
    az: Annotated[str, Field(max_length=64)] = ""
    provider: Annotated[str, Field(max_length=32)] = ""


class ParentDomain(Part):
    name: Annotated[str, Field(max_length=253, pattern=HOST)]
    role: Literal["primary", "org-pool"]


class SovereignSpec(Part):
    fqdn: Annotated[str, Field(max_length=253, pattern=HOST)]
    deployment_id: Annotated[str, Field(pattern="^[0-9a-f]{16}$")] | None = None
    """Made by the provisioner; never changes."""
    bcp_topology: Topology = "single-region"
    regions: list[Region] = []
    parent_domains: list[ParentDomain] = []
    provider: Annotated[str, Field(pattern=PROVIDER)] | None = None
    """A loaded cloud plugin."""
    keycloak_topology: Literal["per-organization", "shared-sovereign"] | None = None
    domain_mode: Literal["pool", "byo-manual", "byo-api"] | None = None
    building_blocks: list[Block] = []
    """At least mgt and rtz where any is said."""
    identity_provider: Annotated[str, Field(max_length=253)] = ""
    tls_strategy: Annotated[str, Field(max_length=64)] = ""
    object_storage: Annotated[str, Field(max_length=253)] = ""


class RegionStatus(Part):
    code: str
    role: str = ""
    ready: bool = False
    last_reconciled_at: str | None = None


class SovereignStatus(Status):
    ready: bool = False
    region_count: int = 0
    regions: list[RegionStatus] = []
    phase: Literal["Pending", "Bootstrapping", "Ready", "Degraded", "CutoverInProgress", "Sovereign"] = "Pending"


SOVEREIGN = Kind(
    "catalyst.openova.io",
    "v1alpha1",
    "Sovereign",
    "sovereigns",
    ("sov",),
    Scope.CLUSTER,
    SovereignSpec,
    SovereignStatus,
    columns=(
        Column("FQDN", ".spec.fqdn"),
        Column("Topology", ".spec.bcpTopology"),
        Column("Regions", ".status.regionCount", "integer"),
        Column("Ready", ".status.ready", "boolean"),
        Column("DeploymentID", ".spec.deploymentId"),
        AGE,
    ),
    rules=(
        Rule(
            "!has(self.bcpTopology) || self.bcpTopology == 'single-region' || (has(self.regions) && size(self.regions) >= 2)",
            "active-hotstandby and active-active need two regions or more",
            "spec.regions",
        ),
        Rule(
            "!has(self.regions) || self.regions.filter(r, has(r.role) && r.role == 'primary').size() <= 1",
            "one region is primary",
            "spec.regions",
        ),
        Rule(
            "!has(self.regions) || self.regions.all(r, self.regions.exists_one(s, s.code == r.code))",
            "each region stands there once",
            "spec.regions",
        ),
        Rule(
            "!has(self.parentDomains) || size(self.parentDomains) == 0 || "
            "self.parentDomains.filter(d, d.role == 'primary').size() == 1",
            "exactly one parent domain is primary",
            "spec.parentDomains",
        ),
        Rule(
            "!has(self.buildingBlocks) || size(self.buildingBlocks) == 0 || "
            "('mgt' in self.buildingBlocks && 'rtz' in self.buildingBlocks)",
            "building blocks hold at least mgt and rtz",
            "spec.buildingBlocks",
        ),
        Rule(
            "!has(oldSelf.deploymentId) || (has(self.deploymentId) && self.deploymentId == oldSelf.deploymentId)",
            "deploymentId never changes",
            "spec.deploymentId",
        ),
    ),
)  # fmt: skip - a table
