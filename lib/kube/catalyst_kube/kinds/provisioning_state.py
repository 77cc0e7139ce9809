"""ProvisioningState: a projection of the provisioner's run, never its truth."""

from typing import Annotated, Literal

from pydantic import Field

from ..kind import AGE, HOST, Column, Condition, Kind, NamedSecretKey, Part, Rule, Scope, Status

Size = Annotated[str, Field(max_length=63)]
Workers = Annotated[int, Field(ge=0, le=100)]


class Region(Part):
    provider: Annotated[str, Field(max_length=32)]
    cloud_region: Annotated[str, Field(max_length=64)] = ""
    control_plane_size: Size = ""
    worker_size: Size = ""
    worker_count: Workers = 0


class ParentDomain(Part):
    name: Annotated[str, Field(max_length=253, pattern=HOST)]
    role: Literal["primary", "secondary"]
    registrar_kind: Annotated[str, Field(max_length=63)] = ""
    registrar_creds_ref: Annotated[str, Field(max_length=253)] = ""
    added_at: str | None = None


class ProvisioningStateSpec(Part):
    deployment_id: Annotated[str, Field(pattern="^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$", alias="deploymentID")]
    org_name: Annotated[str, Field(max_length=255)] = ""
    org_email: Annotated[str, Field(max_length=320)] = ""
    sovereign_fqdn: Annotated[str, Field(max_length=253, alias="sovereignFQDN")] = ""
    sovereign_domain_mode: Literal["pool", "byo-manual", "byo-api", "byo"] | None = None
    """byo: byo-manual."""
    sovereign_pool_domain: Annotated[str, Field(max_length=253)] = ""
    sovereign_subdomain: Annotated[str, Field(max_length=63)] = ""
    region: Annotated[str, Field(max_length=64)] = ""
    control_plane_size: Size = ""
    worker_size: Size = ""
    worker_count: Workers = 0
    ha_enabled: bool = False
    hetzner_project_id: Annotated[str, Field(max_length=63, alias="hetznerProjectID")] = ""
    """Of older clients; other clouds need no field of theirs."""
    hetzner_token_secret_ref: NamedSecretKey | None = None
    regions: Annotated[list[Region], Field(max_length=16)] = []
    parent_domains: Annotated[list[ParentDomain], Field(max_length=16)] = []


class ProvisioningStateStatus(Status):
    phase: Literal[
        "pending", "bootstrapping", "installing-control-plane", "registering-dns", "tls-issuing", "ready", "failed"
    ] = "pending"  # fmt: skip - a list
    started_at: str | None = None
    last_transition_at: str | None = None
    finished_at: str | None = None
    failure_reason: Annotated[str, Field(max_length=8192)] = ""
    control_plane_ip: Annotated[str, Field(max_length=45, alias="controlPlaneIP")] = ""
    load_balancer_ip: Annotated[str, Field(max_length=45, alias="loadBalancerIP")] = ""
    kubeconfig_secret_ref: NamedSecretKey | None = None
    component_states: dict[str, Literal["pending", "installing", "installed", "degraded", "failed"]] = {}
    conditions: Annotated[list[Condition], Field(max_length=32)] = []


PROVISIONING_STATE = Kind(
    "catalyst.openova.io",
    "v1alpha1",
    "ProvisioningState",
    "provisioningstates",
    ("psv", "prov"),
    Scope.NAMESPACED,
    ProvisioningStateSpec,
    ProvisioningStateStatus,
    columns=(
        Column("Phase", ".status.phase"),
        Column("Sovereign", ".spec.sovereignFQDN"),
        Column("Region", ".spec.region"),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        AGE,
    ),
    rules=(
        Rule("self.deploymentID == oldSelf.deploymentID", "deploymentID never changes", "spec.deploymentID"),
        Rule(
            "!has(self.parentDomains) || size(self.parentDomains) == 0 || "
            "self.parentDomains.filter(d, d.role == 'primary').size() == 1",
            "exactly one parent domain is primary",
            "spec.parentDomains",
        ),
    ),
    whole=(Rule("self.metadata.name == self.spec.deploymentID", "metadata.name is the deploymentID", "metadata.name"),),
)  # fmt: skip - a table
