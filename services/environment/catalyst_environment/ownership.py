"""Memberships as this daemon knows them: its own rows before what a token says."""

from catalyst_mesh import Caller, Work

from .domain.members import Role, memberships, subjects
from .store import Store


class OwnMemberships:
    """Answers from the rows of this daemon."""

    def __init__(self, work: Work[Store]) -> None:
        self._work = work

    async def of(self, person: Caller) -> frozenset[str]:
        """Every membership of `person`."""
        known: dict[str, Role | None] = {}
        async with self._work.reading() as tx:
            for subject in reversed(subjects(person.subject, person.email)):  # a row of the subject's own counts before
                known |= await tx.roles_of(subject)
        return memberships(person.groups, known)
