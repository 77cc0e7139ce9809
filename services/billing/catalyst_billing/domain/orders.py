"""Orders: from submission to fulfilment.

Invariants
  one way      a state changes only along a row of ALLOWED; every other command is ILLEGAL_TRANSITION;
  paid first   nothing but a settlement leads to PAID, and nothing before PAID lets others start work;
  for life     an order names at most one Sovereign, and while it claims it no other order can;
  no excess    what was given back never passes what was paid.

DRAFT and PRICED are passed within one submission and never stored; a stored order is RESERVED at least.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from catalyst_sdk import Code, Refused

from .ledger import Part
from .money import Money
from .moves import IllegalTransition
from .pricing import Line, LineKind, Offer, Selection
from .quotes import Quote


class State(StrEnum):
    """Where an order stands."""

    DRAFT = "draft"
    PRICED = "priced"
    RESERVED = "reserved"
    AWAITING_PAYMENT = "awaiting_payment"
    PAID = "paid"
    FULFILLING = "fulfilling"
    FULFILLED = "fulfilled"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"


class Kind(StrEnum):
    """Why it was made."""

    SUBSCRIPTION = "subscription"
    CHANGE = "change"
    ADD_ON = "add_on"
    TOP_UP = "top_up"
    ONE_OFF = "one_off"


class Command(StrEnum):
    """What moves an order."""

    PRICE = "price"
    SUBMIT = "submit"
    AWAIT_PAYMENT = "await payment"
    SETTLE = "settle"
    CANCEL = "cancel"
    EXPIRE = "expire"
    FAIL = "fail"
    START = "start"
    FULFIL = "fulfil"
    REFUND = "refund"
    REFUND_PART = "refund a part"


ALLOWED: Mapping[State, Mapping[Command, State]] = {
    State.DRAFT: {Command.PRICE: State.PRICED},
    State.PRICED: {
        Command.SUBMIT: State.RESERVED,
        Command.CANCEL: State.CANCELLED,
        Command.EXPIRE: State.EXPIRED,
        Command.FAIL: State.FAILED,
    },
    State.RESERVED: {
        Command.SETTLE: State.PAID,
        Command.AWAIT_PAYMENT: State.AWAITING_PAYMENT,
        Command.CANCEL: State.CANCELLED,
        Command.EXPIRE: State.EXPIRED,
        Command.FAIL: State.FAILED,
    },
    State.AWAITING_PAYMENT: {
        Command.SETTLE: State.PAID,
        Command.CANCEL: State.CANCELLED,
        Command.EXPIRE: State.EXPIRED,
        Command.FAIL: State.FAILED,
    },
    # A late capture settles an order that was given up, if all of it can be had again.
    State.CANCELLED: {Command.SETTLE: State.PAID},
    State.EXPIRED: {Command.SETTLE: State.PAID},
    State.PAID: {
        Command.START: State.FULFILLING,
        Command.FULFIL: State.FULFILLED,
        Command.REFUND: State.REFUNDED,
        Command.REFUND_PART: State.PARTIALLY_REFUNDED,
    },
    State.FULFILLING: {
        Command.FULFIL: State.FULFILLED,
        Command.REFUND: State.REFUNDED,
        Command.REFUND_PART: State.PARTIALLY_REFUNDED,
    },
    State.FULFILLED: {Command.REFUND: State.REFUNDED, Command.REFUND_PART: State.PARTIALLY_REFUNDED},
    State.PARTIALLY_REFUNDED: {Command.REFUND: State.REFUNDED, Command.REFUND_PART: State.PARTIALLY_REFUNDED},
    State.REFUNDED: {},
    State.FAILED: {},
}

OPEN = frozenset({State.RESERVED, State.AWAITING_PAYMENT})
"""Submitted and not yet paid; of one kind an account has one at a time."""
FINAL = frozenset({State.REFUNDED, State.FAILED})
"""Nothing leads out of them."""
UNDER_WAY = frozenset({State.PAID, State.FULFILLING, State.PARTIALLY_REFUNDED})
"""Paid, and perhaps not fulfilled yet."""
SETTLED = frozenset({State.PAID, State.FULFILLING, State.FULFILLED})
"""Paid, nothing of it given back."""


class OrderNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "ORDER_NOT_FOUND", "there is no order {order}"


class OrderOpen(Refused):
    reason, message = "ORDER_OPEN", "{order} is open; pay or cancel it first"


class AmountTooSmall(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "AMOUNT_TOO_SMALL", "{amount} is less than can be paid: {least}"
    field = "amount"


class SovereignTaken(Refused):
    reason, message = "SOVEREIGN_TAKEN", "{sovereign} is paid for by another order"


class SubscriptionActive(Refused):
    reason, message = "SUBSCRIPTION_ACTIVE", "{scope} has a subscription; its plan is changed, not ordered again"


class PaymentUnavailable(Refused):
    code, reason, message = Code.UNAVAILABLE, "PAYMENT_UNAVAILABLE", "{due} cannot be paid by card now: {why}"


@dataclass(frozen=True, slots=True)
class Change:
    """What an order of kind CHANGE makes of its subscription, and on what its price stands."""

    offer: Offer
    at: datetime
    """From when on it counts, where it counts in the current period."""
    period_start: datetime
    """The period in which it was priced."""
    previous: Offer
    parts: tuple[Part, ...]
    """What a whole period costs with it, without tax, by item."""
    tax: Money
    """Tax of its prorated price, below zero where some comes back."""
    is_later: bool = False
    """Whether it counts from the next period on."""


@dataclass(frozen=True, slots=True)
class Order:
    """A purchase."""

    id: str
    org: str
    state: State
    quote: str
    selection: Selection
    blueprints: tuple[str, ...]
    lines: tuple[Line, ...]
    price_book_version: int
    total: Money
    tax: Money
    credit: Money
    """Part met with credit: held before, spent from PAID on."""
    rounding: Money
    due: Money
    paid_by_card: Money
    refunded: Money
    deadline: datetime
    created_at: datetime
    updated_at: datetime
    environment: str = ""
    voucher: str = ""
    subscription: str = ""
    provider: str = ""
    save_method: bool = False
    return_url: str = ""
    claims_sovereign: bool = False
    """Whether it still stands for the Sovereign that it names."""
    paid_at: datetime | None = None
    failure_reason: str = ""
    kind: Kind = Kind.SUBSCRIPTION
    invoice: str = ""
    """Id of the invoice that it pays; empty: none."""
    change: Change | None = None
    fulfilled_at: datetime | None = None
    """When what it pays for stood, whatever went back of it meanwhile."""
    installed: tuple[str, ...] = ()
    """Which of its Blueprints were seen to stand."""
    given_up_at: datetime | None = None
    """When the work that it pays for failed for good, before it was fulfilled: everything goes back."""
    version: int = 1

    @property
    def name(self) -> str:
        return f"billingAccounts/{self.org}/orders/{self.id}"

    @property
    def sovereign(self) -> str:
        return self.selection.sovereign

    @property
    def scope(self) -> str:
        """What its subscription covers."""
        return self.sovereign or f"organizations/{self.org}"

    @property
    def paid(self) -> Money:
        """What was paid, by card and by credit."""
        return self.paid_by_card + self.credit

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    @property
    def is_open(self) -> bool:
        return self.state in OPEN


@dataclass(frozen=True, slots=True)
class Created:
    order: Order


@dataclass(frozen=True, slots=True)
class Received:
    """A provider's capture was booked for the order."""

    order: Order
    payment: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Declined:
    """A charge failed for good."""

    order: Order
    why: str


