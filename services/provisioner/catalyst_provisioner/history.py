"""What past runs took, read from the journal now and then."""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from catalyst_mesh import Work
from sqlalchemy import select

from .domain import estimates
from .store import Store, metadata

RUNS, STEPS = metadata.tables["journal_run"], metadata.tables["journal_step"]
REMEMBERED = 20
"""Runs that count."""
FRESH = 60.0
"""Seconds for which an answer is good: a minute's run more or less moves no median."""


class History:
    """Usual lengths of the steps of a kind of run."""

    def __init__(self, work: Work[Store], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._work = work
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, Mapping[str, timedelta]]] = {}

    async def usual(self, kind: str) -> Mapping[str, timedelta]:
        """Length by key; see `estimates.key_of`."""
        at, found = self._known.get(kind, (-FRESH, {}))
        if self._monotonic() - at >= FRESH:
            found = await self._read(kind)
            self._known[kind] = (self._monotonic(), found)
        return found

    async def _read(self, kind: str) -> Mapping[str, timedelta]:
        last = select(RUNS.c.id).where((RUNS.c.kind == kind) & (RUNS.c.state == "succeeded"))
        last = last.order_by(RUNS.c.id.desc()).limit(REMEMBERED)
        columns = (STEPS.c.name, STEPS.c.cluster, STEPS.c.started_at, STEPS.c.finished_at)
        async with self._work.reading() as tx:
            ids = list((await tx.sql.execute(last)).scalars())
            query = select(*columns).where(STEPS.c.run_id.in_(ids) & (STEPS.c.state == "succeeded"))
            rows = (await tx.sql.execute(query)).all() if ids else []
        return estimates.usual(
            (estimates.key_of(row.name, row.cluster), row.finished_at - row.started_at)
            for row in rows
            if row.started_at and row.finished_at
        )
