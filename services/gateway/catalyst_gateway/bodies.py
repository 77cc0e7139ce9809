"""Bodies of requests: their size and type, and the fields of those that are written by hand rather than by a contract."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalyst_mesh.errors import InvalidRequest
from catalyst_sdk import Code, Refused, Violation
from litestar import Request

from .transcode import BodyUnreadable, object_of

JSON_TYPES = ("application/json", "text/json")


class MediaTypeUnsupported(Refused):
    code, reason = Code.INVALID_ARGUMENT, "MEDIA_TYPE_UNSUPPORTED"
    message = "the body is {given}; send application/json"


class BodyTooLarge(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "BODY_TOO_LARGE", "the body exceeds {most} bytes"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form.

    kind      what JSON has for it: str, int, bool, list or dict
    aliases   other names under which it is taken
    """

    name: str
    kind: type = str
    is_needed: bool = False
    aliases: tuple[str, ...] = ()


async def read(request: Request[Any, Any, Any], most: int) -> bytes:
    """The body. Raises MediaTypeUnsupported, BodyTooLarge."""
    body = await request.body()
    kind = request.headers.get("content-type", JSON_TYPES[0]).split(";")[0].strip()
    if body and kind not in JSON_TYPES:
        raise MediaTypeUnsupported(given=kind)
    if len(body) > most:
        raise BodyTooLarge(most=most)
    return body


def fill(form: Sequence[Field], body: bytes) -> Mapping[str, Any]:
    """The fields of a body by their own names. Raises BodyUnreadable for what is no such form, InvalidRequest for values."""
    given = object_of(body)
    names = {name: field for field in form for name in (field.name, *field.aliases)}
    if strange := [name for name in given if name not in names]:
        wrong = tuple(Violation(name, "there is no such field", "json") for name in strange)
        raise BodyUnreadable(violations=wrong, why=f"there is no field {', '.join(strange[:8])}")
    found: dict[str, Any] = {}
    faults: list[Violation] = []
    for name, value in given.items():
        field = names[name]
        if field.name in found and found[field.name] != value:
            faults.append(Violation(name, f"it is {field.name} by another name, and says something else", "alias"))
        elif value is not None and not _is_of(field.kind, value):
            faults.append(Violation(name, f"{_WORDS[field.kind]} is expected", "type"))
        elif value is not None:
            found[field.name] = value
    named = {fault.field for fault in faults}
    for field in form:
        if field.is_needed and field.name not in found and not named & {field.name, *field.aliases}:
            faults.append(Violation(field.name, "it is needed", "required"))
    if faults:
        raise InvalidRequest(tuple(faults))
    return found


_WORDS: Mapping[type, str] = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def _is_of(kind: type, value: Any) -> bool:
    if isinstance(value, str):
        return kind is str and _is_unicode(value)
    return isinstance(value, kind) and (kind is not int or not isinstance(value, bool))


def _is_unicode(text: str) -> bool:
    """Whether a text can be sent at all: JSON may hold halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def schema(form: Sequence[Field]) -> dict[str, Any]:
    """The form as JSON Schema."""
    kinds = {str: "string", int: "integer", bool: "boolean", list: "array", dict: "object"}
    names = {name: {"type": kinds[field.kind]} for field in form for name in (field.name, *field.aliases)}
    # What has another name is not demanded here: one of its names is.
    needed = [field.name for field in form if field.is_needed and not field.aliases]
    return {"type": "object", "properties": names, "required": needed, "additionalProperties": False}