@dataclass(frozen=True, slots=True)
class Paid:
    order: Order


@dataclass(frozen=True, slots=True)
class Cancelled:
    order: Order
    why: str


@dataclass(frozen=True, slots=True)
class Expired:
    order: Order


@dataclass(frozen=True, slots=True)
class Failed:
    order: Order


@dataclass(frozen=True, slots=True)
class Refunded:
    order: Order
    to_card: Money
    to_credit: Money
    why: str


def draft(
    id: str, quote: Quote, *, provider: str, environment: str, save_method: bool, return_url: str,
    deadline: datetime, now: datetime,
) -> Order:  # fmt: skip
    """An order of what `quote` says, PRICED."""
    p = quote.priced
    order = Order(
        id=id, org=quote.org, state=State.DRAFT, quote=quote.id, selection=quote.selection,
        blueprints=quote.purpose.blueprints, lines=p.lines, price_book_version=quote.price_book_version,
        total=p.total, tax=p.tax, credit=p.credit, rounding=p.rounding, due=p.due, paid_by_card=p.due.zero(),
        refunded=p.due.zero(), deadline=deadline, created_at=now, updated_at=now, environment=environment,
        voucher=quote.voucher, provider=provider if p.due else "", save_method=save_method, return_url=return_url,
    )  # fmt: skip
    return passed(order, Command.PRICE)


def top_up(
    id: str, org: str, amount: Money, *, provider: str, return_url: str, deadline: datetime, now: datetime
) -> Order:
    """An order of credit, paid by card only; AWAITING_PAYMENT."""
    zero = amount.zero()
    lines = (Line(LineKind.TOP_UP, "", "Credit", amount), Line(LineKind.DUE, "", "Due", amount))
    return Order(
        id=id, org=org, state=State.AWAITING_PAYMENT, quote="", selection=Selection(""), blueprints=(), lines=lines,
        price_book_version=0, total=amount, tax=zero, credit=zero, rounding=zero, due=amount, paid_by_card=zero,
        refunded=zero, deadline=deadline, created_at=now, updated_at=now, provider=provider, return_url=return_url,
        kind=Kind.TOP_UP,
    )  # fmt: skip


def passed(order: Order, command: Command) -> Order:
    """The order after `command`, still the same version: a state that is passed and not stored."""
    reached = ALLOWED[order.state].get(command)
    if reached is None:
        raise IllegalTransition(order.name, order.state, command, ALLOWED[order.state])
    return replace(order, state=reached)


def moved(order: Order, command: Command, now: datetime, **changes: Any) -> Order:
    """The order after `command`, one version later. Raises IllegalTransition."""
    return changed(passed(order, command), now, **changes)


def changed(order: Order, now: datetime, **changes: Any) -> Order:
    """The order in the same state, one version later."""
    return replace(order, version=order.version + 1, updated_at=now, **changes)
