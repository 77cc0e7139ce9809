"""People whom an Organization's object names: members by their addresses, until a token with that address shows who they are."""

from collections.abc import Mapping
from typing import Any

from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst_kube.conditions import Observed
from catalyst_kube.daemons import Own

_ROLES: Mapping[str, int] = {
    "owner": pb.Member.ROLE_ADMIN,  # one of the admins is the owner; who that is, an object says once
    "admin": pb.Member.ROLE_ADMIN,
    "developer": pb.Member.ROLE_DEVELOPER,
    "viewer": pb.Member.ROLE_VIEWER,
}
Roles = dict[str, int]
"""By address, lower case."""


class People:
    """service   the daemon's own MemberService"""

    def __init__(self, ask: Own, service: Any) -> None:
        self._ask = ask
        self._service = service

    async def named(self, name: str, spec: Mapping[str, Any], *, fresh: bool) -> Observed:
        """The condition that compares whom the object names with who is a member; `fresh`: after they were made so.

        A suspended Organization takes nobody in: the condition says so, and the next change of the object counts again.

        Nobody loses a membership by no longer being named: the list of an object is no list of all members.
        Raises Unacceptable.
        """
        held = await self._members(name)
        missing = {mail: role for mail, role in _wished(spec).items() if held.get(mail) != role}
        if fresh:
            for mail, role in missing.items():
                await self._admit(name, mail, role)
            return Observed("PeopleAsNamed", True, "AsNamed")
        return as_named(missing)

    async def _members(self, name: str) -> Roles:
        found: Roles = {}
        request = rpc.ListMembersRequest(parent=name, page_size=1000)
        while True:
            answer = await self._ask(self._service.ListMembers, request)
            found |= {one.email.lower(): one.role for one in answer.members if one.email}
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    async def _admit(self, name: str, mail: str, role: int) -> None:
        wish = pb.Invitation(email=mail, role=role)  # type: ignore[arg-type]  # a number of the contract
        await self._ask(self._service.admit, rpc.CreateInvitationRequest(parent=name, invitation=wish))


def as_named(missing: Roles) -> Observed:
    """`missing`   who is no member, or not as what the object names"""
    if not missing:
        return Observed("PeopleAsNamed", True, "AsNamed")
    # How many, not who: whoever reads objects need not be one who may read addresses of members.
    return Observed("PeopleAsNamed", False, "Differs", f"{len(missing)} of them: changed elsewhere, or not taken in")


def _wished(spec: Mapping[str, Any]) -> Roles:
    return {person["email"].lower(): _ROLES[person["role"]] for person in spec["owners"]}
