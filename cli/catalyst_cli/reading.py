"""Files that people name: read whole, within a bound. What is wrong with one is said everywhere in the same words."""

from pathlib import Path
from typing import Any

import yaml

from .failures import EXIT_CODES, Failure

MOST_BYTES = 1024 * 1024
"""Of a file that a person writes; nothing of more is read into memory."""


def bytes_of(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a file, or of what is piped in as /dev/stdin. Raises Failure."""
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise _wrong(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > most:
        raise _wrong(f"{path} is larger than {most} bytes")
    return content


def text_of(path: Path) -> str:
    """The text of a file. Raises Failure, which quotes nothing of it."""
    try:
        return bytes_of(path).decode()
    except UnicodeDecodeError as error:
        raise _wrong(f"{path} is no text in UTF-8") from error


def documents_of(path: Path) -> list[Any]:
    """The documents of a YAML (or JSON) file; empty ones are left out. Raises Failure."""
    try:
        return [one for one in yaml.safe_load_all(text_of(path)) if one is not None]
    except yaml.YAMLError as error:
        raise _wrong(f"{path} is no YAML", why=" ".join(str(error).split())) from error


def _wrong(what: str, why: str = "") -> Failure:
    return Failure(what, why=why, exit_code=EXIT_CODES["INVALID_ARGUMENT"])
