"""What the catalogue measures beside the chassis."""

from prometheus_client import CollectorRegistry, Gauge


class CatalogMetrics:
    """The catalogue's own metrics, in the registry of its chassis."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.quarantined = Gauge(
            "catalyst_catalog_quarantined_versions", "Versions without trust, as the last sync of this replica saw them",
            registry=registry,
        )  # fmt: skip
