"""Blueprint: what can be installed. Its schema is the catalogue's own, beside which an import takes a few fields more."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from ..kind import AGE, Column, Kind, Part, Scope, Status


class BlueprintSpec(Part):
    """Held loosely here: `schemas.strict` takes the catalogue's schema for it, which a definition would only repeat."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True)

    version: Annotated[str, Field(max_length=64)]
    visibility: Literal["listed", "unlisted", "private"] | None = None
    card: dict[str, Any] = {}


class BlueprintStatus(Status):
    phase: Literal["Draft", "Published", "Deprecated", "Withdrawn"] = "Draft"
    published_at: str | None = None
    deprecated_at: str | None = None
    oci_digest: str = ""


BLUEPRINT = Kind(
    "catalyst.openova.io",
    "v1",
    "Blueprint",
    "blueprints",
    ("bp", "bps"),
    Scope.CLUSTER,
    BlueprintSpec,
    BlueprintStatus,
    columns=(
        Column("Version", ".spec.version"),
        Column("Visibility", ".spec.visibility"),
        Column("Title", ".spec.card.title", priority=1),
        AGE,
    ),
)  # fmt: skip - a table
