"""Organizations and members, decided without a server."""

from datetime import UTC, datetime, timedelta

import pytest
from catalyst_environment.domain import members, organizations
from catalyst_environment.domain.members import (
    InvitationExists,
    InvitationRefused,
    InvitationStateWrong,
    LastAdmin,
    OwnerStays,
    Role,
)
from catalyst_environment.domain.organizations import (
    BLOCKED,
    Organization,
    OrganizationExists,
    OrganizationInvalid,
    OrganizationState,
    State,
    Wish,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def made(known: Organization | None = None, now: datetime = NOON, **wish: str) -> Organization:
    return organizations.create(
        known, "acme", Wish(**wish), uid="u", run="r", owner="m-1", subject="ada", now=now
    ).state


def test_a_name_is_free_again_thirty_days_after_its_last_life() -> None:
    held = organizations.activate(made(), NOON).state
    left = organizations.delete(
        held, confirm="acme", reason="", is_owner=True, run="r2", actor="ada", grace=DAY, now=NOON
    ).state
    gone = organizations.finish(organizations.purge(left, NOON).state, NOON).state
    for early in (NOON, NOON + BLOCKED - timedelta(seconds=1)):
        with pytest.raises(OrganizationExists):
            made(gone, early)
    again = made(gone, NOON + BLOCKED)
    assert (again.state, again.version) == (State.PROVISIONING, gone.version + 1)


def test_all_that_is_wrong_is_said_together() -> None:
    with pytest.raises(OrganizationInvalid) as refused:
        made(kind="internal", billing_mode="real", environment_type="dr", display_name="x" * 129)
    assert {v.field.removeprefix("organization.") for v in refused.value.violations} == {
        "billing_mode", "default_environment_type", "display_name",
    }  # fmt: skip


def test_a_deletion_is_taken_back_until_something_goes() -> None:
    held = organizations.suspend(organizations.activate(made(), NOON).state, "unpaid", "bo", NOON).state
    left = organizations.delete(
        held, confirm="acme", reason="", is_owner=True, run="r2", actor="ada", grace=DAY, now=NOON
    ).state
    assert organizations.undelete(left, NOON).state.state is State.SUSPENDED
    with pytest.raises(OrganizationState):
        organizations.undelete(organizations.purge(left, NOON).state, NOON)


def test_who_does_not_own_it_says_why_and_everybody_types_its_name() -> None:
    held = organizations.activate(made(), NOON).state
    with pytest.raises(organizations.ReasonMissing):
        organizations.delete(held, confirm="acme", reason="", is_owner=False, run="r", actor="bo", grace=DAY, now=NOON)
    with pytest.raises(organizations.ConfirmationWrong):
        organizations.delete(held, confirm="acne", reason="", is_owner=True, run="r", actor="a", grace=DAY, now=NOON)


def member(subject: str, role: Role, **more: bool) -> members.Member:
    return members.join(None, "acme", subject, role, NOON, **more).state


def test_neither_the_owner_nor_the_last_admin_goes() -> None:
    owner, other = member("ada", Role.ADMIN, is_owner=True), member("bo", Role.VIEWER)
    with pytest.raises(OwnerStays):
        members.remove(owner, [owner, other], NOON)
    with pytest.raises(OwnerStays):
        members.give_role(owner, Role.VIEWER, [owner, other], NOON)
    lone = member("cy", Role.ADMIN)
    with pytest.raises(LastAdmin):
        members.remove(lone, [lone, other], NOON)
    heir, former = members.hand_over(owner, other, NOON).state
    assert (heir.role, heir.is_owner, former.is_owner, former.role) == (Role.ADMIN, True, False, Role.ADMIN)


def test_an_invitation_counts_once_for_its_address_within_its_time() -> None:
    open_one = members.invite([], "acme", "bo@x.example", Role.DEVELOPER, id="i", token_hash="h", now=NOON).state
    with pytest.raises(InvitationExists):
        members.invite([open_one], "acme", "bo@x.example", Role.VIEWER, id="j", token_hash="k", now=NOON)
    right = {"subject": "bo", "email": "bo@x.example", "token_hash": "h", "now": NOON}
    for wrong in ({"email": "eve@x.example"}, {"email": ""}, {"token_hash": "g"}):
        with pytest.raises(InvitationRefused):
            members.accept(open_one, None, **{**right, **wrong})  # type: ignore[arg-type]  # a table of wrong values
    with pytest.raises(InvitationStateWrong):
        members.accept(open_one, None, **{**right, "now": NOON + members.LIFE})  # type: ignore[arg-type]
    used, joined = members.accept(open_one, None, **right).state  # type: ignore[arg-type]
    assert joined.role is Role.DEVELOPER
    with pytest.raises(InvitationStateWrong):
        members.accept(used, joined, **right)  # type: ignore[arg-type]
