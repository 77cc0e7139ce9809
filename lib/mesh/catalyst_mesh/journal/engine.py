"""The engine: starting runs, asking something of them, looking at them, and working on them.

Nothing above this class may know how runs are carried.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any, TypeAlias
from uuid import uuid4

from sqlalchemy import ColumnElement, MetaData, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ..bell import Bell
from ..calls import ongoing
from ..clocks import Clock, SystemClock
from ..database import Database
from ..failpoints import Failpoints
from ..logs import get_logger
from . import commands
from .bells import Bells
from .claims import Claims
from .context import as_json
from .draft import Decided
from .graph import Kind, difference, ordered
from .leasing import LeaseTerms, database_milliseconds
from .reading import Reading, RunPage
from .refusals import KeyReused, KindUnknown, RunInProgress
from .states import CancelMode, Flow, StepView
from .store import Hook, Store, no_hook
from .tables import journal_tables
from .views import EventView, GraphView, LogLine, RunView, view
from .worker import DRAIN_GRACE, Worker

Sql: TypeAlias = AsyncConnection | None
"""A transaction of the caller's: what is read is kept for it, what is asked happens if and only if it is committed; call
`wake` afterwards. None: one of the engine's own."""


class Engine:
    """Carries the runs of one daemon; as many as there are replicas may work on one database.

    kinds        the kinds of runs that this daemon has
    clock        for waits and deadlines; leases go by the database's clock
    replica      name of this replica, for people; each engine adds a mark of its own
    lease        how long a run stays with a replica that is not heard of
    poll         seconds between two looks at what other replicas have written
    concurrency  steps under way at a time
    runs         runs at hand at a time
    hook         called by tests' failpoints before and after each statement and effect
    lease_now    the database's clock in milliseconds as an expression, for tests that move it
    monotonic    this machine's steady clock, by which the replica gives up a lease early; likewise
    bell         rings for the outbox after each transition, where a kind's hook writes what is told into it
    """

    def __init__(
        self,
        db: Database,
        *,
        kinds: Iterable[Kind],
        clock: Clock | None = None,
        replica: str = "",
        lease: timedelta = timedelta(seconds=15),
        poll: float = 0.3,
        concurrency: int = 64,
        runs: int = 256,
        hook: Hook = no_hook,
        lease_now: Callable[[], ColumnElement[int]] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        rng: Random | None = None,
        bell: Bell | None = None,
    ) -> None:
        self._db = db
        self._clock = clock or SystemClock()
        self._kinds = {kind.name: kind for kind in kinds}
        terms = LeaseTerms(lease, lease_now or partial(database_milliseconds, db.dialect), monotonic)
        self._store = Store(journal_tables(MetaData()), self._kinds, terms, hook)
        self._bells = Bells(bell)
        self._reading = Reading(db, self._store, self._bells, poll)
        self.owner = f"{replica or 'replica'}.{uuid4().hex[:12]}"
        self._worker = Worker(
            db,
            self._store,
            self._kinds,
            Claims(db, self._store, self._kinds, self.owner),
            clock=self._clock,
            bells=self._bells,
            concurrency=concurrency,
            runs=runs,
            poll=poll,
            rng=rng or Random(),  # noqa: S311 - jitter, no secret
            log=get_logger("journal"),
        )

    def arm(self, failpoints: Failpoints) -> None:
        """Have tests end this process at places of the journal; before `run`."""
        before = self._store.hook

        def both(point: str) -> None:
            before(point)
            failpoints.hook(point)

        self._store.hook = both

    async def run(self, stop: asyncio.Event, *, grace: float = DRAIN_GRACE) -> None:
        """Work on runs until `stop`; then give what is under way `grace` seconds to end, and let all runs go."""
        await self._worker.run(stop, grace)

    async def turn(self) -> int:
        """Carry what is due now to where it ends or waits; how many runs that were. For tests and tools."""
        return await self._worker.turn()

    def wake(self) -> None:
        """Look for work now; call it after the commit of a transaction with `start_in`."""
        self._worker.nudge.set()

    async def start(self, kind: str, *, subject: str, key: str, input: Any, by: str = "") -> RunView:
        """Start a run, or find the one that `key` has started. Raises RunInProgress, KeyReused."""
        async with self._db.begin() as sql:
            run = await self.start_in(sql, kind, subject=subject, key=key, input=input, by=by)
            self._store.hook("start.commit.before")
        self.wake()
        return run

    async def start_in(
        self, sql: AsyncConnection, kind: str, *, subject: str, key: str, input: Any, by: str = "", id: str = ""
    ) -> RunView:
        """As `start`, inside the caller's transaction: the run exists if and only if that is committed.

        id   the run's, from `new_id`, where something has to name it beforehand
        """
        known = await self._started_by(sql, kind, subject, key, input)
        if known is not None:
            return view(known)
        if kind not in self._kinds:
            raise KindUnknown(kind=kind)
        now, stored = self._clock.now(), as_json(input)
        graph = ordered(self._kinds[kind].graph(stored))
        trace = served.traceparent if (served := ongoing()) else ""
        decided = commands.create(
            id or new_id(now),
            kind,
            subject=subject,
            key=key,
            input=stored,
            by=by,
            graph=graph,
            now=now,
            traceparent=trace,
        )
        flow = await self._store.create(sql, decided, now)
        # Nothing stored: somebody was faster with this key, or with this subject.
        flow = flow or await self._started_by(sql, kind, subject, key, input)
        if flow is None:
            raise RunInProgress(subject=subject, run=await self._holder(sql, subject) or "?")
        return view(flow)

    async def cancel(
        self, run: str, mode: CancelMode | str = CancelMode.FINISH_STEP, *, by: str = "", sql: Sql = None
    ) -> RunView:
        """Cancel `run`. `finish_step` leaves what stands, `compensate` undoes it; calls under way are awaited."""
        return await self._command(run, partial(commands.cancel, mode=CancelMode(mode), by=by), sql)

    async def retry(self, run: str, step: str, *, by: str = "", sql: Sql = None) -> RunView:
        """Run a failed step again, and what was skipped because of it; have one that rests before its next try do so now.

        Raises RunInProgress for an ended run whose subject has another one by now.
        """
        return await self._command(run, partial(commands.retry, step=step, by=by), sql)

    async def skip(self, run: str, step: str, reason: str, *, by: str = "", sql: Sql = None) -> RunView:
        """Leave out a step that the graph marks as skippable."""
        return await self._command(run, partial(commands.skip, step=step, reason=reason, by=by), sql)

    async def pause(self, run: str, *, reason: str = "", by: str = "", sql: Sql = None) -> RunView:
        """Start no more steps; those under way end."""
        return await self._command(run, partial(commands.pause, reason=reason, by=by), sql)

    async def resume(self, run: str, *, by: str = "", sql: Sql = None) -> RunView:
        """Go on after a pause, or after a run got stuck."""
        return await self._command(run, partial(commands.resume, by=by), sql)

    async def signal(self, run: str, name: str, payload: Any = None, *, by: str = "", sql: Sql = None) -> RunView:
        """Send a signal; the first step that waits or will wait for `name` takes it."""
        return await self._command(run, partial(commands.signal, name=name, payload=as_json(payload), by=by), sql)

    async def status(self, run: str, *, sql: Sql = None) -> RunView:
        """Where `run` is. Raises RunNotFound."""
        return view(await self._load(run, sql))

    async def steps(self, run: str, *, sql: Sql = None) -> Sequence[StepView]:
        """The steps of `run`, none before what it needs."""
        return tuple((await self._load(run, sql)).steps.values())

    async def graph(self, run: str) -> GraphView:
        """The stored graph of `run`, and how the code of today differs from it."""
        flow = await self._load(run)
        kind = self._kinds.get(flow.run.kind)
        code = ordered(kind.graph(flow.run.input)) if kind else {}
        edges = tuple((need, step.name) for step in flow.steps.values() for need in step.needs)
        return GraphView(tuple(flow.steps.values()), edges, difference(flow.steps, code))

    def events(self, run: str, from_seq: int = 1, *, follow: bool = False) -> AsyncIterator[EventView]:
        """Events of `run` from number `from_seq` on; with `follow`, until the run has ended."""
        return self._reading.events(run, from_seq, follow=follow)

    async def logs(
        self, run: str, *, step: str = "", attempt: int = 0, after: int = 0, size: int = 500
    ) -> Sequence[LogLine]:
        """Lines of the log with numbers above `after`."""
        return await self._reading.lines(run, step=step, attempt=attempt, after=after, size=size)

    def watch_logs(self, run: str, *, step: str = "", attempt: int = 0, after: int = 0) -> AsyncIterator[LogLine]:
        """As `logs`, and the lines to come, until the run has ended."""
        return self._reading.follow_lines(run, step=step, attempt=attempt, after=after)

    async def list(
        self, *, subject: str = "", kind: str = "", live: bool = False, size: int = 50, after: str = ""
    ) -> RunPage:
        """Runs, the newest first; `after` is the `next_after` of the page before."""
        return await self._reading.runs(subject=subject, kind=kind, live=live, size=size, after=after)

    async def _command(self, run: str, decide: Callable[[Flow, datetime], Decided], sql: Sql = None) -> RunView:
        try:
            if sql is not None:
                new = await self._decide(sql, run, decide)
            else:
                async with self._db.begin() as own:
                    new = await self._decide(own, run, decide)
                    self._store.hook("command.commit.before")
        except IntegrityError as error:
            raise await self._in_progress(run, error) from error
        self._bells.ring(run)
        self.wake()
        return view(new)

    async def _decide(self, sql: AsyncConnection, run: str, decide: Callable[[Flow, datetime], Decided]) -> Flow:
        old = await self._store.load(sql, run, lock=True)
        decided = decide(old, now := self._clock.now())
        new = await self._store.write(sql, old, decided, now) if decided.notes else old
        assert new is not None, "the row is locked, so nobody else can have moved it"
        return new

    async def _in_progress(self, run: str, error: IntegrityError) -> Exception:
        """What a broken constraint means: a run that had ended goes on, but its subject has another one by now."""
        async with self._db.read() as sql:
            subject = (await self._store.load(sql, run)).run.subject
            holder = await self._holder(sql, subject)
        return RunInProgress(subject=subject, run=holder) if holder not in {None, run} else error

    async def _load(self, run: str, sql: Sql = None) -> Flow:
        if sql is not None:
            return await self._store.load(sql, run, lock=True)
        async with self._db.read() as own:
            return await self._store.load(own, run)

    async def _holder(self, sql: AsyncConnection, subject: str) -> str | None:
        t = self._store.tables.run
        holder: str | None = (await sql.execute(select(t.c.id).where(t.c.holds == subject))).scalar_one_or_none()
        return holder

    async def _started_by(self, sql: AsyncConnection, kind: str, subject: str, key: str, input: Any) -> Flow | None:
        t = self._store.tables.run
        query = select(t.c.id).where((t.c.kind == kind) & (t.c.key == key))
        run_id = (await sql.execute(query)).scalar_one_or_none()
        if run_id is None:
            return None
        flow = await self._store.load(sql, run_id)
        if (flow.run.subject, flow.run.input) != (subject, as_json(input)):
            raise KeyReused(key=key, run=run_id)
        return flow


def new_id(now: datetime) -> str:
    """An id that sorts by the moment of its making."""
    return f"run-{int(now.timestamp() * 1000):012x}{secrets.token_hex(6)}"
