"""How a slot fares after a move."""

from catalyst.continuum.v1 import resources_pb2, service_pb2
from catalyst_mesh import Context, span, stamp

from ..domain import health
from . import specs, views
from .calls import Calls
from .elsewhere import anywhere


class HealthCalls(Calls):
    """PostHealth. Nothing is asked anew: it judges what the agents and the outbox say."""

    @anywhere
    async def PostHealth(self, request: service_pb2.PostHealthRequest, context: Context) -> resources_pb2.HealthReport:
        async with self._work.reading() as tx:
            slot = await self._seen(tx, request.name)
            observed, unsent, now = await tx.observed(slot.namespace, slot.name), await tx.unsent(slot.resource), tx.now
        spec = specs.understood(slot, self._house, self._profile)
        register = self._registers.shown(slot).register
        seen = views.known(slot, observed, register, self._profile, spec, self._region)
        found = health.looks(seen.facts, seen.conditions, unsent, has_standby=spec.has_standby)
        age = None if seen.at is None else (now - seen.at).total_seconds()
        return resources_pb2.HealthReport(
            healthy=health.is_healthy(found), create_time=stamp(now),
            **{
                name: resources_pb2.HealthFinding(
                    result=resources_pb2.Check.Result.Value(f"RESULT_{one.result.name}"), message=one.message,
                    age=span(0.0 if name == "audit_posted" else age),
                )
                for name, one in found.items()
            },
        )  # fmt: skip
