"""Conditional requests (RFC 9110, section 13): `If-Match` is the contract's `etag`, `ETag` is that of the answer."""

import re
from typing import Any

from catalyst_sdk import Code, Refused
from google.protobuf.message import Message

_STRONG = re.compile(r'"[\x21\x23-\x7e]{0,126}"')
"""One entity tag that may be compared strongly (section 8.8.3); weak ones and lists cannot be a version that was read."""


class IfMatchInvalid(Refused):
    code, reason = Code.INVALID_ARGUMENT, "IF_MATCH_INVALID"
    message = "If-Match is {given}; {why}"
    field = "etag"


def demand(message: Message, if_match: str) -> None:
    """Take over the condition of a write. Raises IfMatchInvalid where it cannot be kept: it is never ignored."""
    if not if_match:
        return
    if "etag" not in message.DESCRIPTOR.fields_by_name:
        raise IfMatchInvalid(given=if_match, why="this method has no condition")
    if not _STRONG.fullmatch(if_match):
        raise IfMatchInvalid(given=if_match, why="send one strong entity tag, as it was read")
    wish: Any = message
    if wish.etag not in ("", if_match):
        raise IfMatchInvalid(given=if_match, why=f"the request's own etag is {wish.etag}")
    wish.etag = if_match


def retry(message: Message, request_id: str) -> None:
    """Take over the caller's Idempotency-Key, where the method has a place for it and the request says none itself."""
    wish: Any = message
    if request_id and "request_id" in message.DESCRIPTOR.fields_by_name and not wish.request_id:
        wish.request_id = request_id


def headers_of(answer: Message) -> dict[str, str]:
    """`ETag`, where the answer is a resource that has one."""
    tag = str(getattr(answer, "etag", ""))
    return {"ETag": tag} if _STRONG.fullmatch(tag) else {}
