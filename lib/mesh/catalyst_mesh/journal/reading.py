"""Reading runs: lists, events, logs. Nothing here writes."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, fields

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..database import Database
from ..waits import heard
from .bells import Bells
from .refusals import BadPosition, RunNotFound
from .states import RunState
from .store import Store
from .views import EventView, LogLine, RunView, view

PAGE = 500
_EVENT = tuple(f.name for f in fields(EventView) if f.name != "run")
_LINE = tuple(f.name for f in fields(LogLine) if f.name != "run")


@dataclass(frozen=True, slots=True)
class RunPage:
    """Runs, the newest first; `next_after` continues the list, empty at its end."""

    runs: Sequence[RunView]
    next_after: str


class Reading:
    """The read side of an engine. `poll` is how often, in seconds, a follower looks for what other replicas wrote."""

    def __init__(self, db: Database, store: Store, bells: Bells, poll: float) -> None:
        self._db = db
        self._store = store
        self._bells = bells
        self._poll = poll

    async def runs(
        self, *, subject: str = "", kind: str = "", live: bool = False, size: int = 50, after: str = ""
    ) -> RunPage:
        """One page of runs; empty filters match everything, `live` those that have not ended."""
        t = self._store.tables.run
        query = select(t).order_by(t.c.id.desc()).limit(size + 1)
        query = query.where(t.c.subject == subject) if subject else query
        query = query.where(t.c.kind == kind) if kind else query
        query = query.where(t.c.holds.is_not(None)) if live else query
        query = query.where(t.c.id < after) if after else query
        async with self._db.read() as sql:
            rows = (await sql.execute(query)).mappings().all()
            flows = await self._store.complete(sql, rows[:size])
        return RunPage([view(flow) for flow in flows], flows[-1].run.id if len(rows) > size else "")

    async def events(self, run_id: str, from_seq: int = 1, *, follow: bool = False) -> AsyncIterator[EventView]:
        """Events from number `from_seq` on. With `follow`, also those to come, until the run has ended."""
        if from_seq < 1:
            raise BadPosition(from_seq=from_seq)
        with self._bells.listening(run_id) as bell:
            while True:
                bell.clear()
                ended, page = await self._page(run_id, from_seq)
                for event in page:
                    yield event
                    from_seq = event.seq + 1
                if len(page) < PAGE:
                    if ended or not follow:
                        return
                    await heard(bell, self._poll)

    async def lines(
        self, run_id: str, *, step: str = "", attempt: int = 0, after: int = 0, size: int = PAGE
    ) -> Sequence[LogLine]:
        """Lines of the log with numbers above `after`, of all steps or of one, of all its tries or of one."""
        t = self._store.tables.log
        query = select(t).where((t.c.run_id == run_id) & (t.c.number > after)).order_by(t.c.number).limit(size)
        query = query.where(t.c.step == step) if step else query
        query = query.where(t.c.attempt == attempt) if attempt else query
        async with self._db.read() as sql:
            rows = (await sql.execute(query)).mappings().all()
        return [LogLine(run_id, **{name: row[name] for name in _LINE}) for row in rows]

    async def follow_lines(
        self, run_id: str, *, step: str = "", attempt: int = 0, after: int = 0
    ) -> AsyncIterator[LogLine]:
        """As `lines`, and those to come, until the run has ended."""
        with self._bells.listening(run_id) as bell:
            while True:
                bell.clear()
                # The state first: what was written before the end is then among the lines that are read after it.
                async with self._db.read() as sql:
                    ended = await self._ended(sql, run_id)
                page = await self.lines(run_id, step=step, attempt=attempt, after=after)
                for line in page:
                    yield line
                    after = line.number
                if len(page) < PAGE:
                    if ended:
                        return
                    await heard(bell, self._poll)

    async def _page(self, run_id: str, from_seq: int) -> tuple[bool, Sequence[EventView]]:
        t = self._store.tables.event
        query = select(t).where((t.c.run_id == run_id) & (t.c.seq >= from_seq)).order_by(t.c.seq).limit(PAGE)
        async with self._db.read() as sql:
            # The state first: what ended the run is then among the events that are read after it.
            ended = await self._ended(sql, run_id)
            rows = (await sql.execute(query)).mappings().all()
        return ended, [EventView(run_id, **{name: row[name] for name in _EVENT}) for row in rows]

    async def _ended(self, sql: AsyncConnection, run_id: str) -> bool:
        t = self._store.tables.run
        state = (await sql.execute(select(t.c.state).where(t.c.id == run_id))).scalar_one_or_none()
        if state is None:
            raise RunNotFound(run=run_id)
        return RunState(state).ended
