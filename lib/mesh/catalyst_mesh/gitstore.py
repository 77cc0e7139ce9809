"""Bare Git repositories without a git binary: what daemons that keep trees share. Its library blocks: call it off the loop.

Invariants
  one writer   the operating system's lock, which dies with its process, is held while anything is written. Git's own lock
               files outlive a `kill -9`: those that are found by the holder belong to the dead, and are removed;
  reachable    whoever moves a branch moves it last, after all that it points to is stored.
"""

import fcntl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dulwich.objects import Blob, Commit, Tree
from dulwich.repo import Repo

_HEAD: Any = b"HEAD"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Let nobody else on this machine write below `folder` for the block."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / ".writing").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def initialised(path: Path, branch: str) -> None:
    """Make an empty bare repository whose head is `branch`. The folder must not be there."""
    path.mkdir(parents=True, mode=0o700)
    repo = Repo.init_bare(str(path))
    repo.refs.set_symbolic_ref(_HEAD, ref(branch))
    repo.close()


def opened(path: Path) -> Repo:
    """A repository to write to; what a dead writer has locked is free. The caller holds `writing`, and closes it."""
    for orphan in path.rglob("*.lock"):
        orphan.unlink()
    return Repo(str(path))


def ref(branch: str) -> Any:
    """Name of a branch as the library wants it."""
    return f"refs/heads/{branch}".encode()


def stored(repo: Repo, files: Mapping[str, bytes]) -> bytes:
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


def made(
    tree: bytes, parents: Sequence[Any], message: str, at: int, author: bytes,
    sign: Callable[[bytes], bytes] | None = None,
) -> Commit:  # fmt: skip
    """A commit that is not stored yet. `at` is seconds since 1970; `sign` makes the text of a signature of its bytes."""
    new = Commit()
    new.tree = tree
    new.parents = list(parents)
    new.author = new.committer = author
    new.author_time = new.commit_time = at
    new.author_timezone = new.commit_timezone = 0
    new.encoding = b"UTF-8"
    new.message = message.encode()
    if sign is not None:
        new.gpgsig = sign(new.as_raw_string())
    return new


def commit(repo: Repo, id: Any) -> Any:
    """The commit of that id."""
    return repo[id]


def walk(repo: Any, tree: Any, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    """Path and content of every file of a tree."""
    for entry in repo[tree].items():
        path = f"{prefix}{entry.path.decode()}"
        if entry.mode == 0o040000:
            yield from walk(repo, entry.sha, f"{path}/")
        else:
            yield path, repo[entry.sha].data
