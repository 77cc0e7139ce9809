"""Prepaid usage: each hour what an Organization has used is set aside from its credit."""

from functools import partial

from catalyst_mesh import Work

from ..domain import prepaid, renewals
from ..domain.prepaid import PREPAID
from ..domain.renewals import House
from ..store import Store
from .turns import Turns

MOST = 100
"""Organizations in one round."""


class Prepaid:
    """Draws from credit by the clock."""

    def __init__(self, work: Work[Store], house: House) -> None:
        self._work = work
        self._house = house
        self._turns = Turns(work)

    async def round(self) -> None:
        """Draw for every Organization whose hour is over."""
        async with self._work.reading() as tx:
            due = await tx.due_draws(MOST)
        for org in due:
            await self._turns.give(org, org, f"billingAccounts/{org}/entitlement", partial(self._draw, org))

    async def _draw(self, org: str) -> None:
        async def step(tx: Store) -> None:
            await tx.lock_account(org)
            running = await tx.metered(org)
            if not running:
                await tx.drawn(org)
            for _, s in sorted(running.items()):
                await self._draw_for(tx, org, s.id)

        await self._work.again(step)

    async def _draw_for(self, tx: Store, org: str, subscription: str) -> None:
        """Draw for one subscription; several of an Organization share its credit, its own plan first."""
        dues = await tx.with_prepaid(await tx.lock_dues(org, subscription, self._house.books))
        s = dues.subscription
        e = await tx.entitlement(org, s.price.currency, lock=True)
        is_told = (PREPAID, 100) in await tx.fired(org, s.period_start)
        cost = renewals.usage_so_far(dues, self._house)
        done = prepaid.draw(dues, e, cost, is_told=is_told, now=tx.now)
        await tx.save_wallet(done.wallet)
        await tx.save_all(done.entitlement, *done.fired)
        tx.emit(*done.facts)
