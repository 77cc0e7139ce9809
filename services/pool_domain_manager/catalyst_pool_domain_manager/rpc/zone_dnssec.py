"""ZoneService: keys, DS and signatures of a zone, and the operations that change them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

from catalyst.mesh.v1.resources_pb2 import Condition
from catalyst.pooldomain.v1 import resources_pb2, service_pb2
from catalyst_mesh import Caller, Context, InvalidRequest, caller
from catalyst_mesh.calls import RoleDenied
from catalyst_mesh.journal import RunInProgress, RunView, StepView
from catalyst_sdk import Decision, PluginFailure, Refused, Violation
from catalyst_sdk.dns import Capability, ZoneKey, ZoneState
from google.longrunning import operations_pb2

from catalyst_pool_domain_manager.domain import delegations, dnssec, hosting, refusals
from catalyst_pool_domain_manager.domain.dnssec import DISABLE, ROLL
from catalyst_pool_domain_manager.events import ds_record
from catalyst_pool_domain_manager.store import Store
from catalyst_pool_domain_manager.workers.cuts import Vouched

from .operations import started
from .standing import READERS
from .zone_life import shown
from .zone_records import ZoneRecords
from .zone_views import View, viewed

_CSK_ALGORITHM = 13
_STATES = {
    ROLL: resources_pb2.ZoneDnssec.STATE_ROLLING,
    DISABLE: resources_pb2.ZoneDnssec.STATE_DISABLING,
}


class ZoneSecurity(ZoneRecords):
    """Keys are the backend's; what is done to them is a run."""

    async def GetDnssec(self, request: service_pb2.GetDnssecRequest, context: Context) -> resources_pb2.ZoneDnssec:
        """Keys as the backend has them, the DS that the parent shows, the step of a roll, the signatures' end."""
        async with self._work.reading() as tx:
            view = await viewed(tx, request.name.removesuffix("/dnssec"), caller(context))
            zone = await shown(tx, view)
        backend = await self._tools.backends.get(view.backend)
        try:
            state = await backend.get_zone(zone=view.origin)
            parent = await backend.get_zone(zone=view.pool.zone) if view.allocation and view.pool else None
        except PluginFailure as failure:
            raise refusals.BackendUnavailable(backend=zone.backend, why=failure.message) from failure
        answer = to_dnssec(zone, state, parent)
        if state is None or not state.signed:
            return answer
        if view.allocation is None and (above := await self._tools.cuts.vouched(view.origin)) is not None:
            answer.ds_observed.extend(_observed(above))
        polled = await self._polled(view)
        ends = await polled.servers.signatures_end(polled.names, view.origin)
        if ends is not None:
            answer.earliest_expire_time.FromDatetime(ends)
        await self._say_step(answer, view, state)
        return answer

    async def RollKey(self, request: service_pb2.RollKeyRequest, context: Context) -> operations_pb2.Operation:
        me, name = caller(context), request.name.removesuffix("/dnssec")
        if request.algorithm not in (0, _CSK_ALGORITHM):
            fault = Violation("algorithm", f"zones are signed by algorithm {_CSK_ALGORITHM}", "algorithm")
            raise InvalidRequest((fault,))
        async with self._work.reading() as tx:
            view = await _secured(tx, name, me)
        backend = await self._tools.backends.get(view.backend)
        try:
            capabilities, state = await backend.probe(), await backend.get_zone(zone=view.origin)
        except PluginFailure as failure:
            raise refusals.BackendUnavailable(backend=view.backend, why=failure.message) from failure
        if Capability.KEYS not in capabilities:
            raise refusals.CapabilityMissing(what=f"the exchange of keys, which {view.backend} leaves to its server")
        if state is None or not state.signed:
            raise dnssec.DnssecNotActive(name=name)

        async def check(tx: Store) -> None:
            fresh = await _secured(tx, name, me)
            _demand_fresh(fresh, request.etag)

        return await self._begun(
            check, ROLL, name, {"zone": view.domain}, request.request_id, dry=request.validate_only
        )

    async def DisableDnssec(
        self, request: service_pb2.DisableDnssecRequest, context: Context
    ) -> operations_pb2.Operation:
        me, name = caller(context), request.name.removesuffix("/dnssec")
        if not request.reason.strip():
            raise refusals.ReasonMissing

        async def check(tx: Store) -> None:
            view = await _secured(tx, name, me)
            zone = view.kept  # a name in a pool is signed as long as it has a zone
            _demand_fresh(view, request.etag)
            if not request.validate_only:
                await tx.save_zone(hosting.unsign(zone, tx.now))

        about = {"zone": name.removeprefix("zones/"), "reason": request.reason}
        return await self._begun(check, DISABLE, name, about, request.request_id, dry=request.validate_only)

    async def _begun(
        self, check: Callable[[Store], Awaitable[None]], kind: str, name: str, about: Mapping[str, str], request_id: str,
        *, dry: bool,
    ) -> operations_pb2.Operation:  # fmt: skip
        """The run's operation. Raises what `check` refuses, RollInProgress, RunInProgress."""
        engine, me = self._tools.engine, caller()

        async def rehearsed(tx: Store) -> Decision[None]:
            await check(tx)
            found = await engine.list(subject=name, live=True, size=1)
            for run in found.runs:
                raise _busy(name, run)
            return Decision(None)

        async def step(tx: Store) -> Decision[None]:
            await check(tx)
            key = request_id or f"{name}/{tx.now.isoformat()}"
            try:
                run = await engine.start_in(tx.sql, kind, subject=name, key=key, input=about, by=me.subject)
            except RunInProgress as busy:
                raise _busy(name, await engine.status(busy.run, sql=tx.sql)) from busy
            begun.append(started(run.id, f"{name}/dnssec", tx.now))
            return Decision(None)

        if dry:
            return await self._work.rehearse(rehearsed, answer=lambda _: operations_pb2.Operation())
        begun: list[operations_pb2.Operation] = []
        answer = await self._work.run(step, answer=lambda _: begun[-1])
        engine.wake()
        return answer

    async def _say_step(self, answer: resources_pb2.ZoneDnssec, view: View, state: ZoneState) -> None:
        """How far a roll is, and what is wanted of the parent meanwhile."""
        found = await self._tools.engine.list(subject=f"zones/{view.domain}", live=True, size=1)
        run = next((run for run in found.runs if run.kind in _STATES), None)
        if run is None:
            return
        steps = await self._tools.engine.steps(run.id)
        answer.state = _STATES[run.kind]
        step = next((step for step in steps if not step.finished_at), None)
        answer.roll_step = step.name.removesuffix(dnssec.REST) if step else ""
        if (moment := _not_before(steps)) is not None:
            answer.next_step_time.FromDatetime(moment)
        del answer.ds[:]
        answer.ds.extend(ds_record(text) for text in _wanted(run, steps, state))


