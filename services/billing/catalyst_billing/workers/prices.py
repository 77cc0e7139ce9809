"""New prices: told to every subscription long enough before they count."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

from catalyst_mesh import Work, get_logger
from catalyst_sdk import Refused

from ..catalog import CatalogUnavailable, PriceBooks
from ..domain import pricing, subscriptions
from ..domain.postings import Books
from ..domain.prices import PriceBook
from ..domain.pricing import Selection
from ..domain.subscriptions import Subscription
from ..store import Store
from .turns import Turns

MOST = 200
"""Subscriptions in one round."""


class Prices:
    """Compares what subscriptions pay with the price book that counts now."""

    def __init__(self, work: Work[Store], prices: PriceBooks, books: Books, notice: timedelta) -> None:
        self._work = work
        self._prices = prices
        self._books = books
        self._notice = notice
        self._turns = Turns(work)
        self._log = get_logger("prices")

    async def round(self) -> None:
        """Announce what is new; without the catalog prices stay as they are."""
        try:
            book = await self._prices.current(Selection(""))
        except CatalogUnavailable as refusal:
            self._log.warning("prices are not compared", why=refusal.sentence)
            return
        await self._work.again(lambda tx: tx.keep_card(book))
        async with self._work.reading() as tx:
            older = await tx.priced_before(book.version, book.currency, MOST)
        for s in older:
            await self._turns.give(s.org, s.id, s.name, partial(self._compare, s, book))

    async def _compare(self, seen: Subscription, book: PriceBook) -> None:
        async def step(tx: Store) -> None:
            s = await tx.lock_subscription(seen.org, seen.id)
            if s is None or s.state not in (subscriptions.State.ACTIVE, subscriptions.State.TRIALING) or s.charge:
                return
            decided = subscriptions.announce(s, self._offer(s, book), self._books, tx.now, self._notice)
            await tx.save(decided.state)
            tx.emit(*decided.events)

        await self._work.again(step)

    def _offer(self, s: Subscription, book: PriceBook) -> pricing.Offer:
        """The same goods at the book's prices; what it does not sell any more stays as it is."""
        wanted = Selection(s.plan, s.add_ons, s.bundle, period_months=s.period_months)
        try:
            return pricing.offer(wanted, book)
        except Refused:
            return replace(s.offer, price_book_version=book.version)
