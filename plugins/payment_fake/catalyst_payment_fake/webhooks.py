"""Webhooks of the fake: signature, age, its words in ours, and what it would have told by now."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from catalyst_sdk import Permanent, Secret
from catalyst_sdk.payment import CheckoutState, CheckoutStatus, EventKind, PaymentEvent, PaymentState, RawEvent

HEADER = "fake-signature"
TOLERANCE = timedelta(seconds=300)
_TOLD = {PaymentState.CAPTURED: EventKind.PAYMENT_CAPTURED, PaymentState.FAILED: EventKind.PAYMENT_FAILED}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the fake's to whoever listens."""

    headers: Mapping[str, str]
    body: bytes


def signature(secret: Secret, body: bytes, at: datetime) -> str:
    """The header with which the fake signs a call."""
    stamp = int(at.timestamp())
    return f"t={stamp},v1={_digest(secret, stamp, body)}"


def signed(event: Mapping[str, str], secret: Secret, at: datetime) -> Call:
    """A call that tells of `event`: id, type, ref, and what else it names."""
    body = json.dumps(event).encode()
    return Call({HEADER: signature(secret, body, at)}, body)


def of_checkout(status: CheckoutStatus) -> Iterator[Mapping[str, str]]:
    """Events of a checkout as it stands."""
    for payment in status.payments:
        if kind := _TOLD.get(payment.state):
            yield _told(kind, payment.ref, checkout=status.ref)
    if status.state is CheckoutState.EXPIRED:
        yield _told(EventKind.CHECKOUT_EXPIRED, status.ref)


def of_refund(ref: str, payment: str) -> Mapping[str, str]:
    """The event of a refund, all of which are done at once."""
    return _told(EventKind.REFUND_SUCCEEDED, ref, payment=payment)


def of_dispute(ref: str, payment: str, state: str) -> Mapping[str, str]:
    """The event of a dispute that took `state`."""
    return _told(EventKind(f"dispute.{state}"), ref, payment=payment)


def verify(headers: Mapping[str, str], body: bytes, secrets: Iterable[Secret], now: datetime) -> RawEvent:
    """The event of a call that one of the secrets has signed, not too long ago."""
    parts = dict(part.split("=", 1) for part in headers.get(HEADER, "").split(",") if "=" in part)
    stamp = parts.get("t", "")
    if not stamp.isascii() or not stamp.isdigit():
        raise Permanent("SIGNATURE_INVALID", "the signature is missing or cut", provider="fake")
    given = parts.get("v1", "").encode()
    if not any(hmac.compare_digest(_digest(secret, int(stamp), body).encode(), given) for secret in secrets):
        raise Permanent("SIGNATURE_INVALID", "the signature is of another key or body", provider="fake")
    if abs(now.timestamp() - int(stamp)) > TOLERANCE.total_seconds():
        raise Permanent("SIGNATURE_TOO_OLD", "the call was signed too long ago", provider="fake")
    return _event(body)


def normalise(event: RawEvent) -> PaymentEvent | None:
    """The event in the contract's words; None for a type that is none of them."""
    if event.type not in set(EventKind):
        return None
    told = json.loads(event.body)
    return PaymentEvent(
        event.id, EventKind(event.type), str(told.get("ref", "")), str(told.get("checkout", "")),
        str(told.get("payment", "")),
    )  # fmt: skip


def _told(kind: EventKind, ref: str, **rest: str) -> Mapping[str, str]:
    return {"id": f"fe_{ref}_{kind.value}", "type": kind.value, "ref": ref, **rest}


def _event(body: bytes) -> RawEvent:
    try:
        told = json.loads(body)
        return RawEvent(str(told["id"]), str(told["type"]), body)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Permanent("BODY_UNREADABLE", "the body is no event", provider="fake") from error


def _digest(secret: Secret, stamp: int, body: bytes) -> str:
    return hmac.new(secret.reveal_bytes(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
