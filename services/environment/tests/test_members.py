"""Members and invitations from the outside, and what other daemons hear of them."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst.environment.v1 import service_pb2_grpc as stubs
from catalyst_environment.domain.members import id_of
from catalyst_mesh import Bus, Caller, Page, connect
from catalyst_mesh.asked_memberships import AskedMemberships
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of
from catalyst_testkit.servers import NatsServer

from .house import House

pytestmark = pytest.mark.either_database
ORG = "organizations/acme"
Members = stubs.MemberServiceStub


async def invited(house: House, email: str = "bo@x.example", role: Any = pb.Member.ROLE_DEVELOPER) -> pb.Invitation:
    wish = rpc.CreateInvitationRequest(parent=ORG, invitation=pb.Invitation(email=email, role=role))
    return await house.person(Members).CreateInvitation(wish)


async def test_an_invitation_is_accepted_once_by_its_address_alone(house: House) -> None:
    await house.active()
    one = await invited(house, "Bo@X.example")
    accept = rpc.AcceptInvitationRequest(name=one.name, token=one.token)
    assert await reason_of(house.person(Members, "eve", "eve@x.example").AcceptInvitation(accept)) == (
        "INVITATION_REFUSED"
    )
    assert await reason_of(house.person(Members, "bo").AcceptInvitation(accept)) == "INVITATION_REFUSED"
    bo: Any = house.person(Members, "bo", "bo@x.example")
    wrong = rpc.AcceptInvitationRequest(name=one.name, token="guessed")
    assert await reason_of(bo.AcceptInvitation(wrong)) == "INVITATION_REFUSED"
    joined = await bo.AcceptInvitation(accept)
    assert (joined.subject, joined.role) == ("bo", pb.Member.ROLE_DEVELOPER)
    assert await reason_of(bo.AcceptInvitation(accept)) == "INVITATION_STATE"
    read = await house.person(Members).GetInvitation(rpc.GetInvitationRequest(name=one.name))
    assert (read.state, read.token) == (pb.Invitation.STATE_ACCEPTED, "")
    assert await reason_of(bo.CreateInvitation(rpc.CreateInvitationRequest(
        parent=ORG, invitation=pb.Invitation(email="cy@x.example", role=pb.Member.ROLE_ADMIN)
    ))) == "CALL_DENIED"  # fmt: skip


async def test_a_list_of_invitations_is_read_page_by_page_each_once(house: House) -> None:
    await house.active()
    made = [
        (await invited(house, f"p{n}@x.example")).name for n in range(3)
    ]  # at one moment: their ids alone tell them apart
    house.clock.advance(timedelta(seconds=1))
    made.append((await invited(house, "last@x.example")).name)
    admin, found, token = house.person(Members), [], ""
    while True:
        page = await admin.ListInvitations(rpc.ListInvitationsRequest(parent=ORG, page_size=2, page_token=token))
        found.append([one.name for one in page.invitations])
        if not (token := page.next_page_token):
            break
    assert [len(names) for names in found] == [2, 2]
    assert [name for names in found for name in names] == [made[3], *sorted(made[:3], reverse=True)]
    bound = Page.of(2, "", ORG).cut(range(3), lambda _: ["yesterday", "inv-1"]).next_page_token
    forged = rpc.ListInvitationsRequest(parent=ORG, page_size=2, page_token=bound)
    assert await reason_of(admin.ListInvitations(forged)) == "PAGE_TOKEN_INVALID"


async def test_a_token_that_was_sent_anew_or_taken_back_no_longer_counts(house: House) -> None:
    await house.active()
    first, admin = await invited(house), house.person(Members)
    bo: Any = house.person(Members, "bo", "bo@x.example")
    second = await admin.ResendInvitation(rpc.ResendInvitationRequest(name=first.name))
    old = rpc.AcceptInvitationRequest(name=first.name, token=first.token)
    assert await reason_of(bo.AcceptInvitation(old)) == "INVITATION_REFUSED"
    await admin.RevokeInvitation(rpc.RevokeInvitationRequest(name=first.name))
    new = rpc.AcceptInvitationRequest(name=first.name, token=second.token)
    assert await reason_of(bo.AcceptInvitation(new)) == "INVITATION_STATE"


async def test_who_was_removed_is_no_member_whatever_the_token_says(house: House) -> None:
    await house.active()
    one = await invited(house)
    bo: Any = house.person(Members, "bo", "bo@x.example")
    joined = await bo.AcceptInvitation(rpc.AcceptInvitationRequest(name=one.name, token=one.token))
    admin: Any = house.person(Members)
    signed = house.daemon.stub(Members, "bo", groups=["/acme/org-admin"])
    listing = rpc.ListMembersRequest(parent=ORG)
    assert len((await signed.ListMembers(listing)).members) == 2
    assert await reason_of(signed.ListInvitations(rpc.ListInvitationsRequest(parent=ORG))) == "CALL_DENIED"
    await admin.DeleteMember(rpc.DeleteMemberRequest(name=joined.name, etag=joined.etag))
    assert await reason_of(signed.ListMembers(listing)) == "CALL_DENIED"
    other: Any = house.daemon.stub(Members, "catalog", service="catalog")
    known = await other.LookUpMemberships(rpc.LookUpMembershipsRequest(subject="bo"))
    assert [(m.organization, m.role) for m in known.memberships] == [(ORG, "")]
    assert (await house.told()).count("member.removed") == 1


async def test_the_owner_hands_over_before_it_can_go(house: House) -> None:
    made = await house.active()
    one = await invited(house)
    bo: Any = house.person(Members, "bo", "bo@x.example")
    heir = await bo.AcceptInvitation(rpc.AcceptInvitationRequest(name=one.name, token=one.token))
    ada: Any = house.person(Members)
    owner = await ada.GetMember(rpc.GetMemberRequest(name=made.owner))
    assert (owner.owner, made.owner) == (True, f"{ORG}/members/{id_of('ada')}")
    leave = rpc.DeleteMemberRequest(name=owner.name, etag=owner.etag)
    assert await reason_of(ada.DeleteMember(leave)) == "OWNER_STAYS"
    new = await ada.TransferOwnership(rpc.TransferOwnershipRequest(name=heir.name))
    assert (new.owner, new.role) == (True, pb.Member.ROLE_ADMIN)
    again = rpc.TransferOwnershipRequest(name=owner.name)
    assert await reason_of(ada.TransferOwnership(again)) == "OWNER_REQUIRED"
    assert (await house.get()).owner == heir.name
    now = await bo.GetMember(rpc.GetMemberRequest(name=owner.name))
    assert await reason_of(bo.DeleteMember(rpc.DeleteMemberRequest(name=now.name, etag=now.etag))) == "OK"


async def test_other_daemons_hear_at_once_that_a_member_was_removed(house: House, clean_nats: NatsServer) -> None:
    await house.active()
    one = await invited(house)
    bo: Any = house.person(Members, "bo", "bo@x.example")
    joined = await bo.AcceptInvitation(rpc.AcceptInvitationRequest(name=one.name, token=one.token))
    token = house.daemon.issuer.token("service:catalog", service="catalog")
    bus, stop, person = Bus(clean_nats.url, "catalog"), asyncio.Event(), Caller("bo")
    elsewhere = AskedMemberships(connect(house.daemon.target, token=lambda: token), bus, remembered=3600)
    listening = asyncio.create_task(elsewhere.run(stop))
    try:
        await eventually(lambda: bus.is_connected, within=60, what="it listens")
        assert await elsewhere.of(person) == {"/acme/org-developer"}
        await house.person(Members).DeleteMember(rpc.DeleteMemberRequest(name=joined.name, etag=joined.etag))

        async def is_out() -> bool:
            return not await elsewhere.of(person)

        await eventually(is_out, within=60, what="the removed member is nobody's")
    finally:
        stop.set()
        await listening
        await elsewhere.close()
        await bus.close()


async def test_a_member_leaves_alone_and_an_owner_or_one_by_token_alone_is_told_why_not(house: House) -> None:
    await house.active()
    one = await invited(house, role=pb.Member.ROLE_VIEWER)
    bo: Any = house.person(Members, "bo", "bo@x.example")
    wish = rpc.LeaveOrganizationRequest(name=ORG)
    assert await reason_of(bo.LeaveOrganization(wish)) == "CALL_DENIED"
    await bo.AcceptInvitation(rpc.AcceptInvitationRequest(name=one.name, token=one.token))
    await bo.LeaveOrganization(rpc.LeaveOrganizationRequest(name=ORG, validate_only=True))
    assert len((await bo.ListMembers(rpc.ListMembersRequest(parent=ORG))).members) == 2
    await bo.LeaveOrganization(wish)
    assert await reason_of(bo.ListMembers(rpc.ListMembersRequest(parent=ORG))) == "CALL_DENIED"
    assert await reason_of(house.person(Members).LeaveOrganization(wish)) == "OWNER_STAYS"
    by_token: Any = house.daemon.stub(Members, "cy", groups=["/acme/org-admin"])
    assert await reason_of(by_token.LeaveOrganization(wish)) == "MEMBER_BY_TOKEN"
    assert (await house.told()).count("member.removed") == 1
