"""Payment providers as admins set them up, and what is remembered of them.

Invariants
  one field     saving one setting or secret leaves every other as it was;
  write only    of a secret only its last four characters are ever shown, and only of one that is long enough.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from catalyst_sdk import Code, Refused

LONG_ENOUGH = 12
"""Characters of a secret whose last four give nothing away."""


class ProviderNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "PROVIDER_NOT_FOUND", "there is no {provider}"


class ConfigInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "CONFIG_INVALID", "the settings of {provider} are wrong: {why}"


@dataclass(frozen=True, slots=True)
class Provider:
    """What an admin has set; it goes before the daemon's own settings."""

    id: str
    uid: str
    is_enabled: bool
    config: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    version: int = 1

    @property
    def name(self) -> str:
        return f"providers/{self.id}"


@dataclass(frozen=True, slots=True)
class ProviderSecret:
    """A secret of a provider: a value that is kept sealed here, or the name of a file."""

    provider: str
    field: str
    updated_at: datetime
    secret_ref: str = ""
    sealed: bytes | None = None
    last_four: str = ""
    version: int = 1

    @property
    def name(self) -> str:
        return f"providers/{self.provider}/{self.field}"

    @property
    def is_configured(self) -> bool:
        """Whether a value stands."""
        return bool(self.secret_ref or self.sealed)

    def becoming(
        self, now: datetime, *, secret_ref: str = "", sealed: bytes | None = None, value: str = ""
    ) -> "ProviderSecret":
        """The same with another value, or with none."""
        shown = value[-4:] if len(value) >= LONG_ENOUGH else ""
        return replace(
            self, secret_ref=secret_ref, sealed=sealed, last_four=shown, updated_at=now, version=self.version + 1
        )


@dataclass(frozen=True, slots=True)
class Saved:
    """A provider's settings after an update, with all of its secrets."""

    provider: Provider
    secrets: tuple[ProviderSecret, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What an update wants of a provider; None: nothing said about it."""

    enabled: bool | None = None
    config: Mapping[str, Any] | None = None
    """The whole of the plain settings."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Single plain settings; None takes one away."""


def changed(known: Provider | None, id: str, uid: str, change: Change, now: datetime) -> Provider:
    """The provider's settings after a change, one version later."""
    base = known or Provider(id, uid, is_enabled=True, config={}, created_at=now, updated_at=now, version=0)
    config = dict(base.config if change.config is None else change.config)
    config |= {key: value for key, value in change.values.items() if value is not None}
    for key in [key for key, value in change.values.items() if value is None]:
        config.pop(key, None)
    enabled = base.is_enabled if change.enabled is None else change.enabled
    return replace(base, is_enabled=enabled, config=config, updated_at=now, version=base.version + 1)


@dataclass(frozen=True, slots=True)
class Method:
    """The method that an Organization saved last at a provider, for charges without anybody there."""

    org: str
    provider: str
    ref: str
    customer: str
    label: str
    created_at: datetime
    updated_at: datetime
    version: int = 1

    @property
    def name(self) -> str:
        return f"billingAccounts/{self.org}/methods/{self.provider}"


def saved(known: Method | None, new: Method) -> Method:
    """What is kept once `new` was saved: the newest one."""
    if known is None:
        return new
    if (known.ref, known.customer) == (new.ref, new.customer):
        return known
    return replace(new, created_at=known.created_at, version=known.version + 1)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Until when a provider's payments were compared with ours."""

    id: str
    until: datetime
    version: int = 1

    @property
    def name(self) -> str:
        return f"reconciled/{self.id}"
