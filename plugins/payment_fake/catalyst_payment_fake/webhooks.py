"""Webhooks of the fake: signature, age, and its words in ours."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from catalyst_sdk import Permanent, Secret
from catalyst_sdk.payment import EventKind, PaymentEvent, RawEvent

HEADER = "fake-signature"
TOLERANCE = timedelta(seconds=300)


def signature(secret: Secret, body: bytes, at: datetime) -> str:
    """The header with which the fake signs a call."""
    stamp = int(at.timestamp())
    return f"t={stamp},v1={_digest(secret, stamp, body)}"


def verify(headers: Mapping[str, str], body: bytes, secret: Secret, now: datetime) -> RawEvent:
    """The event of a call whose signature holds and that is not too old."""
    parts = dict(part.split("=", 1) for part in headers.get(HEADER, "").split(",") if "=" in part)
    stamp = parts.get("t", "")
    if not stamp.isascii() or not stamp.isdigit():
        raise Permanent("SIGNATURE_INVALID", "the signature is missing or cut", provider="fake")
    if not hmac.compare_digest(_digest(secret, int(stamp), body), parts.get("v1", "")):
        raise Permanent("SIGNATURE_INVALID", "the signature is of another key or body", provider="fake")
    if abs(now.timestamp() - int(stamp)) > TOLERANCE.total_seconds():
        raise Permanent("SIGNATURE_TOO_OLD", "the call was signed too long ago", provider="fake")
    return _event(body)


def normalise(event: RawEvent) -> PaymentEvent | None:
    """The event in the contract's words; None for a type that is none of them."""
    if event.type not in set(EventKind):
        return None
    return PaymentEvent(event.id, EventKind(event.type), str(json.loads(event.body)["ref"]))


def _event(body: bytes) -> RawEvent:
    try:
        told = json.loads(body)
        return RawEvent(str(told["id"]), str(told["type"]), body)
    except (ValueError, KeyError, TypeError) as error:
        raise Permanent("BODY_UNREADABLE", "the body is no event", provider="fake") from error


def _digest(secret: Secret, stamp: int, body: bytes) -> str:
    return hmac.new(secret.reveal_bytes(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
