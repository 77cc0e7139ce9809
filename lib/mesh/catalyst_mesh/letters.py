"""Dead letters: copies of events that a consumer gave up, in CATALYST_DLQ, with the error beside them.

Invariants
  one letter   a delivery that is given up leaves one letter, also where the consumer dies before it says so;
  one effect   a letter is handled by the consumer that gave it up, through its inbox: replayed twice it has one effect;
  no loss      a letter goes away only after the effect is committed, or where somebody discards it.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from catalyst_sdk import Code, Refused
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from .bus import DEAD_LETTERS, PATIENCE, Bus
from .envelopes import decoded, encoded, told
from .facts import Told
from .logs import cleaned

_ROOT = "catalyst.dlq"
_OF_THE_DELIVERY = ("nats-", "catalyst-")
"""Beginnings of headers that are not the event's own."""


class LetterNotFound(Refused):
    code, reason = Code.NOT_FOUND, "DEAD_LETTER_NOT_FOUND"
    message = "there is no {name}; it may have been replayed or discarded"


class BusUnavailable(Refused):
    code, reason, message = Code.UNAVAILABLE, "BUS_UNAVAILABLE", "the NATS server does not answer; try again"


@dataclass(frozen=True, slots=True)
class Letter:
    """One event that was given up."""

    sequence: int
    consumer: str
    told: Told
    schema: str
    error: str
    body: bytes
    given_up_at: datetime

    def name(self, daemon: str) -> str:
        """`deadLetters/billing-17-1f3a9c02`. The digest keeps a name from meaning another letter after a wipe of NATS."""
        digest = hashlib.sha256(self.told.event_id.encode()).hexdigest()[:8]
        return f"deadLetters/{daemon}-{self.sequence}-{digest}"


def subject_of(consumer: str) -> str:
    """Subject of the letters of one consumer."""
    return f"{_ROOT}.{consumer}"


def headers(message: Msg, *, consumer: str, error: Exception, tries: int) -> dict[str, str]:
    """Headers of the letter for a delivery: the event's own, and what happened."""
    place = message.metadata
    own = {k: v for k, v in (message.headers or {}).items() if not k.lower().startswith(_OF_THE_DELIVERY)}
    return own | encoded(
        {
            "catalyst-consumer": consumer,
            "catalyst-subject": message.subject,
            "catalyst-event": f"{place.stream}:{place.sequence.stream}",
            "catalyst-error": cleaned(f"{type(error).__name__}: {error}")[:500],
            "catalyst-attempts": str(tries),
            # The event's own id would make the stream drop the letter of a second consumer that gave it up.
            "Nats-Msg-Id": f"{consumer}/{place.stream}/{place.sequence.stream}/{place.timestamp.timestamp()}",
        }
    )


class Letters:
    """The dead letters of one daemon's consumers."""

    def __init__(self, daemon: str, bus: Bus, consumers: Sequence[str]) -> None:
        self._daemon = daemon
        self._bus = bus
        self._subjects = {subject_of(consumer): consumer for consumer in consumers}

    async def page(self, after: int, size: int) -> list[Letter]:
        """At most `size` letters behind the number `after`, the oldest first. Raises BusUnavailable."""
        found: list[Letter] = []
        for subject in self._subjects:
            found += await self._page_of(subject, after, size)
        return sorted(found, key=lambda letter: letter.sequence)[:size]

    async def _page_of(self, subject: str, after: int, size: int) -> list[Letter]:
        found: list[Letter] = []
        while len(found) < size:
            letter = await self._read(after + 1, subject)
            if letter is None:
                break
            found.append(letter)
            after = letter.sequence
        return found

    async def count(self) -> dict[str, int]:
        """How many letters each consumer has. Raises BusUnavailable."""
        async with self._stream() as js:
            info = await js.stream_info(DEAD_LETTERS, subjects_filter=f"{_ROOT}.>")
        subjects: Mapping[str, int] = info.state.subjects or {}
        return {consumer: subjects.get(subject, 0) for subject, consumer in self._subjects.items()}

    async def get(self, name: str) -> Letter:
        """The letter of that name. Raises LetterNotFound or BusUnavailable."""
        sequence = name.rpartition("-")[0].rpartition("-")[2]
        if sequence.isdecimal():
            for subject in self._subjects:
                letter = await self._read(int(sequence), subject)
                if letter is not None and letter.name(self._daemon) == name:
                    return letter
        raise LetterNotFound(name=name)

    async def remove(self, letter: Letter) -> None:
        """Take a letter away; one that is gone is fine. Raises BusUnavailable."""
        async with self._stream() as js:
            with suppress(NotFoundError):
                await js.delete_msg(DEAD_LETTERS, letter.sequence)

    async def _read(self, sequence: int, subject: str) -> Letter | None:
        """The first letter of `subject` from `sequence` on."""
        async with self._stream() as js:
            with suppress(NotFoundError):
                message = await js.get_msg(DEAD_LETTERS, sequence, subject=subject, next=True)
                return to_letter(message, self._subjects[subject])
        return None

    @asynccontextmanager
    async def _stream(self) -> AsyncIterator[JetStreamContext]:
        """The server, for one question about the stream of letters. Raises BusUnavailable."""
        try:
            # A client that tries to come back keeps its questions for as long as that takes.
            async with asyncio.timeout(PATIENCE):
                await self._bus.ensure_dead_letters()
                yield await self._bus.jetstream()
        except (NatsError, OSError, TimeoutError) as error:
            raise BusUnavailable from error


def to_letter(message: RawStreamMsg, consumer: str) -> Letter:
    """A stored letter."""
    header = decoded(message.headers)
    attempts = header.get("catalyst-attempts", "")
    return Letter(
        sequence=message.seq or 0,
        consumer=consumer,
        told=told(
            header.get("catalyst-subject") or header.get("ce-type", ""),
            header,
            otherwise=header.get("catalyst-event", f"{DEAD_LETTERS}:{message.seq}"),
            attempt=int(attempts) if attempts.isdecimal() else 0,
        ),
        schema=header.get("ce-dataschema", ""),
        error=header.get("catalyst-error", ""),
        body=message.data or b"",
        given_up_at=message.time or datetime.now(UTC),
    )  # fmt: skip - one field a line
