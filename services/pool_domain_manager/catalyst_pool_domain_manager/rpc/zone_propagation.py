"""ZoneService: what every server of a zone and of its parent answers, as a stream."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime

from catalyst.pooldomain.v1 import resources_pb2, service_pb2
from catalyst_mesh import Context, caller, span, stamp
from catalyst_sdk import PluginFailure
from catalyst_sdk.dns import ZoneState

from catalyst_pool_domain_manager.domain import propagation, refusals
from catalyst_pool_domain_manager.domain.propagation import Observation, Summary
from catalyst_pool_domain_manager.workers.polled import Polled
from catalyst_pool_domain_manager.workers.propagation import LONGEST, Wish

from .plan_messages import from_key
from .zone_records import ZoneRecords
from .zone_views import View, viewed

_SPARE = 0.5
"""Seconds of the caller's time that are left for the summary."""


class ZonePropagation(ZoneRecords):
    """A check asks and streams; nothing is changed by it."""

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
        yield service_pb2.CheckPropagationResponse(summary=to_summary(summary))

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


def to_observation(one: Observation) -> resources_pb2.PropagationObservation:
    """What one server said, as the contract shows it."""
    kinds = resources_pb2.PropagationObservation
    return kinds(
        zone_role=kinds.ZoneRole.Value(f"ZONE_ROLE_{one.role.name}"), server=one.server.rstrip("."),
        address=one.address, transport=kinds.Transport.Value(f"TRANSPORT_{one.transport.upper()}"), rcode=one.rcode,
        aa=one.aa, serial=one.serial or 0, rrset_hash=one.rrset_hash, rtt_ms=one.rtt_ms, remaining_ttl=span(one.ttl),
        verdict=kinds.Verdict.Value(f"VERDICT_{one.verdict.name}"),
    )  # fmt: skip


def to_summary(summary: Summary) -> resources_pb2.PropagationSummary:
    """What a check found, as the contract shows it."""
    horizon: datetime = summary.horizon
    return resources_pb2.PropagationSummary(
        delegated=summary.delegated, consistent=summary.consistent, consensus_serial=summary.consensus_serial,
        ttl_horizon_time=stamp(horizon), asked=summary.asked, ok=summary.ok,
    )  # fmt: skip
