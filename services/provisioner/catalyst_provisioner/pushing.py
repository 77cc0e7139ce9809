"""Trees in a repository of the owner's own, over HTTP(S). The Git library blocks: call it off the loop.

Invariants
  ours alone   only what lies below our own folder changes, whoever else writes to the branch;
  no force     a commit stands on the branch as it was read. Where somebody was faster it is made anew on theirs;
  same bytes   a folder that did not change makes no commit, so pushing again after a crash is harmless.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from catalyst_mesh import gitstore
from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.credentials import Credential
from dulwich.client import HttpGitClient, HTTPUnauthorized
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository
from dulwich.objects import Tree
from dulwich.repo import Repo
from urllib3.exceptions import HTTPError

from .domain.remotes import Remote
from .repository import AUTHOR
from .signing import Sign

TRIES = 5
"""Commits that are made on a branch that moves, before the step tries again later."""
LIMIT = 30.0
"""Seconds for which an answer of the remote is waited for."""
_FOLDER = 0o040000


@dataclass(frozen=True, slots=True)
class Change:
    """What is to lie below a folder of the branch: exactly these files, or nothing."""

    folder: str
    files: Mapping[str, bytes]
    """By path from the root, all below `folder`; empty: the folder goes."""
    message: str
    at: int
    """Seconds since 1970."""
    sign: Sign | None = None
    """What signs the commit; None: nobody does."""


def push(home: Path, remote: Remote, login: Credential | None, change: Change) -> str:
    """Bring the branch to where `change` is so; the id of its head, empty where there is no branch and none is needed.

    home   where copies of remotes are kept between two pushes

    Raises Permanent("AUTH"), Permanent("INVALID") and Temporary.
    """
    path = home / f"{hashlib.sha256(remote.url.encode()).hexdigest()[:24]}.git"
    try:
        with gitstore.writing(home):
            return _pushed(path, remote, login, change)
    except HTTPUnauthorized as error:
        raise _refused(remote) from error
    except NotGitRepository as error:
        text = f"there is no repository at {remote.url}"
        raise Permanent("INVALID", text, provider_code="git.absent", user_action="make it, empty, and retry") from error
    except GitProtocolError as error:
        if "http resp 403" in str(error) or "http resp 401" in str(error):
            raise _refused(remote) from error
        raise Temporary(f"{remote.url} does not answer as Git does", provider_code="git.protocol") from error
    except (HTTPError, HangupException, OSError) as error:
        raise Temporary(f"{remote.url} does not answer: {type(error).__name__}", provider_code="git.away") from error


def _pushed(path: Path, remote: Remote, login: Credential | None, change: Change) -> str:
    ref = gitstore.ref(remote.branch)
    if not path.is_dir():
        gitstore.initialised(path, remote.branch)
    repo = gitstore.opened(path)

    def wanted(refs: Mapping[Any, Any], depth: int | None = None) -> list[Any]:
        return [refs[ref]] if ref in refs else []

    try:
        client, at = _client(remote, login)
        for _ in range(TRIES):
            told = client.fetch(at, repo, determine_wants=wanted)
            head: Any = told.refs.get(ref)
            made = _committed(repo, head, remote, change)
            if made == head:
                return head.decode() if head else ""
            why = _sent(client, at, repo, ref, head, made)
            if not why:
                return str(made.decode())
            if client.get_refs(at).refs.get(ref) == head:
                text = f"{remote.url} refuses the commit on {remote.branch}: {why[:500]}"
                action = "let the credential's owner push to the branch, and retry"
                raise Permanent("INVALID", text, provider_code="git.rejected", user_action=action)
        raise Temporary(f"others kept writing to {remote.branch} of {remote.url}", provider_code="git.contended")
    finally:
        repo.close()


def _client(remote: Remote, login: Credential | None) -> tuple[HttpGitClient, str]:
    url = urlsplit(remote.url)
    username, password = (login["username"], login["password"]) if login else (None, None)
    base = f"{url.scheme}://{url.netloc}"
    return HttpGitClient(base, timeout=LIMIT, username=username, password=password), url.path


def _committed(repo: Repo, head: Any, remote: Remote, change: Change) -> Any:
    """The commit that the branch is to have, which is `head` where that is so already."""
    root = gitstore.commit(repo, head).tree if head else None
    cut = len(change.folder) + 1
    ours = gitstore.stored(repo, {path[cut:]: body for path, body in change.files.items()}) if change.files else None
    tree = _grafted(repo, root, change.folder.encode().split(b"/"), ours)
    if tree == root:
        return head
    if tree is None:
        tree = gitstore.stored(repo, {})  # nothing else was in the branch, and a branch needs a commit
    author = remote.author.encode() or AUTHOR
    made = gitstore.made(tree, [head] if head else [], change.message, change.at, author, change.sign)
    repo.object_store.add_object(made)
    return made.id


def _grafted(repo: Any, root: Any, parts: Sequence[bytes], new: bytes | None) -> Any:
    """The tree `root` with `new` at a path, or without that path; None where nothing is left of it."""
    old, tree = repo[root] if root else Tree(), Tree()
    first, rest = parts[0], parts[1:]
    known = {entry.path: entry for entry in old.items()}
    below = known.pop(first, None)
    if rest:
        new = _grafted(repo, below.sha if below and below.mode == _FOLDER else None, rest, new)
    for entry in known.values():
        tree.add(entry.path, entry.mode, entry.sha)
    if new:
        tree.add(first, _FOLDER, new)  # type: ignore[arg-type]  # ids are bytes
    if not len(tree):
        return None
    repo.object_store.add_object(tree)
    return tree.id


def _sent(client: HttpGitClient, at: str, repo: Repo, ref: Any, head: Any, made: Any) -> str:
    """Move the branch from `head`; why it did not move, empty where it did."""

    def moves(refs: Mapping[Any, Any]) -> Any:
        return {ref: made} if refs.get(ref) == head else {}

    # Every object of ours goes with it: what the far side has of it costs little, and nothing is asked for.
    sent = client.send_pack(at, moves, repo.object_store.generate_pack_data)
    if sent.refs.get(ref) not in (head, None, made):
        return "the branch has moved"
    return str((sent.ref_status or {}).get(ref) or "") if ref in (sent.ref_status or {}) else ""


def _refused(remote: Remote) -> Permanent:
    action = "add a version to the credential that may push"
    return Permanent("AUTH", f"{remote.url} refuses the login", provider_code="git.login", user_action=action)
