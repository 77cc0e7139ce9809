"""Sovereign files: YAML or JSON, the same model as the API."""

from pathlib import Path
from typing import Any

import yaml

from catalyst_cli.failures import Failure

MOST_BYTES = 1024 * 1024


def read(path: Path) -> tuple[str, dict[str, Any]]:
    """The resource name and the spec of a file. Raises Failure with what is wrong with it."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise Failure(f"{path} is larger than {MOST_BYTES} bytes", exit_code=2)
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}", exit_code=2) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Failure(f"{path} is no YAML", why=str(error).replace("\n", " "), exit_code=2) from error
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise Failure(
            f"{path} names no Sovereign", next_step="begin the file with `name: sovereigns/<id>`", exit_code=2
        )
    name = document.pop("name")
    return (name if name.startswith("sovereigns/") else f"sovereigns/{name}"), document


def resource(name: str) -> str:
    """`omantel` and `sovereigns/omantel` mean the same."""
    return name if name.startswith("sovereigns/") else f"sovereigns/{name}"
