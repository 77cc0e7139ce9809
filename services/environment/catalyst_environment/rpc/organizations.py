"""OrganizationService."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst.environment.v1 import service_pb2_grpc
from catalyst_mesh import Caller, Clock, Context, Page, Work, caller
from catalyst_mesh.journal import CancelMode, Engine, new_id
from catalyst_sdk import Code, Decision, Refused

from ..domain import members, organizations, slugs
from ..domain.members import Member, Role
from ..domain.organizations import SETTABLE, Organization, State, Wish
from ..domain.slugs import Reserved
from ..steps import CREATE, DELETE
from ..store import Store
from . import convert
from .masks import run, wanted
from .names import KEEPERS, READERS, check_etag, org_of, organization, require


class OwnerRequired(Refused):
    code, reason = Code.FAILED_PRECONDITION, "OWNER_REQUIRED"
    message = "{organization} is its owner's to give away, and {subject} is another member"


class OrganizationService(service_pb2_grpc.OrganizationServiceServicer):
    """Organizations; what takes time is a run."""

    def __init__(
        self, work: Work[Store], engine: Engine, reserved: Reserved, clock: Clock, *, grace: timedelta
    ) -> None:
        self._work = work
        self._engine = engine
        self._reserved = reserved
        self._clock = clock
        self._grace = grace

    async def CheckSlug(self, request: rpc.CheckSlugRequest, context: Context) -> rpc.CheckSlugResponse:
        try:
            slugs.demand(request.slug, self._reserved)
        except Refused as refusal:
            return rpc.CheckSlugResponse(reason=refusal.reason)
        async with self._work.reading() as tx:
            free = organizations.is_free(await tx.find(Organization, request.slug), tx.now)
        return rpc.CheckSlugResponse(available=free, reason="" if free else organizations.OrganizationExists.reason)

    async def CreateOrganization(self, request: rpc.CreateOrganizationRequest, context: Context) -> pb.Organization:
        slug, subject, wish = request.organization_id, caller().subject, _wish(request.organization)
        slugs.demand(slug, self._reserved)

        async def step(tx: Store) -> Decision[tuple[Organization, Member]]:
            known = await tx.find(Organization, slug, lock=True)
            made = organizations.create(
                known,
                slug,
                wish,
                uid=str(uuid4()),
                run=new_id(self._clock.now()),
                owner=members.id_of(subject),
                subject=subject,
                now=tx.now,
            )  # fmt: skip - one call
            held = await tx.find(Member, slug, members.id_of(subject), lock=True)
            joined = members.join(held, slug, subject, Role.ADMIN, tx.now, email=caller().email, is_owner=True)
            if not request.validate_only:
                await self._begin(tx, CREATE, made.state, subject)
            return Decision((made.state, joined.state), (*made.events, *joined.events))

        answer = await run(
            self._work, step, lambda made: convert.organization(made[0]), validate_only=request.validate_only
        )
        self._engine.wake()
        return answer

    async def GetOrganization(self, request: rpc.GetOrganizationRequest, context: Context) -> pb.Organization:
        org = require(request.name, *READERS, "billing-admin", "security-officer", "sovereign-admin")
        async with self._work.reading() as tx:
            return convert.organization(await organization(tx, org))

    async def ListOrganizations(
        self, request: rpc.ListOrganizationsRequest, context: Context
    ) -> rpc.ListOrganizationsResponse:
        who = caller()
        among = None if who.everywhere or who.has_role("sovereign-admin") else _of_member(who)
        wanted_state = pb.Organization.State.Name(request.state).removeprefix("STATE_").lower() if request.state else ""
        states = [wanted_state] if wanted_state else [state for state in State if state is not State.DELETED]
        scope = who.subject, sorted(among or ()), request.q, wanted_state
        page = Page.of(request.page_size, request.page_token, *scope)
        async with self._work.reading() as tx:
            found = await tx.organizations(page, among=among, states=states, q=request.q)
        cut = page.cut(found, lambda one: one.slug)
        return rpc.ListOrganizationsResponse(
            organizations=map(convert.organization, cut.rows), next_page_token=cut.next_page_token
        )

    async def UpdateOrganization(self, request: rpc.UpdateOrganizationRequest, context: Context) -> pb.Organization:
        org = require(request.organization.name, *KEEPERS)
        paths = wanted(request.update_mask, request.organization, SETTABLE)

        async def step(tx: Store) -> Decision[Organization]:
            held = await organization(tx, org, lock=True)
            check_etag(request.etag, held.name, held.version)
            return organizations.update(held, {path: getattr(request.organization, path) for path in paths}, tx.now)

        return await run(self._work, step, convert.organization, validate_only=request.validate_only)

    async def DeleteOrganization(self, request: rpc.DeleteOrganizationRequest, context: Context) -> pb.Organization:
        org, who = require(request.name, *KEEPERS), caller()

        async def step(tx: Store) -> Decision[Organization]:
            held = await organization(tx, org, lock=True)
            check_etag(request.etag, held.name, held.version)
            is_owner = _demand_owner(held)
            decided = organizations.delete(
                held,
                confirm=request.confirm,
                reason=request.reason,
                is_owner=is_owner,
                run=new_id(self._clock.now()),
                actor=who.subject,
                grace=self._grace,
                now=tx.now,
            )  # fmt: skip - one call
            if not request.validate_only:
                await self._begin(tx, DELETE, decided.state, who.subject)
            return decided

        answer = await run(self._work, step, convert.organization, validate_only=request.validate_only)
        self._engine.wake()
        return answer

    async def UndeleteOrganization(self, request: rpc.UndeleteOrganizationRequest, context: Context) -> pb.Organization:
        org, who = require(request.name, *KEEPERS), caller()

        async def step(tx: Store) -> Decision[Organization]:
            held = await organization(tx, org, lock=True)
            _demand_owner(held)
            decided = organizations.undelete(held, tx.now)
            await self._engine.cancel(held.run, CancelMode.FINISH_STEP, by=who.subject, sql=tx.sql)
            return decided

        answer = await self._work.run(step, answer=convert.organization)
        self._engine.wake()
        return answer

    async def SuspendOrganization(self, request: rpc.SuspendOrganizationRequest, context: Context) -> pb.Organization:
        by = caller().subject
        return await self._moved(request.name, lambda held, now: organizations.suspend(held, request.reason, by, now))

    async def ResumeOrganization(self, request: rpc.ResumeOrganizationRequest, context: Context) -> pb.Organization:
        by = caller().subject
        return await self._moved(request.name, lambda held, now: organizations.resume(held, by, now))

    async def _moved(
        self, name: str, move: Callable[[Organization, datetime], Decision[Organization]]
    ) -> pb.Organization:
        async def step(tx: Store) -> Decision[Organization]:
            return move(await organization(tx, org_of(name), lock=True), tx.now)

        return await self._work.run(step, answer=convert.organization)

    async def _begin(self, tx: Store, kind: str, about: Organization, by: str) -> None:
        # First the row: of those who race for the name one decides anew, instead of meeting the winner's run.
        await tx.save(about)
        await self._engine.start_in(
            tx.sql, kind, subject=about.name, key=about.run, input={"organization": about.slug}, by=by, id=about.run
        )


def _demand_owner(held: Organization) -> bool:
    """Whether the caller is the owner; the sovereign-admin need not be. Raises OwnerRequired."""
    who = caller()
    is_owner = members.is_owner(held.owner, who.subject, who.email)
    if not (is_owner or who.everywhere or who.has_role("sovereign-admin")):
        raise OwnerRequired(organization=held.name, subject=who.subject)
    return is_owner


def _of_member(who: Caller) -> frozenset[str]:
    """Organizations in which the caller holds a role; a group of another name gives none."""
    return frozenset(org for org in who.organizations if any(f"/{org}/{role}" in who.groups for role in READERS))


def _wish(given: pb.Organization) -> Wish:
    return Wish(
        display_name=given.display_name.strip(),
        kind=pb.Organization.Kind.Name(given.kind).removeprefix("KIND_").lower() if given.kind else "",
        tier=pb.Organization.Tier.Name(given.tier).removeprefix("TIER_").lower() if given.tier else "",
        billing_mode=_mode(given),
        industry=given.industry,
        environment_type=given.default_environment_type,
    )


def _mode(given: pb.Organization) -> str:
    mode = given.billing_mode
    return pb.Organization.BillingMode.Name(mode).removeprefix("BILLING_MODE_").lower() if mode else ""
