"""Backends: places where zones are written. What one can do is proved by asking it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from catalyst_sdk import Code, Decision, Refused

from .conditions import BACKEND_READY, Condition, false, settle, true, unknown
from .hosting import Thresholds

PLUGINS = {"embedded": "dns_embedded", "powerdns": "dns_powerdns", "rfc2136": "dns_rfc2136"}
"""Backends that the settings of this daemon configure, with the plugin of each; the first one is the default of a pool."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One backend. `capabilities`: names of capabilities, and `record_types`; None before the first probe."""

    id: str
    uid: str
    plugin: str
    created_at: datetime
    updated_at: datetime
    config: Mapping[str, Any] = field(default_factory=dict)
    secret_ref: str = ""
    thresholds: Thresholds | None = None
    capabilities: Mapping[str, Any] | None = None
    probed_at: datetime | None = None
    generation: int = 1
    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()
    not_before: datetime | None = None
    version: int = 1

    @property
    def name(self) -> str:
        """Resource name."""
        return f"backends/{self.id}"

    def lacks(self, capability: str) -> bool:
        """Whether a probe has shown that it cannot do this. What nobody has asked yet, it may be able to do."""
        return self.capabilities is not None and capability not in self.capabilities["capabilities"]

    @property
    def is_built_in(self) -> bool:
        """Whether settings configure it."""
        return self.id in PLUGINS


def resource_of(backend: str) -> str:
    """Resource name of what a pool has as its backend: the plugin that settings configure, or a backend's own name."""
    return next((f"backends/{id}" for id, one in PLUGINS.items() if one == backend), backend)


def kept_as(name: str) -> str:
    """What a pool has as its backend, of the resource name; the other way round of `resource_of`."""
    return PLUGINS.get(name.removeprefix("backends/"), name)


class BackendExists(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "BACKEND_EXISTS", "{name} is there already"


class BackendInUse(Refused):
    code, reason = Code.FAILED_PRECONDITION, "BACKEND_IN_USE"
    message = "{name} holds {user}; nothing may be left there before it is deleted"


def create(known: Backend | None, wish: Backend) -> Decision[Backend]:
    """Store a backend. Raises BackendExists."""
    if known is not None or wish.is_built_in:
        raise BackendExists(name=wish.name)
    return Decision(wish)


def change(known: Backend, now: datetime, **wished: object) -> Decision[Backend]:
    """Take another configuration, secret or limits; a probe follows."""
    after = replace(known, **wished)  # type: ignore[arg-type]  # names of fields
    if after == known:
        return Decision(known)
    return Decision(_next(after, now, generation=known.generation + 1, not_before=None))


def ask(known: Backend, now: datetime) -> Decision[Backend]:
    """Wish a probe now."""
    return Decision(_next(known, now, observed_generation=known.generation - 1, not_before=None))


def proved(known: Backend, capabilities: Mapping[str, Any], now: datetime) -> Backend:
    """The server was asked, and can do this."""
    found = settle(known.conditions, (true(BACKEND_READY),), known.generation, now)
    return _next(
        known, now, capabilities=capabilities, probed_at=now, observed_generation=known.generation, conditions=found,
        not_before=None,
    )  # fmt: skip


def unproved(known: Backend, reason: str, why: str, now: datetime, *, lasting: bool, pause: timedelta) -> Backend:
    """It gave no answer, or refused one; what was proved before stays, and it is asked again."""
    condition = false(BACKEND_READY, reason, why) if lasting else unknown(BACKEND_READY, reason, why)
    found = settle(known.conditions, (condition,), known.generation, now)
    return _next(known, now, conditions=found, not_before=now + pause)


def _next(b: Backend, now: datetime, **changes: object) -> Backend:
    return replace(b, updated_at=now, version=b.version + 1, **changes)  # type: ignore[arg-type]
