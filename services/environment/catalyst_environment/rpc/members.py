"""MemberService."""

import hashlib
import secrets
from collections.abc import Callable

from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst.environment.v1 import service_pb2_grpc
from catalyst_mesh import Context, Page, Work, caller
from catalyst_sdk import Decision
from google.protobuf.empty_pb2 import Empty

from ..domain import members
from ..domain.members import Invitation, InvitationNotFound, Member, MemberNotFound
from ..domain.organizations import State, demand_changeable
from ..ownership import known
from ..store import Store
from ..store.pages import place
from . import convert
from .masks import run, wanted
from .names import ADMINS, READERS, changeable, check_etag, id_of, org_of, organization, require
from .organizations import OwnerRequired


class MemberService(service_pb2_grpc.MemberServiceServicer):
    """Members and invitations."""

    def __init__(self, work: Work[Store]) -> None:
        self._work = work

    async def GetMember(self, request: rpc.GetMemberRequest, context: Context) -> pb.Member:
        require(request.name, *READERS)
        async with self._work.reading() as tx:
            return convert.member(await _member(tx, request.name))

    async def ListMembers(self, request: rpc.ListMembersRequest, context: Context) -> rpc.ListMembersResponse:
        org = require(request.parent, *READERS)
        page = Page.of(request.page_size, request.page_token, request.parent)
        async with self._work.reading() as tx:
            await organization(tx, org)
            cut = page.cut([one for one in await tx.members(org) if one.id > (page.after or "")], lambda one: one.id)
        return rpc.ListMembersResponse(members=map(convert.member, cut.rows), next_page_token=cut.next_page_token)

    async def UpdateMember(self, request: rpc.UpdateMemberRequest, context: Context) -> pb.Member:
        org = require(request.member.name, *ADMINS)
        paths = wanted(request.update_mask, request.member, {"role"})

        async def step(tx: Store) -> Decision[Member]:
            await changeable(tx, org)
            held = await _member(tx, request.member.name)
            check_etag(request.etag, held.name, held.version)
            if "role" not in paths or not request.member.role:
                return Decision(held)
            return members.give_role(held, convert.ROLES[request.member.role], await tx.members(org), tx.now)

        return await run(self._work, step, convert.member, validate_only=request.validate_only)

    async def DeleteMember(self, request: rpc.DeleteMemberRequest, context: Context) -> Empty:
        org = require(request.name, *ADMINS)

        async def step(tx: Store) -> Decision[Member]:
            await changeable(tx, org)
            held = await _member(tx, request.name)
            check_etag(request.etag, held.name, held.version)
            return members.remove(held, await tx.members(org), tx.now)

        return await run(self._work, step, lambda _: Empty(), validate_only=request.validate_only)

    async def LeaveOrganization(self, request: rpc.LeaveOrganizationRequest, context: Context) -> Empty:
        org, who = require(request.name, *READERS), caller()

        async def step(tx: Store) -> Decision[Member]:
            await changeable(tx, org)
            held = await tx.find(Member, org, members.id_of(who.subject), lock=True)
            if held is None:
                raise members.MemberByToken(organization=request.name, subject=who.subject)
            return members.remove(held, await tx.members(org), tx.now)

        return await run(self._work, step, lambda _: Empty(), validate_only=request.validate_only)

    async def TransferOwnership(self, request: rpc.TransferOwnershipRequest, context: Context) -> pb.Member:
        org, who = require(request.name, *ADMINS), caller()

        async def step(tx: Store) -> Decision[tuple[object, ...]]:
            held = await changeable(tx, org)
            heir = await _member(tx, request.name)
            if not members.is_owner(held.owner, who.subject, who.email):
                raise OwnerRequired(organization=held.name, subject=who.subject)
            if heir.is_owner:
                return Decision((heir,))
            owner = await _member(tx, f"{held.name}/members/{held.owner}")
            handed = members.hand_over(owner, heir, tx.now)
            return Decision((*handed.state, held.owned_by(heir.id, tx.now)), handed.events)

        return await self._work.run(step, answer=lambda state: convert.member(state[0]))  # type: ignore[arg-type]  # the heir

    async def CreateInvitation(self, request: rpc.CreateInvitationRequest, context: Context) -> pb.Invitation:
        org, wish = require(request.parent, *ADMINS), request.invitation
        token = secrets.token_urlsafe(32)

        async def step(tx: Store) -> Decision[Invitation]:
            await changeable(tx, org)
            return members.invite(
                await tx.invitations(org),
                org,
                wish.email.lower(),
                convert.ROLES[wish.role],
                id=f"inv-{secrets.token_hex(10)}",
                token_hash=_hash(token),
                now=tx.now,
            )  # fmt: skip - one call

        return await run(self._work, step, _shown(token), validate_only=request.validate_only)

    async def admit(self, request: rpc.CreateInvitationRequest, context: Context) -> pb.Member:
        """Make whoever shows a token with an address a member, in a role; for objects of a cluster, and no RPC."""
        org, wish = require(request.parent, *ADMINS), request.invitation

        async def step(tx: Store) -> Decision[Member]:
            if (held := await organization(tx, org, lock=True)).state is not State.PROVISIONING:
                demand_changeable(held)
            return members.admit(await tx.members(org, removed=True), org, wish.email, convert.ROLES[wish.role], tx.now)

        return await self._work.run(step, answer=convert.member)

    async def GetInvitation(self, request: rpc.GetInvitationRequest, context: Context) -> pb.Invitation:
        require(request.name, *ADMINS)
        async with self._work.reading() as tx:
            held = await _invitation(tx, request.name)
            return convert.invitation(held, held.state_at(tx.now))

    async def ListInvitations(
        self, request: rpc.ListInvitationsRequest, context: Context
    ) -> rpc.ListInvitationsResponse:
        org = require(request.parent, *ADMINS)
        page = Page.of(request.page_size, request.page_token, request.parent)
        async with self._work.reading() as tx:
            await organization(tx, org)
            cut = page.cut(await tx.invitation_page(org, page), place)
            shown = [convert.invitation(one, one.state_at(tx.now)) for one in cut.rows]
        return rpc.ListInvitationsResponse(invitations=shown, next_page_token=cut.next_page_token)

    async def ResendInvitation(self, request: rpc.ResendInvitationRequest, context: Context) -> pb.Invitation:
        org, token = require(request.name, *ADMINS), secrets.token_urlsafe(32)

        async def step(tx: Store) -> Decision[Invitation]:
            await changeable(tx, org)
            return members.resend(await _invitation(tx, request.name), _hash(token), tx.now)

        return await self._work.run(step, answer=_shown(token))

    async def RevokeInvitation(self, request: rpc.RevokeInvitationRequest, context: Context) -> pb.Invitation:
        org = require(request.name, *ADMINS)

        async def step(tx: Store) -> Decision[Invitation]:
            await organization(tx, org, lock=True)
            return members.revoke(await _invitation(tx, request.name), tx.now)

        return await self._work.run(step, answer=_shown(""))

    async def AcceptInvitation(self, request: rpc.AcceptInvitationRequest, context: Context) -> pb.Member:
        who, org = caller(), org_of(request.name)

        async def step(tx: Store) -> Decision[tuple[Invitation, Member]]:
            held = await tx.find(Invitation, org, id_of(request.name), lock=True)
            if held is None:  # as with a wrong token: nothing tells whether there is one
                raise members.InvitationRefused(invitation=request.name, subject=who.subject)
            known = await tx.find(Member, org, members.id_of(who.subject), lock=True)
            decided = members.accept(
                held, known, subject=who.subject, email=who.email, token_hash=_hash(request.token), now=tx.now
            )
            await changeable(tx, org)
            return decided

        return await self._work.run(step, answer=lambda state: convert.member(state[1]))

    async def LookUpMemberships(
        self, request: rpc.LookUpMembershipsRequest, context: Context
    ) -> rpc.LookUpMembershipsResponse:
        async with self._work.reading() as tx:
            rows = await known(tx, request.subject, request.email)
        kind = rpc.LookUpMembershipsResponse.Membership
        return rpc.LookUpMembershipsResponse(
            memberships=[kind(organization=f"organizations/{org}", role=role or "") for org, role in rows.items()]
        )


async def _member(tx: Store, name: str) -> Member:
    held = await tx.find(Member, org_of(name), id_of(name))
    if held is None or held.is_removed:
        raise MemberNotFound(member=name)
    return held


async def _invitation(tx: Store, name: str) -> Invitation:
    held = await tx.find(Invitation, org_of(name), id_of(name))
    if held is None:
        raise InvitationNotFound(invitation=name)
    return held


def _hash(token: str) -> str:
    """What is kept of a token: it has 256 bits of chance, so nothing slower is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def _shown(token: str) -> Callable[[Invitation], pb.Invitation]:
    return lambda held: convert.invitation(held, held.state, token)
