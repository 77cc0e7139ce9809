"""What stands between an order and a payment provider: its checkout, what was captured, what goes back.

Invariants
  wished first   a checkout or refund is stored before the provider is asked, and asked for under its own key, so that a
                 second ask after a crash finds what the first one made;
  once           a payment of a provider has an effect once, however often it is reported;
  to the end     a checkout is asked about until the provider has closed it, so a late capture is never missed.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from .money import Money


class CheckoutState(StrEnum):
    """Where a checkout stands at the provider, as far as we know."""

    WANTED = "wanted"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Checkout:
    """The provider's page for one order, whose id it has."""

    id: str
    org: str
    provider: str
    amount: Money
    state: CheckoutState
    expires_at: datetime
    next_at: datetime
    """When the provider is asked next."""
    created_at: datetime
    updated_at: datetime
    ref: str = ""
    """The provider's id."""
    url: str = ""
    tries: int = 0
    """Failed calls in a row."""
    trouble: str = ""
    """Why the last call failed; empty: it did not."""
    version: int = 1

    @property
    def name(self) -> str:
        return f"checkouts/{self.id}"


class PaymentState(StrEnum):
    """What became of a capture."""

    SETTLED = "settled"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Payment:
    """One capture of a provider."""

    provider: str
    ref: str
    order: str
    org: str
    amount: Money
    state: PaymentState
    received_at: datetime
    version: int = 1

    @property
    def name(self) -> str:
        return f"payments/{self.provider}/{self.ref}"


class RefundState(StrEnum):
    """Where a refund stands."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Refund:
    """Money or credit that goes back. Its card part is the provider's to do."""

    id: str
    order: str
    org: str
    provider: str
    payment: str
    """The provider's id of the capture; empty: nothing goes to a card."""
    to_card: Money
    to_credit: Money
    state: RefundState
    why: str
    next_at: datetime
    created_at: datetime
    updated_at: datetime
    from_card: Money
    """What of it the card had paid; more than `to_card` where credit was asked for."""
    tries: int = 0
    version: int = 1
    dispute: str = ""
    """The provider's id of the dispute by whose loss it went back; empty: by none."""

    @property
    def name(self) -> str:
        return f"refunds/{self.id}"

    @property
    def by_bank(self) -> Money:
        """What the payer's bank has given back. Won after all, a dispute's part goes to the card through the provider; while
        it is open again, what the bank took back is owed to the customer."""
        return self.from_card - self.to_card if self.dispute else self.from_card.zero()


@dataclass(frozen=True, slots=True)
class Capture:
    """A payment as a provider reports it."""

    ref: str
    amount: Money
    received_at: datetime


def wanted(id: str, org: str, provider: str, amount: Money, *, expires_at: datetime, now: datetime) -> Checkout:
    """A checkout that the worker has to make."""
    return Checkout(id, org, provider, amount, CheckoutState.WANTED, expires_at, now, now, now)


def opened(checkout: Checkout, ref: str, url: str, *, next_at: datetime, now: datetime) -> Checkout:
    """The provider has made it. One that was given up meanwhile goes on closing."""
    state = CheckoutState.OPEN if checkout.state is CheckoutState.WANTED else checkout.state
    return _changed(replace(checkout, ref=ref, url=url, state=state, tries=0, trouble="", next_at=next_at), now)


def given_up(checkout: Checkout, now: datetime) -> Checkout:
    """Its order will not be paid: the worker closes it at the provider, now."""
    if checkout.state in (CheckoutState.CLOSING, CheckoutState.CLOSED):
        return checkout
    return _changed(replace(checkout, state=CheckoutState.CLOSING, next_at=now), now)


def closed(checkout: Checkout, now: datetime) -> Checkout:
    """Nothing more will come of it."""
    if checkout.state is CheckoutState.CLOSED:
        return checkout
    return _changed(replace(checkout, state=CheckoutState.CLOSED), now)


def asked(checkout: Checkout, *, next_at: datetime, now: datetime, trouble: str = "") -> Checkout:
    """It was asked about; `trouble` says why the call failed."""
    return _changed(
        replace(checkout, next_at=next_at, trouble=trouble, tries=checkout.tries + 1 if trouble else 0), now
    )


def tried(refund: Refund, *, state: RefundState, next_at: datetime, now: datetime) -> Refund:
    """A refund after a try at the provider."""
    tries = refund.tries + (state is RefundState.PENDING)
    return replace(refund, state=state, tries=tries, next_at=next_at, updated_at=now, version=refund.version + 1)


def sent_after_all(refund: Refund, now: datetime) -> Refund:
    """What the bank had given back it took again: now the provider has to give it back."""
    return replace(
        refund, to_card=refund.from_card, state=RefundState.PENDING, next_at=now, updated_at=now,
        version=refund.version + 1,
    )  # fmt: skip


def _changed(checkout: Checkout, now: datetime) -> Checkout:
    return replace(checkout, updated_at=now, version=checkout.version + 1)
