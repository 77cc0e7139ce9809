"""Events of providers, worked on: each says what to fetch; what is fetched is applied, and the event is handled with it."""

import asyncio
from datetime import datetime

from catalyst_mesh import PluginUnavailable, Work, get_logger
from catalyst_sdk import PluginFailure, Temporary
from catalyst_sdk.payment import CheckoutState, CheckoutStatus, EventKind, PaymentProvider, ProviderPayment

from ..domain import disputes, findings, fulfilment, webhooks
from ..domain.disputes import Dispute, State, Told
from ..domain.money import CurrencyUnsupported, Money
from ..domain.orders import OrderNotFound
from ..domain.payments import Checkout, Payment
from ..domain.postings import Books
from ..domain.webhooks import EventState, ProviderEvent
from ..names import ORDER
from ..providers import Providers
from ..store import Store
from .applying import Also, Applying

MOST = 50
"""Events in one round."""
OTHERS = ("invoice", "subscription")
"""Metadata of charges that no order made; whoever makes one notes its payment."""
_PAYMENTS = {kind for kind in EventKind if kind.startswith("payment.")}
_REFUNDS = {kind for kind in EventKind if kind.startswith("refund.")}
_DISPUTES = {kind for kind in EventKind if kind.startswith("dispute.")}


class Webhooks:
    """Works on what was received."""

    def __init__(self, work: Work[Store], providers: Providers, applying: Applying, books: Books) -> None:
        self._work = work
        self._providers = providers
        self._applying = applying
        self._books = books
        self._log = get_logger("webhooks")

    async def round(self) -> None:
        """Work on every event that is due."""
        async with self._work.reading() as tx:
            due, now = await tx.due_events(MOST), tx.now
        if not due:
            return
        await self._providers.refresh()
        await asyncio.gather(*(self._guarded(event, now) for event in due))

    async def _guarded(self, event: ProviderEvent, now: datetime) -> None:
        try:
            await self._step(event, now)
        except (PluginFailure, PluginUnavailable) as failure:
            await self._failed(event, str(failure))
        except Exception as error:
            self._log.error("event failed", event_id=event.id, exc_info=error)
            await self._failed(event, type(error).__name__)

    async def _step(self, event: ProviderEvent, now: datetime) -> None:
        provider, done = self._providers.get(event.provider), _handled(event)
        if event.kind in _PAYMENTS:
            await self._payment(event, provider, now, done)
        elif event.kind == EventKind.CHECKOUT_EXPIRED:
            await self._checkout(event.provider, await provider.fetch_checkout(ref=event.ref), now, done)
        elif event.kind in _REFUNDS:
            await self._work.again(lambda tx: _refund(tx, event, done))
        elif event.kind in _DISPUTES:
            await self._dispute(event, provider, done)
        else:
            await self._work.again(done)

    async def _payment(self, event: ProviderEvent, provider: PaymentProvider, now: datetime, done: Also) -> None:
        async with self._work.reading() as tx:
            known = await tx.checkout_of_ref(event.provider, event.checkout) if event.checkout else None
        if known is not None:
            status = await provider.fetch_checkout(ref=known.ref)
            await self._applying.apply(known, status, now, done)
        else:
            await self.reconcile(event.provider, await provider.fetch_payment(ref=event.ref), now, done)

    async def reconcile(self, provider: str, payment: ProviderPayment, now: datetime, done: Also) -> None:
        """Bring a payment to the order that its metadata names; one of no order of ours becomes a finding."""
        status = CheckoutStatus("", CheckoutState.OPEN, (payment,), metadata=payment.metadata)
        await self._checkout(provider, status, now, done)

    async def _checkout(self, provider: str, status: CheckoutStatus, now: datetime, done: Also) -> None:
        checkout = await self._meant(provider, status)
        if checkout is not None:
            await self._applying.apply(checkout, status, now, done)
            return
        for payment in status.payments:
            await self._stray(provider, payment)
        await self._work.again(done)

    async def _meant(self, provider: str, status: CheckoutStatus) -> Checkout | None:
        """Our checkout, by the order that the provider's object names, though it may not know its id there yet."""
        name = ORDER.fullmatch(status.metadata.get("order", ""))
        async with self._work.reading() as tx:
            if name is None:
                return await tx.checkout_of_ref(provider, status.ref)
            try:
                order = await tx.order(name[1], name[2])
            except OrderNotFound:
                return None
            checkout = await tx.checkout(order.id)
        return checkout if checkout is not None and checkout.provider == provider else None

    async def _stray(self, provider: str, payment: ProviderPayment) -> None:
        """A payment of no order. Raises Temporary for one that somebody else here is about to note."""

        async def step(tx: Store) -> None:
            if await tx.payment(provider, payment.ref) is not None:
                return
            if any(payment.metadata.get(name) for name in OTHERS):
                raise Temporary("its charge is not noted yet", provider=provider)
            await tx.open_finding(stray(provider, payment, tx.now))

        await self._work.again(step)

    async def _dispute(self, event: ProviderEvent, provider: PaymentProvider, done: Also) -> None:
        told = await provider.fetch_dispute(ref=event.ref)
        try:
            amount = Money(told.amount.minor, told.amount.currency)
        except CurrencyUnsupported:
            text = f"dispute {told.ref} is in {told.amount.currency}"
            await self._work.again(lambda tx: _found(tx, event, "FOREIGN_CURRENCY", text, done))
            return
        now = Told(told.ref, amount, State(told.state.value))

        async def step(tx: Store) -> None:
            payment = await tx.payment(event.provider, told.payment)
            if payment is None:
                await _found(tx, event, "DISPUTE_UNKNOWN", f"dispute {told.ref} is about an unknown payment", done)
                return
            await tx.lock_account(payment.org)
            await self._decide(tx, payment, now)
            await done(tx)

        await self._work.again(step)

    async def _decide(self, tx: Store, payment: Payment, told: Told) -> None:
        known = await tx.lock_dispute(payment.provider, told.ref)
        lost = await tx.txn(known.loss) if known is not None and known.state is State.LOST else None
        left = payment.amount - await refunded(tx, payment)
        decided = disputes.decide(known, told, payment, left, lost, self._books, tx.now)
        await tx.save(decided.state.dispute)
        if payment.order and told.state is not State.OPENED:
            # Before the book: an order's documents lock their series first, as those of a renewal do.
            await self._settle(tx, payment, decided.state.dispute)
        for txn in decided.state.postings:
            await tx.post(txn)
        for finding in decided.state.findings:
            await tx.open_finding(finding)

    async def _settle(self, tx: Store, payment: Payment, dispute: Dispute) -> None:
        """Have an order whose work failed for good end with what its dispute came to."""
        purchase = await tx.lock_purchase(payment.org, payment.order)
        step = self._providers.step_of(payment.provider, payment.amount.currency)
        given = fulfilment.disputed(purchase, dispute, self._books, step, tx.now)
        await tx.save(given.state)
        tx.emit(*given.events)

    async def _failed(self, event: ProviderEvent, why: str) -> None:
        async def step(tx: Store) -> None:
            current = await tx.lock_event(event.provider, event.id)
            if current is None or current.state is not EventState.WAITING:
                return
            put_off = webhooks.failed(current, why, tx.now)
            await tx.save(put_off)
            if put_off.state is EventState.DEAD:
                text = f"event {event.type} was tried {put_off.tries} times: {put_off.trouble}"
                await tx.open_finding(findings.alarm("WEBHOOK_DEAD", event.name, text, account="", now=tx.now))

        await self._work.again(step)


