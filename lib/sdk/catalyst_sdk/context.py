"""What the host gives to a plugin when it is made. Everything here lives on the plugin's side of the contract."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from .secrets import Secret, SecretRef


class Clock(Protocol):
    """The injected clock."""

    def now(self) -> datetime:
        """The present moment, with zone UTC."""
        ...


class Logger(Protocol):
    """A structlog logger; the event is a constant, values are fields."""

    def debug(self, event: str, **fields: Any) -> Any: ...
    def info(self, event: str, **fields: Any) -> Any: ...
    def warning(self, event: str, **fields: Any) -> Any: ...
    def error(self, event: str, **fields: Any) -> Any: ...


class Secrets(Protocol):
    """Opens sealed values."""

    async def resolve(self, ref: SecretRef) -> Secret:
        """The value behind `ref`. Raises Permanent("SECRET_NOT_FOUND")."""
        ...


@dataclass(frozen=True, slots=True)
class PluginContext:
    """Handed to `catalyst_plugin`."""

    clock: Clock
    logger: Logger
    secrets: Secrets
    folder: Path
    """A folder of the plugin's own, kept over restarts."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The configuration, already checked against the manifest's schema."""
