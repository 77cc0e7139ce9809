"""Pages (AIP-158): opaque tokens, bound to the other parameters of the list."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from catalyst_sdk import Code, Refused

DEFAULT_SIZE = 50
T = TypeVar("T")


class PageTokenInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID", "page_token does not belong to this list"
    field = "page_token"


class PageSizeInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "PAGE_SIZE_INVALID", "page_size is {page_size}; 0 means the default"
    field = "page_size"


@dataclass(frozen=True, slots=True)
class Page:
    """Where a page begins (`after`, the key of the last row before it) and how many rows it may hold."""

    size: int
    after: Any
    scope: str

    @classmethod
    def of(cls, page_size: int, page_token: str, *scope: object, most: int = 1000) -> "Page":
        """Read the fields of a request; `scope` is every other parameter that shapes the list, the caller included."""
        if page_size < 0:
            raise PageSizeInvalid(page_size=page_size)
        digest = hashlib.sha256(json.dumps([str(s) for s in scope]).encode()).hexdigest()[:16]
        return cls(min(page_size or DEFAULT_SIZE, most), _read(page_token, digest), digest)

    def cut(self, rows: Sequence[T], key: Any) -> "Cut[T]":
        """Cut `rows` (one more than `size` was asked for) into this page and the token of the next."""
        if len(rows) <= self.size:
            return Cut(rows, "")
        kept = rows[: self.size]
        raw = json.dumps({"s": self.scope, "a": key(kept[-1])}, separators=(",", ":")).encode()
        return Cut(kept, base64.urlsafe_b64encode(raw).decode().rstrip("="))


@dataclass(frozen=True, slots=True)
class Cut(Generic[T]):
    """One page."""

    rows: Sequence[T]
    next_page_token: str


def _read(token: str, scope: str) -> Any:
    if not token:
        return None
    try:
        raw = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if raw["s"] == scope:
            return raw["a"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PageTokenInvalid from error
    raise PageTokenInvalid
