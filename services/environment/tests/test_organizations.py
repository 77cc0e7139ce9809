"""Organizations from the outside: made by a run, suspended, taken away, taken back."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import grpc
import pytest
from catalyst.billing.v1 import events_pb2 as billing
from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst.environment.v1 import service_pb2_grpc as stubs
from catalyst_environment.domain.organizations import BillingMode, Kind, Organization, State, Tier
from catalyst_environment.parts import EVENT_BUS, IDENTITY
from catalyst_environment.plans import HANDLED
from catalyst_environment.store import metadata
from catalyst_environment.store.bodies import to_json
from catalyst_mesh import Told
from catalyst_sdk import Permanent
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of

from .conftest import Start
from .house import A_MOMENT, NOON, House, conditions, metadata_of

ORG = "organizations/acme"


class FailingCluster:
    """A fake of a cluster: its vcluster cannot be made until somebody mends it."""

    condition = "Vcluster"

    def __init__(self) -> None:
        self.is_broken = True

    async def ensure(self, organization: Organization) -> str:
        if self.is_broken:
            raise Permanent("QUOTA", message="no room", user_action="make room")
        return "made"

    async def remove(self, organization: Organization) -> None: ...


async def test_what_is_made_is_said_and_what_is_not_is_said_too(house: House) -> None:
    made = await house.create(display_name="Acme & Sons")
    assert made.state == pb.Organization.STATE_PROVISIONING
    active = await house.reached("ACTIVE")
    assert conditions(active) == {
        "BillingAccount": "TRUE Made",
        "Git": "TRUE Made",
        "EventBus": "FALSE NotAvailable",
        "Identity": "FALSE NotAvailable",
        "Vcluster": "FALSE NotAvailable",
    }  # fmt: skip - one table
    ended = await house.ended(active.operation)
    steps = metadata_of(ended).steps
    assert {s.name for s in steps} >= {"billing-account", "git", "vcluster", "environment", "activate"}
    assert {s.state for s in steps} == {pb.OperationMetadata.Step.STATE_SUCCEEDED}
    assert sorted(p.name for p in (house.git / "acme").glob("*.git")) == [
        "iac.git", "runbooks.git", "shared-blueprints.git",
    ]  # fmt: skip
    listed = await house.person(stubs.EnvironmentServiceStub).ListEnvironments(rpc.ListEnvironmentsRequest(parent=ORG))
    assert [e.name for e in listed.environments] == ["environments/acme-prod"]
    assert conditions(listed.environments[0]) == {"Vcluster": "FALSE NotAvailable"}
    told = await house.told()
    assert told.count("organization.created") == told.count("organization.activated") == 1
    assert told.count("operation.started") == told.count("operation.completed") == 1
    assert told.count("operation.progressed") == len(steps)


@pytest.mark.either_database
async def test_of_twenty_who_want_one_name_one_gets_it(house: House) -> None:
    reasons = await asyncio.gather(*(reason_of(house.create(owner=f"p{n}")) for n in range(20)))
    assert Counter(reasons) == {"OK": 1, "ORGANIZATION_EXISTS": 19}
    await house.reached("ACTIVE")
    assert house.billing.asked == [ORG]
    assert (await house.told()).count("organization.created") == 1


@pytest.mark.either_database
async def test_a_step_that_fails_is_named_and_tried_again_and_nothing_is_made_twice(start: Start) -> None:
    cluster = FailingCluster()
    async with start(also=(IDENTITY, EVENT_BUS, cluster)) as house:
        await house.create()
        failed = await house.reached("FAILED")
        assert failed.reason == "vcluster"
        step = next(s for s in metadata_of(await house.ended(failed.operation)).steps if s.name == "vcluster")
        assert (step.state, step.message) == (pb.OperationMetadata.Step.STATE_FAILED, "no room")
        commits = sorted((house.git / "acme").rglob("objects/??/*"))
        retry = rpc.RetryOperationRequest(name=failed.operation)
        stranger = house.person(stubs.OperationServiceStub, "eve")
        assert await reason_of(stranger.RetryOperation(retry)) == "CALL_DENIED"
        cluster.is_broken = False
        await house.person(stubs.OperationServiceStub).RetryOperation(retry)
        active = await house.reached("ACTIVE")
        assert (active.operation, active.uid) == (failed.operation, failed.uid)
        assert sorted((house.git / "acme").rglob("objects/??/*")) == commits
        assert house.billing.asked == [ORG]
        assert await reason_of(house.person(stubs.OperationServiceStub).RetryOperation(retry)) == "OPERATION_STATE"


@pytest.mark.either_database
async def test_while_it_is_suspended_it_is_read_and_nothing_of_it_is_changed(house: House) -> None:
    await house.active()
    admin: Any = house.daemon.admin(stubs.OrganizationServiceStub)
    owner: Any = house.person(stubs.EnvironmentServiceStub)
    new = rpc.CreateEnvironmentRequest(parent=ORG, environment=pb.Environment(type="dev"))
    assert await reason_of(house.person(stubs.OrganizationServiceStub).SuspendOrganization(
        rpc.SuspendOrganizationRequest(name=ORG, reason="mine")
    )) == "CALL_DENIED"  # fmt: skip
    await admin.SuspendOrganization(rpc.SuspendOrganizationRequest(name=ORG, reason="unpaid"))
    assert (await house.get()).reason == "unpaid"
    assert await reason_of(owner.CreateEnvironment(new)) == "ORGANIZATION_INACTIVE"
    assert await reason_of(owner.ListEnvironments(rpc.ListEnvironmentsRequest(parent=ORG))) == "OK"
    await admin.ResumeOrganization(rpc.ResumeOrganizationRequest(name=ORG))
    assert await reason_of(owner.CreateEnvironment(new)) == "OK"
    assert await reason_of(owner.CreateEnvironment(new)) == "ENVIRONMENT_EXISTS"


async def test_a_deletion_waits_its_grace_and_can_be_taken_back_until_then(house: House) -> None:
    await house.active()
    owner: Any = house.person(stubs.OrganizationServiceStub)
    for _ in range(2):  # the second time after it was taken back
        now = await house.get()
        left = await owner.DeleteOrganization(rpc.DeleteOrganizationRequest(name=ORG, etag=now.etag, confirm="acme"))
        assert left.state == pb.Organization.STATE_DELETING
        assert (house.git / "acme").is_dir()
        back = await owner.UndeleteOrganization(rpc.UndeleteOrganizationRequest(name=ORG))
        assert back.state == pb.Organization.STATE_ACTIVE
        await house.ended(left.operation)
    await owner.DeleteOrganization(rpc.DeleteOrganizationRequest(name=ORG, etag=back.etag, confirm="acme"))
    house.clock.advance(timedelta(days=7))
    gone = await house.reached("DELETED")
    assert not (house.git / "acme").exists()
    assert [p.name for p in (house.git / ".archive").iterdir()] == [f"acme-{gone.uid}"]
    told = await house.told()
    assert told.count("organization.deleted") == told.count("member.removed") == 1
    assert told.count("environment.deleted") == 1
    assert await reason_of(owner.GetOrganization(rpc.GetOrganizationRequest(name=ORG))) == "CALL_DENIED"
    check = rpc.CheckSlugRequest(slug="acme")
    assert (await owner.CheckSlug(check)).reason == "ORGANIZATION_EXISTS"
    house.clock.advance(timedelta(days=30))
    assert (await owner.CheckSlug(check)).available
    again = await house.active()
    assert again.uid != gone.uid


@pytest.mark.either_database
async def test_a_stranger_cannot_tell_a_foreign_organization_from_one_that_never_was(house: House) -> None:
    await house.active()
    other: Any = house.daemon.member(stubs.OrganizationServiceStub, "other")
    details = []
    for slug in ("acme", "acmf"):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await other.GetOrganization(rpc.GetOrganizationRequest(name=f"organizations/{slug}"))
        details.append(str(refused.value.details()).replace(slug, "…"))
    assert details[0] == details[1]
    nobody: Any = house.person(stubs.OrganizationServiceStub, "olga")
    other_group: Any = house.daemon.member(stubs.OrganizationServiceStub, "acme", "friend")
    for stranger in (other, nobody, other_group):
        assert not (await stranger.ListOrganizations(rpc.ListOrganizationsRequest())).organizations


@pytest.mark.either_database
async def test_nobody_sets_plan_state_or_slug(house: House) -> None:
    made = await house.active()
    owner: Any = house.person(stubs.OrganizationServiceStub)
    wish = rpc.UpdateOrganizationRequest(
        organization=pb.Organization(name=ORG, display_name="New", plan="plans/xl"), etag=made.etag
    )
    wish.update_mask.paths[:] = ["plan", "state"]
    assert await reason_of(owner.UpdateOrganization(wish)) == "FIELD_NOT_SETTABLE"
    wish.update_mask.paths[:] = ["display_name"]
    changed = await owner.UpdateOrganization(wish)
    assert (changed.display_name, changed.plan) == ("New", "")
    assert await reason_of(owner.UpdateOrganization(wish)) == "ETAG_MISMATCH"


@pytest.mark.either_database
async def test_billing_that_is_away_is_asked_again_until_it_answers(house: House) -> None:
    house.billing.is_away = True
    made = await house.create()

    async def missed() -> bool:
        house.clock.advance(A_MOMENT)
        return house.billing.missed > 1

    await eventually(missed, within=60, what="billing was asked twice")
    house.billing.is_away = False
    await house.reached("ACTIVE")
    assert metadata_of(await house.ended(made.operation)).done_count == 7


async def told(house: House, kind: str, **fields: Any) -> None:
    """Have the daemon handle what billing tells of a subscription, as its consumer does."""
    names = {
        "activated": "SubscriptionActivated",
        "changed": "SubscriptionChanged",
        "suspended": "SubscriptionSuspended",
        "resumed": "SubscriptionResumed",
        "cancelled": "SubscriptionCancelled",
    }  # fmt: skip - a table
    message = getattr(billing, names[kind])(**{"scope": ORG, **fields})
    (handled,) = [one for one in HANDLED if one.subject.endswith(f".{kind}")]
    daemon: Any = house.daemon.daemon

    async def step(tx: Any) -> None:
        tx.emit(*await handled.handler(tx, message, Told("id", handled.subject, "", 1, NOON, "", 1)))

    await daemon.work.again(step)


async def test_a_plan_is_set_by_what_was_paid_and_what_is_unpaid_is_suspended_until_it_is(house: House) -> None:
    await house.create()
    await house.reached("ACTIVE")
    await told(house, "activated", plan="m")
    await told(house, "activated", plan="xl", scope="sovereigns/omantel")  # pays for a Sovereign, not for Acme
    await told(house, "activated", plan="l", scope="organizations/nobody")
    bought = await house.get()
    assert bought.plan == "plans/m"
    await told(house, "changed", plan="m")
    assert (await house.get()).version == bought.version
    await told(house, "changed", plan="l")
    await told(house, "suspended")
    lapsed = await house.get()
    assert (lapsed.plan, lapsed.state, lapsed.reason) == (
        "plans/l", pb.Organization.STATE_SUSPENDED, "its plan is not paid"
    )  # fmt: skip
    await told(house, "suspended")
    await told(house, "resumed")
    assert (await house.get()).state == pb.Organization.STATE_ACTIVE
    admin = house.daemon.admin(stubs.OrganizationServiceStub)
    await admin.SuspendOrganization(rpc.SuspendOrganizationRequest(name=ORG, reason="fraud"))
    await told(house, "resumed")
    assert (await house.get()).state == pb.Organization.STATE_SUSPENDED
    await told(house, "cancelled")
    assert (await house.get()).plan == ""


MADE = Organization(
    "org-000",
    "uid",
    "Straße 000",
    Kind.CUSTOMER,
    Tier.SME,
    BillingMode.REAL,
    "",
    "prod",
    "m-1",
    State.ACTIVE,
    "run",
    NOON,
    NOON,
    1,
)  # fmt: skip - one row


async def hold(house: House, *made: Organization) -> None:
    """As if they had been made long ago."""
    table = metadata.tables["organizations"]
    rows = [{"slug": one.slug, "state": "active", "version": 1, "body": to_json(one)} for one in made]
    async with house.daemon.daemon.db.begin() as sql:
        await sql.execute(table.insert(), rows)


def called(number: int) -> Organization:
    return replace(MADE, slug=f"org-{number:03}", display_name=f"Straße {number:03}")


async def walked(house: House, page_size: int, q: str = "") -> list[list[str]]:
    """The display names of each page of the list, as an administrator sees it."""
    admin, request = house.daemon.admin(stubs.OrganizationServiceStub), rpc.ListOrganizationsRequest(q=q)
    request.page_size, pages = page_size, list[list[str]]()
    while True:
        answer = await admin.ListOrganizations(request)
        pages.append([one.display_name for one in answer.organizations])
        if not answer.next_page_token:
            return pages
        request.page_token = answer.next_page_token


@pytest.mark.either_database
async def test_a_search_reads_on_until_its_page_is_full(house: House) -> None:
    await hold(house, *map(called, range(450)))
    pages = await walked(house, 200)
    assert [len(one) for one in pages] == [200, 200, 50]
    assert [name for page in pages for name in page] == [called(number).display_name for number in range(450)]
    # Whatever the case: Python's folding knows that `ß` is `SS`.
    assert await walked(house, 2, q="STRASSE 44") == [
        [f"Straße {number}" for number in pair] for pair in ((440, 441), (442, 443), (444, 445), (446, 447), (448, 449))
    ]
    assert await walked(house, 2, q="nobody") == [[]]


@pytest.mark.either_database
async def test_a_search_reads_what_it_finds_and_what_an_earlier_release_wrote(house: House) -> None:
    table = metadata.tables["organizations"]
    await hold(house, replace(called(1), display_name="Old 50% Street"))
    async with house.daemon.daemon.db.begin() as sql:
        # Whoever reads this row fails.
        unreadable = {"slug": "org-004", "state": "active", "version": 1, "body": {"slug": "org-004"}}
        await sql.execute(table.insert(), {**unreadable, "sought": "org-004\nstrasse 004", "sought_version": 1})
        await sql.execute(table.insert(), written(replace(called(2), display_name="New 50% STRASSE")))
    assert await walked(house, 5, q="0% str") == [["Old 50% Street", "New 50% STRASSE"]]
    assert await walked(house, 5, q="0%Str") == [[]], "what is special to the database is not special here"


def written(one: Organization) -> dict[str, Any]:
    row = {"slug": one.slug, "state": "active", "version": one.version, "body": to_json(one)}
    return {**row, "sought": one.sought, "sought_version": one.sought_version}


async def test_a_page_reads_no_more_than_it_shows(house: House) -> None:
    await hold(house, *map(called, range(4)))
    async with house.daemon.daemon.db.begin() as sql:
        # Whoever reads this row fails.
        unreadable = {"slug": "org-004", "state": "active", "version": 1, "body": {"slug": "org-004"}}
        await sql.execute(metadata.tables["organizations"].insert(), unreadable)
    admin, request = house.daemon.admin(stubs.OrganizationServiceStub), rpc.ListOrganizationsRequest(page_size=3)
    assert len((await admin.ListOrganizations(request)).organizations) == 3
