"""The GitOps trees: one bare repository per Sovereign, one commit per plan. Its Git library blocks: call it off the loop.

Invariants
  same bytes   a tree that did not change makes no commit, so rendering again after a crash is harmless;
  reachable    the branch moves last, after all that it points to is stored;
  one writer   the operating system's lock, which dies with its process, is held while anything is written. Git's own lock
               files outlive a `kill -9`: those that are found by the holder belong to the dead, and are removed.
"""

import fcntl
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dulwich.objects import Blob, Commit, Tree
from dulwich.repo import Repo

BRANCH = "main"
_REF: Any = b"refs/heads/main"
AUTHOR = b"Catalyst provisioner <provisioner@catalyst.invalid>"


class Repositories:
    """All trees of this daemon, below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sovereign: str) -> Path:
        """Folder of a Sovereign's repository."""
        return self._folder / f"{sovereign}.git"

    def commit(self, sovereign: str, uid: str, files: Mapping[str, bytes], message: str, at: int) -> str:
        """Make the head's tree exactly `files`; the head's id. `at` is seconds since 1970."""
        with self._writing():
            return self._commit(sovereign, uid, files, message, at)

    def _commit(self, sovereign: str, uid: str, files: Mapping[str, bytes], message: str, at: int) -> str:
        repo = self._open(sovereign, uid)
        try:
            tree = _stored(repo, files)
            head = repo.refs.as_dict().get(_REF)
            if head is not None and _commit(repo, head).tree == tree:
                return str(head.decode())
            made = _made(tree, head, message, at)
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
            return (head.decode(), _commit(repo, head).message.decode()) if head else None
        finally:
            repo.close()

    def files(self, sovereign: str) -> dict[str, bytes]:
        """Every file of the newest commit."""
        repo = Repo(str(self.path(sovereign)))
        try:
            head = repo.refs.as_dict()[_REF]
            return dict(_walk(repo, _commit(repo, head).tree, ""))
        finally:
            repo.close()

    def remove(self, sovereign: str) -> None:
        """Remove the repository; one that is absent is removed already."""
        shutil.rmtree(self.path(sovereign), ignore_errors=True)

    def uid(self, sovereign: str) -> str:
        """Uid of the Sovereign that the repository was made for; empty where there is none."""
        mark = self.path(sovereign) / "catalyst-uid"
        return mark.read_text().strip() if mark.exists() else ""

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / ".writing").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _open(self, sovereign: str, uid: str) -> Repo:
        path = self.path(sovereign)
        if self.uid(sovereign) != uid:
            # Of a former Sovereign of this name, or cut off while it was made.
            self.remove(sovereign)
            path.mkdir(parents=True, mode=0o700)
            repo = Repo.init_bare(str(path))
            repo.refs.set_symbolic_ref(_HEAD, _REF)
            repo.close()
            (path / "catalyst-uid").write_text(uid)
        for orphan in path.rglob("*.lock"):
            orphan.unlink()
        return Repo(str(path))


_HEAD: Any = b"HEAD"


def _stored(repo: Repo, files: Mapping[str, bytes]) -> bytes:
    """Store blobs and trees; the id of the root."""
    root: dict[str, Any] = {}
    for path, content in files.items():
        *folders, name = path.split("/")
        at = root
        for folder in folders:
            at = at.setdefault(folder, {})
        at[name] = content
    return _tree(repo, root)


def _tree(repo: Repo, entries: Mapping[str, Any]) -> bytes:
    tree = Tree()
    for name, value in sorted(entries.items()):
        if isinstance(value, dict):
            tree.add(name.encode(), 0o040000, _tree(repo, value))  # type: ignore[arg-type]  # ids are bytes
        else:
            blob = Blob.from_string(value)
            repo.object_store.add_object(blob)
            tree.add(name.encode(), 0o100644, blob.id)
    repo.object_store.add_object(tree)
    return bytes(tree.id)


def _made(tree: bytes, parent: Any, message: str, at: int) -> Commit:
    made = Commit()
    made.tree = tree
    made.parents = [parent] if parent else []
    made.author = made.committer = AUTHOR
    made.author_time = made.commit_time = at
    made.author_timezone = made.commit_timezone = 0
    made.encoding = b"UTF-8"
    made.message = message.encode()
    return made


def _commit(repo: Repo, id: Any) -> Any:
    return repo[id]


def _walk(repo: Any, tree: Any, prefix: str) -> Any:
    for entry in repo[tree].items():
        path = f"{prefix}{entry.path.decode()}"
        if entry.mode == 0o040000:
            yield from _walk(repo, entry.sha, f"{path}/")
        else:
            yield path, repo[entry.sha].data
