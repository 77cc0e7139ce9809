"""Git homes of Organizations: one folder each, with bare repositories below it. Its Git library blocks: call it off the loop.

Invariants
  same bytes   a branch whose tree did not change gets no commit, so writing again after a crash is harmless;
  onward       a branch moves from the commit that was read to its child, never elsewhere: whoever was overtaken raises Moved;
  one writer   as `catalyst_mesh.gitstore` says.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalyst_mesh import gitstore
from dulwich.repo import Repo

MAIN = "main"
SYSTEM, CONFIG = "system", "catalyst-config"
"""The Sovereign's own home, whose name no Organization may have, and its repository of what clusters are asked."""
HOME = ("iac", "runbooks", "shared-blueprints")
"""Repositories that every Organization has."""


class Moved(Exception):
    """The branch is not where it was read: read again, decide again."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest commit of a branch."""

    id: str
    message: str
    author: str
    parents: tuple[str, ...]


class Repositories:
    """All Git homes, below one folder that replicas share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, org: str, repository: str) -> Path:
        """Folder of a repository."""
        return self._folder / org / f"{repository}.git"

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Nobody else writes into any repository for the block."""
        with gitstore.writing(self._folder):
            yield

    def settle(self, org: str, uid: str, at: int) -> None:
        """Make an Organization's home, or make it whole."""
        mark = self._folder / org / "uid"
        with gitstore.writing(self._folder):
            if mark.exists() and mark.read_text() != uid:
                self._set_aside(org, mark.read_text())
            mark.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            mark.write_text(uid)
            for repository in HOME:
                if not self._heads(org, repository):
                    text = f"{repository} of {org}\n".encode()
                    self._commit(org, repository, MAIN, {"README.md": text}, "Begin", at, None)

    def archive(self, org: str, uid: str) -> None:
        """Put a home out of use; what is not there is out of use already."""
        mark = self._folder / org / "uid"
        with gitstore.writing(self._folder):
            if mark.exists() and mark.read_text() == uid:
                self._set_aside(org, uid)

    def commit(
        self, org: str, repository: str, branch: str, files: Mapping[str, bytes], message: str, at: int, *,
        onto: str | None, merging: str | None = None,
    ) -> str:  # fmt: skip
        """Make the tree of `branch` exactly `files`; the id of its head. `at` is seconds since 1970.

        onto     the head that was read; None: the branch is new. Raises Moved where it is another one
        merging  a commit of another branch that is merged so: the second parent
        """
        with gitstore.writing(self._folder):
            return self._commit(org, repository, branch, files, message, at, onto, merging)

    def head(self, org: str, repository: str, branch: str) -> Head | None:
        """The newest commit of a branch; None where there is none."""
        with self._reading(org, repository) as repo:
            id = repo.refs.as_dict().get(gitstore.ref(branch)) if repo else None
            if repo is None or id is None:
                return None
            found = gitstore.commit(repo, id)
            parents = tuple(parent.decode() for parent in found.parents)
            return Head(id.decode(), found.message.decode(), found.author.decode(), parents)

    def files(self, org: str, repository: str, commit: str) -> dict[str, bytes]:
        """Every file of a commit."""
        with self._reading(org, repository) as repo:
            assert repo is not None, "whoever knows a commit has read it here"
            return dict(gitstore.walk(repo, gitstore.commit(repo, commit.encode()).tree))

    def remove(self, org: str, repository: str) -> None:
        """Set one repository aside, beside those of Organizations that have gone."""
        path = self.path(org, repository)
        with gitstore.writing(self._folder):
            if path.is_dir():
                kept = self._folder / ".archive" / f"{org}-{repository}"
                kept.parent.mkdir(exist_ok=True, mode=0o700)
                number = sum(1 for _ in kept.parent.glob(f"{kept.name}-*")) + 1
                path.rename(kept.with_name(f"{kept.name}-{number}"))

    def _commit(
        self, org: str, repository: str, branch: str, files: Mapping[str, bytes], message: str, at: int,
        onto: str | None, merging: str | None = None,
    ) -> str:  # fmt: skip
        path = self.path(org, repository)
        if not path.is_dir():
            fresh = path.with_name(f".{path.name}")
            shutil.rmtree(fresh, ignore_errors=True)  # of one who died while making it
            gitstore.initialised(fresh, MAIN)
            fresh.rename(path)
        repo = gitstore.opened(path)
        try:
            name = gitstore.ref(branch)
            head = repo.refs.as_dict().get(name)
            tree = gitstore.stored(repo, files)
            stands = head is not None and gitstore.commit(repo, head).tree == tree
            if head is not None and stands and (merging is None or _has_merged(repo, head, merging)):
                return str(head.decode())
            if (head.decode() if head else None) != onto:
                raise Moved
            parents = [one.encode() for one in (onto, merging) if one]
            made = gitstore.made(tree, parents, message, at, author(org))
            repo.object_store.add_object(made)
            if not repo.refs.set_if_equals(name, head, made.id):
                raise Moved
            return str(made.id.decode())
        finally:
            repo.close()

    def _heads(self, org: str, repository: str) -> Sequence[str]:
        with self._reading(org, repository) as repo:
            return [name.decode() for name in repo.refs.as_dict()] if repo else []

    @contextmanager
    def _reading(self, org: str, repository: str) -> Iterator[Repo | None]:
        path = self.path(org, repository)
        if not path.is_dir():
            yield None
            return
        repo = Repo(str(path))
        try:
            yield repo
        finally:
            repo.close()

    def _set_aside(self, org: str, uid: str) -> None:
        kept = self._folder / ".archive" / f"{org}-{uid}"
        kept.parent.mkdir(exist_ok=True, mode=0o700)
        (self._folder / org).rename(kept)


def author(org: str) -> bytes:
    """The robot in whose name this daemon writes into an Organization's repositories."""
    return f"{org}-iac-bot <{org}-iac-bot@catalyst.invalid>".encode()


def _has_merged(repo: Any, head: Any, merging: str) -> bool:
    return merging.encode() in gitstore.commit(repo, head).parents
