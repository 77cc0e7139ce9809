"""A folder of Blueprint folders, read as one plugin reads many such folders."""

import asyncio
from itertools import islice
from pathlib import Path

from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.source import Artifact, Location, Ref, RefPage

from . import folders

MEDIA_TYPE = "application/vnd.catalyst.blueprint.folder.v1"
PAGE = 500
PROVIDER = "directory"


class DirectorySource:
    """`blueprint_source` over the file system of this machine."""

    async def list(self, *, at: Location, cursor: str = "") -> RefPage:
        """The folders after `cursor`, by name."""
        return await asyncio.to_thread(_page, at, cursor)

    async def fetch(self, *, at: Location, ref: Ref) -> Artifact:
        """The files of one folder as they are now."""
        return await asyncio.to_thread(_artifact, at, ref)

    async def probe(self, *, at: Location) -> None:
        """Whether the folder is there and can be read."""
        await asyncio.to_thread(_names, at)


def _page(at: Location, cursor: str) -> RefPage:
    root = _root(at)
    names = list(islice((name for name in _names(at) if name > cursor), PAGE + 1))
    refs = tuple(Ref(name, _digest(root, name)) for name in names[:PAGE])
    return RefPage(refs, names[PAGE - 1] if len(names) > PAGE else "")


def _digest(root: Path, name: str) -> str:
    """Digest of a folder; empty where it cannot be read, so that `fetch` tells why for this one alone."""
    try:
        return folders.digest(folders.read(root, name))
    except (folders.Refused, OSError):
        return ""


def _artifact(at: Location, ref: Ref) -> Artifact:
    root = _root(at)
    try:
        files = folders.read(root, ref.path)
        signatures, attestations = (folders.said_about(root, ref.path, ending) for ending in (".sig", ".att"))
    except folders.Refused as refused:
        raise Permanent(refused.reason, str(refused), provider=PROVIDER) from refused
    except FileNotFoundError as error:
        raise Permanent("NOT_FOUND", f"{ref.path} is not there", provider=PROVIDER) from error
    except OSError as error:
        raise Temporary(f"{ref.path}: {error.strerror}", provider=PROVIDER) from error
    content = {name: file.content for name, file in files.items()}
    executables = frozenset(name for name, file in files.items() if file.is_executable)
    return Artifact(content, folders.digest(files), MEDIA_TYPE, signatures, attestations, executables)


def _names(at: Location) -> list[str]:
    root = _root(at)
    try:
        return sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise Temporary(
            f"{root}: {error.strerror}", provider=PROVIDER, user_action="make the folder readable"
        ) from error


def _root(at: Location) -> Path:
    folder = at.config.get("folder")
    if not isinstance(folder, str) or not Path(folder).is_absolute():
        raise Permanent("CONFIG", "`folder` must be an absolute path", provider=PROVIDER)
    return Path(folder).resolve()
