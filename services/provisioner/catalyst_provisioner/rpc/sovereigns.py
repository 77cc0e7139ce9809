"""SovereignService."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

from catalyst.provisioner.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page, Work, caller
from catalyst_mesh.journal import Engine, RunInProgress
from catalyst_sdk import Decision, Violation
from google.protobuf.empty_pb2 import Empty

from ..domain import immutables, sovereigns, wishes
from ..domain.rules import SpecInvalid
from ..domain.sovereign import Sovereign, State
from ..planning import Planner
from ..store import Store
from . import filters, views
from .names import SEES_OWN, Name, locked, sees_all, visible

Url = Callable[[str], str]


class SovereignService(service_pb2_grpc.SovereignServiceServicer):
    """Records of Sovereigns."""

    def __init__(self, work: Work[Store], planner: Planner, engine: Engine, tree_url: Url) -> None:
        self._work = work
        self._planner = planner
        self._engine = engine
        self._tree_url = tree_url

    async def CreateSovereign(
        self, request: service_pb2.CreateSovereignRequest, context: Context
    ) -> resources_pb2.Sovereign:
        id = _id_of(request)
        spec = self._planner.checked(views.document(request.sovereign.spec))
        await self._planner.check_name(spec)
        await self._planner.check_components(spec)
        simulated = any(self._planner.clouds.clouds[c["provider"]].simulated for c in spec["clusters"])

        async def step(tx: Store) -> Decision[Sovereign]:
            if await tx.lock(id):
                raise sovereigns.NameTaken(name=f"sovereigns/{id}")
            made = sovereigns.create(
                id=id, uid=str(uuid4()), organization=spec["organization"]["slug"], fqdn=wishes.fqdn(spec), spec=spec,
                simulated=simulated, actor=caller(context).subject, now=tx.now,
            )  # fmt: skip
            await tx.demand_fqdn(made.state)
            return made

        return await self._written(step, validate_only=request.validate_only)

    async def GetSovereign(self, request: service_pb2.GetSovereignRequest, context: Context) -> resources_pb2.Sovereign:
        async with self._work.reading() as tx:
            held = await visible(tx, Name.of(request.name).sovereign, request.name)
            return views.sovereign(await views.observed(tx, held, self._tree_url(held.id)))

    async def ListSovereigns(
        self, request: service_pb2.ListSovereignsRequest, context: Context
    ) -> service_pb2.ListSovereignsResponse:
        who = caller(context)
        page = Page.of(request.page_size, request.page_token, request.filter, who.subject)
        filter = filters.parse(request.filter, resources_pb2.Sovereign, filters.SOVEREIGNS)
        states = [s for s in State if filter.asks("state") or s is not State.DESTROYED]
        mine = None if sees_all(who) else [o for o in who.organizations if who.has_role(*SEES_OWN, org=o)]
        async with self._work.reading() as tx:

            async def fetch(after: Any) -> list[Sovereign]:
                moment, id = after or (None, "")
                before = datetime.fromisoformat(moment) if moment else None
                return await tx.sovereigns_before(before, id, page.size + 1, states=states, organizations=mine)

            async def show(held: Sovereign) -> resources_pb2.Sovereign:
                return views.sovereign(await views.observed(tx, held, self._tree_url(held.id)))

            shown, token = await filters.filled(
                page, filter, fetch=fetch, show=show, key=lambda s: [s.created_at.isoformat(), s.id]
            )
        return service_pb2.ListSovereignsResponse(sovereigns=shown, next_page_token=token)

    async def UpdateSovereign(
        self, request: service_pb2.UpdateSovereignRequest, context: Context
    ) -> resources_pb2.Sovereign:
        id = Name.of(request.sovereign.name).sovereign if request.sovereign.name else ""

        async def step(tx: Store) -> Decision[Sovereign]:
            held = await locked(tx, id, request.sovereign.name)
            sovereigns.demand_etag(held, request.etag)
            spec, paths = self._merged(held, request)
            decided = sovereigns.update(
                held, spec=spec, fqdn=wishes.fqdn(spec), paths=paths, actor=caller(context).subject, now=tx.now
            )
            await tx.demand_fqdn(decided.state)
            return decided

        return await self._written(step, validate_only=request.validate_only)

    async def DeleteSovereign(self, request: service_pb2.DeleteSovereignRequest, context: Context) -> Empty:
        id = Name.of(request.name).sovereign
        live = await self._engine.list(subject=request.name, live=True, size=1)

        async def step(tx: Store) -> Decision[None]:
            held = await locked(tx, id, request.name)
            sovereigns.demand_etag(held, request.etag)
            sovereigns.demand_deletable(held)
            if live.runs:
                raise RunInProgress(subject=request.name, run=f"{request.name}/runs/{live.runs[0].id}")
            if not request.validate_only:
                await tx.forget(id)
            return Decision(None)

        if request.validate_only:
            return await self._work.rehearse(step, answer=lambda _: Empty())
        return await self._work.run(step, answer=lambda _: Empty())

    async def _written(
        self, step: Callable[[Store], Awaitable[Decision[Sovereign]]], *, validate_only: bool
    ) -> resources_pb2.Sovereign:
        ask = self._work.rehearse if validate_only else self._work.run
        return await ask(step, answer=self._fresh)

    def _merged(self, held: Sovereign, request: service_pb2.UpdateSovereignRequest) -> tuple[dict[str, Any], list[str]]:
        given = views.document(request.sovereign.spec)
        paths = [p.removeprefix("spec.") for p in request.update_mask.paths] or list(given)
        fields = resources_pb2.SovereignSpec.DESCRIPTOR.fields_by_name
        if unknown := [p for p in paths if p.split(".")[0] not in fields and p not in ("spec", "*")]:
            raise SpecInvalid([Violation(f"spec.{p}", "there is no such field", "unknown") for p in unknown])
        # A mask names whole fields of the spec; deeper paths replace the field that they lie in.
        tops = list(fields) if {"spec", "*"} & set(paths) else [p.split(".")[0] for p in paths]
        merged = {k: v for k, v in held.spec.items() if k not in tops} | {k: given[k] for k in tops if k in given}
        if wrong := immutables.violations(held.spec, merged, self._planner.reference):
            raise SpecInvalid(wrong)
        spec = self._planner.checked(merged)
        return spec, [f"spec.{key}" for key in sorted(fields) if spec.get(key) != held.spec.get(key)]

    def _fresh(self, held: Sovereign) -> resources_pb2.Sovereign:
        """What is known right after a write of the wish; conditions come with the next read."""
        o = views.Observed(held, (), (), (), {}, "", held.updated_at)
        return views.sovereign(o)


def _id_of(request: service_pb2.CreateSovereignRequest) -> str:
    named = request.sovereign.name.removeprefix("sovereigns/")
    if request.sovereign_id and named and request.sovereign_id != named:
        raise SpecInvalid([Violation("sovereign_id", f"differs from sovereign.name, {named}", "conflict")])
    id = request.sovereign_id or named
    if not id:
        raise SpecInvalid([Violation("sovereign.name", "is required, or sovereign_id", "required")])
    return id


__all__ = ["SovereignService", "visible"]
