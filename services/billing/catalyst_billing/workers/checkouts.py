"""Checkouts: made at the provider, asked about until they end, closed when their order will not be paid.

Each call follows a stored wish and carries its key, so that it can be made again after any interruption; what the
provider answers is applied in one transaction with the order that it is about.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from catalyst_mesh import PluginUnavailable, Work, get_logger
from catalyst_sdk import Decision, NotSupported, Permanent, PluginFailure, RateLimited, Temporary
from catalyst_sdk.payment import Amount, CheckoutLine, CheckoutStatus, PaymentState, ProviderPayment
from catalyst_sdk.payment import CheckoutState as ProviderState

from ..domain import findings, payments, purchases
from ..domain.money import CurrencyUnsupported, Money
from ..domain.orders import Command, Order
from ..domain.payments import Capture, Checkout, CheckoutState
from ..domain.postings import Books
from ..domain.purchases import Purchase
from ..providers import Providers
from ..store import Store

MOST = 50
"""Checkouts in one round."""
FIRST_MINUTES = timedelta(minutes=10)
"""How long an open checkout is asked about at the short interval."""
LONGEST_DELAY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the provider is asked."""

    open: timedelta
    """From one question about an open checkout to the next, at first."""
    later: timedelta
    """The same later, and for checkouts that were given up."""
    window: timedelta
    """How long after its end a checkout is asked about."""


class Checkouts:
    """Brings the checkouts of this daemon and those of the providers together."""

    def __init__(self, work: Work[Store], providers: Providers, books: Books, pace: Pace) -> None:
        self._work = work
        self._providers = providers
        self._books = books
        self._pace = pace
        self._log = get_logger("checkouts")

    async def round(self) -> None:
        """Carry every due checkout one step further."""
        async with self._work.reading() as tx:
            due, now = await tx.due_checkouts(MOST), tx.now
        await asyncio.gather(*(self._guarded(checkout, now) for checkout in due))

    async def _guarded(self, checkout: Checkout, asked_at: datetime) -> None:
        try:
            await self._step(checkout, asked_at)
        except (Permanent, NotSupported) as failure:
            await self._refused(checkout, failure)
        except (PluginFailure, PluginUnavailable) as failure:
            await self._put_off(checkout, failure)
        except Exception as error:
            self._log.error("checkout failed", order=checkout.id, exc_info=error)

    async def _step(self, checkout: Checkout, asked_at: datetime) -> None:
        provider = self._providers.get(checkout.provider)
        if not checkout.ref:
            # One that is to be closed is asked for too: the first ask may have made it before we could note its id.
            await self._create(checkout)
        elif checkout.state is CheckoutState.CLOSING:
            await self._apply(checkout, await provider.expire_checkout(ref=checkout.ref), asked_at)
        else:
            await self._apply(checkout, await provider.fetch_checkout(ref=checkout.ref), asked_at)

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
        )

        async def step(tx: Store) -> None:
            await tx.lock_account(checkout.org)
            current = await tx.checkout(checkout.id)
            if current is not None and not current.ref:
                await tx.save(payments.opened(current, page.ref, page.url, next_at=tx.now, now=tx.now))

        await self._work.again(step)

    async def _apply(self, checkout: Checkout, status: CheckoutStatus, asked_at: datetime) -> None:
        async def step(tx: Store) -> None:
            p = await tx.lock_purchase(checkout.org, checkout.id)
            decided = self._decide(p, status, tx.now)
            await tx.save(self._asked(decided.state, checkout.state, asked_at, tx.now))
            tx.emit(*decided.events)

        await self._work.again(step)

    def _decide(self, p: Purchase, status: CheckoutStatus, now: datetime) -> Decision[Purchase]:
        facts: list[object] = []
        for payment in status.payments:
            if payment.state is PaymentState.CAPTURED:
                decided = self._captured(p, payment, now)
                p, facts = decided.state, [*facts, *decided.events]
        ended = _ended(p, status, now)
        return Decision(ended.state, (*facts, *ended.events))

    def _captured(self, p: Purchase, payment: ProviderPayment, now: datetime) -> Decision[Purchase]:
        try:
            amount = Money(payment.amount.minor, payment.amount.currency)
        except CurrencyUnsupported:
            text = f"payment {payment.ref} is in {payment.amount.currency}"
            found = findings.alarm("FOREIGN_CURRENCY", p.order.name, text, account=_account(p.order), now=now)
            return Decision(replace(p, findings=(*p.findings, found)))
        return purchases.capture(p, Capture(payment.ref, amount, payment.at), self._books, now)

    def _asked(self, p: Purchase, before: CheckoutState, asked_at: datetime, now: datetime) -> Purchase:
        """The purchase with its checkout put down for the next question, or closed where none is needed.

        The pause runs from when the provider was asked: its answer is no newer than that, however long it took.
        """
        checkout = p.checkout
        assert checkout is not None
        if checkout.state is not before:
            # Given up while the provider was asked how it stands: closing it must not wait for the next question.
            return p
        if checkout.state is CheckoutState.CLOSING and checkout.expires_at + self._pace.window <= asked_at:
            return replace(p, checkout=payments.closed(checkout, now))
        soon = checkout.state is CheckoutState.OPEN and asked_at < checkout.created_at + FIRST_MINUTES
        pause = self._pace.open if soon else self._pace.later
        return replace(p, checkout=payments.asked(checkout, next_at=asked_at + pause, now=now))

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


def _ended(p: Purchase, status: CheckoutStatus, now: datetime) -> Decision[Purchase]:
    """End an order that its checkout cannot pay any more."""
    if not p.order.is_open:
        return Decision(p)
    if status.state is ProviderState.FAILED and all(payment.is_final for payment in status.payments):
        return purchases.decline(p, "PAYMENT_DECLINED", status.reason, now)
    if status.state is ProviderState.EXPIRED:
        return purchases.release(p, Command.EXPIRE, "", now)
    return Decision(p)


def _account(order: Order) -> str:
    return f"billingAccounts/{order.org}"
