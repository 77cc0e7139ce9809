"""Between rows and the domain's values."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from catalyst_sdk.dns import RecordSet

from catalyst_pool_domain_manager.domain.conditions import Condition


def conditions_in(found: Iterable[Condition]) -> list[dict[str, Any]]:
    """Conditions as JSON."""
    return [{**asdict(c), "since": c.since.isoformat() if c.since else None} for c in found]


def conditions_out(raw: Iterable[Mapping[str, Any]]) -> tuple[Condition, ...]:
    """Conditions of JSON."""
    return tuple(
        Condition(**{**c, "since": datetime.fromisoformat(c["since"]) if c["since"] else None}) for c in raw
    )  # fmt: skip


def plain(value: Any) -> dict[str, Any]:
    """A dataclass's own fields, one level deep."""
    return {f.name: getattr(value, f.name) for f in fields(value)}


def set_in(r: RecordSet | None) -> dict[str, Any] | None:
    """A record set as JSON."""
    return None if r is None else {"name": r.name, "type": r.type, "ttl": r.ttl, "records": list(r.records)}


def set_out(raw: Mapping[str, Any] | None) -> RecordSet | None:
    """A record set of JSON."""
    return None if raw is None else RecordSet(raw["name"], raw["type"], raw["ttl"], tuple(raw["records"]))
