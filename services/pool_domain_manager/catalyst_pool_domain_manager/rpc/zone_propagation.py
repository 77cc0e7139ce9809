"""ZoneService: what every server of a zone and of its parent answers, as a stream."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

from catalyst.pooldomain.v1 import resources_pb2, service_pb2
from catalyst_mesh import Context, caller, span
from catalyst_sdk import PluginFailure
from catalyst_sdk.dns import ZoneState

from catalyst_pool_domain_manager.domain import hosting, propagation, refusals
from catalyst_pool_domain_manager.domain.allocations import Allocation
from catalyst_pool_domain_manager.domain.hosting import Zone
from catalyst_pool_domain_manager.domain.propagation import Observation, Progressed, Summary
from catalyst_pool_domain_manager.events import to_summary
from catalyst_pool_domain_manager.store import Store
from catalyst_pool_domain_manager.workers.polled import Polled
from catalyst_pool_domain_manager.workers.propagation import LONGEST, Wish

from .plan_messages import from_key
from .zone_records import ZoneRecords
from .zone_views import View, viewed

_SPARE = 0.5
"""Seconds of the caller's time that are left for the summary."""


class ZonePropagation(ZoneRecords):
    """A check asks and streams; all that is kept of it is what it came to."""

    async def CheckPropagation(
        self, request: service_pb2.CheckPropagationRequest, context: Context
    ) -> AsyncIterator[service_pb2.CheckPropagationResponse]:
        async with self._work.reading() as tx:
            view = await viewed(tx, request.name, caller(context))
        wish = await self._wish_of(view, request)
        limit = request.timeout.ToTimedelta().total_seconds() if request.HasField("timeout") else LONGEST
        remaining = context.time_remaining()
        limit = min(limit, max(remaining - _SPARE, _SPARE)) if remaining else limit
        seen: list[Observation] = []
        async for one in self._tools.propagation.check(wish, limit):
            seen.append(one)
            yield service_pb2.CheckPropagationResponse(observation=to_observation(one))
        async with self._work.reading() as tx:
            summary = propagation.summarise(seen, wish.serial, tx.now)
        if limit == LONGEST and wish.state is not None and not request.wanted_serial:
            await self._note(view, wish.state, summary)
        yield service_pb2.CheckPropagationResponse(summary=to_summary(summary))

    async def _note(self, view: View, state: ZoneState, summary: Summary) -> None:
        """Tell of an outcome that is another one than the last. What a caller asks in less time, or of another serial, says
        nothing about the zone."""

        async def step(tx: Store) -> None:
            zone = await tx.zone(view.domain, lock=True)
            a = await tx.lock(view.allocation.pool, view.allocation.label) if view.allocation else None
            holder = zone or a
            if holder is None:
                return
            new = propagation.progressed(await tx.outcome(view.domain), view.domain, holder.uid, summary, tx.now)
            if new is None:
                return
            version = await _told(tx, zone, a)
            await tx.save_outcome(new)
            tx.emit(Progressed(view.domain, holder.owner, version, summary, state.serial, state.revision))

        await self._work.again(step)

    async def _wish_of(self, view: View, request: service_pb2.CheckPropagationRequest) -> Wish:
        """What the servers are to answer: what the backend has. One that cannot be asked leaves that open."""
        backend = await self._tools.backends.get(view.backend)
        state: ZoneState | None = None
        polled = Polled((), self._tools.poll.hinted)
        with suppress(PluginFailure, refusals.BackendUnavailable):
            polled = await self._polled(view)
            state = await backend.get_zone(zone=view.origin)
        watched = tuple(from_key(key, view.origin) for key in request.record_sets)
        serial = request.wanted_serial or (state.serial if state else 0)
        needs_ds = view.allocation is not None and state is not None and state.signed
        return Wish(view.origin, state, polled, watched, serial, needs_ds)


async def _told(tx: Store, zone: Zone | None, a: Allocation | None) -> int:
    """The number of what is told next of a zone that is kept, or else of a name's."""
    if zone is not None:
        after = hosting.told(zone, tx.now)
        await tx.save_zone(after)
        return after.version
    assert a is not None, "a zone is kept, or a name's"
    told = replace(a, zone_version=a.zone_version + 1)
    await tx.progress(a, told)
    return told.zone_version


def to_observation(one: Observation) -> resources_pb2.PropagationObservation:
    """What one server said, as the contract shows it."""
    kinds = resources_pb2.PropagationObservation
    return kinds(
        zone_role=kinds.ZoneRole.Value(f"ZONE_ROLE_{one.role.name}"), server=one.server.rstrip("."),
        address=one.address, transport=kinds.Transport.Value(f"TRANSPORT_{one.transport.upper()}"), rcode=one.rcode,
        aa=one.aa, serial=one.serial or 0, rrset_hash=one.rrset_hash, rtt_ms=one.rtt_ms, remaining_ttl=span(one.ttl),
        verdict=kinds.Verdict.Value(f"VERDICT_{one.verdict.name}"),
    )  # fmt: skip
