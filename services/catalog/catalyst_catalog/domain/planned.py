"""Applications that a plan will make."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .universe import Release


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an Application runs; without regions wherever its Environment is."""

    mode: str
    regions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """An Application to create."""

    name: str
    release: Release
    alias: str
    config: Mapping[str, Any]
    placed: Placed
    wave: int
    after: tuple[str, ...]
    """Applications, of the plan or standing, that must be ready before."""
