"""List filters (AIP-160), of which little is served: what is not served is refused, never ignored."""

import re
from collections.abc import Mapping

from catalyst.continuum.v1 import resources_pb2

from .calls import FilterInvalid

FIELDS = ("phase", "primary_region", "mode", "application")
_TERM = re.compile(r"^\s*(\w+)\s*=\s*\"?([\w.-]+)\"?\s*$")


def terms(text: str) -> Mapping[str, str]:
    """`phase = HEALTHY AND mode = MANUAL`: values by field. Raises FilterInvalid."""
    found: dict[str, str] = {}
    for part in re.split(r"\bAND\b", text) if text.strip() else ():
        term = _TERM.match(part)
        if term is None or term[1] not in FIELDS or term[1] in found:
            raise FilterInvalid(detail=f"take `field = value` joined by AND; fields are {', '.join(FIELDS)}")
        found[term[1]] = term[2]
    return found


def matches(slot: resources_pb2.Continuum, wanted: Mapping[str, str]) -> bool:
    """Whether a slot has these values; words of enums with or without their prefix."""
    has = {
        "phase": resources_pb2.ContinuumStatus.Phase.Name(slot.status.phase).removeprefix("PHASE_"),
        "primary_region": slot.status.primary_region,
        "mode": _mode(slot.spec),
        "application": slot.status.application,
    }
    return all(
        has[field] == (value.removeprefix(f"{field.upper()}_") if field in ("phase", "mode") else value)
        for field, value in wanted.items()
    )


def _mode(spec: resources_pb2.ContinuumSpec) -> str:
    if spec.mode:
        return resources_pb2.ContinuumSpec.Mode.Name(spec.mode).removeprefix("MODE_")
    return "AUTOMATIC" if spec.auto_failover else "MANUAL"
