"""Memberships as this daemon knows them: its own rows before what a token says."""

from collections.abc import Mapping

from catalyst_mesh import Caller, Work
from catalyst_mesh.memberships import merged

from .domain.members import Role, subjects
from .store import Store


class OwnMemberships:
    """Answers from the rows of this daemon."""

    def __init__(self, work: Work[Store]) -> None:
        self._work = work

    async def of(self, person: Caller) -> frozenset[str]:
        """Every membership of `person`."""
        async with self._work.reading() as tx:
            rows = await known(tx, person.subject, person.email)
        return merged(person.groups, {org: role or "" for org, role in rows.items()})


async def known(tx: Store, subject: str, email: str) -> Mapping[str, Role | None]:
    """What is known of one person, by Organization; None: removed there. A row of the subject's own counts before one of the
    address."""
    found: dict[str, Role | None] = {}
    for name in reversed(subjects(subject, email)):
        found |= await tx.roles_of(name)
    return found
