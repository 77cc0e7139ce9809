"""Submission of a quote, and redemption of a voucher without any order."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from catalyst_sdk import Decision

from . import credit, orders, payments, postings, quotes, settlements, uses
from .accounts import BillingAccount, CurrencyMismatch
from .credit import Wallet
from .ledger import Txn
from .money import Money
from .orders import Command
from .postings import Books
from .purchases import Purchase, Rivals
from .quotes import Quote, Sign
from .uses import Tally, Use, VoucherNeedsOrder, Wish
from .vouchers import Voucher


@dataclass(frozen=True, slots=True)
class Submit:
    """The wish to order what a quote says."""

    id: str
    """Id for the order."""
    quote_hash: str
    provider: str
    """Name of the payment provider; empty: none can take the due amount."""
    environment: str = ""
    save_method: bool = False
    return_url: str = ""
    ttl: timedelta = timedelta(minutes=30)
    """How long the order waits for its payment."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What a submission is decided on, read under the locks of account and voucher."""

    account: BillingAccount
    wallet: Wallet
    quote: Quote
    voucher: Voucher | None
    tally: Tally
    rivals: Rivals


def submit(desk: Desk, cmd: Submit, books: Books, sign: Sign, now: datetime) -> Decision[Purchase]:
    """Hold credit, reserve the voucher, and settle at once where nothing is due.

    Raises what the quote, the account, another order, the credit or the voucher have against it.
    """
    desk.account.require_open()
    quotes.check(desk.quote, cmd.quote_hash, now, sign)
    if desk.rivals.open_order:
        raise orders.OrderOpen(order=desk.rivals.open_order)
    order = orders.draft(
        cmd.id, desk.quote, provider=cmd.provider, environment=cmd.environment, save_method=cmd.save_method,
        return_url=cmd.return_url, deadline=now + cmd.ttl, now=now,
    )  # fmt: skip
    desk.rivals.check(order)
    if order.due and not cmd.provider:
        raise orders.PaymentUnavailable(due=order.due, why="no payment provider is ready for it")
    reserved = _reserve(desk, order, now)
    p = reserved.state
    submitted = replace(orders.passed(order, Command.SUBMIT), claims_sovereign=bool(order.sovereign))
    if order.due:
        return _await_payment(p, submitted, reserved.events, now)
    created = orders.Created(submitted)
    settled = settlements.settle(replace(p, order=submitted), books, now)
    return Decision(settled.state, (created, *reserved.events, *settled.events))


def _reserve(desk: Desk, order: orders.Order, now: datetime) -> Decision[Purchase]:
    voucher, use = desk.voucher, None
    facts: tuple[object, ...] = ()
    if voucher is not None:
        value = voucher.terms.amount or desk.quote.priced.discount
        wish = Wish(
            f"u-{order.id}", order.org, order.id, value, desk.quote.purpose, desk.rivals.org_is_new, order.deadline
        )  # fmt: skip
        decided = uses.reserve(voucher, desk.tally, wish, now)
        voucher, use, facts = decided.state.voucher, decided.state.use, decided.events
    wallet = desk.wallet.lapse(now)
    if order.credit:
        promise = uses.grant_of(use, now) if use else None
        wallet = wallet.hold(
            order.id, order.credit, promise=promise, purpose=desk.quote.purpose, until=order.deadline, now=now
        )  # fmt: skip
    quote = quotes.use(desk.quote, order.id)
    addressee = desk.account.addressee
    return Decision(Purchase(order, wallet, quote, voucher, use, desk.tally, desk.rivals, addressee=addressee), facts)


def _await_payment(p: Purchase, order: orders.Order, facts: tuple[object, ...], now: datetime) -> Decision[Purchase]:
    awaiting = orders.passed(order, Command.AWAIT_PAYMENT)
    checkout = payments.wanted(
        order.id, order.org, order.provider, order.due, expires_at=order.deadline, now=now
    )  # fmt: skip
    return Decision(replace(p, order=awaiting, checkout=checkout), (orders.Created(awaiting), *facts))


@dataclass(frozen=True, slots=True)
class TopUp:
    """The wish to buy credit."""

    id: str
    """Id for the order."""
    amount: Money
    provider: str
    return_url: str
    ttl: timedelta


def top_up(account: BillingAccount, wallet: Wallet, rivals: Rivals, cmd: TopUp, now: datetime) -> Decision[Purchase]:
    """An order of credit, which awaits its payment. Raises what the account or another open order has against it."""
    account.require_open()
    if cmd.amount.currency != account.currency:
        raise CurrencyMismatch(account=account.name, kept=account.currency, asked=cmd.amount.currency)
    if rivals.open_order:
        raise orders.OrderOpen(order=rivals.open_order)
    order = orders.top_up(
        cmd.id,
        account.org,
        cmd.amount,
        provider=cmd.provider,
        return_url=cmd.return_url,
        deadline=now + cmd.ttl,
        now=now,
    )
    checkout = payments.wanted(
        order.id, order.org, order.provider, order.due, expires_at=order.deadline, now=now
    )  # fmt: skip
    return Decision(Purchase(order, wallet, checkout=checkout), (orders.Created(order),))


@dataclass(frozen=True, slots=True)
class Redemption:
    """A voucher that became credit."""

    wallet: Wallet
    voucher: Voucher
    use: Use
    grant: credit.Grant
    postings: tuple[Txn, ...]


def redeem(
    account: BillingAccount, wallet: Wallet, voucher: Voucher, tally: Tally, wish: Wish, books: Books, now: datetime
) -> Decision[Redemption]:
    """Reserve and confirm at once. Raises VoucherNeedsOrder for a discount, and what stands against the use."""
    account.require_open()
    reserved = uses.reserve(voucher, tally, wish, now)
    decided = uses.confirm(reserved.state, tally, now)
    use, grant = decided.state.use, uses.grant_of(decided.state.use, now)
    if grant is None:
        raise VoucherNeedsOrder
    cost = postings.voucher_confirmed(
        books, org=use.org, amount=grant.amount, use=use.id, voucher=decided.state.voucher.name, order="", at=now
    )
    given = Redemption(wallet.give(grant), decided.state.voucher, use, grant, (cost,))
    return Decision(given, (*reserved.events, *decided.events, credit.Granted(grant)))