def _busy(name: str, run: RunView) -> Refused:
    """Why another run of the zone is in the way."""
    if run.kind in (ROLL, DISABLE):
        return dnssec.RollInProgress(name=name, run=run.id)
    return RunInProgress(subject=name, run=run.id)


def to_dnssec(zone: resources_pb2.Zone, state: ZoneState | None, parent: ZoneState | None) -> resources_pb2.ZoneDnssec:
    """Keys and DS. What is not signed has none."""
    kinds = resources_pb2.ZoneDnssec
    answer = kinds(name=f"{zone.name}/dnssec", state=kinds.STATE_UNSIGNED)
    if state is None or not state.signed:
        return answer
    seen = {c.type: c.status for c in zone.conditions}
    is_whole = zone.kind == resources_pb2.Zone.KIND_POOL or seen.get("Signed") == Condition.STATUS_TRUE
    answer.state = kinds.STATE_ACTIVE if is_whole else kinds.STATE_SIGNING
    if seen.get("Signed") == Condition.STATUS_FALSE:
        answer.state = kinds.STATE_DEGRADED
    answer.keys.extend(_key(key) for key in state.keys)
    answer.ds.extend(ds_record(text) for key in state.keys if key.active for text in key.ds)
    if parent is not None and (found := parent.find(state.name, "DS")):
        answer.ds_observed.extend(ds_record(text) for text in found.records)
    return answer


def _key(key: ZoneKey) -> resources_pb2.DnssecKey:
    flags, _, _, public = key.dnskey.split(maxsplit=3)
    return resources_pb2.DnssecKey(
        key_tag=key.tag, flags=int(flags), algorithm=key.algorithm, public_key=public.replace(" ", ""),
        active=key.active, published=True,
    )  # fmt: skip


def _observed(above: Vouched) -> list[resources_pb2.DsRecord]:
    return [ds_record(text) for text in sorted(above.ds)]


def _not_before(steps: Sequence[StepView]) -> datetime | None:
    """When the step in hand may begin, where the one before has said so."""
    told = [step.output["not_before"] for step in steps if step.finished_at and "not_before" in (step.output or ())]
    return datetime.fromisoformat(told[-1]) if told else None


def _wanted(run: RunView, steps: Sequence[StepView], state: ZoneState) -> list[str]:
    """DS that the parent is to show in the step in hand: what to enter where no plugin can write them."""
    if run.kind == DISABLE:
        return []
    done = {step.name for step in steps if step.finished_at}
    both = "published" in done and "activated" not in done
    return [text for key in state.keys if both or key.active for text in key.ds]


async def _secured(tx: Store, name: str, me: Caller) -> View:
    """The zone, where the caller may change its keys. Raises ZoneNotFound, RoleDenied, DelegationMoving."""
    view = await viewed(tx, name, me)
    if not me.has_role(*READERS):
        raise RoleDenied(subject=me.subject, resource=name)
    # A move counts on the keys that it began with; one that begins just now waits for the end of this exchange.
    if (d := await tx.delegation(view.domain)) is not None:
        delegations.demand_still(d)
    return view


def _demand_fresh(view: View, etag: str) -> None:
    version = view.zone.version if view.zone else view.allocation.version if view.allocation else 0
    if etag and etag != f'"{version}"':
        raise refusals.EtagMismatch(name=f"zones/{view.domain}")
