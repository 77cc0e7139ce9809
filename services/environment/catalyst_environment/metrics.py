"""What the environment daemon measures beside the chassis."""

from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge

from .domain.applications import State


class EnvironmentMetrics:
    """The daemon's own metrics, in the registry of its chassis."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._applications = Gauge(
            "catalyst_environment_applications", "By where they stand, as the last round of this replica saw them",
            ["state"], registry=registry,
        )  # fmt: skip

    def looked(self, states: Iterable[State]) -> None:
        """What one round saw."""
        counts = Counter(states)
        for state in State:
            self._applications.labels(state.value).set(counts[state])

    def forget(self) -> None:
        """Another replica goes round from now on."""
        self._applications.clear()
