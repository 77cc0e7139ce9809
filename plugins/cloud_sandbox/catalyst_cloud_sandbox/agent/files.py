"""Files of an agent: written whole or not at all, readable by nobody else."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any


def write(path: Path, value: Any) -> None:
    """Keep plain values as JSON."""
    fresh = path.with_name(path.name + ".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        json.dump(value, file)
    fresh.replace(path)


def write_new(path: Path, value: bytes) -> None:
    """Keep bytes unless something is there already; whoever comes first wins."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(value)
    with contextlib.suppress(FileExistsError):
        os.link(fresh, path)
    fresh.unlink()


def read(path: Path) -> Any:
    """What was kept; None if nothing was."""
    with contextlib.suppress(FileNotFoundError):
        return json.loads(path.read_text(encoding="utf-8"))
    return None
