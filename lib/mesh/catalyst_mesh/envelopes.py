"""What stands around an event on the wire: CloudEvents 1.0 attributes in NATS headers (binary mode), percent-encoded."""

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from google.protobuf import symbol_database
from google.protobuf.message import DecodeError, Message
from nats.aio.msg import Msg

from . import chains
from .facts import Told


def encoded(attributes: Mapping[str, str]) -> dict[str, str]:
    """Headers that hold no line break, whatever the values hold."""
    return {key: quote(value, safe=" /:;,.+-_@*=") for key, value in attributes.items()}


def decoded(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Values of headers, by their names in lower case."""
    return {key.lower(): unquote(value) if "%" in value else value for key, value in (headers or {}).items()}


def told_of(message: Msg) -> Told:
    """What is told around a delivered event; aggregate and version are known once its body is read."""
    place = message.metadata
    return told(
        message.subject, decoded(message.headers), otherwise=f"{place.stream}:{place.sequence.stream}",
        attempt=place.num_delivered or 1,
    )  # fmt: skip


def body_of(message: Msg) -> Message | None:
    """The body of a delivered event in the schema that its header names; None where that is unknown here, or it is no such one.

    Known is what this process has imported.
    """
    try:
        kind = symbol_database.Default().GetSymbol(decoded(message.headers).get("ce-dataschema", ""))
        body: Message = kind.FromString(message.data)
    except (KeyError, DecodeError):
        return None
    return body


def told(subject: str, header: Mapping[str, str], *, otherwise: str, attempt: int) -> Told:
    """What `header` tells about an event of `subject`; `otherwise` is its id where it has none of its own."""
    number = header.get(chains.NUMBER, "")
    return Told(
        event_id=header.get("ce-id", otherwise),
        subject=subject,
        aggregate=header.get("ce-subject", ""),
        version=0,
        time=_moment(header.get("ce-time", "")),
        traceparent=header.get("traceparent", ""),
        attempt=attempt,
        number=int(number) if number.isdecimal() else 0,
        previous=chains.read(header.get(chains.PREVIOUS, ""), subject),
    )


def _moment(text: str) -> datetime:
    """When it happened; now, where the header is absent or rubbish: a bad header must not hold up the events behind it."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        return datetime.now(UTC)
    return given if given.tzinfo else given.replace(tzinfo=UTC)
