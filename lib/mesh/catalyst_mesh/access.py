"""Who may call what on whose resource: a table, and the rule that what the table does not name is denied.

Invariants
  named or denied  a method without a row, and a role that its row does not name, are denied;
  both             a daemon that serves a person may do what the row lets both of them do, and on no resource that is not
                   the person's: its handler sees the person (`Caller.via` names the daemon between);
  its own          a daemon that asks for itself, as in work on the journal that outlives every call, is held to the rows
                   that name it. What such work may do at all was asked of the person who started it, by the daemon
                   that wrote it down;
  no names         a person is believed by a token, never by a name that a daemon tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from catalyst_sdk import Code, Refused

from .calls import Caller
from .roles import OWN, SERVICE

PUBLIC = "public"
"""Everybody, signed in or not."""
SIGNED_IN = "signed-in"
"""Everybody whose token was accepted."""
_EVERYBODY = frozenset({PUBLIC, SIGNED_IN})

ALWAYS_OPEN = ("/grpc.health.v1.Health/", "/grpc.reflection.")


class CallDenied(Refused):
    code, reason = Code.PERMISSION_DENIED, "CALL_DENIED"
    message = "{subject} may not call {method}: it takes {roles}"


class ActingDenied(Refused):
    code, reason = Code.PERMISSION_DENIED, "ACTING_DENIED"
    message = "{subject} may not act for somebody else, or not for such a caller"


class Scope(StrEnum):
    """On whose resources a role of an Organization counts, and what a stranger is told.

    Roles over the Sovereign and daemons count on everybody's.
    """

    ANY = "any"
    """What belongs to no Organization."""
    ABSENT = "own; a foreign one is as absent as one that never was"
    DENIED = "own; a foreign one is denied, whether it exists or not"
    LEFT_OUT = "own; foreign ones are left out"
    HOLDER = "of whoever holds the token in the request"
    SELF = "the caller's own record"


@dataclass(frozen=True, slots=True)
class Row:
    """One method: who may call it, and on whose resources."""

    roles: frozenset[str] = frozenset()
    scope: Scope = Scope.ANY

    def admits(self, caller: Caller) -> bool:
        """Whether a role of the caller, held anywhere, stands in the row."""
        if not self.roles.isdisjoint(_EVERYBODY):
            return True
        return not self.roles.isdisjoint(caller.all_roles()) or self.trusts(caller)

    def trusts(self, caller: Caller) -> bool:
        """Whether it is a daemon that may call in its own right whoever it serves."""
        return bool(caller.service) and f"{OWN}{caller.service}" in self.roles

    def names(self, caller: Caller) -> bool:
        """Whether it is a daemon that the row names."""
        return bool(caller.service) and (self.trusts(caller) or f"{SERVICE}{caller.service}" in self.roles)

    def wanted(self) -> str:
        """What a person would need, in words: the table is no secret."""
        named = sorted(role for role in self.roles if not role.startswith((OWN, SERVICE)))
        if not named:
            return "the token of a daemon"
        return f"the role {named[0]}" if len(named) == 1 else f"one of the roles {', '.join(named)}"


NOBODY = Row()


@dataclass(frozen=True, slots=True)
class Access:
    """The table. Whether the resource is the caller's own is asked by the handler, which knows the resource."""

    table: Mapping[str, Row] = field(default_factory=dict)

    def row(self, method: str) -> Row:
        """The row of `method`, with or without its leading slash."""
        return self.table.get(method.lstrip("/"), NOBODY)

    def is_public(self, method: str) -> bool:
        """Whether `method`, with its leading slash, needs no token."""
        return method.startswith(ALWAYS_OPEN) or PUBLIC in self.row(method).roles

    def names(self, method: str) -> bool:
        """Whether the table has a row for `method`."""
        return method.lstrip("/") in self.table

    def admit(self, asks: Caller, method: str, person: Caller | None = None) -> Caller:
        """Who the handler is to see. Raises CallDenied, ActingDenied.

        asks    whose token the call carries
        person  whose token it carries beside, where a daemon serves somebody
        """
        row = self.row(method)
        self._demand(row, asks, method)
        if person is None:
            everywhere = row.names(asks)
            return asks if asks.everywhere == everywhere else replace(asks, everywhere=everywhere)
        if not (asks.service and person.is_person()):
            raise ActingDenied(subject=asks.subject)
        if row.trusts(asks):
            return replace(asks, everywhere=True)
        self._demand(row, person, method)
        return replace(person, via=asks.service)

    def _demand(self, row: Row, caller: Caller, method: str) -> None:
        if not (row.admits(caller) or self.is_public(method)):
            raise CallDenied(subject=caller.subject, method=method.lstrip("/"), roles=row.wanted())


def rows(service: str, scope: Scope = Scope.ANY, /, **methods: str) -> dict[str, Row]:
    """Rows of the table: `rows("catalyst.billing.v1.OrderService", Scope.DENIED, GetOrder="org-admin own:provisioner")`."""
    return {f"{service}/{method}": Row(frozenset(roles.split()), scope) for method, roles in methods.items()}
