"""Checkouts: made at the provider, asked about until they end, closed when their order will not be paid.

Each call follows a stored wish and carries its key, so that it can be made again after any interruption; what the
provider answers is applied in one transaction with the order that it is about.
"""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from catalyst_mesh import PluginUnavailable, Work
from catalyst_sdk import NotSupported, Permanent, PluginFailure, RateLimited, Temporary
from catalyst_sdk.payment import Amount, CheckoutLine

from ..customers import Customers
from ..domain import payments, purchases
from ..domain.disputes import order_name
from ..domain.payments import Checkout, CheckoutState
from ..providers import Providers
from ..store import Store
from .applying import Applying
from .turns import Turns

MOST = 50
"""Checkouts in one round."""
LONGEST_DELAY = timedelta(minutes=5)


class Checkouts:
    """Brings the checkouts of this daemon and those of the providers together."""

    def __init__(self, work: Work[Store], providers: Providers, applying: Applying, customers: Customers) -> None:
        self._work = work
        self._providers = providers
        self._applying = applying
        self._customers = customers
        self._turns = Turns(work, Checkout)

    async def round(self) -> None:
        """Carry every due checkout one step further."""
        async with self._work.reading() as tx:
            due, now = await tx.due_checkouts(MOST), tx.now
        if not due:
            return
        await self._providers.refresh()
        turns = (
            self._turns.give(c.org, c.id, order_name(c.org, c.id), partial(self._guarded, c, now)) for c in due
        )  # fmt: skip
        await asyncio.gather(*turns)

    async def _guarded(self, checkout: Checkout, asked_at: datetime) -> None:
        try:
            await self._step(checkout, asked_at)
        except (Permanent, NotSupported) as failure:
            await self._refused(checkout, failure)
        except (PluginFailure, PluginUnavailable) as failure:
            await self._put_off(checkout, failure)

    async def _step(self, checkout: Checkout, asked_at: datetime) -> None:
        provider = self._providers.get(checkout.provider)
        if not checkout.ref:
            # One that is to be closed is asked for too: the first ask may have made it before we could note its id.
            await self._create(checkout)
        elif checkout.state is CheckoutState.CLOSING:
            await self._applying.apply(checkout, await provider.expire_checkout(ref=checkout.ref), asked_at)
        else:
            await self._applying.apply(checkout, await provider.fetch_checkout(ref=checkout.ref), asked_at)

    async def _create(self, checkout: Checkout) -> None:
        async with self._work.reading() as tx:
            order = await tx.order(checkout.org, checkout.id)
        page = await self._providers.get(checkout.provider).create_checkout(
            key=f"checkout:{checkout.id}",
            amount=Amount(checkout.amount.minor, checkout.amount.currency),
            lines=[CheckoutLine(line.title, Amount(line.amount.minor, line.amount.currency)) for line in order.lines],
            metadata={"order": order.name, "org": f"organizations/{order.org}", "sovereign": order.sovereign},
            expires_at=checkout.expires_at,
            return_url=order.return_url,
            save_method=order.save_method,
            customer=await self._customers.of(order.org, order.provider) if order.save_method else "",
        )

        async def step(tx: Store) -> None:
            await tx.lock_account(checkout.org)
            current = await tx.checkout(checkout.id)
            if current is not None and not current.ref:
                await tx.save(payments.opened(current, page.ref, page.url, next_at=tx.now, now=tx.now))

        await self._work.again(step)

    async def _refused(self, checkout: Checkout, failure: PluginFailure) -> None:
        """The provider will never do it: an order without a page has failed."""
        if checkout.ref:
            await self._put_off(checkout, failure)
            return

        async def step(tx: Store) -> None:
            p = await tx.lock_purchase(checkout.org, checkout.id)
            if p.order.is_open:
                decided = purchases.decline(p, "PAYMENT_UNAVAILABLE", failure.message, tx.now)
                p = decided.state
                tx.emit(*decided.events)
            assert p.checkout is not None
            await tx.save(replace(p, checkout=payments.closed(p.checkout, tx.now)))

        await self._work.again(step)

    async def _put_off(self, checkout: Checkout, failure: PluginFailure | PluginUnavailable) -> None:
        async def step(tx: Store) -> None:
            await tx.lock_account(checkout.org)
            current = await tx.checkout(checkout.id)
            if current is not None and current.state is not CheckoutState.CLOSED:
                next_at = tx.now + delay_of(failure, current.tries)
                await tx.save(payments.asked(current, next_at=next_at, now=tx.now, trouble=str(failure)))

        await self._work.again(step)


def delay_of(failure: BaseException, tries: int) -> timedelta:
    """When to call again: what the provider asks for, else twice as long each time, at most five minutes."""
    if isinstance(failure, RateLimited):
        return failure.retry_after
    grown = min(timedelta(seconds=2 ** min(tries, 10)), LONGEST_DELAY)
    if isinstance(failure, Temporary) and failure.delay is not None:
        return max(failure.delay, grown)
    return grown
