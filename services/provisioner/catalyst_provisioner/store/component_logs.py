"""Lines about components: numbered from 1 without a gap, the oldest give way."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from catalyst_mesh import Transaction
from sqlalchemy import ColumnElement, delete, func, insert, select

from .tables import component_lines as t

LINES_KEPT = 5000
"""Lines that are kept of one component."""


@dataclass(frozen=True, slots=True)
class ComponentLine:
    """One line."""

    sovereign: str
    cluster: str
    component: str
    number: int
    at: datetime
    level: str
    text: str
    truncated: bool


class ComponentLogs(Transaction):
    """Logs of components."""

    async def add_lines(
        self, sovereign: str, cluster: str, component: str, lines: Sequence[tuple[datetime, str, str, bool]]
    ) -> None:
        """Moment, level, text and whether it was cut, of each line, behind those that are there."""
        mine = _mine(sovereign, cluster, component)
        last = int((await self.sql.execute(select(func.max(t.c.number)).where(mine))).scalar_one() or 0)
        rows = [
            asdict(ComponentLine(sovereign, cluster, component, last + n, *line)) for n, line in enumerate(lines, 1)
        ]
        await self.sql.execute(insert(t), rows)
        await self.sql.execute(delete(t).where(mine & (t.c.number <= last + len(rows) - LINES_KEPT)))

    async def component_lines(
        self, sovereign: str, cluster: str, component: str, *, after: int, limit: int
    ) -> list[ComponentLine]:
        """Lines with numbers above `after`."""
        query = select(t).where(_mine(sovereign, cluster, component) & (t.c.number > after)).order_by(t.c.number)
        return [ComponentLine(**row) for row in (await self.sql.execute(query.limit(limit))).mappings()]


def _mine(sovereign: str, cluster: str, component: str) -> ColumnElement[bool]:
    return (t.c.sovereign == sovereign) & (t.c.cluster == cluster) & (t.c.component == component)
