"""CatalogService: what can be installed, and what it needs. Everything here reads."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from time import monotonic
from typing import Any

from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst.catalog.v1 import service_pb2_grpc
from catalyst_mesh import Caller, Page, Work, caller
from catalyst_mesh.calls import ANONYMOUS, RoleDenied, members_of
from catalyst_mesh.protos import Context

from ..domain import (
    capacity,
    closure,
    config_schema,
    install_plans,
    locks,
    ranges,
    schema_changes,
    solver,
    trust,
    upgrades,
)
from ..domain.cards import Filter, search
from ..domain.conflicts import Why
from ..domain.install_plans import Standing, Wish
from ..domain.installations import Installation
from ..domain.locks import Lock
from ..domain.provider import Root
from ..domain.refusals import (
    OFFERS_NOT_FOUND,
    ArtifactNotKept,
    ComponentConflict,
    NoMatch,
    PlanStale,
    PolicyRefused,
    VersionNotFound,
)
from ..domain.selection import Components, Selected
from ..domain.storefront import Kind, blueprint_of
from ..domain.trust import Policy
from ..domain.universe import OFFERED, Release
from ..domain.ways import no_way
from ..store import Picture, Pictures, Store, Viewer
from ..workers.signatures import fingerprint
from . import artifacts, blueprints, linting, planning, solving, watching
from .offers import to_capacity
from .words import LAYERS, STATES, refuse, split

DEVELOPERS = ("org-developer", "org-admin")
"""Who plans with the private Blueprints of an Organization; its viewers look at them."""
PLAN_LIFE = timedelta(minutes=30)
"""How long a plan may be carried out."""
_LAYER_WORDS = {number: layer.value for layer, number in LAYERS.items()}


class CatalogService(service_pb2_grpc.CatalogServiceServicer):
    """Answers from pictures of the catalogue; nothing here waits for the outside world."""

    def __init__(self, work: Work[Store], pictures: Pictures, *, solver_seconds: float) -> None:
        self._work = work
        self._pictures = pictures
        self._solver_seconds = solver_seconds

    async def ListBlueprints(self, request: rpc.ListBlueprintsRequest, context: Context) -> rpc.ListBlueprintsResponse:
        org = request.parent.removeprefix("organizations/")
        picture = await self._picture([org])
        page = Page.of(request.page_size, request.page_token, _who(), request.parent, request.layer, request.family)
        rows = [
            head
            for head in picture.universe.heads.values()
            if head.owner_org == org and _is_listed(head) and _fits(head, request) and head.name > (page.after or "")
        ]
        cut = page.cut(rows, key=lambda head: head.name)
        standing = await self._standing()
        return rpc.ListBlueprintsResponse(
            blueprints=[blueprints.to_blueprint(picture, head, standing) for head in cut.rows],
            next_page_token=cut.next_page_token,
        )

    async def GetBlueprint(self, request: rpc.GetBlueprintRequest, context: Context) -> pb.Blueprint:
        owner, name = split(request.name)
        picture = await self._picture([owner])
        return blueprints.to_blueprint(picture, picture.head(owner, name), await self._standing(), whole=True)

    async def ListVersions(self, request: rpc.ListVersionsRequest, context: Context) -> rpc.ListVersionsResponse:
        owner, name = split(request.parent)
        picture = await self._picture([owner])
        picture.head(owner, name)
        states = set(request.states) or {STATES[state] for state in OFFERED}
        found = [one for one in _released(picture, name) if STATES[picture.record(one)[0].state] in states]
        page = Page.of(request.page_size, request.page_token, _who(), request.parent, sorted(states))
        cut = page.cut(_after(found, page.after), key=lambda one: one.version)
        return rpc.ListVersionsResponse(
            versions=[blueprints.to_version(picture, one) for one in cut.rows], next_page_token=cut.next_page_token
        )

    async def GetVersion(self, request: rpc.GetVersionRequest, context: Context) -> pb.BlueprintVersion:
        parent, _, wanted = request.name.partition("/versions/")
        owner, name = split(parent)
        picture = await self._picture([owner])
        picture.head(owner, name)
        return blueprints.to_version(picture, _version(picture, name, wanted), whole=True)

    async def ReadArtifact(self, request: rpc.ReadArtifactRequest, context: Context) -> rpc.ReadArtifactResponse:
        parent, _, wanted = request.name.partition("/versions/")
        owner, name = split(parent)
        picture = await self._picture([owner], *DEVELOPERS)
        picture.head(owner, name)
        version = _version(picture, name, wanted)
        async with self._work.reading() as tx:
            kept = await tx.artifact(version.digest)
        if kept is None:
            raise ArtifactNotKept(blueprint=name, version=version.version)
        return artifacts.part(kept, request.offset)

    async def SearchCards(self, request: rpc.SearchCardsRequest, context: Context) -> rpc.SearchCardsResponse:
        pictures = await self._own_pictures()
        order, _, falling = (request.order_by or "rank").partition(" ")
        wanted = _filter(request)
        found = search(_own_heads(pictures), wanted, order=order, falling=bool(falling))
        page = Page.of(request.page_size, request.page_token, _who(), wanted, request.order_by)
        start = found.after(page.after, falling=bool(falling))
        cut = page.cut(list(zip(found.cards, found.keys, strict=True))[start:], key=lambda entry: entry[1])
        standing = await self._standing()
        return rpc.SearchCardsResponse(
            cards=[blueprints.to_card(pictures[head.owner_org], head, standing) for head, _ in cut.rows],
            next_page_token=cut.next_page_token,
            facets=[
                rpc.Facet(name=name, values=[rpc.FacetValue(value=v, count=n) for v, n in counts.items()])
                for name, counts in found.facets.items()
            ],
            total_size=len(found.cards),
        )

    async def Closure(self, request: rpc.ClosureRequest, context: Context) -> rpc.ClosureResponse:
        owner, name = split(request.name)
        picture = await self._picture([owner], *DEVELOPERS)
        picture.head(owner, name)
        if request.reverse:
            found = closure.dependents(picture.universe, name, depth=request.depth)
        else:
            found = closure.closure(picture.universe, name, request.version or "*", depth=request.depth)
        return solving.to_closure(picture, found)

    async def Resolve(self, request: rpc.ResolveRequest, context: Context) -> rpc.ResolveResponse:
        roots, policy = solving.to_roots(request.roots), solving.to_policy(request)
        picture = await self._picture(_owners(request), *DEVELOPERS)
        for demand in request.roots:
            picture.head(*split(demand.name))
        end = monotonic() + self._solver_seconds
        # The search may take its whole budget, and the loop must go on serving meanwhile.
        solution = await asyncio.to_thread(
            solver.solve, picture.universe, roots, policy, out_of_time=lambda: monotonic() > end,
            most_rounds=request.policy.max_rounds or solver.MOST_ROUNDS,
        )  # fmt: skip
        lock = locks.lock(solution, policy, picture.revision)
        solving.check_configs(lock)
        return rpc.ResolveResponse(lock=solving.to_lock(picture, lock), warnings=solving.warnings_of(lock))

    async def CompareVersions(
        self, request: rpc.CompareVersionsRequest, context: Context
    ) -> rpc.CompareVersionsResponse:
        owner, name = split(request.name)
        picture = await self._picture([owner])
        picture.head(owner, name)
        before, after = (_version(picture, name, text) for text in (request.from_version, request.to_version))
        gone, fresh, changed = planning.dependency_changes(before, after)
        is_up = ranges.version(after.version) > ranges.version(before.version)
        why = no_way(after, before.version) if is_up else Why("DOWNGRADE", f"is not above {before.version}")
        return rpc.CompareVersionsResponse(
            **{"from": blueprints.to_version(picture, before)},
            to=blueprints.to_version(picture, after),
            config_changes=planning.config_changes(
                schema_changes.between(before.manifest.spec.config_schema, after.manifest.spec.config_schema)
            ),
            added_depends=[d for d in blueprints.depends(picture, after) if d.alias in fresh],
            removed_depends=[d for d in blueprints.depends(picture, before) if d.alias in gone],
            changed_depends=changed,
            upgrade_allowed=why is None,
            upgrade_reason=f"{after.version} {why.sentence}" if why else "",
        )

    async def PlanInstall(self, request: rpc.PlanInstallRequest, context: Context) -> pb.InstallPlan:
        wish, org = planning.to_wish(request), planning.organization_of(request.environment)
        owner, name = split(request.blueprint)
        _demand_daemon(request)
        if owner not in ("", org):
            # Also for who is a member of both: what is private is installed by its owner alone.
            raise RoleDenied(subject=caller().subject, resource=f"organizations/{owner}")
        picture = await self._picture([org], *DEVELOPERS)
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

    async def AdviseUpgrades(self, request: rpc.AdviseUpgradesRequest, context: Context) -> rpc.AdviseUpgradesResponse:
        _demand_daemon(request)
        picture = await self._picture([planning.organization_of(request.parent)], *DEVELOPERS)
        standing = sorted(await self._installed(request.installed, request.parent), key=lambda one: one.application)
        policy = planning.to_installed(standing, request.parent)
        page = Page.of(request.page_size, request.page_token, _who(), request.parent, request.application)
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

    async def WatchCatalog(
        self, request: rpc.WatchCatalogRequest, context: Context
    ) -> AsyncIterator[rpc.WatchCatalogResponse]:
        who = caller()

        def count(picture: Picture) -> int:
            return sum(_is_listed(head) for head in picture.universe.heads.values())

        async for message in watching.changes(self._work, self._pictures, who, request.after_revision, count):
            yield message

    async def ValidateConfig(self, request: rpc.ValidateConfigRequest, context: Context) -> rpc.ValidateConfigResponse:
        parent, _, wanted = request.version.partition("/versions/")
        owner, name = split(parent)
        picture = await self._picture([owner], *DEVELOPERS)
        picture.head(owner, name)
        given, schema = solving.plain(request.config), _version(picture, name, wanted).manifest.spec.config_schema
        if request.mode == rpc.ValidateConfigRequest.MODE_UPGRADE:
            before = _version(picture, name, request.current_version or wanted).manifest.spec.config_schema
            current = solving.plain(request.current)
            carried = schema_changes.carry(before, schema, current, given, drop_unknown=request.drop_unknown)
        else:
            carried = schema_changes.Carried(config_schema.normalise(schema, given), ())
        return rpc.ValidateConfigResponse(
            config=blueprints.struct(carried.config),
            config_hash=config_schema.config_hash(carried.config),
            defaulted_paths=sorted(config_schema.filled_in(given, carried.config)),
            changes=planning.config_changes(carried.changes),
            dropped_paths=carried.dropped,
        )

    async def LintBlueprint(self, request: rpc.LintBlueprintRequest, context: Context) -> rpc.LintBlueprintResponse:
        picture = await self._picture([request.parent.removeprefix("organizations/")], *DEVELOPERS)
        # A long document takes a second of YAML, and the loop must go on serving meanwhile.
        return await asyncio.to_thread(linting.look_at, picture.universe, request.document, request.folder)

    async def SelectComponents(
        self, request: rpc.SelectComponentsRequest, context: Context
    ) -> rpc.SelectComponentsResponse:
        components = (await self._picture([])).components
        before = _selection(components, request)
        after = _changed(components, before, request)
        added, removed = set(after.selected) - set(before), set(before) - set(after.selected)
        return rpc.SelectComponentsResponse(
            selected=sorted(before) if request.validate_only else after.selected,
            added=sorted(added),
            removed=sorted(removed),
            unavailable=after.unavailable,
            because={
                name: rpc.SelectionPath(ids=path)
                for name, path in sorted(after.because.items())
                if len(path) > 1 and name in added | removed
            },
        )

    async def _own_pictures(self) -> Mapping[str, Picture]:
        """What the caller sees, by owner: two Organizations may use one name, and somebody may be a member of both."""
        owners = sorted(caller().organizations)
        if len(owners) < 2:
            return dict.fromkeys(["", *owners], await self._picture(owners))
        return {owner: await self._picture([owner]) for owner in ["", *owners]}

    async def _standing(self) -> list[Installation]:
        """Applications of the caller's Organizations."""
        organizations = caller().organizations
        if not organizations:
            return []
        async with self._work.reading() as tx:
            return await tx.installations(organizations)

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

    async def _picture(self, owners: Iterable[str], *roles: str) -> Picture:
        """What the caller sees, with the private Blueprints of `owners`. Raises RoleDenied for a stranger's.

        roles   one of these is to be held in each of them; a role in another Organization is none here. Default: any
        """
        who, organizations = caller(), frozenset(owners) - {""}
        for org in sorted(organizations):
            if not (who.is_service() or _belongs(who, org, roles)):
                raise RoleDenied(subject=who.subject, resource=f"organizations/{org}")
        return await self._pictures.of(Viewer(organizations, is_known=who != ANONYMOUS))


