"""What the provisioner measures beside the chassis."""

from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge

from .domain.sovereign import State


class ProvisionerMetrics:
    """The provisioner's own metrics, in the registry of its chassis."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._sovereigns = Gauge(
            "catalyst_provisioner_sovereigns", "By where they stand, as the last look of this replica saw them",
            ["state"], registry=registry,
        )  # fmt: skip
        self._silent = Gauge(
            "catalyst_provisioner_silent_clusters", "Whose agents were not heard, as the last look of this replica saw them",
            registry=registry,
        )  # fmt: skip

    def looked(self, states: Iterable[State], *, silent: int) -> None:
        """What one look at everything saw."""
        counts = Counter(states)
        for state in State:
            self._sovereigns.labels(state.value).set(counts[state])
        self._silent.set(silent)

    def forget(self) -> None:
        """Another replica looks from now on."""
        self._sovereigns.clear()
        self._silent.set(0)
