"""How two plans differ: paths with the value on either side, list entries by what they are and not by where they stand."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Difference = tuple[str, Any, Any]
"""Path, value in the first plan, value in the second; None where one has none."""
PARTS = (
    "intent",
    "spec",
    "options",
    "changes",
    "components",
    "steps",
    "cost",
    "findings",
    "risks",
    "gates",
    "inputs",
    "applicable",
    "empty",
    "destroy",
)  # fmt: skip - in the order of the contract
_IDENTITY: Mapping[str, tuple[str, ...]] = {
    "changes": ("cluster", "address"),
    "components": ("cluster", "blueprint"),
    "steps": ("id",),
    "lines": ("cluster", "address"),
    "findings": ("code", "field"),
    "risks": ("code", "cluster"),
    "gates": ("kind",),
    "clusters": ("provider", "region", "building_block", "env_type"),
    "worker_pools": ("name",),
}


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """Everything that differs between two plans' bodies."""
    return [one for part in PARTS for one in _differ(part, part, first.get(part), second.get(part))]


def _differ(path: str, key: str, first: Any, second: Any) -> Iterator[Difference]:
    if first == second:
        return
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for name in [*first, *(n for n in second if n not in first)]:
            yield from _differ(f"{path}.{name}", name, first.get(name), second.get(name))
    elif key in _IDENTITY and isinstance(first, Sequence) and isinstance(second, Sequence):
        before, after = _identified(key, first), _identified(key, second)
        for name in [*before, *(n for n in after if n not in before)]:
            yield from _differ(f"{path}[{name}]", "", before.get(name), after.get(name))
    else:
        yield (path, first, second)


def _identified(key: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        name = "/".join(str(row.get(part, "")) for part in _IDENTITY[key])
        found[name if name not in found else f"{name}#{len(found)}"] = row
    return found
