"""CatalogService: what can be installed, and what it needs. Everything here reads."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst.catalog.v1 import service_pb2_grpc
from catalyst_mesh import Page, Work, caller
from catalyst_mesh.protos import Context

from ..domain import closure, config_schema, locks, ranges, schema_changes, solver
from ..domain.cards import Filter, search
from ..domain.conflicts import Why
from ..domain.installations import Installation
from ..domain.refusals import ArtifactNotKept
from ..domain.universe import OFFERED, Release
from ..domain.ways import no_way
from ..store import Picture, Pictures, Store
from . import artifacts, blueprints, components, linting, planning, seeing, solving, watching
from .installs import Installs
from .seeing import DEVELOPERS, Sight
from .words import LAYERS, STATES, refuse, split

_LAYER_WORDS = {number: layer.value for layer, number in LAYERS.items()}


class CatalogService(service_pb2_grpc.CatalogServiceServicer):
    """Answers from pictures of the catalogue; nothing here waits for the outside world."""

    def __init__(self, work: Work[Store], pictures: Pictures, *, solver_seconds: float) -> None:
        self._work = work
        self._pictures = pictures
        self._solver_seconds = solver_seconds
        self._sight = Sight(pictures)
        self._installs = Installs(work, self._sight, solver_seconds=solver_seconds)

    async def ListBlueprints(self, request: rpc.ListBlueprintsRequest, context: Context) -> rpc.ListBlueprintsResponse:
        org = request.parent.removeprefix("organizations/")
        picture = await self._sight.of([org])
        page = Page.of(request.page_size, request.page_token, _who(), request.parent, request.layer, request.family)
        rows = [
            head
            for head in picture.universe.heads.values()
            if head.owner_org == org
            and seeing.is_listed(head)
            and _fits(head, request)
            and head.name > (page.after or "")
        ]
        cut = page.cut(rows, key=lambda head: head.name)
        standing = await self._standing()
        return rpc.ListBlueprintsResponse(
            blueprints=[blueprints.to_blueprint(picture, head, standing) for head in cut.rows],
            next_page_token=cut.next_page_token,
        )

    async def GetBlueprint(self, request: rpc.GetBlueprintRequest, context: Context) -> pb.Blueprint:
        owner, name = split(request.name)
        picture = await self._sight.of([owner])
        return blueprints.to_blueprint(picture, picture.head(owner, name), await self._standing(), whole=True)

    async def ListVersions(self, request: rpc.ListVersionsRequest, context: Context) -> rpc.ListVersionsResponse:
        owner, name = split(request.parent)
        picture = await self._sight.of([owner])
        picture.head(owner, name)
        states = set(request.states) or {STATES[state] for state in OFFERED}
        found = [one for one in seeing.released(picture, name) if STATES[picture.record(one)[0].state] in states]
        page = Page.of(request.page_size, request.page_token, _who(), request.parent, sorted(states))
        cut = page.cut(seeing.after(found, page.after), key=lambda one: one.version)
        return rpc.ListVersionsResponse(
            versions=[blueprints.to_version(picture, one) for one in cut.rows], next_page_token=cut.next_page_token
        )

    async def GetVersion(self, request: rpc.GetVersionRequest, context: Context) -> pb.BlueprintVersion:
        parent, _, wanted = request.name.partition("/versions/")
        owner, name = split(parent)
        picture = await self._sight.of([owner])
        picture.head(owner, name)
        return blueprints.to_version(picture, seeing.version(picture, name, wanted), whole=True)

    async def ReadArtifact(self, request: rpc.ReadArtifactRequest, context: Context) -> rpc.ReadArtifactResponse:
        parent, _, wanted = request.name.partition("/versions/")
        owner, name = split(parent)
        picture = await self._sight.of([owner], *DEVELOPERS)
        picture.head(owner, name)
        version = seeing.version(picture, name, wanted)
        async with self._work.reading() as tx:
            kept = await tx.artifact(version.digest)
        if kept is None:
            raise ArtifactNotKept(blueprint=name, version=version.version)
        return artifacts.part(kept, request.offset)

    async def SearchCards(self, request: rpc.SearchCardsRequest, context: Context) -> rpc.SearchCardsResponse:
        pictures = await self._sight.own()
        order, _, falling = (request.order_by or "rank").partition(" ")
        wanted = _filter(request)
        found = search(seeing.own_heads(pictures), wanted, order=order, falling=bool(falling))
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
        picture = await self._sight.of([owner], *DEVELOPERS)
        picture.head(owner, name)
        if request.reverse:
            found = closure.dependents(picture.universe, name, depth=request.depth)
        else:
            found = closure.closure(picture.universe, name, request.version or "*", depth=request.depth)
        return solving.to_closure(picture, found)

    async def Resolve(self, request: rpc.ResolveRequest, context: Context) -> rpc.ResolveResponse:
        roots, policy = solving.to_roots(request.roots), solving.to_policy(request)
        picture = await self._sight.of(_owners(request), *DEVELOPERS)
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
        picture = await self._sight.of([owner])
        picture.head(owner, name)
        before, after = (seeing.version(picture, name, text) for text in (request.from_version, request.to_version))
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
        return await self._installs.plan(request)

    async def AdviseUpgrades(self, request: rpc.AdviseUpgradesRequest, context: Context) -> rpc.AdviseUpgradesResponse:
        return await self._installs.advise(request)

    async def WatchCatalog(
        self, request: rpc.WatchCatalogRequest, context: Context
    ) -> AsyncIterator[rpc.WatchCatalogResponse]:
        who = caller()

        def count(picture: Picture) -> int:
            return sum(seeing.is_listed(head) for head in picture.universe.heads.values())

        async for message in watching.changes(self._work, self._pictures, who, request.after_revision, count):
            yield message

    async def ValidateConfig(self, request: rpc.ValidateConfigRequest, context: Context) -> rpc.ValidateConfigResponse:
        parent, _, wanted = request.version.partition("/versions/")
        owner, name = split(parent)
        picture = await self._sight.of([owner], *DEVELOPERS)
        picture.head(owner, name)
        given, schema = solving.plain(request.config), seeing.version(picture, name, wanted).manifest.spec.config_schema
        if request.mode == rpc.ValidateConfigRequest.MODE_UPGRADE:
            before = seeing.version(picture, name, request.current_version or wanted).manifest.spec.config_schema
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
        picture = await self._sight.of([request.parent.removeprefix("organizations/")], *DEVELOPERS)
        # A long document takes a second of YAML, and the loop must go on serving meanwhile.
        return await asyncio.to_thread(linting.look_at, picture.universe, request.document, request.folder)

    async def SelectComponents(
        self, request: rpc.SelectComponentsRequest, context: Context
    ) -> rpc.SelectComponentsResponse:
        return components.selected((await self._sight.of([])).components, request)

    async def _standing(self) -> list[Installation]:
        """Applications of the caller's Organizations."""
        organizations = caller().organizations
        if not organizations:
            return []
        async with self._work.reading() as tx:
            return await tx.installations(organizations)


def _who() -> str:
    return caller().subject


def _fits(head: Release, request: rpc.ListBlueprintsRequest) -> bool:
    layer_fits = not request.layer or LAYERS[head.manifest.spec.layer] == request.layer
    return layer_fits and (not request.family or head.family == request.family)


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
