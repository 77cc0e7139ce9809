"""ApplicationService."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst.environment.v1 import service_pb2_grpc
from catalyst_mesh import Clock, Context, InvalidRequest, Page, Work, caller
from catalyst_mesh.journal import Engine, new_id
from catalyst_sdk import Code, Decision, Refused, Violation
from google.protobuf.json_format import MessageToDict

from ..catalog import Catalog
from ..domain import applications, trees
from ..domain.applications import Application, ApplicationNotFound, State, Wanted
from ..installing import Installing
from ..steps import CHANGE, UNINSTALL
from ..store import Store
from . import convert
from .masks import run, wanted
from .names import DEVELOPERS, READERS, changeable, check_etag, environment, id_of, org_of, organization, require

Standing = Mapping[str, tuple[str, str]]
"""Blueprint and version of each Application that stands."""


class PlanStale(Refused):
    code, reason = Code.ABORTED, "PLAN_STALE"
    message = "{environment} has changed since the plan was made: read it again"


class BlueprintForeign(Refused):
    code, reason = Code.INVALID_ARGUMENT, "BLUEPRINT_FOREIGN"
    message = "{blueprint} is another Organization's"
    field = "application.blueprint"


class ApplicationService(service_pb2_grpc.ApplicationServiceServicer):
    """Applications: what is decided here is written by runs."""

    def __init__(
        self, work: Work[Store], engine: Engine, catalog: Catalog, installing: Installing, clock: Clock
    ) -> None:
        self._installing = installing
        self._work = work
        self._engine = engine
        self._catalog = catalog
        self._clock = clock

    async def GetApplication(self, request: rpc.GetApplicationRequest, context: Context) -> pb.Application:
        require(request.name, *READERS)
        async with self._work.reading() as tx:
            held = await application(tx, request.name)
            return convert.application(held, await tx.applications(held.environment))

    async def ListApplications(
        self, request: rpc.ListApplicationsRequest, context: Context
    ) -> rpc.ListApplicationsResponse:
        require(request.parent, *READERS)
        page = Page.of(request.page_size, request.page_token, request.parent)
        async with self._work.reading() as tx:
            await environment(tx, request.parent)
            all = await tx.applications(id_of(request.parent))
        cut = page.cut([one for one in all if one.id > (page.after or "")], lambda one: one.id)
        return rpc.ListApplicationsResponse(
            applications=[convert.application(one, all) for one in cut.rows], next_page_token=cut.next_page_token
        )

    async def CreateApplication(self, request: rpc.CreateApplicationRequest, context: Context) -> pb.Application:
        org, wish = require(request.parent, *DEVELOPERS), request.application
        config = _checked(wish, org)
        standing = await self._standing(request.parent)
        planned = await self._planned(
            request.parent,
            request.application_id,
            wish.blueprint,
            wish.blueprint_version,
            config,
            dict(wish.choices),
            standing,
            digest=request.plan_digest,
        )  # fmt: skip - one call

        async def step(tx: Store) -> Decision[tuple[Application, ...]]:
            await changeable(tx, org)
            held = await environment(tx, request.parent, lock=True)
            parts = _read(planned)
            _demand_unmoved(request.parent, standing, await tx.applications(held.id))
            made, facts = await self._installing.begin(
                tx, held, parts, dict(wish.choices), by=caller().subject, validate_only=request.validate_only
            )
            return Decision(made, facts)

        return await self._done(step, validate_only=request.validate_only)

    async def UpdateApplication(self, request: rpc.UpdateApplicationRequest, context: Context) -> pb.Application:
        org, name = require(request.application.name, *DEVELOPERS), request.application.name
        wanted(request.update_mask, request.application, {"config"})
        config = _config(request.application)
        held = await self._seen(name)
        return await self._to(
            name, org, held.pin.release if held else "", config, etag=request.etag, validate_only=request.validate_only
        )

    async def UpgradeApplication(self, request: rpc.UpgradeApplicationRequest, context: Context) -> pb.Application:
        org, version = require(request.name, *DEVELOPERS), request.blueprint_version
        held = await self._seen(request.name)
        refused = await self._advised(held, version) if held else None
        config = dict(held.pin.config) if held else {}
        return await self._to(request.name, org, version, config, refused=refused)

    async def RollbackApplication(self, request: rpc.RollbackApplicationRequest, context: Context) -> pb.Application:
        return await self._moved(request.name, applications.roll_back)

    async def PauseApplication(self, request: rpc.PauseApplicationRequest, context: Context) -> pb.Application:
        return await self._moved(request.name, lambda a, r, now: applications.change(a, a.pin, r, now, paused=True))

    async def ResumeApplication(self, request: rpc.ResumeApplicationRequest, context: Context) -> pb.Application:
        return await self._moved(request.name, lambda a, r, now: applications.change(a, a.pin, r, now, paused=False))

    async def PreviewUninstall(
        self, request: rpc.PreviewUninstallRequest, context: Context
    ) -> rpc.PreviewUninstallResponse:
        require(request.name, *READERS)
        async with self._work.reading() as tx:
            held = await application(tx, request.name)
            going = applications.departure(held, await tx.applications(held.environment))
        return rpc.PreviewUninstallResponse(purged=going.purged, retained=going.retained, dependents=going.dependents)

    async def DeleteApplication(self, request: rpc.DeleteApplicationRequest, context: Context) -> pb.Application:
        org = require(request.name, *DEVELOPERS)

        async def step(tx: Store) -> Decision[tuple[Application, ...]]:
            await changeable(tx, org)
            await environment(tx, request.name, lock=True)
            target = await application(tx, request.name)
            check_etag(request.etag, target.name, target.version)
            all = await tx.applications(target.environment)
            going = applications.departure(target, all)
            if going.dependents and not request.cascade:
                raise applications.HasDependents(application=target.name, dependents=", ".join(going.dependents))
            by_id = {one.id: one for one in all}
            run_id = new_id(self._clock.now())
            decided = [applications.uninstall(by_id[id], run_id, tx.now) for id in going.order(target.id, all)]
            made = [one.state for one in decided]
            root = next(one for one in made if one.id == target.id)
            await self._begin(tx, UNINSTALL, made, root, validate_only=request.validate_only)
            return Decision(
                (*(one for one in made if one is not root), root), tuple(f for d in decided for f in d.events)
            )

        return await self._done(step, validate_only=request.validate_only)

    async def ReportApplication(self, request: rpc.ReportApplicationRequest, context: Context) -> pb.Application:
        score = request.score if request.HasField("score") else None

        async def step(tx: Store) -> Decision[tuple[Application, ...]]:
            held = await application(tx, request.name, lock=True)
            decided = applications.observe(
                held, request.commit, healthy=request.healthy, message=request.message, now=tx.now, score=score
            )
            return Decision((decided.state,), decided.events)

        return await self._done(step)

    async def _to(
        self, name: str, org: str, version: str, config: Mapping[str, Any], *, etag: str = "",
        refused: Refused | None = None, validate_only: bool = False,
    ) -> pb.Application:  # fmt: skip
        """Write another version or configuration, and what that needs besides."""
        parent = name.partition("/applications/")[0]
        held, standing = await self._seen(name), await self._standing(parent)
        planned: list[Wanted] | Refused = refused or ApplicationNotFound(application=name)
        if held is not None and refused is None:
            reused = {alias: f"reuse:{id}" for alias, id in held.aliases.items()}
            others = [one for one in standing if one.id != held.id]
            planned = await self._planned(parent, held.id, held.blueprint, version, config, reused, others)

        async def step(tx: Store) -> Decision[tuple[Application, ...]]:
            await changeable(tx, org)
            await environment(tx, name, lock=True)
            now_held = await application(tx, name, lock=True)
            if etag:
                check_etag(etag, now_held.name, now_held.version)
            parts = _read(planned)
            _demand_unmoved(parent, standing, await tx.applications(now_held.environment))
            run_id = new_id(self._clock.now())
            made: list[Application] = []
            facts: list[object] = []
            for one in parts[:-1]:
                known = await tx.find(Application, now_held.environment, one.id, lock=True)
                fresh = applications.install(
                    known, one, now_held.environment, org, {}, uid=str(uuid4()), run=run_id, now=tx.now
                )
                made.append(fresh.state)
                facts += fresh.events
            moved = applications.change(now_held.needing(parts[-1]), parts[-1].pin, run_id, tx.now)
            await self._begin(tx, CHANGE, [*made, moved.state], moved.state, validate_only=validate_only)
            return Decision((*made, moved.state), (*facts, *moved.events))

        return await self._done(step, validate_only=validate_only)

    async def _moved(
        self, name: str, move: Callable[[Application, str, datetime], Decision[Application]]
    ) -> pb.Application:
        org = require(name, *DEVELOPERS)

        async def step(tx: Store) -> Decision[tuple[Application, ...]]:
            await changeable(tx, org)
            held = await application(tx, name, lock=True)
            decided = move(held, new_id(self._clock.now()), tx.now)
            await self._begin(tx, CHANGE, [decided.state], decided.state)
            return Decision((decided.state,), decided.events)

        return await self._done(step)

    async def _begin(
        self, tx: Store, kind: str, made: Sequence[Application], root: Application, *, validate_only: bool = False
    ) -> None:
        if validate_only:
            return
        await tx.save(tuple(made))
        input = {
            "organization": root.org, "environment": root.environment, "applications": [one.id for one in made]
        }  # fmt: skip
        await self._engine.start_in(
            tx.sql, kind, subject=root.name, key=root.run, input=input, by=caller().subject, id=root.run
        )

    async def _done(self, step: Any, *, validate_only: bool = False) -> pb.Application:
        """The answer is the last one: the Application that was asked about."""
        seen: list[Sequence[Application]] = []

        async def read(tx: Store) -> Decision[tuple[Application, ...]]:
            decided: Decision[tuple[Application, ...]] = await step(tx)
            seen[:] = [await tx.applications(decided.state[-1].environment)]
            return decided

        answer = await run(
            self._work, read, lambda made: convert.application(made[-1], [*seen[0], *made]), validate_only=validate_only
        )
        self._engine.wake()
        return answer

    async def _standing(self, parent: str) -> list[Application]:
        async with self._work.reading() as tx:
            return await tx.applications(id_of(parent))

    async def _seen(self, name: str) -> Application | None:
        async with self._work.reading() as tx:
            held = await tx.find(Application, *_key(name))
        return None if held is None or held.state is State.DELETED else held

    async def _planned(
        self, parent: str, id: str, blueprint: str, version: str, config: Mapping[str, Any],
        choices: Mapping[str, str], standing: Sequence[Application], digest: str = "",
    ) -> list[Wanted] | Refused:  # fmt: skip
        """The catalog's plan; a refusal is kept for the transaction, which knows whether this was answered before."""
        async with self._work.reading() as tx:
            limits = (await organization(tx, org_of(parent))).plan
        try:
            parts = await self._catalog.plan(
                parent, id, blueprint, version, config, choices, standing, limits=limits, digest=digest
            )
            for one in parts:
                trees.demand_no_secret(one.pin.config)
        except Refused as refusal:
            return refusal
        return parts

    async def _advised(self, held: Application, version: str) -> Refused | None:
        parent = f"environments/{held.environment}"
        try:
            way = await self._catalog.way(parent, held, await self._standing(parent))
        except Refused as refusal:
            return refusal
        if version in way:
            return None
        return applications.UpgradeNotAdvised(
            application=held.name, current=held.pin.release, wanted=version, known=", ".join(way) or "none"
        )


