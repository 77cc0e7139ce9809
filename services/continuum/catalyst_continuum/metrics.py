"""What continuum measures beside the chassis (continuum specification, section 7.3).

Slots and regions are labels here, against the rule for all others: there are few of them, and whoever is woken asks which.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from catalyst_sdk.continuum import TrafficView
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from .domain import facts as happenings
from .domain.facts import Fact
from .domain.measure import Measured
from .domain.spec import Spec, SyncMode
from .domain.status import Condition, Facts, Truth
from .kept_names import KeptNames

_RENEWAL = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_MOVE = (0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 180.0, 600.0)


class ContinuumMetrics:
    """Continuum's own metrics, in the registry of its chassis."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._of_traffic(registry)
        self._of_moves(registry)
        self._of_slots(registry)
        self._of_agents(registry)
        self._kept = KeptNames(registry)

    def slot(self, slot: str, facts: Facts, spec: Spec, found: Sequence[Condition]) -> None:
        """A region's agent told what it knows. What it does not know has no sample: nothing is drawn as zero."""
        region = facts.region
        _set(self.lease_held, (slot, region), None if facts.record is None else facts.holder == region)
        _set(self.lease_epoch, (slot, region), facts.epoch or None)
        _set(self.lease_authority, (slot, region), facts.authority)
        _set(self.lease_span, (slot, region), facts.span)
        for other in spec.members:
            _set(self.lag, (slot, other), facts.lags.get(other))
            _set(self.gap, (slot, other), facts.gaps.get(other))
        required = spec.has_standby and spec.sync_mode is SyncMode.REQUIRED
        _set(self.sync_standby, (slot, region), len(facts.sync) if required and facts.sync is not None else None)
        known = [writes for writes in facts.writable.values() if writes is not None]
        _set(self.writable, (slot, region), sum(known) if known else None)
        _set(self.rto_goal, (slot, region), spec.rto if spec.has_standby else None)
        for kind in ("planned", "unplanned"):
            _set(self.run_phase, (slot, region, kind), facts.run_spent if facts.run_kind == kind else None)
        _set(self.drill_age, (slot, region), facts.drill_age)
        _set(self.clock_offset, (slot, region), facts.clock_offset)
        _set(self.clock_drift, (slot, region), facts.clock_drift)
        _set(self.rpo_bytes, (slot, region), facts.missed)
        for (gauge, labels), value in self._kept.slot(slot, facts).items():
            _set(gauge, labels, value)
        for one in found:
            self.condition.labels(slot, region, one.type).set(
                {Truth.TRUE: 1, Truth.FALSE: 0, Truth.UNKNOWN: -1}[one.status]
            )

    def told(self, fact: Fact) -> None:
        """Something happened to a slot."""
        slot = "/".join(fact.told.continuum.split("/")[1::2])
        match fact:
            case happenings.Moved():
                self.failovers.labels(slot, fact.kind.lower(), fact.result.lower()).inc()
                for component, seconds in fact.measured.components.items():
                    self.rto_component.labels(component).observe(seconds)
                self._kept.moved(slot, fact.ended_at)
            case happenings.RunProgressed(took=float(took)):
                self.run_step.labels(fact.kind.lower(), fact.phase).observe(took)
            case happenings.RegionFenced():
                self.fence.labels(str(fact.level)).observe(fact.took)
            case happenings.ContinuumErrored(condition="Fenced"):
                self.missed(slot, fact.told.region)
            case happenings.EffectRejected(effector="promote"):
                self.stale(fact.effector)  # that of names is counted at each authority
            case happenings.FailsafeEntered():
                self.failsafe.labels(slot, fact.told.region).set(1)
            case happenings.FailsafeLeft():
                self.failsafe.labels(slot, fact.told.region).set(0)
            case _:
                pass

    def missed(self, slot: str, region: str) -> None:
        """A fence did not end within its budget."""
        self.deadline_misses.labels(slot, region).inc()

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

    def renewed(self, slot: str, region: str, result: str, seconds: float) -> None:
        """A renewal was asked for, and so long after its sending something was known of it."""
        self.renewals.labels(slot, region, result).inc()
        self.renewal.labels(slot, region).observe(seconds)

    def moved(self, slot: str, kind: str, found: Measured) -> None:
        """A move was measured from outside; what was not observed is not counted."""
        if found.rto is not None:
            self.rto.labels(kind).observe(found.rto)
        if found.disruption is not None:
            self.disruption.labels(kind).observe(found.disruption)
        if found.rows is not None and found.rpo is not None:
            self.rpo_rows.labels(slot).set(found.rows)
            self.rpo.labels(slot).set(found.rpo)

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
        self.run_step = Histogram(
            "catalyst_continuum_run_step_seconds", "Phases of runs, each from its first attempt to its end", ["kind", "step"],
            buckets=_MOVE, registry=registry,
        )  # fmt: skip
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

    def _of_slots(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"catalyst_continuum_{name}", text, list(labels), registry=registry)

        self.lease_held = gauge("lease_held", "1 while the region holds the slot by the register", "slot", "region")
        self.lease_epoch = gauge("lease_epoch", "Epoch of the slot as the region read it last", "slot", "region")
        self.lease_authority = gauge("lease_authority_seconds", "How long the region may still write", "slot", "region")
        self.lease_span = gauge("lease_span_seconds", "How long it may after a renewal", "slot", "region")
        self.lag = gauge(
            "replication_lag_seconds", "What a region has not replayed, by times of commits", "slot", "region"
        )
        self.gap = gauge("replication_gap_bytes", "The same in bytes of log", "slot", "region")
        self.sync_standby = gauge(
            "sync_standby", "Standbys that have every acknowledged write, where one is required", "slot", "region"
        )
        self.writable = gauge("writable_primaries", "Regions whose database was seen to take writes", "slot", "region")
        self.rpo_bytes = gauge(
            "rpo_bytes", "Of log that the holder before had told of and the region had not received when it took over",
            "slot", "region",
        )  # fmt: skip
        self.condition = gauge("condition", "1 holds, 0 does not, -1 is not known", "slot", "region", "condition")

    def _of_agents(self, registry: CollectorRegistry) -> None:
        where = ["slot", "region"]
        self.renewals = Counter(
            "catalyst_continuum_lease_renew", "Renewals by what became of them", [*where, "result"], registry=registry
        )
        self.renewal = Histogram(
            "catalyst_continuum_lease_renew_seconds", "From the sending of a renewal until something is known of it", where,
            buckets=_RENEWAL, registry=registry,
        )  # fmt: skip
        self.rto_goal = Gauge(
            "catalyst_continuum_rto_goal_seconds", "Goal for the time without a writer", where, registry=registry
        )
        self.drill_age = Gauge(
            "catalyst_continuum_drill_age_seconds", "Since the last drill that passed", where, registry=registry
        )
        self.clock_offset = Gauge(
            "catalyst_continuum_clock_offset_seconds", "Of our time of day against the cells'", where, registry=registry
        )
        self.clock_drift = Gauge(
            "catalyst_continuum_clock_drift_ppm", "By which our clock is proven to run otherwise than others', in millionths",
            where, registry=registry,
        )  # fmt: skip
        self.run_phase = Gauge(
            "catalyst_continuum_run_phase_budgets", "For how many times its budget the phase in hand of a run lasts already",
            [*where, "kind"], registry=registry,
        )  # fmt: skip
        self.failsafe = Gauge(
            "catalyst_continuum_failsafe_active",
            "1 while a holder lives on promises of its peers",
            where,
            registry=registry,
        )
        self.deadline_misses = Counter(
            "catalyst_continuum_deadline_miss", "Fences that did not end within their budget", where, registry=registry
        )
        self.failovers = Counter(
            "catalyst_continuum_failover", "Moves of a slot", ["slot", "kind", "result"], registry=registry
        )
        self.fence = Histogram(
            "catalyst_continuum_fence_seconds", "Fences, by the rung that is proved", ["level"], buckets=_MOVE,
            registry=registry,
        )  # fmt: skip


def _set(gauge: Gauge, labels: tuple[str, ...], value: float | None) -> None:
    if value is not None:
        gauge.labels(*labels).set(value)
    else:
        with suppress(KeyError):
            gauge.remove(*labels)


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
