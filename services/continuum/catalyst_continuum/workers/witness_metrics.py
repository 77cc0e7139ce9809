"""What is measured of cells and of the register over them (continuum specification, section 7.3)."""

from collections import Counter as Count
from collections.abc import Iterable, Mapping

from catalyst_sdk.witness import Swap
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SWAP = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
SOUND, SILENT, QUARANTINED = "sound", "silent", "quarantined"
"""States of a cell: it counts; it does not answer, or not in a way that counts; it shows less than it once did."""


class WitnessMetrics:
    """In the registry of the chassis. Cells are labels: there are at most seven of them, and the configuration names them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "catalyst_continuum_witness_swap_seconds", "One compare-and-swap at one cell", ["cell"],
            buckets=_SWAP, registry=registry,
        )  # fmt: skip
        self._swaps = Counter(
            "catalyst_continuum_witness_swap", "Compare-and-swaps by what became of them", ["cell", "result"],
            registry=registry,
        )  # fmt: skip
        self._conflicts = Counter(
            "catalyst_continuum_register_conflicts",
            "Rounds that were begun again with a higher ballot",
            registry=registry,
        )
        self._slow = Counter(
            "catalyst_continuum_register_slow_path",
            "Rounds that had to ask cells for promises first",
            registry=registry,
        )
        self._cells = Gauge(
            "catalyst_continuum_witness_cells", "Cells by how they were at the last look", ["state"], registry=registry
        )
        self._quorum = Gauge(
            "catalyst_continuum_witness_quorum",
            "1 while a majority of cells counted at the last look",
            registry=registry,
        )

    def swapped(self, cell: str, told: Swap, seconds: float) -> None:
        """A swap was tried."""
        self._seconds.labels(cell).observe(seconds)
        self._swaps.labels(cell, told.value).inc()

    def round(self, *, asks: bool, again: bool) -> None:
        """A round ended: whether it asked for promises, and whether another one follows."""
        self._slow.inc(asks)
        self._conflicts.inc(again)

    def seen(self, states: Iterable[str], quorum: int) -> None:
        """How the cells are."""
        counts: Mapping[str, int] = Count(states)
        for state in (SOUND, SILENT, QUARANTINED):
            self._cells.labels(state).set(counts.get(state, 0))
        self._quorum.set(counts.get(SOUND, 0) >= quorum)
