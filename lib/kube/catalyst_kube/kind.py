"""What a kind of custom resource is: its names, its models, and the rules between its fields."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Scope(Enum):
    """Whether objects lie in a namespace."""

    CLUSTER = "Cluster"
    NAMESPACED = "Namespaced"


class Part(BaseModel):
    """A part of a resource. Fields are camelCase there; unknown ones are a mistake."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, use_attribute_docstrings=True
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """What fields may say together, in CEL: it stands in the schema for the API server, and the linter evaluates the same.

    expression  over `self`, and over `oldSelf` where it compares with what was
    message     what is wrong, and what would be right
    at          path of the field that the linter names, below the whole object
    """

    expression: str
    message: str
    at: str = "spec"

    @property
    def compares(self) -> bool:
        """Whether it speaks of a change."""
        return "oldSelf" in self.expression


@dataclass(frozen=True, slots=True)
class Column:
    """One that `kubectl get` prints; `priority` 1: with `-o wide` only."""

    name: str
    path: str
    type: Literal["string", "integer", "boolean", "date"] = "string"
    priority: int = 0


AGE = Column("Age", ".metadata.creationTimestamp", "date")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind.

    spec     of which `spec` is made; rules see it as `self` where `Rule.at` begins with `spec`
    whole    rules over the whole object, such as over `metadata.name`
    """

    group: str
    version: str
    name: str
    plural: str
    short: Sequence[str]
    scope: Scope
    spec: type[Part]
    status: type[Part]
    columns: Sequence[Column]
    rules: Sequence[Rule] = ()
    whole: Sequence[Rule] = ()
    categories: Sequence[str] = field(default=("catalyst",))

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}"

    @property
    def full_name(self) -> str:
        """Of the definition: `sovereigns.catalyst.openova.io`."""
        return f"{self.plural}.{self.group}"


class Condition(Part):
    """One observation about an object, in the form that `kubectl wait` knows."""

    type: Annotated[str, Field(pattern="^[A-Z][A-Za-z]{0,62}$")]
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, Field(pattern="^[A-Z][A-Za-z0-9]{0,62}$")]
    message: Annotated[str, Field(max_length=4096)] = ""
    last_transition_time: str
    observed_generation: int | None = None


class Status(Part):
    """What every status has."""

    observed_generation: int | None = None
    conditions: Annotated[list[Condition], Field(max_length=32)] = []


class SecretKey(Part):
    """A key of a Secret; never its value."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    key: Annotated[str, Field(min_length=1, max_length=253)]


class NamedSecretKey(Part):
    """A key of a Secret, which has a usual name where it is used."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    key: str = "value"


class Person(Part):
    """Somebody by e-mail, and as what."""

    email: Annotated[str, Field(max_length=320, pattern=r"^[^@\s]+@[^@\s]+$")]
    role: Literal["owner", "admin", "developer", "viewer"]


SLUG = "^[a-z]([a-z0-9]|-[a-z0-9])*[a-z0-9]$"
"""An Organization's: no two dashes in a row, none at an end; its length is said beside it."""
HOST = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$"
"""A host name with a dot, in lower case."""
ENVIRONMENT = "^[a-z][a-z0-9-]{2,63}$"
HOST_CLUSTER = "^[a-z][a-z0-9]*(-[a-z0-9]+){3,}$"
PROVIDER = "^[a-z][a-z0-9-]{1,31}$"
SPAN = "^[0-9]{1,4}(s|m|h)$"
"""A duration: `90s`, `15m`, `4h`."""
Slug = Annotated[str, Field(pattern=SLUG, min_length=3, max_length=32)]
EnvType = Literal["prod", "stg", "uat", "dev", "poc"]
Block = Literal["rtz", "dmz", "mgt"]
