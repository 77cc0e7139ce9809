"""Accounts between Sovereigns: a signed bundle, taken over once.

Invariants
  signed   a bundle holds only with the signature of a Sovereign that the importing one trusts, and only for that one;
  once     of one account of one Sovereign at most one bundle is ever taken over;
  equal    history and credit are afterwards what they were, line by line.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from catalyst_sdk import Code, Refused

from .accounts import BillingAccount
from .credit import Grant

FORMAT = "catalyst.billing.account/1"
Sign = Callable[[bytes], bytes]
Verify = Callable[[bytes, bytes], bool]
"""Whether a signature (second) of a message (first) holds."""


class OrdersOpen(Refused):
    reason, message = "ORDERS_OPEN", "{account} has an open order, {order}; pay or cancel it first"


class BundleInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "BUNDLE_INVALID", "the bundle cannot be taken over: {why}"
    field = "bundle"


class BundleImported(Refused):
    code, reason = Code.ALREADY_EXISTS, "BUNDLE_IMPORTED"
    message = "the account {account} of {source} was taken over already"


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of a customer's history; above zero adds to the credit."""

    id: str
    amount: int
    reason: str
    order: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Bundle:
    """What another Sovereign needs to go on with an account."""

    source: str
    target: str
    account: BillingAccount
    grants: tuple[Grant, ...]
    uses: tuple[Mapping[str, Any], ...]
    """Uses of vouchers, whose codes stay where they were issued."""
    history: tuple[Line, ...]
    exported_at: datetime

    @property
    def balance(self) -> int:
        """Credit by its history, in minor units."""
        return sum(line.amount for line in self.history)


@dataclass(frozen=True, slots=True)
class Imported:
    """That a bundle was taken over."""

    id: str
    source: str
    org: str
    digest: str
    uses: tuple[dict[str, Any], ...]
    created_at: datetime
    version: int = 1

    @property
    def name(self) -> str:
        return f"imports/{self.id}"


def import_id(source: str, org: str) -> str:
    """One per account and Sovereign that it came from."""
    return hashlib.sha256(f"{source} {org}".encode()).hexdigest()[:32]


def digest_of(bundle: bytes) -> str:
    """SHA-256 of a bundle, hexadecimal."""
    return hashlib.sha256(bundle).hexdigest()


def seal(body: Mapping[str, Any], sign: Sign) -> bytes:
    """A bundle: canonical JSON and its signature."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    signature = base64.b64encode(sign(text.encode())).decode()
    return json.dumps({"format": FORMAT, "body": text, "signature": signature}).encode()


def unseal(bundle: bytes, sovereign: str, keys: Mapping[str, Verify]) -> Mapping[str, Any]:
    """The body of a bundle for `sovereign`. Raises BundleInvalid.

    keys   by the names of the Sovereigns that are trusted
    """
    try:
        outer = json.loads(bundle)
        text, signature = str(outer["body"]), base64.b64decode(str(outer["signature"]), validate=True)
        body = json.loads(text)
        source, target = str(body["source"]), str(body["target"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleInvalid(why="it cannot be read") from error
    if outer.get("format") != FORMAT:
        raise BundleInvalid(why=f"its format is not {FORMAT}")
    verify = keys.get(source)
    if verify is None:
        raise BundleInvalid(why=f"{source} is not trusted here")
    if not verify(text.encode(), signature):
        raise BundleInvalid(why="its signature does not hold")
    if target != sovereign:
        raise BundleInvalid(why=f"it is for {target}")
    found: Mapping[str, Any] = body
    return found


def check(bundle: Bundle, known: BillingAccount | None) -> None:
    """Whether history and credit agree with each other and with the account here. Raises BundleInvalid."""
    remaining = sum(grant.remaining.minor for grant in bundle.grants)
    if remaining != bundle.balance or any(grant.held for grant in bundle.grants):
        raise BundleInvalid(why="its history does not sum to its credit")
    if any(grant.amount.currency != bundle.account.currency for grant in bundle.grants):
        raise BundleInvalid(why="it has credit in several currencies")
    if known is not None and known.currency != bundle.account.currency:
        raise BundleInvalid(why=f"the account here is kept in {known.currency}")
