"""Meters that every Sovereign has: data. Further ones are rows; a row of the same name stands for the one here."""

from collections.abc import Mapping
from datetime import UTC, datetime

from .usage import Aggregation, Meter

SINCE = datetime(2026, 1, 1, tzinfo=UTC)

BUILT_IN: Mapping[str, Meter] = {
    slug: Meter(slug, unit, Aggregation.SUM, ("application",), title, SINCE, SINCE)
    for slug, unit, title in (
        ("egress_gb", "GiB", "Traffic out"),
        ("ram_gb_hours", "GiB·h", "Memory"),
        ("storage_gb_hours", "GiB·h", "Storage"),
        ("vcpu_hours", "vCPU·h", "Processors"),
    )
}
