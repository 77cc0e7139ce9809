"""The call that is being served: who asks, by which method, under which request id and trace."""

import random
import re
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache

from catalyst_sdk import Code, Refused, Secret

from .roles import AGENT, SERVICE, WHOLE_SOVEREIGN

ON_BEHALF_OF = "x-catalyst-on-behalf-of"
"""Metadata in which a daemon shows the token of the person whom it serves: `Bearer <token>`."""

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


class RoleDenied(Refused):
    code, reason, message = Code.PERMISSION_DENIED, "ROLE_DENIED", "{subject} may not do this on {resource}"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the signed token says it."""

    subject: str
    service: str = ""
    """Name of the daemon, where a daemon asks; empty for people."""
    roles: frozenset[str] = frozenset()
    """Roles over the whole Sovereign, such as sovereign-admin."""
    groups: frozenset[str] = frozenset()
    """Memberships, `/<organization>/<role>`."""
    everywhere: bool = False
    """A daemon that the method's row names, asking for itself: every Organization's resources are its business."""
    email: str = ""
    """The person's address in lower case, where its provider says that it has verified it."""
    via: str = ""
    """The daemon that passes on what this person asked of it; it may do no more than the person may, and no more than itself."""

    @property
    def organizations(self) -> frozenset[str]:
        """Slugs of the Organizations of which the caller is a member."""
        return frozenset(group.split("/")[1] for group in self.groups if group.count("/") == 2)

    def is_service(self, *names: str) -> bool:
        """Whether a daemon asks for itself, by a row that names it; with `names`, whether it is one of these."""
        return self.everywhere and (not names or self.service in names)

    def is_person(self) -> bool:
        """Whether somebody is signed in who is neither a daemon nor an agent."""
        return not self.service and AGENT not in self.roles and self != ANONYMOUS

    def has_role(self, *roles: str, org: str | None = None) -> bool:
        """Whether the caller holds one of `roles`, over the Sovereign or, with `org`, in that Organization."""
        if self.roles & set(roles):
            return True
        return org is not None and any(f"/{org}/{role}" in self.groups for role in roles)

    def require(self, *roles: str, org: str | None = None, resource: str = "") -> None:
        """Let holders of one of `roles` pass, and daemons that the row names. Raises RoleDenied for all others."""
        if not (self.everywhere or self.has_role(*roles, org=org)):
            raise RoleDenied(subject=self.subject, resource=resource or (f"organizations/{org}" if org else "this"))

    def all_roles(self) -> frozenset[str]:
        """Every role that the caller holds anywhere; what the access table is asked with."""
        return _all_roles(self)


ANONYMOUS = Caller(subject="anonymous")


@lru_cache(4096)  # asked at each call, of callers that are few
def _all_roles(caller: Caller) -> frozenset[str]:
    anywhere = {group.rsplit("/", 1)[1] for group in caller.groups if group.count("/") == 2}
    service = {f"{SERVICE}{caller.service}"} if caller.service else set()
    # A group named like a role over the Sovereign, or like a daemon, gives neither: groups are made in Organizations.
    named = {role for role in caller.roles | anywhere - WHOLE_SOVEREIGN if not role.startswith(SERVICE)}
    return frozenset(named | service)


@dataclass(frozen=True, slots=True)
class Call:
    """One call; outside of calls (workers, consumers) a nameless one stands in its place."""

    method: str = ""
    caller: Caller = ANONYMOUS
    request_id: str = ""
    request_hash: bytes = b""
    deadline: float | None = None
    """End of the caller's patience, on the monotonic clock of the event loop."""
    traceparent: str = field(default_factory=lambda: new_traceparent())
    token: Secret | None = None
    """The token of the person who asks, to be shown to the daemons that are asked in turn; None for daemons and agents."""

    @property
    def trace_id(self) -> str:
        """The 32 hex digits of the trace (W3C Trace Context, section 3.2.2.3)."""
        return self.traceparent.split("-")[1]

    @property
    def span_id(self) -> str:
        """The 16 hex digits of the span under which the call is served."""
        return self.traceparent.split("-")[2]


_current: ContextVar[Call | None] = ContextVar("catalyst_call", default=None)


def current() -> Call:
    """The call that this task serves."""
    return _current.get() or Call()


def ongoing() -> Call | None:
    """The call that this task serves, or None where it serves nobody's."""
    return _current.get()


def enter(call: Call | None) -> None:
    """Make `call` the current one of this task and its children."""
    _current.set(call)


def caller(_context: object = None) -> Caller:
    """Who asks. The gRPC context may be given for readability; the answer belongs to the task."""
    return current().caller


def new_traceparent(parent: str = "") -> str:
    """A traceparent below `parent`, or the root of a new trace (W3C Trace Context, version 00).

    Whether it is sampled was decided at the root; only a root that nobody asked decides for itself, and says yes.
    """
    known = read_traceparent(parent)
    trace, flags = (known[0], known[2]) if known else (_hex(128), "01")
    return f"00-{trace}-{_hex(64)}-{flags}"


def _hex(bits: int) -> str:
    """Random, not secret: who guesses the id of a trace wins nothing. `secrets` would cost a call of the system each time."""
    return f"{random.getrandbits(bits):0{bits // 4}x}"


def read_traceparent(text: str) -> tuple[str, str, str] | None:
    """Trace id, span id and flags; None for rubbish, which must be ignored (W3C Trace Context, section 3.2.2)."""
    found = _TRACEPARENT.fullmatch(text)
    return (found[1], found[2], found[3]) if found else None


def members_of(groups: Iterable[str], org: str) -> list[str]:
    """The roles that `groups` give in `org`."""
    return [group.rsplit("/", 1)[1] for group in groups if group.startswith(f"/{org}/")]