async def application(tx: Store, name: str, *, lock: bool = False) -> Application:
    """An Application that there is. Raises ApplicationNotFound."""
    held = await tx.find(Application, *_key(name), lock=lock)
    if held is None or held.state is State.DELETED:
        raise ApplicationNotFound(application=name)
    return held


def _key(name: str) -> tuple[str, str]:
    parts = name.split("/")
    return parts[1], parts[3]


def _checked(wish: pb.Application, org: str) -> dict[str, Any]:
    """The configuration of a wish that says what is to be installed. Raises InvalidRequest, BlueprintForeign."""
    missing = [name for name in ("blueprint", "blueprint_version") if not getattr(wish, name)]
    if missing:
        raise InvalidRequest(tuple(Violation(f"application.{name}", "say which", "required") for name in missing))
    owner = wish.blueprint.split("/")[1] if wish.blueprint.startswith("organizations/") else org
    if owner != org:
        raise BlueprintForeign(blueprint=wish.blueprint)
    return _config(wish)


def _config(wish: pb.Application) -> dict[str, Any]:
    config = MessageToDict(wish.config)
    trees.demand_no_secret(config)
    return config


def _read(planned: list[Wanted] | Refused) -> list[Wanted]:
    if isinstance(planned, Refused):
        raise planned
    return planned


def _demand_unmoved(environment: str, then: Sequence[Application], now: Sequence[Application]) -> None:
    """Whether what stands is what the plan was made for. Raises PlanStale."""
    if _stands(then) != _stands(now):
        raise PlanStale(environment=environment)


def _stands(all: Sequence[Application]) -> Standing:
    return {one.id: (one.blueprint, one.pin.release) for one in all}
