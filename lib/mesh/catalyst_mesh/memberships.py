"""Who is a member of which Organization, in which role: one question, whoever answers it."""

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
    """As the token's groups claim says: nobody else needs to be asked, until the `environment` daemon stands."""

    async def of(self, person: Caller) -> frozenset[str]:
        """The groups of the token."""
        return person.groups
