"""The chassis' own metrics; each daemon's stand beside its code. Labels are small closed sets (conventions, section 5).

Every metric has its row in `docs/reference/metrics.md` and its panel in `deploy/observability/grafana-dashboard.json`; a
test compares the three.
"""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_LATENCY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_OUTSIDE = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Buckets for work with the outside world, which is slower than a call."""


class ChassisMetrics:
    """What every daemon measures about itself."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.registry = registry
        self._served: dict[tuple[str, str], Histogram] = {}
        self._of_calls(registry)
        self._of_events(registry)
        self._of_work(registry)
        self._of_plugins(registry)
        self._of_process(registry)

    def served(self, method: str, status: str, seconds: float) -> None:
        """A call of `method` was served. What stands for its labels is looked up once: that costs more than to count."""
        child = self._served.get((method, status))
        if child is None:
            child = self._served[method, status] = self.server_calls.labels(method, status)
        child.observe(seconds)

    def _of_calls(self, registry: CollectorRegistry) -> None:
        self.server_calls = Histogram(
            "rpc_server_call_duration_seconds",
            "Calls served, streams from their first message to their end",
            ["method", "status"],
            buckets=_LATENCY,
            registry=registry,
        )
        self.client_calls = Histogram(
            "rpc_client_call_duration_seconds",
            "Calls made to other daemons, with all their tries",
            ["method", "status"],
            buckets=_LATENCY,
            registry=registry,
        )
        self.client_retries = Counter(
            "rpc_client_retries",
            "Tries after the first, as the daemon that answered in the end counted them",
            ["method", "status"],
            registry=registry,
        )

    def _of_events(self, registry: CollectorRegistry) -> None:
        self.outbox_pending = Gauge("catalyst_outbox_pending", "Events not yet published", registry=registry)
        self.outbox_oldest = Gauge(
            "catalyst_outbox_oldest_seconds", "Age of the oldest event not yet published", registry=registry
        )
        self.outbox_published = Counter("catalyst_outbox_published", "Events published", registry=registry)
        self.inbox_handled = Counter("catalyst_inbox_handled", "Events handled", ["consumer"], registry=registry)
        self.inbox_duplicates = Counter(
            "catalyst_inbox_duplicates", "Events seen before", ["consumer"], registry=registry
        )
        self.inbox_gaps = Counter(
            "catalyst_inbox_gaps", "Versions of an aggregate that were never heard of", ["consumer"], registry=registry
        )
        self.dead_letters = Counter("catalyst_dlq_messages", "Events given up", ["consumer"], registry=registry)

    def _of_work(self, registry: CollectorRegistry) -> None:
        self.reconciled = Histogram(
            "catalyst_reconcile_duration_seconds",
            "Passes of background work, by what it works on and how the pass ended",
            ["kind", "result"],
            buckets=_OUTSIDE,
            registry=registry,
        )
        self.reconcile_oldest = Gauge(
            "catalyst_reconcile_oldest_seconds",
            "How long the longest waiting work of a kind has been due, as this replica saw it",
            ["kind"],
            registry=registry,
        )
        self.lease_held = Gauge("catalyst_lease_held", "1 while this replica holds it", ["lease"], registry=registry)
        self.lease_epoch = Gauge(
            "catalyst_lease_epoch", "Fencing number under which this replica held it last", ["lease"], registry=registry
        )

    def _of_plugins(self, registry: CollectorRegistry) -> None:
        self.plugin_calls = Counter(
            "catalyst_plugin_calls", "Calls of plugins", ["plugin", "operation", "error_class"], registry=registry
        )
        self.plugin_seconds = Histogram(
            "catalyst_plugin_call_duration_seconds",
            "Time in plugins",
            ["plugin", "operation", "error_class"],
            buckets=_OUTSIDE,
            registry=registry,
        )
        self.plugin_wait = Histogram(
            "catalyst_plugin_rate_limit_wait_seconds",
            "Time that calls waited for a turn within the limits of the plugin's manifest",
            ["plugin", "operation", "error_class"],
            buckets=_OUTSIDE,
            registry=registry,
        )

    def _of_process(self, registry: CollectorRegistry) -> None:
        self.db_pool = Gauge(
            "catalyst_db_pool_in_use", "Connections to the database that are in use", registry=registry
        )
        self.loop_lag = Gauge("catalyst_loop_lag_seconds", "How late the event loop wakes", registry=registry)
        self.build = Gauge(
            "catalyst_build_info", "1; its labels say what runs", ["service", "version"], registry=registry
        )
