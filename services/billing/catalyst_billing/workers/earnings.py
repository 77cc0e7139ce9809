"""Revenue: what was paid for time that has passed is earned, by the day."""

from functools import partial

from catalyst_mesh import Work

from ..domain import earnings
from ..domain.earnings import Period
from ..domain.postings import Books
from ..store import Store
from .turns import Turns

MOST = 200
"""Periods in one round."""


class Earnings:
    """Posts what each period earned until the last midnight."""

    def __init__(self, work: Work[Store], books: Books) -> None:
        self._work = work
        self._books = books
        self._turns = Turns(work)

    async def round(self) -> None:
        """Post for every period of which a midnight has passed."""
        async with self._work.reading() as tx:
            due = await tx.due_periods(MOST)
        for period in due:
            await self._turns.give(period.org, "", period.name, partial(self._earn, period))

    async def _earn(self, period: Period) -> None:
        async def step(tx: Store) -> None:
            now = await tx.lock_period(period)
            if now is not None:
                await tx.save(earnings.earn(now, self._books, tx.now).state)

        await self._work.again(step)
