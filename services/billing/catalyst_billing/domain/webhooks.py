"""What providers tell: kept before it is worked on, so that a crash between the two loses nothing.

Invariants
  kept first     an event is stored once, by its provider and id, before anybody acts on it;
  with effect    it is HANDLED in the transaction of its effect, never before;
  never lost     what cannot be worked on is tried again, later each time, and at last put aside where a person finds it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from catalyst_sdk import Code, Refused

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(hours=1)
TRIES = 20
"""How often an event is tried before it is put aside."""
MOST_BYTES = 1024 * 1024
"""Of a body. A longer one is refused and never cut: cut, its signature would not hold."""


class SignatureInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "SIGNATURE_INVALID", "the signature does not hold"


class SignatureTooOld(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "SIGNATURE_TOO_OLD", "the call was signed too long ago"


class EventUnreadable(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "BODY_UNREADABLE", "the body is no event of this provider"


class WebhookUnconfigured(Refused):
    code, reason = Code.UNAVAILABLE, "WEBHOOK_UNCONFIGURED"
    message = "{provider} cannot check signatures yet: {why}"


class EventTooLarge(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "BODY_TOO_LARGE", "the body exceeds {most} bytes"


class EventState(StrEnum):
    """Where an event stands."""

    WAITING = "waiting"
    HANDLED = "handled"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """Something that a provider told, once."""

    provider: str
    id: str
    type: str
    """The provider's own word."""
    kind: str
    """Ours; empty for a word that means nothing to us."""
    ref: str
    checkout: str
    payment: str
    body: bytes
    """As it came, sealed."""
    state: EventState
    next_at: datetime
    received_at: datetime
    handled_at: datetime | None = None
    tries: int = 0
    trouble: str = ""
    version: int = 1

    @property
    def name(self) -> str:
        return f"providers/{self.provider}/events/{self.id}"


def handled(event: ProviderEvent, now: datetime) -> ProviderEvent:
    """Its effect is in the same transaction."""
    return replace(event, state=EventState.HANDLED, handled_at=now, trouble="", version=event.version + 1)


def failed(event: ProviderEvent, why: str, now: datetime) -> ProviderEvent:
    """To be tried again, twice as late each time; put aside after the last try."""
    tries = event.tries + 1
    pause = min(FIRST_PAUSE * 2 ** min(event.tries, 12), LONGEST_PAUSE)
    state = EventState.DEAD if tries >= TRIES else EventState.WAITING
    return replace(event, state=state, tries=tries, trouble=why[:500], next_at=now + pause, version=event.version + 1)
