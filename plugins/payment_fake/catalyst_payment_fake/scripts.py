"""What happens to a checkout, as a function of its script and of the moment. Nothing here remembers anything."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from catalyst_sdk.payment import Amount, CheckoutState, CheckoutStatus, PaymentState, ProviderPayment


class Script(StrEnum):
    """Names of the scripts; README.md tells them."""

    PAY = "pay"
    DECLINE = "decline"
    ASYNC = "async"
    THREE_D_SECURE = "three_d_secure"
    NEVER = "never"
    TWICE = "twice"
    LATE = "late"
    WRONG_AMOUNT = "wrong_amount"
    LOST_WEBHOOK = "lost_webhook"


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout in the fake's books."""

    ref: str
    amount: Amount
    metadata: dict[str, str]
    script: Script
    created_at: datetime
    expires_at: datetime
    delay: timedelta
    closed_at: datetime | None = None

    @property
    def ends_at(self) -> datetime:
        """When it takes no payment any more: closed by the host, or expired."""
        return min(self.closed_at or self.expires_at, self.expires_at)


def status(checkout: Checkout, now: datetime) -> CheckoutStatus:
    """The checkout at the moment `now`."""
    payments = tuple(p for p in _payments(checkout, now))
    reached = _state(checkout, payments, now)
    reason = next((p.reason for p in payments if p.state is PaymentState.FAILED), "")
    return CheckoutStatus(checkout.ref, reached, payments, reason, checkout.metadata)


def _state(checkout: Checkout, payments: tuple[ProviderPayment, ...], now: datetime) -> CheckoutState:
    states = {payment.state for payment in payments}
    if PaymentState.CAPTURED in states:
        return CheckoutState.COMPLETE
    if PaymentState.FAILED in states:
        return CheckoutState.FAILED
    return CheckoutState.EXPIRED if checkout.ends_at <= now else CheckoutState.OPEN


def _payments(checkout: Checkout, now: datetime) -> list[ProviderPayment]:
    start, script = checkout.created_at, checkout.script
    if script is Script.NEVER or (checkout.closed_at is not None and checkout.closed_at <= start):
        return []
    if script is Script.LATE:
        late = checkout.ends_at + timedelta(seconds=1)
        return [_paid(checkout, late)] if late <= now else []
    if script in (Script.ASYNC, Script.THREE_D_SECURE):
        return _delayed(checkout, now)
    if script is Script.DECLINE:
        return [_payment(checkout, PaymentState.FAILED, start, checkout.amount, "card_declined")]
    if script is Script.WRONG_AMOUNT:
        short = Amount(checkout.amount.minor - 1, checkout.amount.currency)
        return [_payment(checkout, PaymentState.CAPTURED, start, short)]
    return [_paid(checkout, start), *([_paid(checkout, start, "-2")] if script is Script.TWICE else [])]


def _delayed(checkout: Checkout, now: datetime) -> list[ProviderPayment]:
    done = checkout.created_at + checkout.delay
    if done >= checkout.ends_at:
        return []
    if done <= now:
        return [_paid(checkout, done)]
    # Until it is confirmed there is no payment to be seen; a bank that works on it already shows one.
    shown = checkout.script is Script.ASYNC
    return [_payment(checkout, PaymentState.PROCESSING, checkout.created_at, checkout.amount)] if shown else []


def _paid(checkout: Checkout, at: datetime, suffix: str = "") -> ProviderPayment:
    return _payment(checkout, PaymentState.CAPTURED, at, checkout.amount, suffix=suffix)


def _payment(
    checkout: Checkout, state: PaymentState, at: datetime, amount: Amount, reason: str = "", suffix: str = ""
) -> ProviderPayment:
    ref = f"fp_{checkout.ref.removeprefix('fc_')}{suffix}"
    return ProviderPayment(ref, amount, state, at, reason=reason, metadata=checkout.metadata)
