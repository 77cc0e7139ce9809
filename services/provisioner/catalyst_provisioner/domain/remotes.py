"""A repository of the owner's own, which holds each tree beside the embedded one. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from catalyst_sdk import Violation

from .wishes import Document

KIND = "git"
"""Kind of a credential that may push."""
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "username": {"type": "string", "minLength": 1, "maxLength": 256},
        "password": {"type": "string", "minLength": 1, "maxLength": 4096, "x-secret": True},
    },
    "required": ["username", "password"],
    "additionalProperties": False,
}
"""Fields of such a credential: a login, whose password may be a token."""
BRANCH = "main"
_AUTHOR = re.compile(r"^[^<>\n]+ <[^<>\s]+@[^<>\s]+>$")
_REF = re.compile(r"^(?!.*(\.\.|//|@\{|\.lock$|\.lock/))[A-Za-z0-9_][A-Za-z0-9_./+-]*(?<![./])$")
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True, slots=True)
class Remote:
    """Where a tree is pushed to."""

    url: str
    branch: str
    author: str
    """`Name <mail>`; empty: the daemon's own."""
    credential: str
    """Resource name; empty where the repository asks nobody."""
    signing_key: str = ""
    """Resource name of the key that signs commits; empty: they are unsigned."""


def read(document: Document) -> Remote | None:
    """The repository that a spec names."""
    row = document.get("gitops")
    if not row:
        return None
    credential = (row.get("credential") or {}).get("name", "")
    key = (row.get("signing_key") or {}).get("name", "")
    return Remote(row["remote"].rstrip("/"), row.get("branch") or BRANCH, row.get("author", ""), credential, key)


def violations(document: Document) -> Iterator[Violation]:
    """What is wrong with it."""
    row = document.get("gitops")
    if row is None:
        return
    path, url = "spec.gitops", urlsplit(str(row.get("remote", "")))
    if url.username or url.password:
        yield Violation(f"{path}.remote", "holds a login; a credential does", "remote")
    elif url.query or url.fragment or not url.hostname or not url.path.strip("/"):
        yield Violation(f"{path}.remote", "must be https://, a host and the path of a repository", "remote")
    elif url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOOPBACK):
        yield Violation(f"{path}.remote", "is reached over HTTPS by this release", "remote")
    if row.get("branch") and not _REF.match(row["branch"]):
        yield Violation(f"{path}.branch", "is no name of a branch", "branch")
    if row.get("author") and not _AUTHOR.match(row["author"]):
        yield Violation(f"{path}.author", "must read `Name <mail>`", "author")


def moved(old: Document, new: Document) -> Iterator[Violation]:
    """A repository may be named later, and then stays: what was pushed to it would be left behind."""
    before, after = read(old), read(new)
    if before and (after is None or (before.url, before.branch) != (after.url, after.branch)):
        yield Violation("spec.gitops", "can never be another one, once it is named", "immutable")
