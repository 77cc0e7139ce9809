"""Events of an object: what `kubectl describe` tells of it, beside its conditions.

Told are turns: an object that is refused, a condition that is no longer what it was, an end that could not be had. The same
turn has the same name, so that a controller which died and comes by again does not tell it twice.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from .cluster import Object
from .conditions import Observed

LONGEST = 1000
"""Characters of a note; 1024 bytes are taken."""
DEFAULT = "default"
"""Namespace of events about what lies in none."""


def turns(before: Iterable[Mapping[str, Any]], observed: Iterable[Observed]) -> Iterator[Observed]:
    """What turned, of what is observed now; a condition that nobody told before is a turn only where it refuses."""
    known = {one["type"]: one["status"] for one in before}
    for one in observed:
        status = {True: "True", False: "False", None: "Unknown"}[one.status]
        refuses = one.type == "Accepted" and one.status is False
        if known.get(one.type, status if not refuses else None) != status:
            yield one


def occurrence(about: Object, told: Observed, action: str, controller: str, now: datetime) -> dict[str, Any]:
    """As a document of events.k8s.io/v1."""
    metadata = about["metadata"]
    said = "/".join((metadata["uid"], str(metadata.get("generation", 0)), told.type, str(told.status), told.reason))
    namespace = metadata.get("namespace")
    regarding = {key: metadata[key] for key in ("name", "uid", "resourceVersion") if key in metadata}
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name'][:200]}.{hashlib.sha256(said.encode()).hexdigest()[:16]}",
            "namespace": namespace or DEFAULT,
        },
        "eventTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": controller,
        "reportingInstance": controller,
        "action": action,
        "reason": told.reason,
        "type": "Warning" if told.status is False else "Normal",
        "note": (told.message or f"{told.type}: {told.reason}")[:LONGEST],
        "regarding": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            **({"namespace": namespace} if namespace else {}),
            **regarding,
        },
    }  # fmt: skip - a document
