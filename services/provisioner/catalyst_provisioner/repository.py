"""The GitOps trees: one bare repository per Sovereign, one commit per plan. Its Git library blocks: call it off the loop.

Invariants
  same bytes   a tree that did not change makes no commit, so rendering again after a crash is harmless;
  reachable    the branch moves last, after all that it points to is stored;
  one writer   as `catalyst_mesh.gitstore` says.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from catalyst_mesh import gitstore
from dulwich.repo import Repo

from .signing import Sign

BRANCH = "main"
_REF: Any = gitstore.ref(BRANCH)
AUTHOR = b"Catalyst provisioner <provisioner@catalyst.invalid>"


class Repositories:
    """All trees of this daemon, below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def remotes(self) -> Path:
        """Folder of the copies of remotes that trees are pushed to."""
        return self._folder.with_name("remotes")

    def path(self, sovereign: str) -> Path:
        """Folder of a Sovereign's repository."""
        return self._folder / f"{sovereign}.git"

    def commit(
        self, sovereign: str, uid: str, files: Mapping[str, bytes], message: str, at: int, sign: Sign | None = None
    ) -> str:
        """Make the head's tree exactly `files`; the head's id. `at` is seconds since 1970."""
        with gitstore.writing(self._folder):
            return self._commit(sovereign, uid, files, message, at, sign)

    def _commit(
        self, sovereign: str, uid: str, files: Mapping[str, bytes], message: str, at: int, sign: Sign | None
    ) -> str:
        repo = self._open(sovereign, uid)
        try:
            tree = gitstore.stored(repo, files)
            head = repo.refs.as_dict().get(_REF)
            if head is not None and gitstore.commit(repo, head).tree == tree:
                return str(head.decode())
            made = gitstore.made(tree, [head] if head else [], message, at, AUTHOR, sign)
            repo.object_store.add_object(made)
            repo.refs.set_if_equals(_REF, head, made.id)
            return str(made.id.decode())
        finally:
            repo.close()

    def head(self, sovereign: str) -> tuple[str, str] | None:
        """Id and message of the newest commit; None where there is none."""
        if not self.path(sovereign).is_dir():
            return None
        repo = Repo(str(self.path(sovereign)))
        try:
            head = repo.refs.as_dict().get(_REF)
            return (head.decode(), gitstore.commit(repo, head).message.decode()) if head else None
        finally:
            repo.close()

    def branch(self, sovereign: str) -> str:
        """The file of the branch as it is, which changes with the head and costs little to look at."""
        file = self.path(sovereign) / _REF.decode()
        return file.read_text() if file.exists() else ""

    def files(self, sovereign: str) -> dict[str, bytes]:
        """Every file of the newest commit."""
        repo = Repo(str(self.path(sovereign)))
        try:
            head = repo.refs.as_dict()[_REF]
            return dict(gitstore.walk(repo, gitstore.commit(repo, head).tree))
        finally:
            repo.close()

    def remove(self, sovereign: str) -> None:
        """Remove the repository; one that is absent is removed already."""
        shutil.rmtree(self.path(sovereign), ignore_errors=True)

    def uid(self, sovereign: str) -> str:
        """Uid of the Sovereign that the repository was made for; empty where there is none."""
        mark = self.path(sovereign) / "catalyst-uid"
        return mark.read_text().strip() if mark.exists() else ""

    def _open(self, sovereign: str, uid: str) -> Repo:
        path = self.path(sovereign)
        if self.uid(sovereign) != uid:
            # Of a former Sovereign of this name, or cut off while it was made.
            self.remove(sovereign)
            gitstore.initialised(path, BRANCH)
            (path / "catalyst-uid").write_text(uid)
        return gitstore.opened(path)
