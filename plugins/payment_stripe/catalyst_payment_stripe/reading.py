"""Stripe's objects in the contract's words."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from catalyst_sdk.payment import (
    Amount,
    CheckoutState,
    CheckoutStatus,
    DisputeState,
    PaymentState,
    ProviderDispute,
    ProviderPayment,
    ProviderRefund,
    RefundState,
    SavedMethod,
)

_SOFT = frozenset({
    "insufficient_funds", "processing_error", "try_again_later", "card_velocity_exceeded", "withdrawal_count_limit_exceeded",
    "reenter_transaction", "issuer_not_available", "approve_with_id", "do_not_honor", "generic_decline", "card_declined",
})  # fmt: skip
"""Declines after which Stripe's documentation says that a later try may go well."""
_REFUNDS = {"succeeded": RefundState.SUCCEEDED, "failed": RefundState.FAILED, "canceled": RefundState.FAILED}
_WON, _LOST = frozenset({"won", "warning_closed", "prevented"}), frozenset({"lost"})


def amount(minor: Any, currency: Any) -> Amount:
    """An amount; Stripe writes currencies in small letters, in the same minor units as we do."""
    return Amount(int(minor or 0), str(currency or "").upper())


def checkout(session: Any) -> CheckoutStatus:
    """A session with its payment intent expanded."""
    intent = session.get("payment_intent")
    payments = tuple(filter(None, [payment(intent)])) if isinstance(intent, Mapping) else ()
    reason = next((p.reason for p in payments if p.reason), "")
    state = _checkout_state(str(session.get("status")), payments)
    return CheckoutStatus(
        str(session["id"]), state, payments, reason, _metadata(session), _method(intent) if payments else None
    )


def _checkout_state(status: str, payments: tuple[ProviderPayment, ...]) -> CheckoutState:
    if any(p.state is PaymentState.CAPTURED for p in payments):
        return CheckoutState.COMPLETE
    if status == "expired":
        return CheckoutState.EXPIRED
    if status == "complete" and payments and all(p.state is PaymentState.FAILED for p in payments):
        return CheckoutState.FAILED
    # A bank still works on it, or the customer may try another card on the page.
    return CheckoutState.OPEN


def payment(intent: Any) -> ProviderPayment | None:
    """A payment intent; None where nobody has tried to pay yet."""
    status, error = str(intent.get("status")), intent.get("last_payment_error")
    charge = intent.get("latest_charge")
    moment = charge.get("created") if isinstance(charge, Mapping) else intent.get("created")
    at, ref = datetime.fromtimestamp(int(moment or 0), UTC), str(intent["id"])
    asked = amount(intent.get("amount"), intent.get("currency"))
    if status == "succeeded":
        received = intent.get("amount_received")
        got = amount(intent.get("amount") if received is None else received, intent.get("currency"))
        return ProviderPayment(ref, got, PaymentState.CAPTURED, at, metadata=_metadata(intent))
    if status in ("processing", "requires_capture"):
        return ProviderPayment(ref, asked, PaymentState.PROCESSING, at, metadata=_metadata(intent))
    if status == "canceled" or error:
        reason = _why(error) if error else str(intent.get("cancellation_reason") or "canceled")
        is_final = status == "canceled" or reason not in _SOFT
        return ProviderPayment(ref, asked, PaymentState.FAILED, at, reason, is_final, _metadata(intent))
    return None


def refused(intent: Any, reason: str) -> ProviderPayment:
    """An unattended charge that was not made, whatever the intent waits for now."""
    known = payment(intent)
    if known is not None and known.state is PaymentState.FAILED:
        return known
    asked = amount(intent.get("amount"), intent.get("currency"))
    at = datetime.fromtimestamp(int(intent.get("created") or 0), UTC)
    is_final = reason not in _SOFT
    return ProviderPayment(str(intent["id"]), asked, PaymentState.FAILED, at, reason, is_final, _metadata(intent))


def refund(found: Any, payment: str) -> ProviderRefund:
    """A refund."""
    state = _REFUNDS.get(str(found.get("status")), RefundState.PENDING)
    reason = str(found.get("failure_reason") or "")
    return ProviderRefund(
        str(found["id"]), payment, amount(found.get("amount"), found.get("currency")), state, reason
    )  # fmt: skip


def dispute(found: Any) -> ProviderDispute:
    """A dispute; every state before the decision is OPENED."""
    status = str(found.get("status"))
    state = DisputeState.WON if status in _WON else DisputeState.LOST if status in _LOST else DisputeState.OPENED
    at = datetime.fromtimestamp(int(found.get("created") or 0), UTC)
    whole = amount(found.get("amount"), found.get("currency"))
    return ProviderDispute(
        str(found["id"]), _id(found.get("payment_intent")), whole, state, at, str(found.get("reason") or "")
    )


def _method(intent: Any) -> SavedMethod | None:
    """The method that the payment saved for later charges."""
    customer, method = _id(intent.get("customer")), _id(intent.get("payment_method"))
    if intent.get("setup_future_usage") != "off_session" or not (customer and method):
        return None
    charge = intent.get("latest_charge")
    details = charge.get("payment_method_details") or {} if isinstance(charge, Mapping) else {}
    card = details.get("card") or {}
    label = f"{card.get('brand', '')} {card.get('last4', '')}".strip() or str(details.get("type", ""))
    return SavedMethod(method, customer, label)


def _why(error: Any) -> str:
    return str(error.get("decline_code") or error.get("code") or "declined")


def _metadata(found: Any) -> Mapping[str, str]:
    return {str(name): str(value) for name, value in (found.get("metadata") or {}).items()}


def _id(found: Any) -> str:
    """Id of an object that may be expanded."""
    return str(found["id"]) if isinstance(found, Mapping) else str(found or "")
