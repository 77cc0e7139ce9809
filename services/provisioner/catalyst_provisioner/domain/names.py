"""Records of a Sovereign below a name of its own; those below a pool are the pool's layout."""

from collections.abc import Sequence

LAYOUT = ("@", "console", "api", "gitea", "harbor")
"""Names that every Sovereign answers to; with several clusters each but the first also below the location's code."""


def own_records(targets: Sequence[tuple[str, str]]) -> list[tuple[str, str, list[str]]]:
    """Name, type and values of each set. `targets` are slots (`default`, or a location's code) and addresses."""
    found: dict[tuple[str, str], list[str]] = {}
    for slot, address in targets:
        kind = "AAAA" if ":" in address else "A"
        names = LAYOUT if slot == "default" else tuple(f"{name}.{slot}" for name in LAYOUT[1:])
        for name in names:
            found.setdefault((name, kind), []).append(address)
    return [(name, kind, values) for (name, kind), values in found.items()]
