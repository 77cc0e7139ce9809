"""Whether one version may be followed by another, as the later one says of itself."""

from . import ranges
from .conflicts import Why
from .universe import Release


def no_way(release: Release, installed: str) -> Why | None:
    """Why there is no way up from version `installed` to `release`; None where there is one."""
    upgrades = release.manifest.spec.upgrades
    if any(ranges.matches(pattern, installed) for pattern in upgrades.blocks):
        return Why("UPGRADE_BLOCKED", f"has no upgrade path from {installed}")
    if upgrades.from_ and not any(ranges.matches(pattern, installed) for pattern in upgrades.from_):
        return Why("UPGRADE_UNKNOWN", f"says nothing about an upgrade from {installed}")
    return None
