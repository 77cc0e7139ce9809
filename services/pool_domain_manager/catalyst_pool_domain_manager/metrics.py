"""What PDM measures beside the chassis."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from .domain.drifts import Kind


class PdmMetrics:
    """PDM's own metrics, in the registry of its chassis. Labels are closed sets; a zone is never one."""

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

    def drifts(self, counts: Mapping[str, int]) -> None:
        """How many are open; of a kind that is not named, none."""
        for kind in Kind:
            self.drift_open.labels(str(kind)).set(counts.get(str(kind), 0))
