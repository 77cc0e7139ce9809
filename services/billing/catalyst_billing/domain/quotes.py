"""Quotes: signed offers that stay as they are.

Invariants
  snapshot   a quote is never priced again; later price books do not touch it;
  signed     its hash covers every value that an order takes from it, and the signature covers the hash;
  once       an order uses a quote up, and only before it expires.
"""

import hmac
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from catalyst_sdk import Code, Decision, Refused

from .credit import Purpose
from .pricing import Priced, Selection
from .vouchers import Voucher


class QuoteNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "QUOTE_NOT_FOUND", "there is no quote {quote}"


class QuoteInvalid(Refused):
    reason, message = "QUOTE_INVALID", "the quote cannot be ordered: {why}"


class QuoteExpired(Refused):
    reason, message = "QUOTE_EXPIRED", "the quote was good until {until}"


@dataclass(frozen=True, slots=True)
class Quote:
    """A priced offer to one account."""

    id: str
    org: str
    selection: Selection
    purpose: Purpose
    voucher: str
    """Id of the voucher taken into account; empty: none."""
    price_book_version: int
    priced: Priced
    created_at: datetime
    expires_at: datetime
    signature: bytes = b""
    used_by: str = ""
    """Id of the order that used it up."""
    version: int = 1

    @property
    def name(self) -> str:
        return f"billingAccounts/{self.org}/quotes/{self.id}"

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical offer, hexadecimal; signature and use are no part of it."""
        offer = {key: value for key, value in asdict(self).items() if key not in ("signature", "used_by", "version")}
        return sha256(json.dumps(offer, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()


Sign = Callable[[bytes], bytes]
"""Signs a message with the daemon's own key."""


def offer(
    id: str, org: str, selection: Selection, *, purpose: Purpose, voucher: Voucher | None, book_version: int,
    priced: Priced, now: datetime, ttl: timedelta, sign: Sign,
) -> Decision[Quote]:  # fmt: skip
    """A quote of what was priced, good for `ttl`."""
    quote = Quote(
        id, org, selection, purpose, voucher.id if voucher else "", book_version, priced, now, now + ttl
    )  # fmt: skip
    return Decision(replace(quote, signature=sign(quote.hash.encode())))


def check(quote: Quote, presented: str, now: datetime, sign: Sign) -> None:
    """Whether an order may be made of it. Raises QuoteInvalid, QuoteExpired.

    presented   the hash as the customer saw it
    """
    if not hmac.compare_digest(quote.hash, presented):
        raise QuoteInvalid(why="its hash is another one")
    if not hmac.compare_digest(sign(quote.hash.encode()), quote.signature):
        raise QuoteInvalid(why="its signature does not hold")
    if quote.used_by:
        raise QuoteInvalid(why="an order was made of it already")
    if quote.expires_at <= now:
        raise QuoteExpired(until=f"{quote.expires_at:%FT%TZ}")


def use(quote: Quote, order: str) -> Quote:
    """The quote as `order` leaves it."""
    return replace(quote, used_by=order, version=quote.version + 1)
