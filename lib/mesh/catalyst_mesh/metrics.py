"""The chassis' own metrics; each daemon's stand beside its code. Labels are small closed sets (conventions, section 5)."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_LATENCY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class ChassisMetrics:
    """What every daemon measures about itself."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.registry = registry
        self.server_calls = Histogram(
            "rpc_server_call_duration_seconds",
            "Calls served",
            ["method", "status"],
            buckets=_LATENCY,
            registry=registry,
        )
        self.outbox_pending = Gauge("catalyst_outbox_pending", "Events not yet published", registry=registry)
        self.outbox_oldest = Gauge(
            "catalyst_outbox_oldest_seconds", "Age of the oldest event never published", registry=registry
        )
        self.outbox_published = Counter("catalyst_outbox_published", "Events published", registry=registry)
        self.inbox_handled = Counter("catalyst_inbox_handled", "Events handled", ["consumer"], registry=registry)
        self.inbox_duplicates = Counter(
            "catalyst_inbox_duplicates", "Events seen before", ["consumer"], registry=registry
        )
        self.inbox_gaps = Counter(
            "catalyst_inbox_gaps", "Events whose predecessor never came", ["consumer"], registry=registry
        )
        self.dead_letters = Counter("catalyst_dlq_messages", "Events given up", ["consumer"], registry=registry)
        self.plugin_calls = Counter(
            "catalyst_plugin_calls", "Calls of plugins", ["plugin", "operation", "error_class"], registry=registry
        )
        self.plugin_seconds = Histogram(
            "catalyst_plugin_call_duration_seconds", "Time in plugins", ["plugin", "operation"], registry=registry
        )
        self.lease_held = Gauge("catalyst_lease_held", "1 while this replica holds it", ["lease"], registry=registry)
        self.lease_epoch = Gauge("catalyst_lease_epoch", "Fence of the lease last held", ["lease"], registry=registry)
        self.loop_lag = Gauge("catalyst_loop_lag_seconds", "How late the event loop wakes", registry=registry)
