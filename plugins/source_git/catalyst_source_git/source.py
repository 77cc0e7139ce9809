"""Blueprints of a Git repository: the folders of a branch, or one version for each tag `<name>/v<version>`."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from catalyst_sdk import Permanent
from catalyst_sdk.context import Secrets
from catalyst_sdk.source import Artifact, Location, Ref, RefPage, folder_digest

from .repository import PROVIDER, Repository

MEDIA_TYPE = "application/vnd.catalyst.blueprint.folder.v1"
SIGNATURES, ATTESTATIONS = ".signatures", ".attestations"
"""Folders of a Blueprint with what is said about it; no part of its digest, which they are about."""
PAGE = 500
_TAG = re.compile(r"refs/tags/([a-z][a-z0-9-]*)/v(\d+\.\d+\.\d+(?:-[0-9a-z.-]+)?)")
_REMEMBERED = 4096


class GitSource:
    """`blueprint_source` over Git repositories."""

    def __init__(self, folder: Path, secrets: Secrets) -> None:
        self._folder = folder
        self._secrets = secrets
        self._digests: OrderedDict[str, str] = OrderedDict()
        """Digest of a folder by its tree, which names its bytes as well."""
        self._turns: dict[str, asyncio.Lock] = {}

    async def list(self, *, at: Location, cursor: str = "") -> RefPage:
        """The items after `cursor`, in the order of their paths."""
        repository = await self._repository(at)
        async with self._turn(at):
            found = await asyncio.to_thread(self._listed, repository, at, is_first=not cursor)
        rest = [ref for ref in found if ref.path > cursor]
        return RefPage(tuple(rest[:PAGE]), rest[PAGE - 1].path if len(rest) > PAGE else "")

    async def fetch(self, *, at: Location, ref: Ref) -> Artifact:
        """The bytes of one item as they were fetched last."""
        repository = await self._repository(at)
        return await asyncio.to_thread(self._artifact, repository, at, ref)

    async def probe(self, *, at: Location) -> None:
        """Whether the repository can be read, and has what is to be read of it."""
        repository = await self._repository(at)
        pattern = "refs/tags/*" if at.config.get("tags") else _branch(at)
        if not await asyncio.to_thread(repository.refs, pattern) and not at.config.get("tags"):
            raise Permanent("NOT_FOUND", f"there is no {pattern}", provider=PROVIDER)

    async def _repository(self, at: Location) -> Repository:
        url = at.config.get("url")
        if not isinstance(url, str) or not re.match(r"(https?|file)://", url):
            raise Permanent("CONFIG", "`url` must be an address that begins with https://", provider=PROVIDER)
        token = await self._secrets.resolve(at.credential) if at.credential else None
        return Repository(self._folder, url, token)

    def _turn(self, at: Location) -> asyncio.Lock:
        """Two fetches into one copy would wait for each other's locks and fail."""
        return self._turns.setdefault(str(at.config.get("url")), asyncio.Lock())

    def _listed(self, repository: Repository, at: Location, *, is_first: bool) -> Sequence[Ref]:
        if at.config.get("tags"):
            return self._tagged(repository, at, is_first=is_first)
        branch = _branch(at)
        if is_first or not repository.tree(branch):  # another replica may have begun the list
            repository.fetch(branch)
        trees = repository.tree(branch, _folder(at))
        if not trees and _folder(at):
            raise Permanent("NOT_FOUND", f"there is no folder {_folder(at)} in {branch}", provider=PROVIDER)
        names = sorted((e.path, e.id) for e in trees if e.kind == "tree" and not e.path.startswith("."))
        return [Ref(name, self._digest(repository, tree)) for name, tree in names]

    def _tagged(self, repository: Repository, at: Location, *, is_first: bool) -> Sequence[Ref]:
        """One item for each tag with a name and a version; other tags mean nothing here."""
        tags = {ref: found for ref in repository.refs("refs/tags/*") if (found := _TAG.fullmatch(ref))}
        if tags and (is_first or not repository.tree(min(tags))):
            repository.fetch(*sorted(tags))
        refs = []
        for tag, found in tags.items():
            name, version = found.groups()
            tree = next((e.id for e in repository.tree(tag, _folder(at)) if (e.path, e.kind) == (name, "tree")), "")
            refs.append(Ref(f"{name}/v{version}", self._digest(repository, tree), version, name))
        return sorted(refs, key=lambda ref: ref.path)

    def _digest(self, repository: Repository, tree: str) -> str:
        """Digest of a folder; empty where it cannot be read, so that `fetch` tells why for this one alone."""
        if tree not in self._digests:
            try:
                self._digests[tree] = _read(repository, tree).digest if tree else ""
            except Permanent:
                return ""
            while len(self._digests) > _REMEMBERED:
                self._digests.popitem(last=False)
        return self._digests[tree]

    def _artifact(self, repository: Repository, at: Location, ref: Ref) -> Artifact:
        where, name = (f"refs/tags/{ref.path}", ref.name) if at.config.get("tags") else (_branch(at), ref.path)
        trees = [e for e in repository.tree(where, _folder(at)) if (e.path, e.kind) == (name, "tree")]
        if not trees:
            raise Permanent("NOT_FOUND", f"{ref.path} is not there", provider=PROVIDER)
        return _read(repository, trees[0].id)


def _read(repository: Repository, tree: str) -> Artifact:
    """The files of a folder, and what is said about them. Raises Permanent."""
    files: dict[str, tuple[bytes, bool]] = {}
    said: dict[str, list[bytes]] = {SIGNATURES: [], ATTESTATIONS: []}
    for entry, content in repository.files(tree):
        top = entry.path.partition("/")[0]
        if entry.is_link:
            raise Permanent("PATH_ESCAPES", f"{entry.path} is a link; a Blueprint has files", provider=PROVIDER)
        if top in said:
            said[top].append(content)
        elif not any(part.startswith(".") for part in entry.path.split("/")):
            files[entry.path] = content, entry.mode == "100755"
    return Artifact(
        {path: content for path, (content, _) in files.items()},
        folder_digest(files),
        MEDIA_TYPE,
        tuple(said[SIGNATURES]),
        tuple(said[ATTESTATIONS]),
        frozenset(path for path, (_, is_executable) in files.items() if is_executable),
    )  # fmt: skip - one artifact


def _branch(at: Location) -> str:
    return f"refs/heads/{at.config.get('branch') or 'main'}"


def _folder(at: Location) -> str:
    return str(at.config.get("folder") or "").strip("/")
