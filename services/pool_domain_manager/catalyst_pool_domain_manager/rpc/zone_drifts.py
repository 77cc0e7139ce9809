"""ZoneService: drifts, and what a person makes of one."""

from catalyst.pooldomain.v1 import resources_pb2, service_pb2
from catalyst_mesh import Caller, Context, Page, caller, stamp
from catalyst_sdk import Decision
from catalyst_sdk.dns import RecordSet

from catalyst_pool_domain_manager.domain import drifts, guards, heights, hosting, refusals, zone_refusals
from catalyst_pool_domain_manager.domain.drifts import Drift, DriftNotFound, Kind, State
from catalyst_pool_domain_manager.domain.hosting import Zone
from catalyst_pool_domain_manager.domain.record_sets import Wish
from catalyst_pool_domain_manager.store import Store
from catalyst_pool_domain_manager.workers.mending import begin_repair

from .messages import etag
from .standing import owners_seen
from .zone_life import ZoneLife
from .zone_messages import to_set
from .zone_views import View, viewed

_DRIFT = resources_pb2.Drift


class ZoneDrifts(ZoneLife):
    """Differences that a sweep has found."""

    async def ListDrifts(
        self, request: service_pb2.ListDriftsRequest, context: Context
    ) -> service_pb2.ListDriftsResponse:
        me, domain = caller(context), request.parent.removeprefix("zones/")
        owners = owners_seen(me)
        page = Page.of(
            request.page_size, request.page_token, "drifts", domain, owners, request.include_closed, most=500
        )
        async with self._work.reading() as tx:
            if domain != "-":
                await viewed(tx, request.parent, me)
            rows = await tx.drifts_before(
                "" if domain == "-" else domain, page.after, page.size + 1, closed=request.include_closed, owners=owners
            )
        cut = page.cut(rows, lambda d: d.number)
        return service_pb2.ListDriftsResponse(
            drifts=[to_drift(d) for d in cut.rows], next_page_token=cut.next_page_token
        )

    async def RepairDrift(self, request: service_pb2.RepairDriftRequest, context: Context) -> resources_pb2.Drift:
        me = caller(context)
        async with self._work.reading() as tx:
            view, d = await _found(tx, request.name, me)
        if d.state is State.OPEN:
            _demand_fresh(d, request.etag)
            await self._repair(view.kept, d, me, rehearsed=request.validate_only)

        async def step(tx: Store) -> Decision[Drift]:
            return Decision((await _found(tx, request.name, me))[1])

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=to_drift)

    async def _repair(self, zone: Zone, d: Drift, me: Caller, *, rehearsed: bool) -> None:
        """Have it put right. Raises ForeignRecord, ProtectedRecord, what a guard refuses, RunInProgress."""
        _demand_ours(d)
        tools = self._tools
        if await self._is_late(zone, d):
            if not rehearsed:
                await tools.late.take_back(zone.domain, d.number, automatic=False, by=me.subject)
            return
        if d.sight.kind not in drifts.REPAIRABLE or d.sight.server != drifts.BACKEND:
            how = "no write of ours mends it; look at the server that is named"
            raise zone_refusals.ProtectedRecord(name=zone.name, what=f"the drift {d.sight.kind}", how=how)
        if not rehearsed:
            await begin_repair(self._work, tools.backends, tools.engine, zone.domain, [d.number], me.subject)

    async def _is_late(self, zone: Zone, d: Drift) -> bool:
        """Whether the parent shows a change of ours again that was taken back."""
        if d.sight.kind not in heights.KINDS:
            return False
        async with self._work.reading() as tx:
            return await self._tools.late.withdrawn(tx, zone.domain, d.sight) is not None

    async def AcceptDrift(self, request: service_pb2.AcceptDriftRequest, context: Context) -> resources_pb2.Drift:
        me, late = caller(context), self._tools.late
        async with self._work.reading() as tx:
            view, d = await _found(tx, request.name, me)
        if d.state is State.OPEN and await self._is_late(view.kept, d):
            await late.demand_own_keys(view.kept)

        async def step(tx: Store) -> Decision[Drift]:
            view, d = await _found(tx, request.name, me)
            if d.state is not State.OPEN:
                return Decision(d)
            _demand_fresh(d, request.etag)
            zone = view.kept
            _demand_ours(d, may_be_unknown=True)
            if d.sight.kind in heights.KINDS and await late.keep(tx, zone.domain, d.sight):
                return Decision(drifts.closed(d, State.ACCEPTED, tx.now))
            if (
                not d.sight.name
                or d.sight.server != drifts.BACKEND
                or (d.key[0] == zone.origin and d.key[1] in ("SOA", "NS"))
            ):
                how = "it can only be put right; the world is not what is wished"
                raise zone_refusals.ProtectedRecord(name=zone.name, what=f"the drift {d.sight.kind}", how=how)
            if not request.validate_only:
                locked = await tx.zone(zone.domain, lock=True)
                seen = d.sight.observed or RecordSet(*d.key, 0, ())
                await tx.wish_sets(zone.domain, [Wish(*d.key, seen.ttl, seen.records, zone.owner, zone.written)])
                await tx.bury(zone.domain, zone.written)
                await tx.save_zone(hosting.told(locked or zone, tx.now))
            return Decision(drifts.closed(d, State.ACCEPTED, tx.now))

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=to_drift)


def to_drift(d: Drift) -> resources_pb2.Drift:
    """A drift."""
    s = d.sight
    answer = _DRIFT(
        name=d.name, kind=_DRIFT.Kind.Value(f"KIND_{s.kind.name}"), state=_DRIFT.State.Value(f"STATE_{d.state.name}"),
        server=s.server, cause=s.cause, open_time=stamp(d.opened_at), close_time=stamp(d.closed_at),
        etag=etag(d.version), version=d.version,
    )  # fmt: skip
    if s.wished is not None:
        answer.wished.CopyFrom(to_set(s.wished))
    if s.observed is not None:
        answer.observed.CopyFrom(to_set(s.observed))
    if not s.observed and not s.wished and s.name:
        answer.observed.CopyFrom(to_set(RecordSet(s.name, s.type, 0, ())))
    return answer


async def _found(tx: Store, name: str, me: Caller) -> tuple[View, Drift]:
    """The zone and the drift, where the caller may know of them. Raises DriftNotFound."""
    _, domain, _, id = name.split("/")
    try:
        view = await viewed(tx, f"zones/{domain}", me)
    except refusals.ZoneNotFound as absent:
        raise DriftNotFound(name=name) from absent
    number = id.removeprefix("d")
    d = await tx.drift(domain, int(number)) if number.isdigit() and len(number) < 16 else None
    if d is None:
        raise DriftNotFound(name=name)
    return view, d


def _demand_fresh(d: Drift, given: str) -> None:
    if given and given != etag(d.version):
        raise refusals.EtagMismatch(name=d.name)


def _demand_ours(d: Drift, *, may_be_unknown: bool = False) -> None:
    """Raises ForeignRecord. What nobody has marked may be taken as the wish, but is never put right by deleting it."""
    if d.sight.kind is Kind.FOREIGN or (d.sight.kind is Kind.EXTRA and not may_be_unknown):
        raise guards.ForeignRecord(name=f"zones/{d.zone}", records=f"{d.key[1]} of {d.key[0]}")
