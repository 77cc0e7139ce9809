"""Installing and upgrading, as a plan and as advice: what a wish comes to beside what stands. Nothing is written."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from time import monotonic

from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst_mesh import Page, Work, caller
from catalyst_mesh.calls import RoleDenied

from ..domain import capacity, install_plans, locks, solver, trust, upgrades
from ..domain.install_plans import Standing, Wish
from ..domain.locks import Lock
from ..domain.provider import Root
from ..domain.refusals import OFFERS_NOT_FOUND, PlanStale, PolicyRefused
from ..domain.storefront import Kind, blueprint_of
from ..domain.trust import Policy
from ..store import Picture, Store
from ..workers.signatures import fingerprint
from . import planning
from .offers import to_capacity
from .seeing import DEVELOPERS, Sight
from .words import split

PLAN_LIFE = timedelta(minutes=30)
"""How long a plan may be carried out."""


class Installs:
    """Answers what an installation or an upgrade would come to."""

    def __init__(self, work: Work[Store], sight: Sight, *, solver_seconds: float) -> None:
        self._work = work
        self._sight = sight
        self._solver_seconds = solver_seconds

    async def plan(self, request: rpc.PlanInstallRequest) -> pb.InstallPlan:
        wish, org = planning.to_wish(request), planning.organization_of(request.environment)
        owner, name = split(request.blueprint)
        _demand_daemon(request)
        if owner not in ("", org):
            # Also for who is a member of both: what is private is installed by its owner alone.
            raise RoleDenied(subject=caller().subject, resource=f"organizations/{owner}")
        picture = await self._sight.of([org], *DEVELOPERS)
        picture.head(owner, name)
        standing = await self._installed(request.installed, request.environment)
        application = install_plans.application_name(wish, standing)
        lock = await self._locked(picture, wish, request.version or "*", application, standing)
        async with self._work.reading() as tx:
            _demand_trust(picture, lock, {source.id: source.policy for source in await tx.sources()})
            offers, book, now = await tx.offers(), await tx.latest_price_book(), tx.now
            # One that is sold no more still limits those who have it.
            limits = await tx.offer(Kind.PLAN, request.plan.removeprefix("plans/")) if request.plan else None
        plan = install_plans.plan(picture.universe, wish, lock, standing)
        if request.expected_digest and request.expected_digest != plan.digest:
            raise PlanStale(expected=request.expected_digest, digest=plan.digest)
        apps = [offer for offer in offers if offer.kind is Kind.APP]
        needs = planning.needs_by_blueprint(
            apps, {app.slug: blueprint_of(app, picture.universe.names) for app in apps}
        )  # fmt: skip - one call
        message = planning.to_plan(picture, wish, plan, lock, needs, book.currency if book else "")
        if request.plan:
            if limits is None:
                raise OFFERS_NOT_FOUND[Kind.PLAN.name](name=request.plan)
            used = capacity.total(needs.get(one.blueprint, {}) for one in standing)
            wanted = capacity.total(needs.get(one.release.name, {}) for one in plan.applications)
            verdict = capacity.check(limits, capacity.sold(offers), used, wanted)
            planning.demand_room(verdict)
            message.capacity.CopyFrom(to_capacity(verdict))
        message.expire_time.FromDatetime(now + PLAN_LIFE)
        return message

    async def advise(self, request: rpc.AdviseUpgradesRequest) -> rpc.AdviseUpgradesResponse:
        _demand_daemon(request)
        picture = await self._sight.of([planning.organization_of(request.parent)], *DEVELOPERS)
        standing = sorted(await self._installed(request.installed, request.parent), key=lambda one: one.application)
        policy = planning.to_installed(standing, request.parent)
        page = Page.of(request.page_size, request.page_token, caller().subject, request.parent, request.application)
        asked = [
            one
            for one in standing
            if one.application > (page.after or "") and request.application in ("", one.application)
        ]
        cut = page.cut(asked[: page.size + 1], key=lambda one: one.application)

        def advise() -> list[pb.UpgradeAdvice]:
            stands = [upgrades.Standing(one.application, one.blueprint, one.version) for one in cut.rows]
            return [planning.to_advice(picture, upgrades.advise(picture.universe, one, policy)) for one in stands]

        # Each takes a search of its own, and the loop must go on serving meanwhile.
        advices = await asyncio.to_thread(advise)
        return rpc.AdviseUpgradesResponse(
            advices=advices, next_page_token=cut.next_page_token, catalog_revision=picture.revision
        )

    async def _installed(self, told: Iterable[pb.Installed], environment: str) -> list[Standing]:
        """What stands in an Environment: as the daemon says that keeps it, to others as is known from events."""
        if caller().is_service():
            return planning.to_standing(told)
        async with self._work.reading() as tx:
            known = await tx.installations([planning.organization_of(environment)], environment)
        return planning.known_standing(known)

    async def _locked(
        self, picture: Picture, wish: Wish, text: str, application: str, standing: Sequence[Standing]
    ) -> Lock:
        """What the wish resolves to beside what stands; that may stay as it is."""
        policy = planning.to_installed(standing, wish.environment)
        root = Root(wish.blueprint, text, wish.config, application)
        end = monotonic() + self._solver_seconds
        solution = await asyncio.to_thread(
            solver.solve, picture.universe, [root], policy, out_of_time=lambda: monotonic() > end
        )
        return locks.lock(solution, policy, picture.revision)


def _demand_daemon(request: rpc.PlanInstallRequest | rpc.AdviseUpgradesRequest) -> None:
    """What stands in an Environment is told by those who keep it."""
    if request.installed and not caller().is_service():
        raise RoleDenied(subject=caller().subject, resource="what is installed")


def _demand_trust(picture: Picture, lock: Lock, policies: Mapping[str, Policy]) -> None:
    """Whether today's policies admit what was published earlier. Raises PolicyRefused."""
    for entry in lock.entries:
        record, _ = picture.record(entry.release)
        policy = policies.get(record.source)
        if policy is None:
            continue  # its source is gone, and nobody asks anything of it any more
        prints = {pem: fingerprint(pem) for pem in policy.keys}
        if why := trust.refuses(policy, record.verdict, prints):
            raise PolicyRefused(blueprint=record.blueprint, version=record.version, why=why)
