"""Webhooks of Stripe: signature by the official library, age by the host's clock, its words in ours."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import stripe
from catalyst_sdk import Permanent, Secret
from catalyst_sdk.payment import EventKind, PaymentEvent, RawEvent

from .failures import PROVIDER

HEADER = "stripe-signature"
TOLERANCE = timedelta(seconds=300)
_SESSIONS = {
    "checkout.session.async_payment_succeeded": EventKind.PAYMENT_CAPTURED,
    "checkout.session.async_payment_failed": EventKind.PAYMENT_FAILED,
}
_INTENTS = {
    "payment_intent.succeeded": EventKind.PAYMENT_CAPTURED,
    "payment_intent.payment_failed": EventKind.PAYMENT_FAILED,
    "payment_intent.canceled": EventKind.PAYMENT_CANCELLED,
    "payment_intent.amount_capturable_updated": EventKind.PAYMENT_AUTHORISED,
}
_REFUNDS = {
    "succeeded": EventKind.REFUND_SUCCEEDED, "failed": EventKind.REFUND_FAILED, "canceled": EventKind.REFUND_FAILED
}  # fmt: skip
_DISPUTES = {"won": EventKind.DISPUTE_WON, "warning_closed": EventKind.DISPUTE_WON, "lost": EventKind.DISPUTE_LOST}
_METHODS = {
    "payment_method.attached": EventKind.METHOD_ATTACHED,
    "payment_method.detached": EventKind.METHOD_EXPIRED,
}


def verify(headers: Mapping[str, str], body: bytes, secrets: Iterable[Secret], now: datetime) -> RawEvent:
    """The event of a call that one of the secrets has signed, not too long ago."""
    header = headers.get(HEADER, "")
    if not any(_is_signed(body, header, secret) for secret in secrets):
        raise Permanent("SIGNATURE_INVALID", "the signature does not hold", provider=PROVIDER)
    if abs(now.timestamp() - _stamp(header)) > TOLERANCE.total_seconds():
        raise Permanent("SIGNATURE_TOO_OLD", "the call was signed too long ago", provider=PROVIDER)
    try:
        told = json.loads(body)
        return RawEvent(str(told["id"]), str(told["type"]), body)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Permanent("BODY_UNREADABLE", "the body is no event", provider=PROVIDER) from None


def normalise(event: RawEvent) -> PaymentEvent | None:
    """The event in the contract's words; None for a type that is none of them."""
    about: Any = json.loads(event.body).get("data", {}).get("object", {})
    ref = str(about.get("id", ""))
    if event.type.startswith("checkout.session."):
        return _of_session(event, about, ref)
    if kind := _INTENTS.get(event.type):
        return PaymentEvent(event.id, kind, ref)
    if event.type in ("refund.created", "refund.updated", "refund.failed", "charge.refund.updated"):
        done = _REFUNDS.get(str(about.get("status")))
        return PaymentEvent(event.id, done, ref, payment=str(about.get("payment_intent") or "")) if done else None
    if event.type in ("charge.dispute.created", "charge.dispute.closed"):
        state = _DISPUTES.get(str(about.get("status")), EventKind.DISPUTE_OPENED)
        return PaymentEvent(event.id, state, ref, payment=str(about.get("payment_intent") or ""))
    method = _METHODS.get(event.type)
    return PaymentEvent(event.id, method, ref) if method else None


def _of_session(event: RawEvent, session: Any, ref: str) -> PaymentEvent | None:
    if event.type == "checkout.session.expired":
        return PaymentEvent(event.id, EventKind.CHECKOUT_EXPIRED, ref)
    kind = _SESSIONS.get(event.type)
    if event.type == "checkout.session.completed":
        paid = session.get("payment_status") == "paid"
        kind = EventKind.PAYMENT_CAPTURED if paid else EventKind.PAYMENT_AUTHORISED
    payment = str(session.get("payment_intent") or "")
    return PaymentEvent(event.id, kind, payment, checkout=ref) if kind else None


def _is_signed(body: bytes, header: str, secret: Secret) -> bool:
    try:
        stripe.WebhookSignature.verify_header(body, header, secret.reveal())
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
    return True


def _stamp(header: str) -> int:
    """The moment in a header whose signature holds."""
    return int(next(part.partition("=")[2] for part in header.split(",") if part.startswith("t=")))
