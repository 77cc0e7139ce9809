"""Members of Organizations, and invitations to become one.

Invariants
  one owner     an Organization has one owner, who is an admin and cannot be removed;
  one row       whoever had a membership here has a row for ever: a removed one says that no token gives it back;
  once          an invitation makes one member, for the address that it names, within its time.
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from catalyst_sdk import Code, Decision, Refused

LIFE = timedelta(days=7)
"""How long an invitation counts."""


class Role(StrEnum):
    ADMIN = "org-admin"
    DEVELOPER = "org-developer"
    VIEWER = "org-viewer"


class InvitationState(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    REVOKED = "revoked"
    EXPIRED = "expired"


class MemberNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "MEMBER_NOT_FOUND", "there is no member {member}"


class InvitationNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "INVITATION_NOT_FOUND", "there is no invitation {invitation}"


class OwnerStays(Refused):
    code, reason = Code.FAILED_PRECONDITION, "OWNER_STAYS"
    message = "{member} is the owner: let it hand over first"


class MemberByToken(Refused):
    code, reason = Code.FAILED_PRECONDITION, "MEMBER_BY_TOKEN"
    message = "{subject} is a member of {organization} by the sign-in provider alone, which ends it there"


class LastAdmin(Refused):
    code, reason = Code.FAILED_PRECONDITION, "LAST_ADMIN"
    message = "{member} is the last admin of its Organization"


class InvitationExists(Refused):
    code, reason = Code.ALREADY_EXISTS, "INVITATION_EXISTS"
    message = "that address has an open invitation: {invitation}"


class InvitationStateWrong(Refused):
    code, reason = Code.FAILED_PRECONDITION, "INVITATION_STATE"
    message = "{invitation} is {state}"


class InvitationRefused(Refused):
    code, reason = Code.PERMISSION_DENIED, "INVITATION_REFUSED"
    message = "{invitation} is not for {subject}, or its token is another one"


@dataclass(frozen=True, slots=True)
class Member:
    """One person in one Organization."""

    org: str
    id: str
    subject: str
    email: str
    role: Role
    is_owner: bool
    is_removed: bool
    created_at: datetime
    updated_at: datetime
    version: int

    @property
    def name(self) -> str:
        return f"organizations/{self.org}/members/{self.id}"


@dataclass(frozen=True, slots=True)
class Invitation:
    """An offer. `token_hash` is what is kept of its token."""

    org: str
    id: str
    email: str
    role: Role
    state: InvitationState
    token_hash: str
    expires_at: datetime
    created_at: datetime
    updated_at: datetime
    version: int

    @property
    def name(self) -> str:
        return f"organizations/{self.org}/invitations/{self.id}"

    def state_at(self, now: datetime) -> InvitationState:
        """Where it stands now: nobody has to come by for its time to be over."""
        late = self.state is InvitationState.PENDING and self.expires_at <= now
        return InvitationState.EXPIRED if late else self.state


@dataclass(frozen=True, slots=True)
class Invited:
    invitation: Invitation


@dataclass(frozen=True, slots=True)
class Joined:
    member: Member


@dataclass(frozen=True, slots=True)
class Changed:
    member: Member


@dataclass(frozen=True, slots=True)
class Removed:
    member: Member


def id_of(subject: str) -> str:
    """Last part of a member's name; the same for a person whenever it joins."""
    return f"m-{hashlib.sha256(subject.encode()).hexdigest()[:20]}"


def by_mail(email: str) -> str:
    """The subject of somebody who is known by an address alone, until a token shows who that is."""
    return f"mailto:{email.lower()}"


def subjects(subject: str, email: str) -> tuple[str, ...]:
    """As whom a person may stand in rows: by the token's subject, and by the address that its provider has verified."""
    return (subject, by_mail(email)) if email else (subject,)


def is_owner(owner: str, subject: str, email: str) -> bool:
    """Whether a person is the member `owner`."""
    return owner in map(id_of, subjects(subject, email))


def join(
    known: Member | None, org: str, subject: str, role: Role, now: datetime, *, email: str = "", is_owner: bool = False
) -> Decision[Member]:
    """Make somebody a member, or again one; whoever is one already keeps the higher role."""
    if known is not None and not known.is_removed and _RANK[known.role] >= _RANK[role] and known.is_owner >= is_owner:
        return Decision(known)
    made = Member(
        org=org,
        id=id_of(subject),
        subject=subject,
        email=email,
        role=role,
        is_owner=is_owner,
        is_removed=False,
        created_at=known.created_at if known else now,
        updated_at=now,
        version=known.version + 1 if known else 1,
    )
    return Decision(made, (Joined(made),))


