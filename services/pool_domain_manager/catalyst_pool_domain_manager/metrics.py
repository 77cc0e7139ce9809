"""What PDM measures beside the chassis."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from .domain.delegations import State
from .domain.drifts import Kind

_STEP = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class PdmMetrics:
    """PDM's own metrics, in the registry of its chassis. Labels are closed sets; of names only pools are among them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registrar_calls = Counter(
            "catalyst_pdm_registrar_calls",
            "Calls of registrars within a request, by how they ended: OK, or the reason that the caller was told",
            ["registrar", "code"],
            registry=registry,
        )
        self.drift_open = Gauge(
            "catalyst_pdm_drift_open", "Differences between wish and world that are open", ["kind"], registry=registry
        )
        self.zones_unswept = Gauge(
            "catalyst_pdm_zones_unswept", "Zones that the last sweep could not look at, by pool; of kept zones without one",
            ["pool"], registry=registry,
        )  # fmt: skip
        self.rrsig_remaining = Gauge(
            "catalyst_pdm_rrsig_min_remaining_seconds",
            "Time until the first signature over a SOA ends that the last sweep saw at any server",
            registry=registry,
        )
        self.allocations = Gauge(
            "catalyst_pdm_allocations", "Names that are held, as the last sweep saw them", ["pool", "state"],
            registry=registry,
        )  # fmt: skip
        self.step_seconds = Histogram(
            "catalyst_pdm_reconcile_seconds", "Steps of the reconciler and of moves, whether or not they held",
            ["flow", "step"],
            buckets=_STEP, registry=registry,
        )  # fmt: skip
        self.delegations = Gauge(
            "catalyst_pdm_delegations", "Delegations of zones that are kept, as the last sweep saw them", ["state"],
            registry=registry,
        )  # fmt: skip
        self.batch_size = Gauge(
            "catalyst_pdm_batch_size", "Children in the last change of a parent zone", registry=registry
        )

    def step(self, flow: str, step: str, seconds: float) -> None:
        """A step of the reconciler, or of a move, was taken."""
        self.step_seconds.labels(flow, step).observe(seconds)

    def names(self, counts: Mapping[tuple[str, str], int]) -> None:
        """How many there are by pool and state; of a pair that is not named, none."""
        self.allocations.clear()
        for (pool, state), count in counts.items():
            self.allocations.labels(pool, state).set(count)

    def unswept(self, counts: Mapping[str, int]) -> None:
        """How many zones were left out, by pool; of a pool that is not named, none."""
        self.zones_unswept.clear()
        for pool, count in counts.items():
            self.zones_unswept.labels(pool).set(count)

    def moves(self, counts: Mapping[str, int]) -> None:
        """How many delegations there are by state; of one that is not named, none."""
        for state in State:
            self.delegations.labels(str(state)).set(counts.get(str(state), 0))

    def drifts(self, counts: Mapping[str, int]) -> None:
        """How many are open; of a kind that is not named, none."""
        for kind in Kind:
            self.drift_open.labels(str(kind)).set(counts.get(str(kind), 0))
