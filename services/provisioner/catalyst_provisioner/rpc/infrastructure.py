"""InfrastructureService: the ledger and the components, as observed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

from catalyst.provisioner.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page, Work, caller, stamp
from catalyst_mesh.journal import Engine, RunInProgress
from catalyst_mesh.streams import Curfew
from catalyst_sdk import Code, Decision, Refused
from google.longrunning import operations_pb2
from google.protobuf.json_format import ParseDict

from ..chronicle import DRIFT
from ..domain import graphs, sovereigns, topologies
from ..domain.conditions import is_silent
from ..domain.topologies import ClusterSeen
from ..domain.wishes import Cluster
from ..planning import Planner
from ..store import ClusterRow, ComponentRow, Store
from . import filters, views
from .names import ClusterNotFound, Name, locked, visible
from .operations import begun

LOOK = 1.0
"""Seconds between two looks at what changed, which is also how often a watcher is told."""


class DriftNotObserved(Refused):
    code, reason, message = Code.NOT_FOUND, "DRIFT_NOT_OBSERVED", "nobody has looked for drift of {name} yet"


class InfrastructureService(service_pb2_grpc.InfrastructureServiceServicer):
    """What exists."""

    def __init__(self, work: Work[Store], engine: Engine, planner: Planner, curfew: Curfew) -> None:
        self._work = work
        self._curfew = curfew
        self._engine = engine
        self._planner = planner

    async def GetTopology(self, request: service_pb2.GetTopologyRequest, context: Context) -> resources_pb2.Topology:
        return ParseDict(await self._topology(request.name), resources_pb2.Topology(), ignore_unknown_fields=True)

    async def WatchTopology(
        self, request: service_pb2.WatchTopologyRequest, context: Context
    ) -> AsyncIterator[resources_pb2.Topology]:
        async for body in self._curfew.bounded(self._topologies(request.name)):
            yield ParseDict(body, resources_pb2.Topology(), ignore_unknown_fields=True)

    async def WatchComponents(
        self, request: service_pb2.WatchComponentsRequest, context: Context
    ) -> AsyncIterator[service_pb2.WatchComponentsResponse]:
        async for told in self._curfew.bounded(self._component_changes(request.parent)):
            yield told

    async def _topology(self, name: str) -> dict[str, Any]:
        async with self._work.reading() as tx:
            held = await visible(tx, Name.of(name).sovereign, name)
            rows, now = await tx.clusters(held.id), tx.now
        wished = {cluster.name: cluster for cluster in self._planner.wish(held.spec).clusters}
        return topologies.topology(name, held.version, [_seen(row, wished.get(row.name)) for row in rows], now)

    async def _topologies(self, name: str) -> AsyncIterator[dict[str, Any]]:
        """The topology at once, and after each change; a sign of life alone is none."""
        last = None
        while True:
            body = await self._topology(name)
            if (now := topologies.without_moments(body)) != last:
                last = now
                yield body
            await asyncio.sleep(LOOK)

    async def _component_changes(self, parent: str) -> AsyncIterator[service_pb2.WatchComponentsResponse]:
        said = service_pb2.WatchComponentsResponse
        known: dict[str, resources_pb2.Component] = {}
        synced = False
        while True:
            shown = {c.name: c for c in (await self._components(parent))[0]}
            for name, component in shown.items():
                before = known.get(name)
                if before is None or views.differ(before, component):
                    kind = said.KIND_CHANGED if synced else said.KIND_SNAPSHOT
                    yield said(kind=kind, component=component)
            for name in known.keys() - shown.keys():
                yield said(kind=said.KIND_REMOVED, component=resources_pb2.Component(name=name))
            if not synced:
                synced = True
                yield said(kind=said.KIND_SYNCED)
            known = shown
            await asyncio.sleep(LOOK)

    async def _components(self, parent: str) -> tuple[list[resources_pb2.Component], set[str], Sequence[ComponentRow]]:
        """Components by cluster, wave and name, and the clusters that are not heard of. Raises ClusterNotFound."""
        name = Name.of(parent)
        async with self._work.reading() as tx:
            held = await visible(tx, name.sovereign, parent)
            clusters = {row.name: row for row in await tx.clusters(held.id) if name.id in ("-", row.name)}
            if name.id != "-" and not clusters:
                raise ClusterNotFound(name=parent)
            rows = [row for row in await tx.components(held.id) if row.cluster in clusters]
            now = tx.now
        silent = {n for n, row in clusters.items() if row.heartbeat_at is None or is_silent(row.heartbeat_at, now)}
        rows.sort(key=lambda row: (row.cluster, row.wave, row.name))
        shown = [
            views.component(
                row, now, simulated=held.simulated, silent=row.cluster in silent and row.observed_at is not None
            )
            for row in rows
        ]
        return shown, silent, rows

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
        filter = filters.parse(request.filter, resources_pb2.LedgerEntry, filters.LEDGER)
        page = Page.of(request.page_size, request.page_token, request.parent, request.filter)
        async with self._work.reading() as tx:
            held = await visible(tx, Name.of(request.parent).sovereign, request.parent)
            entries = await tx.entries(held.id, gone=filter.asks("state"))
            revision = await tx.ledger_revision(held.id)
        later = [(e, views.ledger_entry(e)) for e in reversed(entries) if page.after is None or e.position < page.after]
        rows = [(entry, shown) for entry, shown in later if filter.takes(shown)]
        cut = page.cut(rows[: page.size + 1], lambda row: row[0].position)
        return service_pb2.ListLedgerResponse(
            entries=[shown for _, shown in cut.rows], next_page_token=cut.next_page_token, revision=revision
        )

    async def ListComponents(
        self, request: service_pb2.ListComponentsRequest, context: Context
    ) -> service_pb2.ListComponentsResponse:
        filter = filters.parse(request.filter, resources_pb2.Component, filters.COMPONENTS)
        page = Page.of(request.page_size, request.page_token, request.parent, request.filter)
        shown, silent, rows = await self._components(request.parent)
        shown = [component for component in shown if filter.takes(component)]
        at = int(page.after or 0)
        cut = page.cut(list(enumerate(shown[at : at + page.size + 1], at + 1)), lambda row: row[0])
        return service_pb2.ListComponentsResponse(
            components=[component for _, component in cut.rows], next_page_token=cut.next_page_token,
            unreachable=sorted(silent), counts=views.counts(rows),
        )  # fmt: skip


def _seen(row: ClusterRow, wished: Cluster | None) -> ClusterSeen:
    pools = (wished.control_plane, *wished.pools) if wished else ()
    return ClusterSeen(
        row.name, row.provider, row.region, row.credential, tuple(row.spec.get("hosts", ())), row.heartbeat_at,
        row.heartbeat or {}, row.inventory or {}, row.made or {}, {p.name: (p.size, p.count) for p in pools},
    )  # fmt: skip