def _belongs(who: Caller, org: str, roles: tuple[str, ...]) -> bool:
    """Whether the caller is a member in one of `roles`, if any are named. Roles over the Sovereign give no content."""
    held = members_of(who.groups, org)
    return any(role in held for role in roles) if roles else org in who.organizations


def _own_heads(pictures: Mapping[str, Picture]) -> list[Release]:
    """One release for each Blueprint of each owner."""
    return [
        head
        for owner, picture in pictures.items()
        for head in picture.universe.heads.values()
        if head.owner_org == owner
    ]


def _who() -> str:
    return caller().subject


def _is_listed(head: Release) -> bool:
    """Lists leave unlisted ones out; daemons, which build plans and wizards from them, see all."""
    return watching.is_shown(head, caller()) and (head.is_offered or head.is_planned)


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


def _fits(head: Release, request: rpc.ListBlueprintsRequest) -> bool:
    layer_fits = not request.layer or LAYERS[head.manifest.spec.layer] == request.layer
    return layer_fits and (not request.family or head.family == request.family)


def _released(picture: Picture, name: str) -> list[Release]:
    """Versions, highest first; broken ones for those only who repair them."""
    hidden = frozenset() if watching.sees_broken(caller()) else watching.HIDDEN
    return [o for o in picture.universe.releases(name) if o.version and picture.record(o)[0].state not in hidden]


