"""What an operator sees of the cells."""

from catalyst_continuum.workers.register import Register
from catalyst_continuum.workers.witness_metrics import WitnessMetrics
from prometheus_client import CollectorRegistry

from .test_register import SLOT, count
from .witnesses import MemoryWitness


async def test_swaps_slow_rounds_and_lost_cells_are_counted() -> None:
    registry, cells = CollectorRegistry(), MemoryWitness()
    register = Register(cells, "p-1", metrics=WitnessMetrics(registry))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"catalyst_continuum_{name}", labels)

    for _ in range(3):
        await register.change(SLOT, count)
    await register.close()
    assert value("register_slow_path_total") == 1, "renewals go on from the promises that they have"
    assert value("witness_swap_total", cell="a", result="applied") == 4
    assert value("witness_swap_seconds_count", cell="a") == 4
    assert value("witness_quorum") == 1
    await Register(cells, "p-2").change(SLOT, count)
    await register.change(SLOT, count)
    assert (value("register_conflicts_total") or 0) > 0, "somebody else wrote meanwhile"
    cells.down = {"a"}
    del cells.values["b", SLOT]
    await register.look(SLOT)
    states = {state: value("witness_cells", state=state) for state in ("sound", "silent", "quarantined")}
    assert states == {"sound": 1, "silent": 1, "quarantined": 1}
    assert value("witness_quorum") == 0
