"""Slots and runs as tables show them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from catalyst_cli.commands.continuum.names import short

COLUMNS = {
    "NAME": "name",
    "APPLICATION": "application",
    "PRIMARY": "primary",
    "LEASE": "lease",
    "LAG": "lag",
    "RTO": "rto",
    "RPO": "rpo",
    "PHASE": "phase",
    "AGE": "age",
    "EPOCH": "epoch",
    "READY": "ready",
}  # fmt: skip - a table
RUN_COLUMNS = {
    "RUN": "name",
    "KIND": "kind",
    "FROM": "fromRegion",
    "TO": "toRegion",
    "STATE": "state",
    "PHASE": "phase",
    "EPOCH": "epoch",
    "MESSAGE": "message",
}  # fmt: skip - a table


def row(slot: Mapping[str, Any]) -> dict[str, str]:
    """One line of a list. What is not known is said so, and never shown as nothing or as zero."""
    spec, status, register = slot.get("spec", {}), slot.get("status", {}), slot.get("register") or {}
    conditions = {one["type"]: one for one in slot.get("conditions", ())}
    epoch = int(status.get("epoch", 0))
    return {
        "name": short(slot["name"]),
        "application": status.get("application", ""),
        "primary": status.get("primaryRegion") or "unknown",
        "lease": _word(register.get("state"), "STATE_"),
        "lag": status.get("maxReplicationLag") or ("unknown" if spec.get("hotStandbyRegions") else ""),
        "rto": spec.get("rto") or "60s",
        "rpo": spec.get("rpo") or "5s",
        "phase": _word(status.get("phase"), "PHASE_"),
        "age": _age(slot.get("createTime", "")),
        "epoch": str(epoch) if epoch else "unknown",
        "ready": _word(conditions.get("Ready", {}).get("status"), "STATUS_"),
    }  # fmt: skip - a table


def run_row(run: Mapping[str, Any]) -> dict[str, str]:
    """One line of a list of runs."""
    progress = run.get("progress") or {}
    return {
        "name": short(run["name"]),
        "kind": _word(run.get("kind"), "RUN_KIND_"),
        "fromRegion": run.get("fromRegion", ""),
        "toRegion": run.get("toRegion", ""),
        "state": _word(run.get("state"), "STATE_"),
        "phase": " ".join(filter(None, (progress.get("phase"), progress.get("step")))),
        "epoch": str(run.get("epoch", "")),
        "message": run.get("message", "") or progress.get("waitingFor", ""),
    }  # fmt: skip - a table


def _word(value: Any, prefix: str) -> str:
    text = str(value or "").removeprefix(prefix)
    return "unknown" if text in ("", "UNSPECIFIED") else text


def _age(created: str) -> str:
    if not created:
        return "unknown"
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{max(0, seconds)}s"
