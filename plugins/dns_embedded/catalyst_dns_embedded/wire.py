"""What crosses the control port, both ways: plain values, and a failure as one of the SDK's four errors."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from catalyst_sdk import NotSupported, Permanent, PluginFailure, RateLimited, Temporary
from catalyst_sdk.dns import Change, RecordSet, ZoneKey, ZoneSpec, ZoneState

TOKEN_FILE = "control.token"  # noqa: S105 - a file's name
MOST = 8 * 1024 * 1024
"""Octets of one line: a zone of some ten thousand records."""


def from_state(state: ZoneState | None) -> dict[str, Any] | None:
    """A zone as plain values."""
    return asdict(state) if state else None


def to_state(raw: Mapping[str, Any]) -> ZoneState:
    """And back."""
    keys = tuple(ZoneKey(**{**key, "ds": tuple(key["ds"])}) for key in raw["keys"])
    return ZoneState(**{**raw, "record_sets": _record_sets(raw["record_sets"]), "keys": keys})


def to_spec(raw: Mapping[str, Any]) -> ZoneSpec:
    """A zone to create."""
    servers = tuple(map(str, raw["name_servers"]))
    return ZoneSpec(**{**raw, "name_servers": servers, "record_sets": _record_sets(raw["record_sets"])})


def to_changes(raw: list[Mapping[str, Any]]) -> tuple[Change, ...]:
    """A set of changes."""
    return tuple(Change(c["name"], c["type"], int(c["ttl"]), tuple(map(str, c["records"]))) for c in raw)


def from_failure(failure: PluginFailure) -> dict[str, Any]:
    """A failure as plain values."""
    kind = type(failure).__name__
    own: dict[str, Any] = {}
    if isinstance(failure, Permanent):
        own = {"reason": failure.reason}
    elif isinstance(failure, NotSupported):
        own = {"capability": failure.capability}
    return {
        "kind": kind,
        "message": failure.message,
        "rest": {"provider": failure.provider, "user_action": failure.user_action, **failure.metadata},
        **own,
    }


def to_failure(raw: Mapping[str, Any]) -> PluginFailure:
    """And back."""
    message, rest = raw["message"], raw["rest"]
    if raw["kind"] == "Permanent":
        return Permanent(raw["reason"], message, **rest)
    if raw["kind"] == "NotSupported":
        return NotSupported(raw["capability"], message, **rest)
    if raw["kind"] == "RateLimited":
        return RateLimited(message, retry_after=timedelta(seconds=1), **rest)
    return Temporary(message, **rest)


def _record_sets(raw: list[Mapping[str, Any]]) -> tuple[RecordSet, ...]:
    return tuple(RecordSet(**{**r, "records": tuple(map(str, r["records"]))}) for r in raw)
