"""What `quality.md` names and nothing here measures yet: it stands in the table, with the reason."""

from .harness import Goal, Row, measured
from .table import Table

MISSING = (("plugin out of the process", Goal("p50", 1.3, "the same plugin inside"), "plugins run inside only"),)


@measured
async def test_what_is_not_measured(table: Table) -> None:
    for capability, goal, why in MISSING:
        table.add(Row(capability, goal, why=why))
