"""Who is a member of which Organization, in which role: one question, whoever answers it."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from catalyst_sdk import Code, Refused

from .calls import Caller


class MembershipsUnavailable(Refused):
    """No answer is a no: the call is refused as a whole."""

    code, reason = Code.UNAVAILABLE, "MEMBERSHIPS_UNAVAILABLE"
    message = "the memberships of {subject} cannot be asked now"


class Memberships(Protocol):
    """Asked once for each call of a person, before the table of who may call what."""

    async def of(self, person: Caller) -> frozenset[str]:
        """Every membership of `person`, `/<organization>/<role>`.

        Raises MembershipsUnavailable where nobody can say; anything else that is raised denies as well.
        """
        ...


class TokenMemberships:
    """As the token's groups claim says, where no daemon of Organizations is named in the settings."""

    async def of(self, person: Caller) -> frozenset[str]:
        """The groups of the token."""
        return person.groups


def merged(groups: Iterable[str], rows: Mapping[str, str]) -> frozenset[str]:
    """What somebody is a member of.

    groups   what the token says, `/<organization>/<role>`
    rows     what is known elsewhere, role by Organization; empty: removed there. It counts before the token
    """
    by_token = {group for group in groups if group.count("/") == 2 and group.split("/")[1] not in rows}
    return frozenset(by_token | {f"/{org}/{role}" for org, role in rows.items() if role})
