"""What continuum measures beside the chassis (continuum specification, section 7.3).

Slots and regions are labels here, against the rule for all others: there are few of them, and whoever is woken asks which.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from catalyst_sdk.continuum import TrafficView
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from .domain.measure import Measured

_MOVE = (0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 180.0, 600.0)


class ContinuumMetrics:
    """Continuum's own metrics, in the registry of its chassis."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._of_traffic(registry)
        self._of_moves(registry)

    def traffic(self, slot: str, view: TrafficView) -> None:
        """The names of a slot were looked at. An authority that does not answer keeps what was known of it."""
        lowest: dict[str, int] = {}
        for one in view.authorities:
            if one.answers:
                lowest[one.authority] = min(lowest.get(one.authority, one.epoch or 0), one.epoch or 0)
        for authority, epoch in lowest.items():
            self.traffic_epoch.labels(slot, authority).set(epoch)

    def stale(self, effector: str) -> None:
        """An effector refused an effect of an older epoch."""
        self.stale_effects.labels(effector).inc()

    def moved(self, slot: str, kind: str, found: Measured, components: Mapping[str, float]) -> None:
        """A move was measured; what was not observed is not counted."""
        if found.rto is not None:
            self.rto.labels(kind).observe(found.rto)
        if found.disruption is not None:
            self.disruption.labels(kind).observe(found.disruption)
        if found.rows is not None and found.rpo is not None:
            self.rpo_rows.labels(slot).set(found.rows)
            self.rpo.labels(slot).set(found.rpo)
        for component, seconds in components.items():
            self.rto_component.labels(component).observe(seconds)

    def planned(self, slot: str, blockers: int) -> None:
        """A run was planned."""
        self.plan_blockers.labels(slot).set(blockers)

    def _of_traffic(self, registry: CollectorRegistry) -> None:
        self.traffic_epoch = Gauge(
            "catalyst_continuum_traffic_epoch",
            "Lowest epoch of a slot's names at an authority, as it answered last; 0 without a mark",
            ["slot", "authority"],
            registry=registry,
        )
        self.stale_effects = Counter(
            "catalyst_continuum_stale_effect_rejected",
            "Effects of an older epoch that an effector refused",
            ["effector"],
            registry=registry,
        )
        self.plan_blockers = Gauge(
            "catalyst_continuum_plan_blockers", "What stood in the way of the last plan", ["slot"], registry=registry
        )

    def _of_moves(self, registry: CollectorRegistry) -> None:
        self.rto = Histogram(
            "catalyst_continuum_rto_seconds",
            "From the last acknowledged canary before a move to the first after",
            ["kind"],
            buckets=_MOVE,
            registry=registry,
        )
        self.disruption = Histogram(
            "catalyst_continuum_write_disruption_seconds",
            "The same of a planned move, from its fence, without the drain",
            ["kind"],
            buckets=_MOVE,
            registry=registry,
        )
        self.rto_component = Histogram(
            "catalyst_continuum_rto_component_seconds",
            "Parts of a move: detect, claim, fence, promote, verify, dns, converge",
            ["component"],
            buckets=_MOVE,
            registry=registry,
        )
        self.rpo = Gauge(
            "catalyst_continuum_rpo_seconds",
            "From the first acknowledged canary that the last move lost to the last one",
            ["slot"],
            registry=registry,
        )
        self.rpo_rows = Gauge(
            "catalyst_continuum_rpo_rows", "Acknowledged canaries that the last move lost", ["slot"], registry=registry
        )


@dataclass(frozen=True, slots=True)
class OfSlot:
    """The same, of one slot."""

    metrics: ContinuumMetrics
    slot: str

    def traffic(self, view: TrafficView) -> None:
        """The slot's names were looked at, or written."""
        self.metrics.traffic(self.slot, view)

    def stale(self, effector: str) -> None:
        """An effect of an older epoch was refused."""
        self.metrics.stale(effector)
