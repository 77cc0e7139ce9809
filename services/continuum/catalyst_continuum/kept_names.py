"""Names under which the earlier system measured, kept for whoever asks for them (specification, section 7.3).

They say nothing that is not said under `catalyst_continuum_` too. What is not known has no sample.
"""

from collections.abc import Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge

from .domain.status import Facts

_WHERE = ("slot", "region")


class KeptNames:
    """In the registry of the chassis."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lease = Gauge(
            "failover_lease_status", "1 while the region holds the slot by the register", _WHERE, registry=registry
        )
        self._witness = Gauge(
            "failover_witness_reachable", "1 while a majority of cells answers", _WHERE, registry=registry
        )
        self._moved = Gauge(
            "failover_last_failover_time", "When the slot was last moved, in Unix time", ("slot",), registry=registry
        )
        self._lag = Gauge(
            "cnpg_sync_lag_bytes", "Of log that a synchronous standby has not replayed", _WHERE, registry=registry
        )
        self._waiting = Gauge(
            "cnpg_in_flight_commits", "Commits that wait for a synchronous standby", _WHERE, registry=registry
        )

    def slot(self, slot: str, facts: Facts) -> Mapping[tuple[Gauge, tuple[str, ...]], float | None]:
        """What a region's agent knows, by gauge and labels; None: no sample."""
        here, is_primary = (slot, facts.region), facts.holder == facts.region
        answers = None if facts.cells_up is None else facts.cells_up >= (facts.cells_needed or 0)
        found: dict[tuple[Gauge, tuple[str, ...]], float | None] = {
            (self._lease, here): None if facts.record is None else is_primary,
            (self._witness, here): answers,
            (self._waiting, here): facts.waiting if is_primary else None,
        }
        for region, gap in facts.gaps.items():
            found[self._lag, (slot, region)] = gap if facts.sync is not None and region in facts.sync else None
        return found

    def moved(self, slot: str, at: datetime) -> None:
        """The slot is in another region."""
        self._moved.labels(slot).set(at.timestamp())
