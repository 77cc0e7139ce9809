"""What the gateway measures beside the chassis."""

from prometheus_client import CollectorRegistry, Counter, Histogram

SPANS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds; the objectives (platform.md, section 12) speak of 0.2, 0.5 and 1."""


class GatewayMetrics:
    """The gateway's own metrics, in the registry of its chassis."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._answers = Histogram(
            "catalyst_gateway_answer_seconds", "From a request to the first byte of its answer",
            ["code"], registry=registry, buckets=SPANS,
        )  # fmt: skip
        self.recovered = Counter(
            "catalyst_gateway_recovered_events", "That the stream had lost and a comparison found", registry=registry
        )

    def answered(self, status: int, seconds: float) -> None:
        """An answer begins. Its status counts by its class: `2xx`."""
        self._answers.labels(f"{status // 100}xx").observe(seconds)
