"""How long the chassis' own rows are kept, and who takes them away.

Invariants
  a replay is whole  what was published can be sent again for seven days;
  no second effect   inbox rows outlive the outbox rows of their events and what the stream still holds, so that whatever
                     is delivered again meets its row;
  numbers grow       the newest outbox row stays, or SQLite would give its number again and consumers would take what comes
                     next for something older;
  small bites        no transaction of the sweeper takes more than a few hundred rows, and one replica sweeps at a time.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, MetaData, Table, delete, func, select, true, tuple_

from .database import Database, is_outage
from .leases import Leases
from .logs import get_logger
from .waits import rest

OUTBOX_KEPT = timedelta(days=7)
"""After the first publication; what waits is never taken away."""
INBOX_KEPT = timedelta(days=14)
ANSWERS_KEPT = timedelta(hours=24)
"""For so long a repeated `request_id` gets the first answer."""
BITE = 500
"""Rows of one transaction."""
PAUSE = 600.0
"""Seconds between two rounds."""
BREATH = 0.05
"""Seconds between two bites, in which others write."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Rows of one table, and the moment from which their age counts."""

    table: Table
    since: ColumnElement[datetime]
    kept: timedelta
    done: ColumnElement[bool] = field(default_factory=true)
    """Rows that may be taken away at all."""


def rules(metadata: MetaData) -> tuple[Rule, ...]:
    """What is swept of the chassis' tables."""
    outbox, inbox, seen, answers = (metadata.tables[n] for n in ("outbox", "inbox", "inbox_seen", "idempotency"))
    published = func.coalesce(outbox.c.first_published_at, outbox.c.published_at)
    newest = select(func.max(outbox.c.number)).scalar_subquery()
    return (
        Rule(outbox, published, OUTBOX_KEPT, outbox.c.published_at.is_not(None) & (outbox.c.number < newest)),
        Rule(inbox, inbox.c.handled_at, INBOX_KEPT),
        Rule(seen, seen.c.seen_at, INBOX_KEPT),
        Rule(answers, answers.c.created_at, ANSWERS_KEPT),
    )


class Sweeper:
    """Takes away the chassis' old rows of one daemon, and what the daemon adds to them."""

    def __init__(
        self, db: Database, metadata: MetaData, leases: Leases, *, also: Sequence[Rule] = (), pause: float = PAUSE
    ) -> None:
        """`also` are rows of the daemon's own that grow old."""
        self._db = db
        self._rules: Sequence[Rule] = (*rules(metadata), *also)
        self._leases = leases
        self._pause = pause
        self._log = get_logger("sweeper")

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep at once and then every few minutes, until `stop`."""
        while not stop.is_set():
            try:
                await self._round(stop)
            except Exception as error:
                if not is_outage(error):
                    raise
                self._log.debug("database away", error=repr(error))
            await self._leases.release("sweep")
            await rest(stop, self._pause)

    async def _round(self, stop: asyncio.Event) -> None:
        for rule in self._rules:
            # Another replica that sweeps will do it all.
            while not stop.is_set() and await self._leases.acquire("sweep") is not None:
                if await self.bite(rule) < BITE:
                    break
                await rest(stop, BREATH)

    async def bite(self, rule: Rule) -> int:
        """Take away at most `BITE` rows that are older than `rule` keeps; how many."""
        key = tuple_(*rule.table.primary_key.columns)
        async with self._db.begin() as sql:
            old = rule.since < await self._db.now(sql) - rule.kept
            some = select(*rule.table.primary_key.columns).where(rule.done, old).limit(BITE)
            return (await sql.execute(delete(rule.table).where(key.in_(some)))).rowcount
