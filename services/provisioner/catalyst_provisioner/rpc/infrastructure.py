"""InfrastructureService: the ledger and the components, as observed."""

from catalyst.provisioner.v1 import service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page, Work

from ..domain.conditions import is_silent
from ..store import Store
from . import filters, views
from .names import ClusterNotFound, Name, visible


class InfrastructureService(service_pb2_grpc.InfrastructureServiceServicer):
    """What exists."""

    def __init__(self, work: Work[Store]) -> None:
        self._work = work

    async def ListLedger(
        self, request: service_pb2.ListLedgerRequest, context: Context
    ) -> service_pb2.ListLedgerResponse:
        page = Page.of(request.page_size, request.page_token, request.parent, request.filter)
        async with self._work.reading() as tx:
            held = await visible(tx, Name.of(request.parent).sovereign, request.parent)
            entries = await tx.entries(held.id, gone=filters.only_gone(request.filter))
            revision = await tx.ledger_revision(held.id)
        rows = [e for e in reversed(entries) if page.after is None or e.position < page.after]
        cut = page.cut(rows[: page.size + 1], lambda entry: entry.position)
        shown = [views.ledger_entry(entry) for entry in cut.rows]
        return service_pb2.ListLedgerResponse(entries=shown, next_page_token=cut.next_page_token, revision=revision)

    async def ListComponents(
        self, request: service_pb2.ListComponentsRequest, context: Context
    ) -> service_pb2.ListComponentsResponse:
        name = Name.of(request.parent)
        filters.none(request.filter)
        page = Page.of(request.page_size, request.page_token, request.parent, request.filter)
        async with self._work.reading() as tx:
            held = await visible(tx, name.sovereign, request.parent)
            clusters = {row.name: row for row in await tx.clusters(held.id) if name.id in ("-", row.name)}
            if name.id != "-" and not clusters:
                raise ClusterNotFound(name=request.parent)
            rows = [row for row in await tx.components(held.id) if row.cluster in clusters]
            now = tx.now
        silent = {n for n, row in clusters.items() if row.heartbeat_at is None or is_silent(row.heartbeat_at, now)}
        rows.sort(key=lambda row: (row.cluster, row.wave, row.name))
        at = int(page.after or 0)
        cut = page.cut(list(enumerate(rows[at : at + page.size + 1], at + 1)), lambda row: row[0])
        shown = [
            views.component(
                row, now, simulated=held.simulated, silent=row.cluster in silent and row.observed_at is not None
            )
            for _, row in cut.rows
        ]
        return service_pb2.ListComponentsResponse(
            components=shown, next_page_token=cut.next_page_token, unreachable=sorted(silent), counts=views.counts(rows)
        )
