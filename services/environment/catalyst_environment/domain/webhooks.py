"""Webhooks: what happens to an Organization, told to an address of its choice.

Invariants
  at least once  a delivery stands until its receiver took it or its time was over; it carries the event's own id, so that a
                 receiver knows what it has had;
  no storm       one event is tried ten times within a day, further apart each time, and never sooner than the receiver asks;
  both secrets   for a day after a change the old secret signs beside the new one, so that no receiver misses a turn;
  out            an address that is gone, or that took nothing for a week, hears no more until an admin says so. What waits
                 then goes on waiting.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from catalyst_sdk import Code, Decision, Refused
from catalyst_sdk.addresses import is_public, parse

OFFSETS = tuple(timedelta(minutes=minutes) for minutes in (0, 1, 5, 15, 30, 60, 3 * 60, 6 * 60, 12 * 60, 24 * 60))
"""When an event is tried, counted from the first time."""
LONGEST_PAUSE = timedelta(days=1)
"""However long a receiver asks us to wait."""
JITTER = 0.1
"""Share of a pause by which it may be longer, so that not all come back together."""
DISABLED_AFTER = timedelta(days=7)
"""How long an address may take nothing."""
OVERLAP = timedelta(hours=24)
"""How long an old secret signs beside its successor."""
MOST = 20
"""Webhooks of one Organization."""
KEPT_ATTEMPTS = 30
"""Tries of one delivery that are kept; replays go on in the same list."""
GONE = 410
_NAMES = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
_OURS = (".localhost", ".local", ".internal", ".svc", ".cluster.local", ".home.arpa")
"""Ends of names that the world does not resolve."""


class State(StrEnum):
    ACTIVE = "active"
    FAILING = "failing"
    DISABLED = "disabled"


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class WebhookNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "WEBHOOK_NOT_FOUND", "there is no webhook {webhook}"


class DeliveryNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "DELIVERY_NOT_FOUND", "there is no delivery {delivery}"


class WebhookUrlRefused(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "WEBHOOK_URL_REFUSED", "{url} cannot be called: {why}"
    field = "webhook.url"


class WebhookTypesMissing(Refused):
    code, reason, message = (
        Code.INVALID_ARGUMENT,
        "WEBHOOK_TYPES_MISSING",
        "a webhook hears at least one type of events",
    )
    field = "webhook.types"


class WebhookLimit(Refused):
    code, reason = Code.FAILED_PRECONDITION, "WEBHOOK_LIMIT"
    message = "{organization} has {count} webhooks, the most there may be"


class ReplaySpanInvalid(Refused):
    code, reason = Code.INVALID_ARGUMENT, "REPLAY_SPAN_INVALID"
    message = "a replay names one delivery of its webhook, or when a span begins, before its end"
    field = "start_time"


class WebhookDisabled(Refused):
    code, reason, message = (
        Code.FAILED_PRECONDITION,
        "WEBHOOK_DISABLED",
        "{webhook} is disabled: {why}; enable it first",
    )


@dataclass(frozen=True, slots=True)
class Webhook:
    """One address, and what it hears."""

    org: str
    id: str
    url: str
    types: tuple[str, ...]
    state: State
    created_at: datetime
    updated_at: datetime
    version: int
    reason: str = ""
    failing_since: datetime | None = None
    secret_changed_at: datetime | None = None

    @property
    def name(self) -> str:
        return f"organizations/{self.org}/webhooks/{self.id}"

    def hears(self, type: str) -> bool:
        """Whether an event of `type` is among what it asked for."""
        return any(type.startswith(one[:-1]) if one.endswith("*") else type == one for one in self.types)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. `status` 0: there was no answer, and `error` says why."""

    at: datetime
    status: int
    latency: timedelta
    answer: str = ""
    error: str = ""
    retry_after: timedelta = timedelta()

    @property
    def is_taken(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one webhook."""

    org: str
    webhook: str
    id: str
    type: str
    body: str
    event_at: datetime
    state: DeliveryState
    began_at: datetime
    due_at: datetime
    created_at: datetime
    updated_at: datetime
    version: int
    tries: int = 0
    """Since it began, or since it was replayed."""
    attempts: tuple[Attempt, ...] = ()

    @property
    def name(self) -> str:
        return f"organizations/{self.org}/webhooks/{self.webhook}/deliveries/{self.id}"


@dataclass(frozen=True, slots=True)
class Created:
    webhook: Webhook


@dataclass(frozen=True, slots=True)
class Updated:
    webhook: Webhook


@dataclass(frozen=True, slots=True)
class Deleted:
    webhook: Webhook


@dataclass(frozen=True, slots=True)
class Failed:
    """An event could not be told, for the first time since the address last took one."""

    webhook: Webhook


@dataclass(frozen=True, slots=True)
class Disabled:
    webhook: Webhook


def demand_url(url: str, *, allow_private: bool = False) -> str:
    """The host of an address that may be called. Raises WebhookUrlRefused.

    allow_private  development: plain HTTP and addresses of this machine are let through
    """
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise WebhookUrlRefused(url=url, why="it is no URL") from None
    if parts.username is not None or parts.fragment:
        raise WebhookUrlRefused(url=url, why="it has a user or a fragment")
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise WebhookUrlRefused(url=url, why="it must be an https URL")
    if not allow_private:
        _demand_outside(url, host)
    if not host:
        raise WebhookUrlRefused(url=url, why="it names no host")
    return host


def _demand_outside(url: str, host: str) -> None:
    address = parse(host)
    if address is not None:
        if not is_public(address):
            raise WebhookUrlRefused(url=url, why=f"{host} is no address of the world")
    elif not _NAMES.fullmatch(host) or host.endswith(_OURS) or host.rpartition(".")[2].isdigit():
        # 127.1 and 0x7f.1 are addresses to some resolvers, and names to nobody.
        raise WebhookUrlRefused(url=url, why=f"{host} is no name of the world")


def create(known: int, org: str, url: str, types: Sequence[str], *, id: str, now: datetime) -> Decision[Webhook]:
    """Add one to `known` others. Raises WebhookLimit, WebhookTypesMissing."""
    if known >= MOST:
        raise WebhookLimit(organization=f"organizations/{org}", count=known)
    made = Webhook(org, id, url, _sorted(types), State.ACTIVE, now, now, 1, secret_changed_at=now)
    return Decision(made, (Created(made),))


def change(held: Webhook, values: Mapping[str, Any], now: datetime) -> Decision[Webhook]:
    """Take over `url` and `types`, as far as they are given. Raises WebhookTypesMissing."""
    given = {**values, "types": _sorted(values["types"])} if "types" in values else dict(values)
    return _changed(held, now, **given)


def turn_secret(held: Webhook, now: datetime) -> Decision[Webhook]:
    """Another secret counts from now on."""
    return _changed(held, now, secret_changed_at=now)


def enable(held: Webhook, now: datetime) -> Decision[Webhook]:
    """Let it hear again; what waits is sent."""
    if held.state is State.ACTIVE:
        return Decision(held)
    return _changed(held, now, state=State.ACTIVE, reason="", failing_since=None)


def disable(held: Webhook, why: str, now: datetime) -> Decision[Webhook]:
    """Tell it nothing more. Said twice it changes nothing."""
    if held.state is State.DISABLED:
        return Decision(held)
    after = _moved(held, now, state=State.DISABLED, reason=why)
    return Decision(after, (Disabled(after),))


def delete(held: Webhook, now: datetime) -> Decision[Webhook]:
    """Take it away."""
    after = _moved(held, now)
    return Decision(after, (Deleted(after),))


def demand_enabled(held: Webhook) -> None:
    """Raises WebhookDisabled."""
    if held.state is State.DISABLED:
        raise WebhookDisabled(webhook=held.name, why=held.reason)


def begin(held: Webhook, id: str, type: str, body: str, event_at: datetime, now: datetime) -> Delivery:
    """An event for one webhook, due at once."""
    return Delivery(held.org, held.id, id, type, body, event_at, DeliveryState.PENDING, now, now, now, now, 1)


def tried(held: Delivery, attempt: Attempt, now: datetime, jitter: float) -> Delivery:
    """A delivery after one more try; `jitter` is a number drawn from 0 to 1."""
    tries = held.tries + 1
    kept = (*held.attempts, attempt)[-KEPT_ATTEMPTS:]
    if attempt.is_taken:
        return _told(held, now, state=DeliveryState.DELIVERED, tries=tries, attempts=kept)
    if attempt.status == GONE or tries >= len(OFFSETS):
        return _told(held, now, state=DeliveryState.FAILED, tries=tries, attempts=kept)
    # From now on, and not from the beginning: what waited for days must not be tried ten times in a minute.
    pause = (OFFSETS[tries] - OFFSETS[tries - 1]) * (1 + JITTER * jitter)
    asked = min(attempt.retry_after, LONGEST_PAUSE)
    return _told(held, now, due_at=now + max(pause, asked), tries=tries, attempts=kept)


def judge(held: Webhook, delivery: Delivery, now: datetime) -> Decision[Webhook]:
    """What the newest try of a delivery means for its webhook."""
    last = delivery.attempts[-1]
    if held.state is State.DISABLED:
        return Decision(held)
    if last.is_taken:
        return Decision(held) if held.state is State.ACTIVE else enable(held, now)
    if last.status == GONE:
        return disable(held, "its address answered that it is gone (410)", now)
    if held.failing_since is not None and now - held.failing_since >= DISABLED_AFTER:
        return disable(held, f"its address took nothing for {DISABLED_AFTER.days} days", now)
    if delivery.state is DeliveryState.FAILED and held.state is State.ACTIVE:
        why = last.error or f"its address answered {last.status}"
        after = _moved(held, now, state=State.FAILING, reason=why, failing_since=delivery.began_at)
        return Decision(after, (Failed(after),))
    return Decision(held)


def replay(held: Delivery, now: datetime) -> Delivery:
    """Send it again from the beginning, under the same id."""
    return _told(held, now, state=DeliveryState.PENDING, began_at=now, due_at=now, tries=0)


def _sorted(types: Sequence[str]) -> tuple[str, ...]:
    if not types:
        raise WebhookTypesMissing
    return tuple(sorted(set(types)))


def _changed(held: Webhook, now: datetime, **changes: Any) -> Decision[Webhook]:
    after = _moved(held, now, **changes)
    return Decision(after, (Updated(after),))


def _moved(held: Webhook, now: datetime, **changes: Any) -> Webhook:
    return replace(held, **changes, updated_at=now, version=held.version + 1)


def _told(held: Delivery, now: datetime, **changes: Any) -> Delivery:
    return replace(held, **changes, updated_at=now, version=held.version + 1)