async def refunded(tx: Store, payment: Payment) -> Money:
    """What of a capture went back to its card, or is to."""
    parts = await tx.refunds_of_payment(payment.provider, payment.ref)
    return sum((r.to_card for r in parts if r.state != "failed"), payment.amount.zero())


def stray(provider: str, payment: ProviderPayment, now: datetime) -> findings.Finding:
    """A payment that no order of ours asked for."""
    amount = f"{payment.amount.minor} minor units of {payment.amount.currency}"
    text = f"payment {payment.ref} of {amount} belongs to no order"
    return findings.alarm("PAYMENT_UNKNOWN", f"providers/{provider}/payments/{payment.ref}", text, account="", now=now)


def _handled(event: ProviderEvent) -> Also:
    async def done(tx: Store) -> None:
        current = await tx.lock_event(event.provider, event.id)
        if current is not None and current.state is not EventState.HANDLED:
            await tx.save(webhooks.handled(current, tx.now))

    return done


async def _refund(tx: Store, event: ProviderEvent, done: Also) -> None:
    """Have the worker of refunds ask how it stands; a refund that nobody here asked for is found."""
    if await tx.refunds_of_payment(event.provider, event.payment):
        await tx.hurry_refunds(event.provider, event.payment)
        await done(tx)
    else:
        await _found(tx, event, "REFUND_UNKNOWN", f"refund {event.ref} was not asked for here", done)


async def _found(tx: Store, event: ProviderEvent, reason: str, text: str, done: Also) -> None:
    await tx.open_finding(findings.alarm(reason, event.name, text, account="", now=tx.now))
    await done(tx)
