"""The book: double entry, written once.

Invariants
  L1 balanced      the entries of a transaction sum to zero in every currency;
  L2 append only   an entry or transaction is never changed or deleted;
  L3 reversals     a correction is another transaction that names the original, which is reversed at most once;
  L4 credit        a customer's credit is never negative;
  L5 projection    a stored balance equals the sum of the account's entries;
  L6 one effect    one idempotency key, one transaction;
  L7 lock order    accounts are locked customers' credit first, then by id, so that no two writers wait for each other.

A debit is above zero, a credit below: a customer's credit of 9.000 OMR is an entry of -9000.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256

from .money import Money


class OwnerKind(StrEnum):
    """Whose account it is."""

    ORG = "org"
    SOVEREIGN = "sovereign"
    PROVIDER = "provider"
    PUBLISHER = "publisher"


class Kind(StrEnum):
    """What is booked on an account."""

    CUSTOMER_CREDIT = "customer_credit"
    RECEIVABLE = "receivable"
    PSP_CLEARING = "psp_clearing"
    CASH = "cash"
    PROMO_COST = "promo_cost"
    DEFERRED_REVENUE = "deferred_revenue"
    REVENUE = "revenue"
    TAX_PAYABLE = "tax_payable"
    BREAKAGE = "breakage"
    PSP_FEE = "psp_fee"
    ROUNDING = "rounding"
    SHARE_COST = "share_cost"
    PUBLISHER_PAYABLE = "publisher_payable"
    FRANCHISE_PAYABLE = "franchise_payable"
    FX = "fx"


@dataclass(frozen=True, slots=True)
class Account:
    """One account of the book. `owner` is a resource name; owner, kind and currency make it unique."""

    owner_kind: OwnerKind
    owner: str
    kind: Kind
    currency: str

    @property
    def id(self) -> str:
        """Made from what it is, so that whoever needs it first makes the same row."""
        return _id("la", self.owner_kind, self.owner, self.kind, self.currency)

    @property
    def lock_order(self) -> tuple[bool, str]:
        """Sort key of L7."""
        return (self.kind is not Kind.CUSTOMER_CREDIT, self.id)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. The amount is never zero and has the account's currency."""

    account: Account
    amount: Money

    def __post_init__(self) -> None:
        if not self.amount or self.amount.currency != self.account.currency:
            raise ValueError(f"{self.amount} cannot be booked on an account kept in {self.account.currency}")


@dataclass(frozen=True, slots=True)
class Part:
    """What of a transaction concerns one thing: a voucher, a plan, an add-on or a meter."""

    name: str
    amount: Money


class Unbalanced(ValueError):
    """A bug: entries that do not sum to zero. Nothing of it is written."""


@dataclass(frozen=True, slots=True)
class Txn:
    """One balanced transaction. Raises Unbalanced, so that no other kind can exist."""

    idem_key: str
    kind: str
    booked_at: datetime
    actor: str
    reason: str
    entries: tuple[Entry, ...]
    order: str = ""
    voucher: str = ""
    reverses: str = ""
    """Id of the transaction that this one takes back."""
    sovereign: str = ""
    """Sovereign on which revenue arose."""
    vouchers: tuple[Part, ...] = ()
    """What of the customer's credit in it came from vouchers."""
    items: tuple[Part, ...] = ()
    """What the revenue in it was for."""

    def __post_init__(self) -> None:
        if len(self.entries) < 2 or (off := unbalanced(self.entries)):
            raise Unbalanced(f"{self.idem_key}: {off if len(self.entries) > 1 else 'fewer than two entries'}")

    @property
    def id(self) -> str:
        """Made from the idempotency key, so one key can only ever be one row."""
        return _id("lt", self.idem_key)


def unbalanced(entries: Iterable[Entry]) -> dict[str, int]:
    """What is missing to zero, by currency; empty where the entries balance."""
    sums: defaultdict[str, int] = defaultdict(int)
    for entry in entries:
        sums[entry.amount.currency] += entry.amount.minor
    return {currency: off for currency, off in sums.items() if off}


def reverse(original: Txn, *, idem_key: str, kind: str, booked_at: datetime, actor: str, reason: str) -> Txn:
    """The transaction that takes `original` back, entry by entry. A reversal itself is not reversed."""
    if original.reverses:
        raise ValueError(f"{original.id} is a reversal; book the wish itself again instead")
    return Txn(
        idem_key=idem_key,
        kind=kind,
        booked_at=booked_at,
        actor=actor,
        reason=reason,
        entries=tuple(Entry(entry.account, -entry.amount) for entry in original.entries),
        order=original.order,
        voucher=original.voucher,
        reverses=original.id,
        sovereign=original.sovereign,
        vouchers=tuple(Part(part.name, -part.amount) for part in original.vouchers),
        items=tuple(Part(part.name, -part.amount) for part in original.items),
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that a proof found."""

    rule: str
    """`L1`, `L4` or `L5`."""
    account: str
    txn: str
    expected: Money
    found: Money


def prove(
    sums: Iterable[tuple[str, Money]], replayed: Mapping[str, Money], projected: Mapping[str, Money], credit: set[str]
) -> list[Difference]:
    """Everything that does not hold.

    sums        per transaction and currency the sum of its entries (those that are zero may be left out)
    replayed    per account the sum of its entries
    projected   per account the stored balance
    credit      the accounts of customers' credit
    """
    found = [Difference("L1", "", txn, off.zero(), off) for txn, off in sums if off]
    for account in sorted(replayed.keys() | projected.keys()):
        balance = projected.get(account)
        replay = replayed.get(account)
        if account in credit and (low := replay or balance) is not None and low.is_positive:
            # Credit is booked below zero, so a balance above zero means that more was spent than given.
            found.append(Difference("L4", account, "", low.zero(), -low))
        if (balance.minor if balance else 0) != (replay.minor if replay else 0):
            known = replay or balance
            assert known is not None
            found.append(Difference("L5", account, "", replay or known.zero(), balance or known.zero()))
    return found


@lru_cache(maxsize=4096)
def _id(prefix: str, *parts: str) -> str:
    return f"{prefix}-{sha256(chr(0).join(parts).encode()).hexdigest()[:24]}"
