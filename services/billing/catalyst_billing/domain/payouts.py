"""Money that reached the bank or left it: what a provider paid out, and the publisher's share.

Invariants
  once     a reference of one provider, and the share of one month, are booked once;
  held     a provider pays out no more than it holds by the book;
  as owed  of a share exactly what its statement says is booked.
"""

from datetime import datetime

from catalyst_sdk import Code, Refused

from . import postings
from .franchise import Statement
from .ledger import Entry, Txn
from .money import Money
from .postings import Books


class PayoutRecorded(Refused):
    code, reason = Code.ALREADY_EXISTS, "PAYOUT_RECORDED"
    message = "{of} {reference} was booked before, with other amounts or another reference"


class PayoutDiffers(Refused):
    code, reason, message = (
        Code.INVALID_ARGUMENT,
        "PAYOUT_DIFFERS",
        "{amount} is not what {of} says: {owed}, without a fee",
    )
    field = "amount"


class PayoutExceeds(Refused):
    reason, message = "PAYOUT_EXCEEDS", "{paid} were paid out, and {of} holds {held} by the book"


def of_provider(provider: str, amount: Money, fee: Money, reference: str, books: Books, at: datetime) -> Txn:
    """What a provider paid out."""
    return postings.paid_out(books, provider=provider, amount=amount, fee=fee, reference=reference, at=at)


def of_statement(s: Statement, amount: Money, fee: Money, reference: str, books: Books, at: datetime) -> Txn:
    """The share of a month. Raises PayoutDiffers."""
    if amount != s.publisher_share or fee or not amount:
        raise PayoutDiffers(amount=str(amount), of=s.name, owed=str(s.publisher_share))
    return postings.share_paid(
        books, month=s.month, sovereign=s.sovereign, amount=amount, reference=reference, at=at
    )  # fmt: skip


def demand_held(new: Txn, held: Money, of: str) -> None:
    """No provider pays out what it did not take for us. Raises PayoutExceeds."""
    paid = -new.entries[-1].amount
    if paid > held:
        raise PayoutExceeds(paid=str(paid), of=of, held=str(held))


def once(known: Txn | None, new: Txn, of: str) -> Txn | None:
    """What is to be booked; None: it is there already. Raises PayoutRecorded."""
    if known is None:
        return new
    if (known.reason, sorted(map(_said, known.entries))) != (new.reason, sorted(map(_said, new.entries))):
        raise PayoutRecorded(of=of, reference=new.reason)
    return None


def _said(entry: Entry) -> tuple[str, int]:
    return entry.account.id, entry.amount.minor
