"""Signatures of what is sent to a webhook, in the form of Standard Webhooks, for which receivers find libraries.

source  https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

from catalyst_sdk import Code, Refused, Secret

PREFIX = "whsec_"
LENGTHS = range(24, 65)
"""Bytes of a secret."""


class WebhookSecretInvalid(Refused):
    code, reason = Code.INVALID_ARGUMENT, "WEBHOOK_SECRET_INVALID"
    message = "a secret is whsec_ and the Base64 of 24 to 64 bytes"
    field = "secret"


def secret_of(text: str) -> Secret:
    """The bytes of a secret as people write it. Raises WebhookSecretInvalid."""
    try:
        raw = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise WebhookSecretInvalid from None
    if not text.startswith(PREFIX) or len(raw) not in LENGTHS:
        raise WebhookSecretInvalid
    return Secret(raw)


def written(secret: bytes) -> str:
    """A secret as people write it."""
    return PREFIX + base64.b64encode(secret).decode()


def signed(secrets: Iterable[Secret], *, id: str, at: int, body: bytes) -> str:
    """The value of `webhook-signature`: one signature for each secret that counts. `at` is seconds since 1970."""
    told = f"{id}.{at}.".encode() + body
    return " ".join(f"v1,{_mac(one.reveal_bytes(), told)}" for one in secrets)


def _mac(key: bytes, told: bytes) -> str:
    return base64.b64encode(hmac.new(key, told, hashlib.sha256).digest()).decode()
