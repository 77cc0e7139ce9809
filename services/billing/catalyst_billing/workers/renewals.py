"""Renewals: each subscription that is due goes one step at a time until nothing of it is due any more, an ended one too."""

from functools import partial

from catalyst_mesh import Work

from ..domain import last_bills, renewals
from ..domain.renewals import House, Means
from ..domain.subscriptions import Subscription
from ..providers import Providers
from ..store import Store
from .turns import Turns

MOST = 100
"""Subscriptions in one round."""
STEPS = 10
"""Steps of one subscription in one round: more than there are, even after a month in which nobody looked."""


class Renewals:
    """Drafts, renews, duns and ends subscriptions by the clock."""

    def __init__(self, work: Work[Store], providers: Providers, house: House) -> None:
        self._work = work
        self._providers = providers
        self._house = house
        self._turns = Turns(work, Subscription)

    async def round(self) -> None:
        """Carry on every subscription that is due."""
        async with self._work.reading() as tx:
            due = await tx.due_subscriptions(MOST)
        if not due:
            return
        await self._providers.refresh()
        for org, id in due:
            name = f"billingAccounts/{org}/subscriptions/{id}"
            await self._turns.give(org, id, name, partial(self._carry_on, org, id))

    async def _carry_on(self, org: str, id: str) -> None:
        for _ in range(STEPS):
            if not await self._step(org, id):
                return

    async def _step(self, org: str, id: str) -> bool:
        """One step; whether there was one."""

        async def step(tx: Store) -> bool:
            dues = await tx.lock_dues(org, id, self._house.books)
            means = Means(self._providers.can_charge, self._providers.step(dues.subscription.price.currency))
            advance = renewals.advance if dues.subscription.is_live else last_bills.advance
            decided = advance(dues, self._house, means, tx.now)
            if decided.state is dues:
                return False
            await tx.save(decided.state)
            tx.emit(*decided.events)
            return True

        return await self._work.again(step)
