"""Calls from payment providers: the body goes through as it came, because its signature is over every byte of it."""

from collections.abc import Mapping
from typing import Any

from google.api import httpbody_pb2
from google.protobuf.message_factory import GetMessageClass
from litestar import Request

from .bodies import BodyTooLarge
from .routes import Route

MOST_HEADERS = 100
_OURS = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Headers that are about our own callers and no provider's business."""


def takes(route: Route) -> bool:
    """Whether a method takes a body as it is, instead of JSON of its own."""
    field = route.method.input_type.fields_by_name.get(route.body)
    return field is not None and field.message_type is not None and field.message_type.full_name == _RAW


_RAW = httpbody_pb2.HttpBody.DESCRIPTOR.full_name


async def to_request(route: Route, variables: Mapping[str, str], request: Request[Any, Any, Any], most: int) -> Any:
    """The request of such a method, with the headers of the call. Raises BodyTooLarge."""
    body = await request.body()
    if len(body) > most:
        raise BodyTooLarge(most=most)
    message: Any = GetMessageClass(route.method.input_type)()
    for name, value in variables.items():
        setattr(message, name, value)
    raw = getattr(message, route.body)
    raw.content_type, raw.data = request.headers.get("content-type", ""), body
    headers = [(name.lower(), value) for name, value in request.headers.items() if name.lower() not in _OURS]
    message.headers.update(headers[:MOST_HEADERS])
    return message
