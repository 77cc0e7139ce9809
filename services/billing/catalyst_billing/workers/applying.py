"""What a provider says of a checkout, applied to the order that it is about: one transaction, whoever asked."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from catalyst_mesh import Work
from catalyst_sdk import Decision
from catalyst_sdk.payment import CheckoutState as ProviderState
from catalyst_sdk.payment import CheckoutStatus, PaymentState, ProviderPayment, SavedMethod

from ..domain import findings, payments, purchases, settlements
from ..domain.money import CurrencyUnsupported, Money
from ..domain.orders import Command, Order
from ..domain.payments import Capture, Checkout, CheckoutState
from ..domain.postings import Books
from ..domain.providers import Method, saved
from ..domain.purchases import Purchase
from ..store import Store

FIRST_MINUTES = timedelta(minutes=10)
"""How long an open checkout is asked about at the short interval."""
Also = Callable[[Store], Awaitable[None]]
"""Something that happens in the same transaction, such as noting that an event is handled."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the provider is asked."""

    open: timedelta
    """From one question about an open checkout to the next, at first."""
    later: timedelta
    """The same later, and for checkouts that were given up."""
    window: timedelta
    """How long after its end a checkout is asked about."""


async def nothing(tx: Store) -> None:
    """Nothing else happens."""


class Applying:
    """Applies what providers say."""

    def __init__(self, work: Work[Store], books: Books, pace: Pace) -> None:
        self._work = work
        self._books = books
        self._pace = pace

    async def apply(self, checkout: Checkout, status: CheckoutStatus, asked_at: datetime, also: Also = nothing) -> None:
        """Settle, end or leave the order as `status` says, as it was when the provider was asked."""

        async def step(tx: Store) -> None:
            p = await tx.lock_purchase(checkout.org, checkout.id)
            decided = self._decide(p, status, tx.now)
            if status.method is not None:
                await _save_method(tx, decided.state.order, status.method)
            await tx.save(self._asked(decided.state, checkout.state, asked_at, tx.now))
            tx.emit(*decided.events)
            await also(tx)

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
            account = f"billingAccounts/{p.order.org}"
            found = findings.alarm("FOREIGN_CURRENCY", p.order.name, text, account=account, now=now)
            return Decision(replace(p, findings=(*p.findings, found)))
        return settlements.capture(p, Capture(payment.ref, amount, payment.at), self._books, now)

    def _asked(self, p: Purchase, before: CheckoutState, asked_at: datetime, now: datetime) -> Purchase:
        """The purchase with its checkout put down for the next question, or closed where none is needed.

        The pause runs from when the provider was asked: its answer is no newer than that, however long it took.
        """
        checkout = p.checkout
        assert checkout is not None
        if checkout.state is not before or not checkout.ref:
            # Given up while the provider was asked how it stands, or not yet noted: neither waits for the next question.
            return p
        if checkout.state is CheckoutState.CLOSING and checkout.expires_at + self._pace.window <= asked_at:
            return replace(p, checkout=payments.closed(checkout, now))
        soon = checkout.state is CheckoutState.OPEN and asked_at < checkout.created_at + FIRST_MINUTES
        pause = self._pace.open if soon else self._pace.later
        return replace(p, checkout=payments.asked(checkout, next_at=asked_at + pause, now=now))


async def _save_method(tx: Store, order: Order, method: SavedMethod) -> None:
    known = await tx.lock_method(order.org, order.provider)
    new = Method(order.org, order.provider, method.ref, method.customer, method.label, tx.now, tx.now)
    await tx.save(saved(known, new))


def _ended(p: Purchase, status: CheckoutStatus, now: datetime) -> Decision[Purchase]:
    """End an order that its checkout cannot pay any more."""
    if not p.order.is_open:
        return Decision(p)
    if status.state is ProviderState.FAILED and all(payment.is_final for payment in status.payments):
        return purchases.decline(p, "PAYMENT_DECLINED", status.reason, now)
    if status.state is ProviderState.EXPIRED:
        return purchases.release(p, Command.EXPIRE, "", now)
    return Decision(p)
