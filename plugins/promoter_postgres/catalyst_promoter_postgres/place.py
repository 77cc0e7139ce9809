"""What the configuration says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catalyst_sdk import Permanent

PROVIDER = "postgres"


@dataclass(frozen=True, slots=True)
class Programs:
    """How PostgreSQL's programs are called."""

    folder: str = ""
    prefix: Sequence[str] = ()

    def command(self, program: str, *words: str) -> list[str]:
        """The words of a call."""
        return [*self.prefix, str(Path(self.folder) / program) if self.folder else program, *words]


@dataclass(frozen=True, slots=True)
class Place:
    """The server of one region.

    folder   where it lies; None: on another machine, where it can only be asked
    """

    region: str
    host: str
    port: int
    folder: Path | None


@dataclass(frozen=True, slots=True)
class Configured:
    """What the configuration says, read."""

    places: Mapping[str, Place]
    programs: Programs
    user: str = "postgres"
    settings: Mapping[str, str] = field(default_factory=dict)
    patience: float = 5.0

    def place(self, region: str) -> Place:
        """The server of a region. Raises Permanent."""
        if region not in self.places:
            raise Permanent("REGION_UNKNOWN", f"{region} is no region of this database", provider=PROVIDER)
        return self.places[region]


def configured(config: Mapping[str, Any]) -> Configured:
    """Read the configuration."""
    return Configured(
        {region: _place(region, one) for region, one in config["regions"].items()},
        Programs(config.get("bin", ""), tuple(config.get("prefix", ()))),
        config.get("user", "postgres"),
        dict(config.get("settings", {})),
        float(config.get("patience_seconds", 5.0)),
    )


def _place(region: str, one: Mapping[str, Any]) -> Place:
    host, _, port = one["address"].rpartition(":")
    return Place(region, host.strip("[]"), int(port), Path(one["folder"]) if one.get("folder") else None)
