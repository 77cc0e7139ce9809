"""Environment: where Applications of an Organization run, `{organization}-{env_type}`."""

from typing import Annotated, Literal

from pydantic import Field

from ..kind import AGE, HOST_CLUSTER, PROVIDER, Block, Column, EnvType, Kind, Part, Rule, Scope, Slug, Status


class Region(Part):
    provider: Annotated[str, Field(pattern=PROVIDER)]
    region: Annotated[str, Field(pattern="^[a-z]{2,5}$")]
    building_block: Block
    host_cluster: Annotated[str, Field(max_length=63, pattern=HOST_CLUSTER)] | None = None


class EnvironmentSpec(Part):
    organization_ref: Slug
    env_type: EnvType
    placement: Literal["single-region", "multi-region"]
    regions: Annotated[list[Region], Field(min_length=1, max_length=5)]
    policy_ref: Annotated[str, Field(max_length=253)] = ""


class VCluster(Part):
    host: str
    name: str
    phase: str
    last_transition_time: str | None = None


class Repository(Part):
    org: str = ""
    branch: str = ""


class EnvironmentStatus(Status):
    phase: Literal["Pending", "Provisioning", "Ready", "Degraded", "Failed"] = "Pending"
    region_count: int = 0
    vclusters: list[VCluster] = []
    gitea_repo_ref: Repository | None = None
    jetstream_subject_prefix: str = ""


ENVIRONMENT = Kind(
    "catalyst.openova.io",
    "v1",
    "Environment",
    "environments",
    ("env", "envs"),
    Scope.CLUSTER,
    EnvironmentSpec,
    EnvironmentStatus,
    columns=(
        Column("Org", ".spec.organizationRef"),
        Column("Type", ".spec.envType"),
        Column("Placement", ".spec.placement"),
        Column("Regions", ".status.regionCount", "integer", 1),
        Column("Phase", ".status.phase"),
        AGE,
    ),
    rules=(
        Rule(
            "self.organizationRef == oldSelf.organizationRef && self.envType == oldSelf.envType",
            "organizationRef and envType never change",
            "spec.envType",
        ),
        Rule(
            "self.placement == 'single-region' ? size(self.regions) == 1 : size(self.regions) >= 2",
            "single-region has one region, multi-region two to five",
            "spec.regions",
        ),
    ),
    whole=(
        Rule(
            "self.metadata.name == self.spec.organizationRef + '-' + self.spec.envType",
            "metadata.name is {organizationRef}-{envType}",
            "metadata.name",
        ),
    ),
)  # fmt: skip - a table
