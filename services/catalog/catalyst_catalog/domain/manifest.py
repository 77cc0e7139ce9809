"""The manifest of a Blueprint: one model, from which the JSON Schema of `blueprint.yaml` is generated too.

Unknown fields are errors, except `x-…`. What only a listed Blueprint needs is not asked here but by `inspection`.
"""

import json
import re
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from catalyst_sdk import Violation
from pydantic import Field, ValidationError, field_validator, model_validator

from . import config_schema, folding, ranges
from .manifest_parts import (
    Card,
    Dependency,
    Endpoint,
    Kind,
    Label,
    Layer,
    Manifests,
    Mode,
    MultiInstance,
    Name,
    Observability,
    Owner,
    Part,
    Placement,
    Readiness,
    Replication,
    Requests,
    Rotation,
    Slug,
    Span,
    Sso,
    Status,
    Tier,
    Upgrades,
    Visibility,
    checked,
)  # fmt: skip - reads as a list

API_VERSION = "catalyst.openova.io/v1"
NO_UPSTREAM = "catalyst.openova.io/no-upstream"


class Spec(Part):
    """What it is, needs and offers; the defaults are those of a document that does not say."""

    status: Status = Status.RELEASED
    version: str | None = None
    namespace: Label | None = None
    layer: Layer
    family: Slug | None = None
    tier: Tier = Tier.OPTIONAL
    card: Card
    visibility: Visibility = Visibility.UNLISTED
    owner: Owner = Owner()
    config_schema: dict[str, Any] = Field(default_factory=dict)
    placement_schema: Placement = Placement()
    depends: Annotated[tuple[Dependency, ...], Field(max_length=50)] = ()
    also_selects: Annotated[tuple[Name, ...], Field(max_length=20)] = ()
    manifests: Manifests | None = None
    upgrades: Upgrades = Upgrades()
    rotation: tuple[Rotation, ...] = ()
    observability: Observability = Observability()
    outputs: dict[str, str] = Field(default_factory=dict)
    provides: tuple[Kind, ...] = ()
    requires_kinds: tuple[Kind, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    sso: Sso | None = None
    multi_instance: MultiInstance = MultiInstance()
    replication: dict[Mode, Replication] = Field(default_factory=dict)
    readiness: Readiness | None = None
    requests: Requests | None = None
    install_timeout: Span = "15m"
    dynamic_secrets: bool = False
    opt_in: bool = False

    @field_validator("version")
    @classmethod
    def _semantic(cls, text: str | None) -> str | None:
        if text is not None and not (re.fullmatch(r"\d+\.\d+\.\d+(-[a-z0-9.-]+)?", text) and ranges.is_version(text)):
            raise ValueError("a semantic version such as 1.4.0 is expected")
        return text

    @field_validator("config_schema")
    @classmethod
    def _usable(cls, schema: dict[str, Any]) -> dict[str, Any]:
        if schema:
            checked(config_schema.check, schema)
        return schema

    @field_validator("depends")
    @classmethod
    def _own_aliases(cls, depends: tuple[Dependency, ...]) -> tuple[Dependency, ...]:
        names = [edge.known_as for edge in depends]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"alias {', '.join(twice)} is used twice")
        return depends

    @model_validator(mode="after")
    def _released_or_planned(self) -> Self:
        if self.status is Status.PLANNED:
            if self.manifests is not None:
                raise ValueError("a planned Blueprint has no manifests")
        elif self.version is None or self.manifests is None:
            raise ValueError("version and manifests are needed unless the status is planned")
        return self


class Metadata(Part):
    """Name, labels and annotations."""

    name: Name
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class Manifest(Part):
    """`blueprint.yaml`."""

    api_version: Literal["catalyst.openova.io/v1"]
    kind: Literal["Blueprint"]
    metadata: Metadata
    spec: Spec

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if any(edge.blueprint == self.metadata.name for edge in self.spec.depends):
            raise ValueError("a Blueprint cannot depend on itself")
        manifests = self.spec.manifests
        if manifests and not manifests.upstream and self.metadata.annotations.get(NO_UPSTREAM) != "true":
            raise ValueError(f'upstream is empty: annotate {NO_UPSTREAM}: "true" if that is meant')
        return self

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """Where its release is installed; by default the name without its prefix."""
        return self.spec.namespace or self.name.removeprefix("bp-")

    @cached_property
    def searched(self) -> tuple[str, ...]:
        """What a card is found by, the best place first; worked out once, as every search looks at all of them."""
        card = self.spec.card
        texts = (
            f"{self.name.removeprefix('bp-')} {self.name}",
            card.title,
            " ".join(card.tags),
            card.tagline,
            card.summary,
        )
        return tuple(map(folding.beginnings, texts))

    @property
    def is_opt_in(self) -> bool:
        """Whether only an explicit choice may bring it in."""
        return self.spec.opt_in or self.spec.status is Status.DEFERRED

    def as_document(self) -> dict[str, Any]:
        """The manifest as written out, without what equals a default."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class ManifestInvalid(ValueError):
    """Fields that are wrong, all of them."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in violations))
        self.violations = violations


def check(document: dict[str, Any]) -> Manifest:
    """The manifest that a document of the current shape holds. Raises ManifestInvalid with every violation."""
    try:
        return Manifest.model_validate_json(json.dumps(_without_extensions(document)), strict=True)
    except ValidationError as error:
        raise ManifestInvalid(tuple(map(_violation, error.errors(include_url=False, include_input=False)))) from error


FREE = frozenset({"configSchema", "values", "overlays", "labels", "annotations", "outputs"})
"""Parts whose keys are the author's own, `x-…` too."""


def _without_extensions(part: Any) -> Any:
    if isinstance(part, list):
        return [_without_extensions(item) for item in part]
    if not isinstance(part, dict):
        return part
    ours = {key: value for key, value in part.items() if not key.startswith("x-")}
    return {key: value if key in FREE else _without_extensions(value) for key, value in ours.items()}


def seconds(span: str) -> int:
    """`15m` as seconds."""
    return int(span[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[span[-1]]


def _violation(error: Any) -> Violation:
    path = ".".join(str(step) for step in error["loc"])
    return Violation(path or "(manifest)", str(error["msg"]).removeprefix("Value error, "), str(error["type"]))
