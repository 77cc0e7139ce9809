"""Who is behind a token, for what the gateway answers itself; what daemons answer they decide by the same rules."""

from dataclasses import replace

from catalyst_mesh import Caller, Memberships
from catalyst_mesh.errors import Unauthenticated
from catalyst_mesh.verifiers import Verifier
from catalyst_sdk import Code, Refused


class PeopleOnly(Refused):
    code, reason, message = Code.PERMISSION_DENIED, "PEOPLE_ONLY", "{subject} is no person; daemons listen to the bus"


class Callers:
    """Turns tokens into callers with their memberships, as a daemon's chassis does."""

    def __init__(self, verifier: Verifier, memberships: Memberships) -> None:
        self._verifier = verifier
        self._memberships = memberships

    async def person(self, token: str) -> Caller:
        """The person behind a token, with the roles of this moment. Raises Unauthenticated, PeopleOnly, or as Memberships."""
        if not token:
            raise Unauthenticated(why="there is none; send `authorization: Bearer <token>`")
        caller = await self._verifier.check(token)
        if not caller.is_person():
            raise PeopleOnly(subject=caller.subject)
        return replace(caller, groups=await self._memberships.of(caller))

    async def subject(self, token: str) -> str:
        """Whose token it is; empty where it does not hold, or where nobody can say so now."""
        if not token:
            return ""
        try:
            return (await self._verifier.check(token)).subject
        except Refused:
            return ""

    async def close(self) -> None:
        """Give back what the verifier holds."""
        await self._verifier.close()
