"""Organization: the unit of tenancy."""

from typing import Annotated, Literal

from pydantic import Field

from ..kind import AGE, HOST, Column, EnvType, Kind, Part, Person, Rule, Scope, SecretKey, Slug, Status

Amount = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]{1,3})?$")]
Url = Annotated[str, Field(max_length=2048, pattern="^https://")]


class ClientSecret(Part):
    name: Annotated[str, Field(min_length=1, max_length=253)]
    key: Annotated[str, Field(min_length=1, max_length=253)] = "client-secret"


class ClaimMapper(Part):
    src: Annotated[str, Field(min_length=1, max_length=253)]
    dest: Annotated[str, Field(min_length=1, max_length=253)]


class Federation(Part):
    issuer: Url | None = None
    client_id: Annotated[str, Field(max_length=253)] = ""
    client_secret_ref: ClientSecret | None = None
    tenant_id: Annotated[str, Field(max_length=253)] = ""
    """Of Azure, which calls it so."""
    authorization_url: Url | None = None
    token_url: Url | None = None
    jwks_url: Url | None = None
    claim_mappers: Annotated[list[ClaimMapper], Field(max_length=64)] = []


class Identity(Part):
    federation_provider: Literal["", "azure-sso", "okta", "generic-oidc"] = ""
    federation_config: Federation | None = None


class Public(Part):
    parent_domain: Annotated[str, Field(max_length=253, pattern=HOST)] | None = None
    """One of the Sovereign's."""
    subdomain: Annotated[str, Field(max_length=63, pattern="^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")] | None = None
    """Default: the slug."""
    backend_service: Annotated[str, Field(max_length=253)] = ""
    backend_port: Annotated[int, Field(ge=1, le=65535)] = 80
    product: Annotated[str, Field(max_length=64)] = ""


class Ceiling(Part):
    vcpu: Annotated[int, Field(ge=0)] = 0
    memory_gb: Annotated[int, Field(ge=0, alias="memoryGB")] = 0
    disk_gb: Annotated[int, Field(ge=0, alias="diskGB")] = 0
    bandwidth_mbps: Annotated[int, Field(ge=0)] = 0


class Commerce(Part):
    package_sku: Annotated[str, Field(max_length=64, alias="packageSKU")] = ""
    addons: list[Annotated[str, Field(max_length=64)]] = []
    price_source: Annotated[str, Field(max_length=128)] = ""
    order_id: Annotated[str, Field(max_length=64, alias="orderID")] = ""
    overage_mode: Literal["capped", "grow"] = "capped"
    grow_ceiling: Ceiling | None = None
    spend_limit_month: Amount | None = None
    """In the Sovereign's currency."""


class CostSource(Part):
    kind: Annotated[str, Field(min_length=1, max_length=64)]
    region: Annotated[str, Field(min_length=1, max_length=64)]
    project_id: Annotated[str, Field(max_length=253)] = ""
    credential_ref: SecretKey | None = None


class OrganizationSpec(Part):
    slug: Slug
    display_name: Annotated[str, Field(min_length=1, max_length=128)]
    kind: Literal["customer", "internal"]
    tier: Literal["sme", "corporate"]
    billing_mode: Literal["real", "chargeback", "showback"]
    sovereign_ref: Annotated[str, Field(max_length=253, pattern=HOST)]
    parent_org: Slug | None = None
    plan_slug: Literal["s", "m", "l", "xl", "flexi"] | None = None
    """Changed by a paid order only."""
    default_environment_type: EnvType = "prod"
    owners: Annotated[list[Person], Field(min_length=1, max_length=64)]
    identity: Identity | None = None
    tenant_public: Public | None = None
    """Its public address; the name is the field's of older clients."""
    commerce: Commerce | None = None
    cost_sources: Annotated[list[CostSource], Field(max_length=64)] = []
    suspended: bool = False
    suspend_reason: Annotated[str, Field(max_length=512)] = ""


class VCluster(Part):
    name: str = ""
    host_cluster: str = ""
    phase: Literal["Pending", "Provisioning", "Ready", "Failed"] = "Pending"


class Group(Part):
    id: str = ""
    path: str = ""
    realm: str = ""


class Realm(Part):
    realm_name: str = ""
    state: Literal["Ready", "Failed", "Disabled"] | None = None
    last_error: str = ""


class GitOrganization(Part):
    name: str = ""
    repos: list[str] = []


class Bootstrap(Part):
    state: Literal["Pending", "Provisioning", "Ready", "Failed", "Disabled"] = "Pending"
    repo_url: Annotated[str, Field(alias="repoURL")] = ""
    robot_username: str = ""
    last_error: str = ""


class OrganizationStatus(Status):
    vcluster: VCluster | None = None
    keycloak_group: Group | None = None
    per_org_realm: Realm | None = None
    gitea_org: GitOrganization | None = None
    iac_bootstrap: Bootstrap | None = None


ORGANIZATION = Kind(
    "orgs.openova.io",
    "v1",
    "Organization",
    "organizations",
    ("org", "orgs"),
    Scope.CLUSTER,
    OrganizationSpec,
    OrganizationStatus,
    columns=(
        Column("Slug", ".spec.slug"),
        Column("Kind", ".spec.kind"),
        Column("Tier", ".spec.tier"),
        Column("Plan", ".spec.planSlug"),
        Column("Billing", ".spec.billingMode"),
        Column("Package", ".spec.commerce.packageSKU", priority=1),
        Column("Sovereign", ".spec.sovereignRef"),
        Column("vCluster", ".status.vcluster.phase", priority=1),
        AGE,
    ),
    rules=(
        Rule("self.slug == oldSelf.slug", "a slug never changes; a new name is a new displayName", "spec.slug"),
        Rule(
            "self.billingMode != 'real' || self.kind == 'customer'",
            "real money is for customers; an internal Organization has chargeback or showback",
            "spec.billingMode",
        ),
        Rule(
            "self.owners.exists(o, o.role == 'owner')",
            "somebody has the role owner",
            "spec.owners",
        ),
        Rule(
            "!has(self.tenantPublic) || !has(self.tenantPublic.parentDomain) || "
            "(has(self.tenantPublic.backendService) && self.tenantPublic.backendService != '')",
            "a parentDomain needs the backendService that answers there",
            "spec.tenantPublic.backendService",
        ),
        Rule(
            "!has(self.identity) || !has(self.identity.federationProvider) || self.identity.federationProvider == '' || "
            "has(self.identity.federationConfig)",
            "a federationProvider needs its federationConfig",
            "spec.identity.federationConfig",
        ),
        Rule(
            "!has(self.suspended) || !self.suspended || (has(self.suspendReason) && self.suspendReason != '')",
            "who is suspended is told why",
            "spec.suspendReason",
        ),
        Rule("!has(self.parentOrg) || self.parentOrg != self.slug", "nobody is the parent of itself", "spec.parentOrg"),
    ),
    whole=(Rule("self.metadata.name == self.spec.slug", "metadata.name is the slug", "metadata.name"),),
)  # fmt: skip - a table