def _version(picture: Picture, name: str, wanted: str) -> Release:
    """The version of exactly this number, or the highest offered one in a range."""
    if ranges.is_version(wanted):
        exact = next((one for one in _released(picture, name) if one.version == wanted), None)
        if exact is None:
            raise VersionNotFound(blueprint=name, version=wanted)
        return exact
    matching = picture.universe.matching(name, wanted)
    best = next((one for one in _released(picture, name) if one.version in matching and one.is_offered), None)
    if best is None:
        raise NoMatch(blueprint=name, range=wanted)
    return best


def _after(found: list[Release], version: str | None) -> list[Release]:
    if version is None:
        return found
    last = ranges.version(version)
    return [one for one in found if ranges.version(one.version) < last]


def _filter(request: rpc.SearchCardsRequest) -> Filter:
    return Filter(
        q=request.q,
        categories=frozenset(request.categories),
        families=frozenset(request.families),
        tags=frozenset(request.tags),
        layer=_LAYER_WORDS.get(request.layer, ""),
    )


def _owners(request: rpc.ResolveRequest) -> list[str]:
    """The Organization whose private Blueprints the wish names; names of two would not be told apart."""
    names = [*(d.name for d in request.roots), *(i.name for i in request.installed), *request.update]
    names += [entry.name for entry in request.lock.entries]
    owners = sorted({split(name)[0] for name in names} - {""})
    if len(owners) > 1:
        raise refuse("roots", f"Blueprints of one Organization are expected, not of {', '.join(owners)}", "one_owner")
    return owners


