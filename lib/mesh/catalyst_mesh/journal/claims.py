"""Which runs are anybody's to take, taking them, and keeping the leases of those that are held."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import uuid4

from sqlalchemy import ColumnElement, Select, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..database import Database
from . import forward
from .graph import Kind
from .states import Flow
from .store import Guard, Store


class Claims:
    """The claims of one incarnation of one replica; `owner` is its name, never used again after it has stopped."""

    def __init__(self, db: Database, store: Store, kinds: Mapping[str, Kind], owner: str) -> None:
        self._db = db
        self._store = store
        self._kinds = kinds
        self.owner = owner
        self.next_wake: datetime | None = None
        """When a run that nobody holds was to go on, at the last look."""

    async def take(self, now: datetime, *, kinds: Collection[str], but: Collection[str]) -> Flow | None:
        """Take the run that has been due for the longest, of one of `kinds` and none of the ids in `but`.

        returns  the run, now held; None: there is nothing to do, or another replica was faster
        """
        if not kinds:
            return None
        async with self._db.read() as sql:
            first = (await sql.execute(self._free(kinds, but))).first()
        self.next_wake = first.wake_at if first else None
        if first is None or first.wake_at > now:
            return None
        async with self._db.begin() as sql:
            due = self._free(kinds, but).where(self._store.tables.run.c.wake_at <= now)
            query = due.with_for_update(skip_locked=True)
            run_id = (await self._store.run(sql, "claim.pick", query)).scalar_one_or_none()
            if run_id is None:
                return None
            flow = await self._take(sql, run_id, now)
            self._store.hook("claim.commit.before")
        self._store.hook("claim.commit.after")
        return flow

    async def renew(self, held: Mapping[str, int]) -> set[str]:
        """Renew the leases of `held`, fence by run; those that are still ours."""
        if not held:
            return set()
        t = self._store.tables.run
        mine = (t.c.owner == self.owner) & t.c.id.in_(held)
        statement = update(t).where(mine).values(lease_until=self._store.terms.until).returning(t.c.id, t.c.fence)
        async with self._db.begin(urgent=True) as sql:
            rows = (await sql.execute(statement)).all()
        return {run_id for run_id, fence in rows if held[run_id] == fence}

    async def numbers(self) -> dict[str, int]:
        """The number of the newest event of each run that is ours: how a holder notices what others asked of it."""
        t = self._store.tables.run
        async with self._db.read() as sql:
            rows = (await sql.execute(select(t.c.id, t.c.seq).where(t.c.owner == self.owner))).all()
        return {row.id: row.seq for row in rows}

    def _free(self, kinds: Collection[str], but: Collection[str]) -> Select[tuple[str, datetime]]:
        t = self._store.tables.run
        free: ColumnElement[bool] = or_(t.c.owner.is_(None), t.c.lease_until < self._store.terms.now())
        mine = t.c.wake_at.is_not(None) & t.c.kind.in_(kinds) & free & t.c.id.not_in(but)
        # The one that has been due for the longest first: nobody is passed over for ever.
        return select(t.c.id, t.c.wake_at).where(mine).order_by(t.c.wake_at, t.c.id).limit(1)

    async def _take(self, sql: AsyncConnection, run_id: str, now: datetime) -> Flow | None:
        old = await self._store.load(sql, run_id)
        decided = forward.take_up(old, now, owner=self.owner, most=self._kinds[old.run.kind].takeovers)
        guard = Guard(old.run.owner, old.run.fence, uuid4().hex)
        return await self._store.write(sql, old, decided, now, guard=guard)
