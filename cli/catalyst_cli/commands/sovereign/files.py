"""Sovereign files: YAML or JSON, the same model as the API."""

from pathlib import Path
from typing import Any

from catalyst_cli.failures import Failure
from catalyst_cli.reading import documents_of

MOST_BYTES = 1024 * 1024


def read(path: Path) -> tuple[str, dict[str, Any]]:
    """The resource name and the spec of a file. Raises Failure with what is wrong with it."""
    document = next(iter(documents_of(path)), None)
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise Failure(
            f"{path} names no Sovereign", next_step="begin the file with `name: sovereigns/<id>`", exit_code=2
        )
    name = document.pop("name")
    return (name if name.startswith("sovereigns/") else f"sovereigns/{name}"), document


def resource(name: str) -> str:
    """`omantel` and `sovereigns/omantel` mean the same."""
    return name if name.startswith("sovereigns/") else f"sovereigns/{name}"
