"""Enrolment of servers: a one-time token each, bound to one server.

Invariants
  bound        a token counts for the server that it was made for, and for no other;
  one key      the first public key that comes with a token is its only one; the same key gets the same answer again;
  hidden       the token itself is kept sealed until the server has enrolled, its SHA-256 is what is compared;
  init once    in the life of a cluster one server is told to make it, every other to join.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from catalyst_sdk import Code, Refused


class TokenUnknown(Refused):
    code, reason, message = Code.PERMISSION_DENIED, "TOKEN_UNKNOWN", "this enrolment token is not known"


class TokenExpired(Refused):
    code, reason, message = Code.PERMISSION_DENIED, "TOKEN_EXPIRED", "this enrolment token ended at {ended}"


class TokenUsed(Refused):
    code, reason, message = Code.PERMISSION_DENIED, "TOKEN_USED", "this enrolment token was used with another key"


class TokenOtherServer(Refused):
    code, reason = Code.PERMISSION_DENIED, "TOKEN_OTHER_SERVER"
    message = "this enrolment token was made for another server than {server_id}"


@dataclass(frozen=True, slots=True)
class Ticket:
    """A token and what has become of it."""

    token_sha256: str
    cluster: str
    server: str
    expires_at: datetime
    server_id: str = ""
    """Id at the cloud, as far as the ledger knows it."""
    public_key_sha256: str = ""
    """Of the key that it was used with; empty before."""


def sha256(value: str | bytes) -> str:
    """Hexadecimal digest."""
    return hashlib.sha256(value.encode() if isinstance(value, str) else value).hexdigest()


def admit(ticket: Ticket | None, *, token: str, server_id: str, public_key: bytes, now: datetime) -> bool:
    """Whether this is the first use; False: the same server asks again. Raises what stands against it."""
    known = ticket.token_sha256 if ticket else sha256("")
    matches = hmac.compare_digest(known, sha256(token))
    if ticket is None or not matches:
        raise TokenUnknown
    if ticket.server_id and not hmac.compare_digest(ticket.server_id.encode(), server_id.encode()):
        raise TokenOtherServer(server_id=server_id)
    if ticket.public_key_sha256:
        if not hmac.compare_digest(ticket.public_key_sha256, sha256(public_key)):
            raise TokenUsed
        return False
    if ticket.expires_at <= now:
        raise TokenExpired(ended=f"{ticket.expires_at:%FT%TZ}")
    return True
