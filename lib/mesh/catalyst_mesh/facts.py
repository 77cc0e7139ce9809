"""Events: which facts a daemon tells, which facts of others it handles.

Field 1 of every event message is the name of its aggregate, field 2 the aggregate's version after the change.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from google.protobuf.message import Message

SUBJECT_ROOT = "catalyst.v1"


@dataclass(frozen=True, slots=True)
class Emitted:
    """A fact of the domain, the subject under which it is told, and how its message is made."""

    subject: str
    fact: type
    to_message: Callable[[Any], Message]
    event_id: Callable[[Any], str] | None = None
    """The event's id, where a fact has one of its own: told again, by anybody, it is the same event. None: one is drawn."""


@dataclass(frozen=True, slots=True)
class Told:
    """What stands around an event: its id, subject, aggregate, version, moment and trace."""

    event_id: str
    subject: str
    aggregate: str
    version: int
    time: datetime
    traceparent: str
    attempt: int
    number: int = 0
    """Its number in the outbox of its daemon; 0 where it does not say so."""
    previous: Mapping[str, int] = field(default_factory=dict)
    """Number of the last earlier event of its aggregate, by subject."""


Handler = Callable[[Any, Any, Told], Awaitable[Sequence[object] | None]]
"""`(transaction, message, told) -> facts of our own`, in one transaction with the inbox row."""


Refresh = Callable[[Any, str], Awaitable[Sequence[object] | None]]
"""`(transaction, aggregate) -> facts of our own`: read the resource from its daemon by RPC and take over what it is now. It
holds the transaction meanwhile, so it must state a short deadline. Called again after an error, and for late events."""


@dataclass(frozen=True, slots=True)
class Handled:
    """An event of another daemon, and what is done about it."""

    subject: str
    message: type[Message]
    handler: Handler
    refresh: Refresh | None = None
    """What is done where events before this one are missing; None: the gap is counted and told in the log."""
    from_strangers: bool = False
    """Whether those who tell it are no daemons, whose ids may be another's too: then an event is known by its bytes."""

    def known(self, told: Told, data: bytes, body: Message) -> Told:
        """What is told around an event, once its body is read."""
        whole = replace(told, aggregate=aggregate_of(body), version=version_of(body))
        return replace(whole, event_id=hashlib.sha256(data).hexdigest()) if self.from_strangers else whole


def aggregate_of(message: Message) -> str:
    """Name of the aggregate that an event is about."""
    return str(getattr(message, message.DESCRIPTOR.fields_by_number[1].name))


def version_of(message: Message) -> int:
    """Version of the aggregate after the change."""
    return int(getattr(message, message.DESCRIPTOR.fields_by_number[2].name))


def service_of(subject: str) -> str:
    """`billing` of `catalyst.v1.billing.order.paid`."""
    return subject.split(".")[2]


def stream_of(service: str) -> str:
    """Name of the JetStream stream that holds a service's events."""
    return f"CATALYST_{service.upper()}"
