"""The parts of a manifest: camelCase outside, frozen, nothing unknown."""

import re
from enum import Enum
from typing import Annotated, Any, Literal, Self

from catalyst_sdk import Refused
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from . import ranges, whens

Name = Annotated[str, Field(pattern=r"^bp-[a-z][a-z0-9-]{0,61}[a-z0-9]$")]
Label = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
Alias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
Kind = Annotated[str, Field(pattern=r"^[a-z0-9.-]+/[A-Z][A-Za-z0-9]+$")]
Span = Annotated[str, Field(pattern=r"^\d{1,6}[smhd]$")]
Path = Annotated[str, Field(pattern=r"^(?!/)(?!.*(^|/)\.\.(/|$))[\w./-]{1,200}$")]
"""A path inside the folder; regular expressions with look-ahead are for Python, the schema shows them as they are."""
Mode = Literal["single-region", "active-active", "active-hotstandby"]
REGIONS = {"single-region": (1, 1), "active-active": (2, 5), "active-hotstandby": (2, 5)}


class Part(BaseModel):
    """A part of the manifest: camelCase outside, frozen, nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, regex_engine="python-re")


class Status(Enum):
    """`planned` has no version and is never selectable; `deferred` only by explicit choice."""

    RELEASED = "released"
    PLANNED = "planned"
    DEFERRED = "deferred"


class Layer(Enum):
    CONTROL_PLANE = "control-plane"
    HOST_INFRA = "host-infra"
    APPLICATION = "application"


class Tier(Enum):
    MANDATORY = "mandatory"
    RECOMMENDED = "recommended"
    OPTIONAL = "optional"


class Visibility(Enum):
    LISTED = "listed"
    UNLISTED = "unlisted"
    PRIVATE = "private"


class Card(Part):
    """What people see before they know the Blueprint."""

    title: Annotated[str, Field(min_length=1, max_length=64)]
    tagline: Annotated[str, Field(max_length=120)] = ""
    summary: Annotated[str, Field(max_length=2000)] = ""
    category: Slug | None = None
    tags: Annotated[tuple[Slug, ...], Field(max_length=20)] = ()
    icon: Path | None = None
    screenshots: Annotated[tuple[Path, ...], Field(max_length=6)] = ()
    licence: str | None = None
    documentation: Annotated[str, Field(pattern=r"^https://\S+$")] | None = None


class Owner(Part):
    team: str | None = None
    contact: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")] | None = None


class Placement(Part):
    """Over how many regions it may stretch, and how."""

    modes: Annotated[tuple[Mode, ...], Field(min_length=1)] = ("single-region",)
    default: Mode = "single-region"
    default_on_multi_region: Mode | None = None
    min_regions: Annotated[int, Field(ge=1, le=5)] = 1
    max_regions: Annotated[int, Field(ge=1, le=5)] = 1

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for mode in (self.default, self.default_on_multi_region):
            if mode is not None and mode not in self.modes:
                raise ValueError(f"{mode} is none of the modes")
        if self.min_regions > self.max_regions:
            raise ValueError("minRegions is above maxRegions")
        if self.max_regions < max(REGIONS[mode][0] for mode in self.modes):
            raise ValueError("maxRegions is too small for the modes")
        return self


class Dependency(Part):
    """One need: the only truth about install order, closure and cascade."""

    blueprint: Name
    version: str = "*"
    alias: Alias | None = None
    when: str | None = None
    values: dict[str, Any] = Field(default_factory=dict)

    _version = field_validator("version")(lambda text: checked(ranges.parse, text))
    _when = field_validator("when")(lambda text: checked(whens.parse, text))

    @property
    def known_as(self) -> str:
        """The alias, by default the name without its prefix."""
        return self.alias or self.blueprint.removeprefix("bp-")


class Upstream(Part):
    chart: str
    version: str
    repo: Annotated[str, Field(pattern=r"^(https|oci)://\S+$")]


class Source(Part):
    kind: Literal["HelmChart", "Kustomize"]
    ref: str


class Manifests(Part):
    """What is installed: an own chart, or a source elsewhere."""

    chart: Path | None = None
    source: Source | None = None
    upstream: tuple[Upstream, ...] = ()
    overlays: dict[Literal["small", "medium", "large"], dict[str, Any]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.chart is None) == (self.source is None):
            raise ValueError("exactly one of chart and source is expected")
        ref = self.source.ref if self.source else ""
        if self.source and not ref.startswith("oci://") and ref not in {u.chart for u in self.upstream}:
            raise ValueError(f"source.ref {ref} is neither an OCI reference nor an entry of upstream")
        return self


class Upgrades(Part):
    from_: Annotated[tuple[str, ...], Field(alias="from")] = ()
    blocks: tuple[str, ...] = ()

    _patterns = field_validator("from_", "blocks")(lambda all_: tuple(checked(ranges.parse, text) for text in all_))

    @model_validator(mode="after")
    def _disjoint(self) -> Self:
        if both := sorted(set(self.from_) & set(self.blocks)):
            raise ValueError(f"{', '.join(both)} stands in from and in blocks")
        return self


class Rotation(Part):
    kind: Slug
    name: str = ""
    ttl: Span


class Observability(Part):
    metrics: Literal["prometheus"] | None = None
    logs: Literal["stdout"] | None = None
    traces: Literal["otlp"] | None = None


TOKENS = frozenset({"sovereign_fqdn", "org", "org_domain", "app"})


class Endpoint(Part):
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}[a-z0-9]$")]
    hostname_template: Annotated[str, Field(max_length=253)]
    port: Annotated[int, Field(ge=1, le=65535)]
    protocol: Literal["https", "http", "grpc", "tcp", "udp"] = "https"
    tls: bool = True
    visibility: Literal["public", "private", "internal"] = "internal"
    launch_default: bool = False
    sso_enabled: bool = False
    sso_init_path: Annotated[str, Field(max_length=512)] = ""

    @field_validator("hostname_template")
    @classmethod
    def _known_tokens(cls, text: str) -> str:
        plain = re.sub(r"\{(\w+)\}", lambda found: "" if found[1] in TOKENS else found[0], text)
        if "{" in plain or "}" in plain:
            raise ValueError(f"tokens are {', '.join(f'{{{token}}}' for token in sorted(TOKENS))}")
        return text


class Sso(Part):
    realm: Literal["sovereign", "org"]
    protocol: Literal["oidc", "saml"] = "oidc"
    groups_claim: str = "groups"
    roles_from_group: dict[str, str] = Field(default_factory=dict)
    admin_group: str = "sovereign-admins"


class MultiInstance(Part):
    enabled: bool = False
    max_per_org: Annotated[int, Field(ge=0, le=1000)] = 0
    isolation: Literal["namespace", "vcluster"] = "namespace"


class Switchover(Part):
    mechanism: str = ""
    rto_seconds: Annotated[int, Field(ge=0)] = 0
    rpo_seconds: Annotated[int, Field(ge=0)] = 0


class Replication(Part):
    """How state follows into another region; by placement mode."""

    backend: Literal[
        "cnpg-pair",
        "raft",
        "mirrormaker2",
        "s3-bucket-replication",
        "ccr",
        "sentinel",
        "velero",
        "filer-remote-storage",
        "flux-git",
        "none",
    ]  # fmt: skip - reads as a list
    mode: Literal["sync", "async", "none"] = "none"
    lag_slo_seconds: Annotated[int, Field(ge=0, le=86400)] = 0
    switchover: Switchover = Switchover()


class Requests(Part):
    """What all of its pods together ask for by default, and the size of their volumes; planners of clusters count it."""

    cpu_milli: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    ram_mb: Annotated[int, Field(ge=0, le=10_000_000)] | None = None
    disk_gb: Annotated[int, Field(ge=0, le=1_000_000)] | None = None


class Readiness(Part):
    """How "healthy" is proved."""

    kind: Literal["http", "condition", "rollout", "command"]
    target: str
    expect: str = ""
    timeout: Span = "10m"
    optional: bool = False


def checked(parse: Any, given: Any) -> Any:
    """`given` as it is, if `parse` understands it."""
    try:
        if given is not None:
            parse(given)
    except Refused as refusal:
        raise ValueError(f"{refusal.reason}: {refusal.sentence}") from refusal
    return given