def admit(all: Iterable[Member], org: str, email: str, role: Role, now: datetime) -> Decision[Member]:
    """Make whoever has an address a member in a role, also where one is there in another; `all` with those who were removed.

    Raises OwnerStays, LastAdmin.
    """
    here = {one.id: one for one in all}
    mine = [one for one in here.values() if one.email.lower() == email.lower() and not one.is_removed]
    if not mine:
        subject = by_mail(email)
        return join(here.get(id_of(subject)), org, subject, role, now, email=email.lower())
    standing = [one for one in here.values() if not one.is_removed]
    return Decision(mine[0]) if mine[0].role is role else give_role(mine[0], role, standing, now)


def give_role(held: Member, role: Role, all: Iterable[Member], now: datetime) -> Decision[Member]:
    """Change what a member may do. Raises OwnerStays, LastAdmin."""
    if role is not Role.ADMIN:
        _demand_replaceable(held, all)
    after = _moved(held, now, role=role)
    return Decision(after, (Changed(after),))


def remove(held: Member, all: Iterable[Member], now: datetime) -> Decision[Member]:
    """Remove a member. Raises OwnerStays, LastAdmin."""
    _demand_replaceable(held, all)
    return leave(held, now)


def leave(held: Member, now: datetime) -> Decision[Member]:
    """As `remove`, where the whole Organization goes."""
    after = _moved(held, now, is_removed=True, is_owner=False)
    return Decision(after, (Removed(after),))


def hand_over(owner: Member, heir: Member, now: datetime) -> Decision[tuple[Member, Member]]:
    """Make `heir` the owner; both as they are then, the heir first."""
    after = _moved(heir, now, role=Role.ADMIN, is_owner=True)
    before = _moved(owner, now, is_owner=False)
    return Decision((after, before), (Changed(after), Changed(before)))


def invite(
    open_ones: Iterable[Invitation], org: str, email: str, role: Role, *, id: str, token_hash: str, now: datetime
) -> Decision[Invitation]:
    """Offer a membership. Raises InvitationExists."""
    for one in open_ones:
        if one.email == email and one.state_at(now) is InvitationState.PENDING:
            raise InvitationExists(invitation=one.name)
    made = Invitation(org, id, email, role, InvitationState.PENDING, token_hash, now + LIFE, now, now, 1)
    return Decision(made, (Invited(made),))


def resend(held: Invitation, token_hash: str, now: datetime) -> Decision[Invitation]:
    """Begin anew with another token. Raises InvitationStateWrong."""
    if held.state is not InvitationState.PENDING:
        raise InvitationStateWrong(invitation=held.name, state=held.state)
    after = _moved_invitation(held, now, token_hash=token_hash, expires_at=now + LIFE)
    return Decision(after, (Invited(after),))


def revoke(held: Invitation, now: datetime) -> Decision[Invitation]:
    """Take it back; said twice it changes nothing. Raises InvitationStateWrong."""
    if held.state is InvitationState.REVOKED:
        return Decision(held)
    if held.state is InvitationState.ACCEPTED:
        raise InvitationStateWrong(invitation=held.name, state=held.state)
    return Decision(_moved_invitation(held, now, state=InvitationState.REVOKED))


def accept(
    held: Invitation, known: Member | None, *, subject: str, email: str, token_hash: str, now: datetime
) -> Decision[tuple[Invitation, Member]]:
    """Make the person a member. Raises InvitationRefused, InvitationStateWrong.

    email   the address that the person's provider has verified, lower case; empty: none
    """
    right = hmac.compare_digest(held.token_hash, token_hash)
    if not (right and email and email == held.email):
        raise InvitationRefused(invitation=held.name, subject=subject)
    if (state := held.state_at(now)) is not InvitationState.PENDING:
        raise InvitationStateWrong(invitation=held.name, state=state)
    joined = join(known, held.org, subject, held.role, now, email=email)
    return Decision((_moved_invitation(held, now, state=InvitationState.ACCEPTED), joined.state), joined.events)


_RANK = {Role.VIEWER: 0, Role.DEVELOPER: 1, Role.ADMIN: 2}


def _demand_replaceable(held: Member, all: Iterable[Member]) -> None:
    if held.is_owner:
        raise OwnerStays(member=held.name)
    admins = [one for one in all if one.role is Role.ADMIN and not one.is_removed]
    if [one.id for one in admins] == [held.id]:
        raise LastAdmin(member=held.name)


def _moved(held: Member, now: datetime, **changes: Any) -> Member:
    return replace(held, **changes, updated_at=now, version=held.version + 1)


def _moved_invitation(held: Invitation, now: datetime, **changes: Any) -> Invitation:
    return replace(held, **changes, updated_at=now, version=held.version + 1)
