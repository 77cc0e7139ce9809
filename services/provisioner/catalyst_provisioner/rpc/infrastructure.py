"""InfrastructureService: the ledger and the components, as observed."""

from uuid import uuid4

from catalyst.provisioner.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page, Work, caller, stamp
from catalyst_mesh.journal import Engine, RunInProgress
from catalyst_sdk import Code, Decision, Refused
from google.longrunning import operations_pb2
from google.protobuf.json_format import ParseDict

from ..chronicle import DRIFT
from ..domain import graphs, sovereigns, topologies
from ..domain.conditions import is_silent
from ..domain.topologies import ClusterSeen
from ..domain.wishes import Cluster
from ..planning import Planner
from ..store import ClusterRow, Store
from . import filters, views
from .names import ClusterNotFound, Name, locked, visible
from .operations import begun


class DriftNotObserved(Refused):
    code, reason, message = Code.NOT_FOUND, "DRIFT_NOT_OBSERVED", "nobody has looked for drift of {name} yet"


class InfrastructureService(service_pb2_grpc.InfrastructureServiceServicer):
    """What exists."""

    def __init__(self, work: Work[Store], engine: Engine, planner: Planner) -> None:
        self._work = work
        self._engine = engine
        self._planner = planner

    async def GetTopology(self, request: service_pb2.GetTopologyRequest, context: Context) -> resources_pb2.Topology:
        async with self._work.reading() as tx:
            held = await visible(tx, Name.of(request.name).sovereign, request.name)
            rows, now = await tx.clusters(held.id), tx.now
        wished = {cluster.name: cluster for cluster in self._planner.wish(held.spec).clusters}
        seen = [_seen(row, wished.get(row.name)) for row in rows]
        body = topologies.topology(request.name, held.version, seen, now)
        return ParseDict(body, resources_pb2.Topology(), ignore_unknown_fields=True)

    async def DetectDrift(self, request: service_pb2.DetectDriftRequest, context: Context) -> operations_pb2.Operation:
        id, by = Name.of(request.name).sovereign, caller(context).subject

        async def step(tx: Store) -> Decision[operations_pb2.Operation]:
            held = await locked(tx, id, request.name)
            sovereigns.demand_active(held)
            live = await self._engine.list(subject=held.name, live=True, size=1)
            if live.runs:
                raise RunInProgress(subject=held.name, run=f"{held.name}/runs/{live.runs[0].id}")
            body = {"sovereign": id, "uid": held.uid, "clusters": list(request.clusters)}
            metadata = resources_pb2.DriftMetadata(sovereign=held.name, start_time=stamp(tx.now), total=1)
            subject = f"{held.name}/drift"
            try:
                run = await self._engine.start_in(
                    tx.sql, graphs.DRIFT, subject=subject, key=str(uuid4()), input=body, by=by
                )
            except RunInProgress:  # while one is under way the same is answered
                run = (await self._engine.list(subject=subject, live=True, size=1)).runs[0]
            return Decision(begun(run, metadata))

        answer = await self._work.run(step, answer=lambda made: made)
        self._engine.wake()
        return answer

    async def GetDriftReport(
        self, request: service_pb2.GetDriftReportRequest, context: Context
    ) -> resources_pb2.DriftReport:
        async with self._work.reading() as tx:
            held = await visible(tx, Name.of(request.name).sovereign, request.name)
            seen = await tx.facts(held.id)
        if DRIFT not in seen:
            raise DriftNotObserved(name=held.name)
        return ParseDict(dict(seen[DRIFT][0]), resources_pb2.DriftReport())

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


def _seen(row: ClusterRow, wished: Cluster | None) -> ClusterSeen:
    pools = (wished.control_plane, *wished.pools) if wished else ()
    return ClusterSeen(
        row.name, row.provider, row.region, row.credential, tuple(row.spec.get("hosts", ())), row.heartbeat_at,
        row.heartbeat or {}, row.inventory or {}, row.made or {}, {p.name: (p.size, p.count) for p in pools},
    )  # fmt: skip
