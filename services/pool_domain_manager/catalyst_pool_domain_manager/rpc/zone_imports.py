"""ZoneService: imports of zones that are served elsewhere."""

import asyncio
from typing import Any

from catalyst.pooldomain.v1 import resources_pb2, service_pb2
from catalyst_mesh import Context, InvalidRequest, Page, caller, stamp
from catalyst_sdk import Decision, Violation
from google.longrunning import operations_pb2

from catalyst_pool_domain_manager.domain import refusals
from catalyst_pool_domain_manager.domain.imports import ImportNotFound, ZoneImport
from catalyst_pool_domain_manager.kept.rows import set_in
from catalyst_pool_domain_manager.store import Store
from catalyst_pool_domain_manager.workers import zone_files
from catalyst_pool_domain_manager.workers.applying import new_id
from catalyst_pool_domain_manager.workers.importing import IMPORT

from .operations import operation
from .standing import demand_account
from .zone_life import ZoneLife
from .zone_messages import to_set
from .zone_views import governed, viewed


class ZoneImports(ZoneLife):
    """An import changes nothing; a plan makes something of what it found."""

    async def ImportZone(self, request: service_pb2.ImportZoneRequest, context: Context) -> operations_pb2.Operation:
        me, name = caller(context), request.parent
        async with self._work.reading() as tx:
            zone = (await governed(tx, name, me)).kept
            await demand_account(tx, request.registrar_account, zone.owner, me)
        source, what = await _source(request, zone.origin)

        async def step(tx: Store) -> Decision[Any]:
            await governed(tx, name, me)
            id = new_id(tx.now)
            about = {"zone": zone.domain, "import": id, "source": source, "what": what}
            run = await self._tools.engine.start_in(
                tx.sql, IMPORT, subject=f"{name}/imports/{id}", key=id, input=about, by=me.subject
            )
            begun.append(operation(run, f"{name}/imports/{id}"))
            return Decision(None)

        begun: list[operations_pb2.Operation] = []
        answer = await self._work.run(step, answer=lambda _: begun[-1])
        self._tools.engine.wake()
        return answer

    async def GetZoneImport(
        self, request: service_pb2.GetZoneImportRequest, context: Context
    ) -> resources_pb2.ZoneImport:
        _, domain, _, id = request.name.split("/")
        async with self._work.reading() as tx:
            try:
                await viewed(tx, f"zones/{domain}", caller(context))
            except refusals.ZoneNotFound as absent:
                raise ImportNotFound(name=request.name) from absent
            found = await tx.zone_import(domain, id)
        if found is None:
            raise ImportNotFound(name=request.name)
        return to_import(found)

    async def ListZoneImports(
        self, request: service_pb2.ListZoneImportsRequest, context: Context
    ) -> service_pb2.ListZoneImportsResponse:
        page = Page.of(request.page_size, request.page_token, "imports", request.parent, most=500)
        async with self._work.reading() as tx:
            view = await viewed(tx, request.parent, caller(context))
            cut = page.cut(await tx.imports_before(view.domain, page.after, page.size + 1), lambda one: one.id)
        rows = [to_import(one, with_sets=False) for one in cut.rows]
        return service_pb2.ListZoneImportsResponse(imports=rows, next_page_token=cut.next_page_token)


def to_import(found: ZoneImport, *, with_sets: bool = True) -> resources_pb2.ZoneImport:
    """An import; in lists without what it found."""
    return resources_pb2.ZoneImport(
        name=found.name, source=found.source,
        completeness=resources_pb2.ZoneImport.Completeness.Value(f"COMPLETENESS_{found.completeness.name}"),
        record_sets=[to_set(r) for r in found.record_sets] if with_sets else [], wildcard_found=found.wildcard_found,
        created_by=found.created_by, create_time=stamp(found.created_at), left_out=found.left_out,
    )  # fmt: skip


async def _source(request: service_pb2.ImportZoneRequest, origin: str) -> tuple[str, dict[str, Any]]:
    """Which source, and what the run has to know of it. Raises ZoneFileRefused, InvalidRequest."""
    source = request.WhichOneof("source") or ""
    if source == "zone_file":
        sets = await asyncio.to_thread(zone_files.read, request.zone_file, origin)
        return source, {"record_sets": [set_in(r) for r in sets]}
    if source == "axfr":
        server = request.axfr.server
        return source, {
            "host": server.host.lower().rstrip(".") + ".", "addresses": list(server.addresses), "port": server.port,
            "secret": request.axfr.tsig_secret_ref,
        }  # fmt: skip
    if source == "registrar_account":
        return source, {"account": request.registrar_account}
    if any(".." in name or name.startswith(".") for name in request.probe.extra_names):
        raise InvalidRequest((Violation("probe.extra_names", "a name has an empty label", "name"),))
    return source, {"extra": list(request.probe.extra_names)}
