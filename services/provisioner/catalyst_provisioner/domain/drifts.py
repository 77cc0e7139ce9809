"""Where the world differs from what was applied, in the contract's form.

Invariants
  unknown   what could not be asked is named as such, and nothing is said about it;
  named     each difference says where it was seen and what is there.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from catalyst_sdk.cloud import Action, Change, Discovered

_KINDS = {
    Action.CREATE: ("KIND_MISSING", "it was made, and is not there any more"),
    Action.UPDATE: ("KIND_CHANGED", "it is there with other values"),
    Action.REPLACE: ("KIND_CHANGED", "it is there, and can only be made again"),
    Action.IMPORT: ("KIND_UNEXPECTED", "it is there, and the ledger does not list it"),
}


def of_changes(cluster: str, changes: Iterable[Change]) -> list[dict[str, Any]]:
    """What a fresh plan of the applied spec would do is what drifted."""
    return [_of_change(cluster, change) for change in changes if change.action in _KINDS]


def unexpected(
    cluster_label: str, found: Iterable[Discovered], known: Iterable[str], planned: Iterable[str]
) -> list[dict[str, Any]]:
    """What carries our labels, and neither the ledger (ids) nor a plan (names) knows."""
    ids, names = set(known), set(planned)
    return [
        {
            "kind": "KIND_UNEXPECTED", "cluster": one.labels.get(cluster_label, ""), "source": "infrastructure",
            "resource_kind": one.kind, "address": one.name, "resource_id": one.id,
            "message": "it carries our labels, and nobody here made it",
        }
        for one in found
        if one.id not in ids and one.name not in names
    ]  # fmt: skip


def elsewhere(source: str, address: str, before: Any, after: Any, message: str) -> dict[str, Any]:
    """A difference of the tree or of DNS."""
    return {
        "kind": "KIND_CHANGED", "source": source, "address": address, "message": message,
        "differences": [{"path": source, "before": before, "after": after}],
    }  # fmt: skip


def report(
    sovereign: str, *, started: str, ended: str, generation: int, found: Sequence[Mapping[str, Any]],
    unreachable: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    """The whole."""
    return {
        "name": f"{sovereign}/drift",
        "start_time": started,
        "end_time": ended,
        "drifts": [dict(row) for row in found],
        "unreachable": list(unreachable),
        "generation": str(generation),
    }


def _of_change(cluster: str, change: Change) -> dict[str, Any]:
    kind, message = _KINDS[change.action]
    rows = [{"path": path, "before": change.after.get(path), "after": change.before.get(path)} for path in change.paths]
    return {
        "kind": kind, "cluster": cluster, "source": "infrastructure", "resource_kind": change.kind,
        "address": change.address, "resource_id": change.id, "differences": rows, "message": message,
    }  # fmt: skip
