"""The aggregate Sovereign; what is decided of it stands in `sovereigns`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from .wishes import Document


class State(StrEnum):
    """Where the life of a Sovereign stands."""

    DRAFT = "draft"
    PROVISIONING = "provisioning"
    ACTIVE = "active"
    UPDATING = "updating"
    FAILED = "failed"
    DESTROYING = "destroying"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True)
class Sovereign:
    """The aggregate."""

    id: str
    uid: str
    organization: str
    fqdn: str
    spec: Document
    state: State
    generation: int
    version: int
    created_at: datetime
    updated_at: datetime
    order: str = ""
    activated_at: datetime | None = None
    destroyed_at: datetime | None = None
    applied_generation: int = 0
    """Generation that the last successful run made true; 0: none."""
    lock_digest: str = ""
    last_plan: str = ""
    last_run: str = ""
    simulated: bool = False
    report: Mapping[str, Any] | None = None
    """What the destroy did."""

    @property
    def name(self) -> str:
        """Resource name."""
        return f"sovereigns/{self.id}"

    @property
    def etag(self) -> str:
        """Changes with the wish and with the state, not with every fact."""
        return f'"{self.uid[:8]}.{self.generation}.{self.state}"'

    @property
    def suffix(self) -> str:
        """Short id at the end of each cloud resource's name, so that no two Sovereigns take each other's."""
        return self.uid.replace("-", "")[:6]

    def told(self, now: datetime, **changes: Any) -> "Sovereign":
        """The same after one more fact."""
        return replace(self, version=self.version + 1, updated_at=now, **changes)
