"""Memberships as this daemon knows them: its own rows before what a token says."""

from catalyst_mesh import Caller, Work

from .domain.members import memberships
from .store import Store


class OwnMemberships:
    """Answers from the rows of this daemon."""

    def __init__(self, work: Work[Store]) -> None:
        self._work = work

    async def of(self, person: Caller) -> frozenset[str]:
        """Every membership of `person`."""
        async with self._work.reading() as tx:
            return memberships(person.groups, await tx.roles_of(person.subject))
