"""What PDM measures besides the chassis."""

from prometheus_client import CollectorRegistry, Counter


class PdmMetrics:
    """PDM's own metrics, in the registry of its chassis."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registrar_calls = Counter(
            "catalyst_pdm_registrar_calls",
            "Calls of registrars within a request, by how they ended: OK, or the reason that the caller was told",
            ["registrar", "code"],
            registry=registry,
        )
