"""What time alone ends: orders that nobody paid, credit that nobody used."""

from functools import partial

from catalyst_mesh import Work

from ..domain import postings, purchases
from ..domain.disputes import order_name
from ..domain.orders import Command
from ..domain.postings import Books
from ..store import Store
from .turns import Turns

MOST = 100
"""Orders, and wallets, in one round."""


class Sweeper:
    """Ends what is over. Everybody else already takes it as ended, swept or not."""

    def __init__(self, work: Work[Store], books: Books) -> None:
        self._work = work
        self._books = books
        self._turns = Turns(work)

    async def round(self) -> None:
        """End every overdue order and expire what is left of grants."""
        async with self._work.reading() as tx:
            orders, wallets = await tx.overdue_orders(MOST), await tx.lapsed_wallets(MOST)
        for org, id in orders:
            await self._turns.give(org, id, order_name(org, id), partial(self._expire_order, org, id))
        for org, currency in wallets:
            wallet = f"billingAccounts/{org}/balance"
            await self._turns.give(org, "", wallet, partial(self._expire_credit, org, currency))

    async def _expire_order(self, org: str, id: str) -> None:
        async def step(tx: Store) -> None:
            p = await tx.lock_purchase(org, id)
            if p.order.is_open and p.order.deadline <= tx.now:
                decided = purchases.release(p, Command.EXPIRE, "", tx.now)
                await tx.save(decided.state)
                tx.emit(*decided.events)

        await self._work.again(step)

    async def _expire_credit(self, org: str, currency: str) -> None:
        async def step(tx: Store) -> None:
            await tx.lock_account(org)
            wallet, lapsed = (await tx.wallet(org, currency)).expire(tx.now)
            await tx.save(wallet)
            for fact in lapsed:
                grant = fact.grant
                await tx.post(
                    postings.grant_expired(
                        self._books, org=org, grant=grant.id, version=grant.version, amount=fact.amount, at=tx.now
                    )
                )
            tx.emit(*lapsed)

        await self._work.again(step)
