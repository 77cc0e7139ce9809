"""JSON documents of a registry: whatever a stranger wrote there, a mapping or a failure."""

import json
from collections.abc import Mapping
from typing import Any

from catalyst_sdk import Permanent

from .shelves import PROVIDER


def document(content: bytes) -> Mapping[str, Any]:
    """A JSON object; what is JSON and no object counts as an empty one. Raises Permanent(UNREADABLE)."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Permanent("UNREADABLE", "a JSON document is expected", provider=PROVIDER) from error
    return found if isinstance(found, dict) else {}


def layers(manifest: bytes) -> list[Mapping[str, Any]]:
    """The layers that a manifest describes."""
    return descriptors(manifest, "layers")


def descriptors(content: bytes, field: str) -> list[Mapping[str, Any]]:
    """What a document describes in a field."""
    found = document(content).get(field, [])
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
