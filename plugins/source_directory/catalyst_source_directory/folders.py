"""The files of one folder, contained and bounded, and the digest that names them."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from catalyst_sdk.source import folder_digest

MOST_FILES = 2000
LARGEST = 16 * 1024 * 1024
SIGNATURES = ".signatures"
MOST_SAID, LARGEST_SAID = 20, 1024 * 1024


class Refused(Exception):
    """The folder cannot be taken as it is."""

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(why)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class File:
    """Bytes, and whether they may be executed."""

    content: bytes
    is_executable: bool


def read(root: Path, name: str) -> dict[str, File]:
    """Every file below `root/name`, by path. Raises Refused, OSError."""
    top = root / name
    if not _inside(root, top) or os.sep in name or name in {"", ".", ".."}:
        raise Refused("PATH_ESCAPES", f"{name} leads out of the folder")
    if not top.is_dir():
        raise FileNotFoundError(top)
    files: dict[str, File] = {}
    size = 0
    for path in _paths(root, top):
        size += path.stat().st_size
        if len(files) >= MOST_FILES or size > LARGEST:
            raise Refused("TOO_LARGE", f"{name} has more than {MOST_FILES} files or {LARGEST} bytes")
        relative = path.relative_to(top).as_posix()
        files[relative] = File(path.read_bytes(), os.access(path, os.X_OK) and bool(path.stat().st_mode & 0o100))
    return files


def said_about(root: Path, name: str, ending: str) -> tuple[bytes, ...]:
    """What stands in `.signatures` of a folder under an ending, by name: it is about the digest and no part of it.

    Raises Refused, OSError.
    """
    place = root / name / SIGNATURES
    found = sorted(place.glob(f"*{ending}")) if place.is_dir() else []
    if len(found) > MOST_SAID or any(path.stat().st_size > LARGEST_SAID for path in found):
        raise Refused("TOO_LARGE", f"{name} has more than {MOST_SAID} signatures, or one above {LARGEST_SAID} bytes")
    if not all(_inside(root, path) for path in found):
        raise Refused("PATH_ESCAPES", f"{name}/{SIGNATURES} leads out of the folder")
    return tuple(path.read_bytes() for path in found)


def digest(files: Mapping[str, File]) -> str:
    """SHA-256 over the sorted lines of path, mode and SHA-256."""
    return folder_digest({name: (file.content, file.is_executable) for name, file in files.items()})


def _paths(root: Path, top: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(top, onerror=_raised):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in [*folders, *sorted(names)]:
            path = Path(folder, name)
            if not _inside(root, path):
                raise Refused("PATH_ESCAPES", f"{path.relative_to(top)} leads out of the folder")
            if path.is_file() and not name.startswith("."):
                yield path


def _raised(error: OSError) -> None:
    raise error  # a folder that cannot be read must not look like an empty one


def _inside(root: Path, path: Path) -> bool:
    return path.resolve().is_relative_to(root)
