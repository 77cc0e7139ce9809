"""A replica's hold on one run: its fence, how long it may believe in its lease, and the one way to write.

Invariants
  one at a time   writes of a hold queue; each is decided on the flow that the one before has left;
  decided on all  what others have written meanwhile (a cancel, a signal) is read, and the decision is made anew;
  known end       a commit whose answer was lost is looked up before it is repeated, so it happens once;
  let go          a hold that may have been lost writes nothing and raises Fenced.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..clocks import Clock
from ..database import Database, is_outage
from ..ready import Found
from .bells import Bells
from .draft import Decided
from .failures import Fenced
from .logbook import RUN_MOST, Line, Logbook, within
from .states import Flow
from .store import Guard, Store

A = TypeVar("A")
Decide = Callable[[Flow, datetime], Decided]
PAUSE = 0.2
"""Seconds between two questions to a database that is away."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a sub-effect."""

    done: bool
    result: Any


class Hold:
    """A run in the hands of this replica, from a claim until it ends, is let go or is lost."""

    def __init__(self, db: Database, store: Store, flow: Flow, *, clock: Clock, bells: Bells, asked: float) -> None:
        assert flow.run.owner is not None
        self.flow = flow
        self._stored = flow
        self.run_id = flow.run.id
        self.owner = flow.run.owner
        self.fence = flow.run.fence
        self.clock = clock
        self.logbook = Logbook(self._write_lines)
        self._db = db
        self._store = store
        self._bells = bells
        self._turn = asyncio.Lock()
        self._asked = asked

    def hook(self, point: str) -> None:
        """Name a point at which a test may want to crash."""
        self._store.hook(point)

    def renewed(self, asked: float) -> None:
        """The lease was renewed by a statement that was sent at `asked`, on the monotonic clock."""
        self._asked = max(self._asked, asked)

    @property
    def trusted(self) -> bool:
        """Whether this replica may believe that the run is still its own."""
        terms = self._store.terms
        return terms.monotonic() - self._asked < terms.trusted

    @property
    def held(self) -> bool:
        """Whether the run was neither ended nor let go by what this hold has seen."""
        return self.flow.run.owner == self.owner and self.flow.run.fence == self.fence

    async def apply(self, decide: Decide) -> Flow:
        """Write what `decide` makes of the flow; the flow after it. Raises Fenced."""
        async with self._turn:
            stamp = uuid4().hex
            while True:
                now = self.clock.now()
                decided = decide(self.flow, now)
                if not decided.notes and decided.flow == self.flow:
                    return self.flow
                if not decided.is_stored:
                    self._must_trust()
                    self.flow = decided.flow
                    return self.flow

                async def write(
                    sql: AsyncConnection, guard: Guard, d: Decided = decided, at: datetime = now
                ) -> Flow | None:
                    return await self._store.write(sql, self._stored, d, at, guard=guard)

                new = await self._attempt(write, stamp)
                if new is not None:
                    self._take_note(new, rang=bool(decided.notes))
                    return self.flow
                if await self._reload(stamp):
                    return self.flow

    async def refresh(self) -> Flow:
        """Read what others have written. Raises Fenced where the run was taken over."""
        async with self._turn:
            await self._reload(stamp="nobody's")
            return self.flow

    async def once(self, step: str, name: str) -> Kept | None:
        """What is known of the sub-effect `name` of `step`."""
        t = self._store.tables.once
        query = select(t.c.done, t.c.result).where(
            (t.c.run_id == self.run_id) & (t.c.step == step) & (t.c.name == name)
        )
        found = (await self._asked_for(lambda sql: sql.execute(query))).one_or_none()
        return Kept(found.done, found.result) if found else None

    async def intend_once(self, step: str, name: str) -> None:
        """Write down that the sub-effect is about to happen."""
        t = self._store.tables.once
        row = {"run_id": self.run_id, "step": step, "name": name, "done": False, "result": None}

        async def write(sql: AsyncConnection, _run: Found) -> None:
            await self._store.run(sql, "once", insert(t).values(**row, at=self.clock.now()))

        await self.fenced(write)

    async def keep_once(self, step: str, name: str, result: Any, *, known: bool) -> Any:
        """Write down what the sub-effect returned. `known`: its intent was written before."""
        t = self._store.tables.once
        mine = (t.c.run_id == self.run_id) & (t.c.step == step) & (t.c.name == name)
        values = {"done": True, "result": result, "at": self.clock.now()}
        statement = update(t).where(mine).values(**values) if known else insert(t).values(
            run_id=self.run_id, step=step, name=name, **values
        )  # fmt: skip

        async def write(sql: AsyncConnection, _run: Found) -> None:
            await self._store.run(sql, "once", statement)

        await self.fenced(write)
        return result

    async def fenced(self, write: Callable[[AsyncConnection, Found], Awaitable[None]], **values: Any) -> None:
        """Write something beside the flow, under the fence, without an event. Raises Fenced."""
        async with self._turn:
            stamp = uuid4().hex

            async def both(sql: AsyncConnection, guard: Guard) -> bool | None:
                run = await self._store.touch(sql, self.run_id, guard, **values)
                if run is None:
                    return None
                await write(sql, run)
                return True

            while await self._attempt(both, stamp) is None:
                if await self._reload(stamp):
                    return

    async def guard(self, sql: AsyncConnection) -> None:
        """First in a transaction of the step's own: nobody takes the run over until it ends. Raises Fenced."""
        self._must_trust()
        t = self._store.tables.run
        mine = (t.c.id == self.run_id) & (t.c.owner == self.owner) & (t.c.fence == self.fence)
        query = select(t.c.id).where(mine)
        if self._db.has_row_locks:
            # FOR KEY SHARE keeps off a takeover's FOR UPDATE, but not the transitions and renewals of this hold.
            query = query.with_for_update(read=True, key_share=True)
        if (await sql.execute(query)).first() is None:
            raise Fenced(self.run_id)

    async def _write_lines(self, lines: list[Line]) -> None:
        run, log = self._store.tables.run, self._store.tables.log

        async def write(sql: AsyncConnection, row: Found) -> None:
            kept, size = within(lines, RUN_MOST - row["log_bytes"])
            if not kept:
                return
            first = row["log_lines"] + 1
            rows = [
                {"run_id": self.run_id, "number": first + i, "at": line.at, "step": line.step}
                | {"attempt": line.attempt, "level": line.level, "text": line.text}
                for i, line in enumerate(kept)
            ]
            await self._store.run(sql, "log", insert(log), rows)
            counted = {"log_lines": row["log_lines"] + len(kept), "log_bytes": row["log_bytes"] + size}
            await self._store.run(sql, "log", update(run).where(run.c.id == self.run_id).values(**counted))

        await self.fenced(write)
        self._bells.ring(self.run_id)

    async def _attempt(self, write: Callable[[AsyncConnection, Guard], Awaitable[Any]], stamp: str) -> Any:
        """One transaction. None: nothing was written, or nobody knows."""
        self._must_trust()
        asked = self._store.terms.monotonic()
        try:
            async with self._db.begin() as sql:
                result = await write(sql, Guard(self.owner, self.fence, stamp))
                self.hook("commit.before")
            self.hook("commit.after")
        except Exception as error:
            if not is_outage(error):
                raise
            return None
        if result is not None:
            self.renewed(asked)
        return result

    async def _reload(self, stamp: str) -> bool:
        """Read the flow anew; whether the transaction with `stamp` was committed. Raises Fenced."""
        t = self._store.tables.run

        async def ask(sql: AsyncConnection) -> tuple[Flow, str]:
            flow = await self._store.load(sql, self.run_id)
            return flow, (await sql.execute(select(t.c.stamp).where(t.c.id == self.run_id))).scalar_one()

        flow, written = await self._asked_for(ask)
        committed = flow.run.fence == self.fence and written == stamp
        if not committed and (flow.run.fence, flow.run.owner) != (self.fence, self.owner):
            raise Fenced(self.run_id)
        self._take_note(flow, rang=flow.run.seq != self.flow.run.seq)
        return committed

    async def _asked_for(self, ask: Callable[[AsyncConnection], Awaitable[A]]) -> A:
        """What the database answers as soon as it does. Raises Fenced when that takes too long."""
        while True:
            self._must_trust()
            try:
                async with self._db.read() as sql:
                    return await ask(sql)
            except Exception as error:
                if not is_outage(error):
                    raise
            await asyncio.sleep(PAUSE)

    def _must_trust(self) -> None:
        if not self.trusted:
            raise Fenced(f"the lease of {self.run_id} may be over")

    def _take_note(self, flow: Flow, *, rang: bool) -> None:
        self.flow = self._stored = flow
        if rang:
            self._bells.ring(self.run_id)
