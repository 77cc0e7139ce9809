"""What billing measures beside the chassis."""

from prometheus_client import CollectorRegistry, Gauge


class BillingMetrics:
    """Billing's own metrics, in the registry of its chassis."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.ledger_differences = Gauge(
            "catalyst_billing_ledger_differences", "What the last proof of the book by this replica found",
            registry=registry,
        )  # fmt: skip