def _selection(components: Components, request: rpc.SelectComponentsRequest) -> tuple[str, ...]:
    if request.selected:
        return tuple(request.selected)
    return (components.minimum() if request.from_empty else components.default()).selected


def _changed(components: Components, before: tuple[str, ...], request: rpc.SelectComponentsRequest) -> Selected:
    """All wishes of a request, one after the other; removals first, so that what is added stays."""
    steps: list[tuple[Callable[..., Selected], Any]] = []
    steps += [(components.remove_family, family) for family in request.remove_families]
    steps += [(components.remove, list(request.remove))] if request.remove else []
    steps += [(components.add_family, family) for family in request.add_families]
    steps += [(components.add, list(request.add))] if request.add else []
    after = components.add(before, [])
    unavailable: set[str] = set()
    because: dict[str, tuple[str, ...]] = {}
    for step, wish in steps:
        after = step(after.selected, wish)
        unavailable.update(after.unavailable)
        because.update(after.because)
    if back := sorted(set(request.remove).intersection(after.selected)):
        # Neither wish may win silently: one would install what was refused, the other leave out what was asked for.
        raise ComponentConflict(removed=", ".join(back), added=because[back[0]][0])
    return Selected(after.selected, after.added, after.removed, tuple(sorted(unavailable)), because)
