"""Memberships as the daemon of Organizations knows them: asked once in a while, and forgotten when it says that one has changed.

Invariants
  rows first   of an Organization in which the daemon knows the person, the token says nothing: a removed member stays out;
  not old      an answer counts for half a minute at most, and until something is told of the person;
  closed       who cannot be asked for is nobody's member: the call is refused, but for those whose role is over the Sovereign,
               which no membership gives. They go on without memberships.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import grpc
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from .bus import Bus
from .calls import Caller
from .client import connect
from .envelopes import body_of
from .memberships import Memberships, MembershipsUnavailable, TokenMemberships, merged
from .roles import WHOLE_SOVEREIGN
from .settings import DaemonSettings
from .waits import rest

SUBJECT = "catalyst.v1.environment.member.>"
REMEMBERED = 30.0
"""Seconds for which an answer counts."""
PATIENCE = 2.0
"""Seconds for an answer: the call that waits for it has something else to do."""
MOST = 10_000
"""People who are remembered at a time."""
LOOK = 1.0
"""Seconds between two looks at the connection, on which changes are heard."""
Rows = Mapping[str, str]
"""Role by Organization; empty: removed there."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is remembered of one person. `mail` is the name of rows that stand for the person's address."""

    until: float
    rows: Rows
    mail: str


class AskedMemberships:
    """Asks the daemon at the other end of `channel`; a worker beside, which hears of changes."""

    def __init__(
        self, channel: grpc.aio.Channel, bus: Bus, *, remembered: float = REMEMBERED,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        # Its messages weigh some MiB, which a daemon that asks nobody need not carry.
        from catalyst.environment.v1 import events_pb2, service_pb2, service_pb2_grpc

        assert events_pb2, "its messages are known by their names from here on"
        self._channel = channel
        self._bus = bus
        self._remembered = remembered
        self._monotonic = monotonic
        self._request: Any = service_pb2.LookUpMembershipsRequest
        self._look_up: Any = service_pb2_grpc.MemberServiceStub(channel).LookUpMemberships
        self._known: OrderedDict[str, _Answer] = OrderedDict()
        self._changes = 0
        """How often something was forgotten: an answer that was on its way meanwhile may be from before."""

    async def of(self, person: Caller) -> frozenset[str]:
        """As Memberships."""
        rows = self._remembers(person.subject)
        if rows is None:
            try:
                rows = await self._ask(person)
            except (grpc.aio.AioRpcError, TimeoutError) as error:
                if person.roles & WHOLE_SOVEREIGN:
                    return frozenset()
                raise MembershipsUnavailable(subject=person.subject) from error
        return merged(person.groups, rows)

    def forget(self, subject: str = "") -> None:
        """Ask again for whoever stands in rows under this name, which may be an address; without one for everybody."""
        self._changes += 1
        if not subject:
            self._known.clear()
        self._known.pop(subject, None)
        for name in [name for name, one in self._known.items() if one.mail == subject]:
            del self._known[name]

    async def run(self, stop: asyncio.Event) -> None:
        """Hear of changes until `stop`. While NATS is away, answers grow old by themselves."""
        while not stop.is_set():
            try:
                await self._listen(stop)
            except (NatsError, OSError, TimeoutError):
                await rest(stop, LOOK)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close(None)

    async def _listen(self, stop: asyncio.Event) -> None:
        # Not by a durable consumer, which all replicas share: each of them remembers for itself.
        client = await self._bus.client()
        heard = await client.subscribe(SUBJECT, cb=self._heard)
        await client.flush()
        self.forget()
        try:
            while not stop.is_set() and not client.is_closed:
                if not client.is_connected:
                    self.forget()  # what is told meanwhile is not heard
                await rest(stop, LOOK)
        finally:
            with suppress(NatsError, OSError):
                await heard.unsubscribe()

    async def _heard(self, message: Msg) -> None:
        body: Any = body_of(message)
        if hasattr(body, "subject"):  # an invitation makes nobody a member
            self.forget(body.subject)

    def _remembers(self, subject: str) -> Rows | None:
        found = self._known.get(subject)
        return found.rows if found is not None and self._monotonic() < found.until else None

    async def _ask(self, person: Caller) -> Rows:
        changes, asked = self._changes, self._monotonic()
        request = self._request(subject=person.subject, email=person.email)
        answer = await self._look_up(request, timeout=PATIENCE)
        rows = {one.organization.removeprefix("organizations/"): one.role for one in answer.memberships}
        if changes == self._changes:
            self._known[person.subject] = _Answer(asked + self._remembered, rows, f"mailto:{person.email}")
            self._known.move_to_end(person.subject)
            while len(self._known) > MOST:
                self._known.popitem(last=False)
        return rows


def memberships_of(settings: DaemonSettings, bus: Bus) -> Memberships:
    """Who says which Organizations a person belongs to, by the settings of a daemon."""
    if not settings.memberships_target:
        return TokenMemberships()
    token, tls = settings.token_for("environment"), settings.certificates()
    return AskedMemberships(connect(settings.memberships_target, token=token, tls=tls, deadline=PATIENCE), bus)
