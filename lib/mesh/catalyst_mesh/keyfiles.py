"""Files that only this user reads, and that all replicas of a daemon on one folder must agree about."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def kept(path: Path, make: Callable[[], str]) -> str:
    """The text of `path`; where it is absent, what `make` draws. Of many that start at once, all get the first one's."""
    if not path.exists():
        temporary = _written(path, make())
        try:
            with suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            temporary.unlink()
    return path.read_text()


def write_private(path: Path, text: str) -> None:
    """Write `text` so that no other user can read it, in one step; of many writers the last one's stays."""
    _written(path, text).replace(path)


def _written(path: Path, text: str) -> Path:
    """A file beside `path` with `text` safely in it; its name is nobody else's."""
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    with os.fdopen(fd, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return Path(temporary)
