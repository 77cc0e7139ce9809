"""How revenue is shared between the publisher and a franchisee, month by month.

Invariants
  one span     agreements of one Sovereign never overlap;
  in order     months are stated one after the other; what was booked late goes on the next statement;
  once         an entry of the book counts in exactly one statement;
  whole        publisher's share + franchisee's share + voucher credit = gross;
  reproduced   a statement is made of entries that never change, up to a fixed one: made again, it is the same bytes.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from catalyst_sdk import Code, Refused

from . import postings
from .ledger import Part, Txn
from .money import Money, total
from .periods import Span
from .postings import Books


class AgreementNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "AGREEMENT_NOT_FOUND", "there is no agreement {agreement}"


class AgreementOverlap(Refused):
    reason, message = "AGREEMENT_OVERLAP", "{other} covers a part of that time for {sovereign}"


class AgreementMissing(Refused):
    reason, message = "AGREEMENT_MISSING", "no agreement of {sovereign} holds at the end of {month}"


class MonthOpen(Refused):
    reason, message = "MONTH_OPEN", "{month} ends at {until}; it is stated after that"


class LedgerUnproved(Refused):
    reason, message = "LEDGER_UNPROVED", "the book has {differences} difference(s); see the findings"


class MonthStated(Refused):
    reason, message = "STATEMENT_ISSUED", "{month} was stated; what it stands on stays"


class StatementNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "STATEMENT_NOT_FOUND", "there is no statement of {month}"


class Basis(StrEnum):
    """What the share is taken from."""

    GROSS = "gross"
    NET = "net"


@dataclass(frozen=True, slots=True)
class Agreement:
    """How revenue of a Sovereign is split."""

    id: str
    sovereign: str
    valid_from: datetime
    share_bps: int
    basis: Basis
    currency: str
    created_at: datetime
    updated_at: datetime
    valid_to: datetime | None = None
    floor: int | None = None
    """Least share of a month in minor units; None: there is none."""
    cap: int | None = None
    """Most share of a month in minor units; None: there is none."""
    version: int = 1

    @property
    def name(self) -> str:
        return f"agreements/{self.id}"

    def holds_at(self, moment: datetime) -> bool:
        return self.valid_from <= moment and (self.valid_to is None or moment < self.valid_to)

    def overlaps(self, other: "Agreement") -> bool:
        ends_before = self.valid_to is not None and self.valid_to <= other.valid_from
        begins_after = other.valid_to is not None and other.valid_to <= self.valid_from
        return self.sovereign == other.sovereign and not ends_before and not begins_after


@dataclass(frozen=True, slots=True)
class Shares:
    """A gross and who gets it."""

    gross: Money
    vouchers: Money
    publisher: Money
    franchisee: Money


def split(a: Agreement, gross: Money, vouchers: Money) -> Shares:
    """The shares of a month: the franchisee bears the vouchers."""
    share = (gross if a.basis is Basis.GROSS else gross - vouchers).share(a.share_bps)
    if a.floor is not None:
        share = max(share, Money(a.floor, gross.currency))
    if a.cap is not None:
        share = min(share, Money(a.cap, gross.currency))
    return Shares(gross, vouchers, share, gross - share - vouchers)


class LineKind(StrEnum):
    """What a line is."""

    REVENUE = "revenue"
    REFUND = "refund"
    VOUCHER = "voucher"


@dataclass(frozen=True, slots=True)
class Booked:
    """One transaction of the month: what it charged, without and with tax, and for what."""

    net: Money
    tax: Money
    items: tuple[Part, ...]
    vouchers: tuple[Part, ...]

    @property
    def voucher_part(self) -> Money:
        """The part of `net` that voucher credit paid: of tax it paid its part too."""
        burnt = total([part.amount for part in self.vouchers], self.net.currency)
        whole = self.net + self.tax
        return burnt.fraction(self.net.minor, whole.minor) if whole.is_positive else self._returned(burnt, whole)

    def _returned(self, burnt: Money, whole: Money) -> Money:
        return burnt.fraction(-self.net.minor, -whole.minor) if whole else burnt.zero()


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line of a statement."""

    kind: LineKind
    item: str
    count: int
    amount: Money


@dataclass(frozen=True, slots=True)
class Statement:
    """The account of one month."""

    month: str
    number: str
    sovereign: str
    agreement: str
    agreement_revision: int
    cutoff: datetime
    last_entry: int
    gross: Money
    voucher_credit: Money
    publisher_share: Money
    franchisee_share: Money
    lines: tuple[StatementLine, ...]
    document: bytes
    signature: bytes
    issued_at: datetime
    version: int = 1

    @property
    def name(self) -> str:
        return f"statements/{self.month}"


@dataclass(frozen=True, slots=True)
class Issued:
    statement: Statement


def state(
    month: str, span: Span, number: str, a: Agreement, booked: Sequence[Booked], last_entry: int
) -> dict[str, Any]:
    """What the statement of a month says: the value of its canonical document."""
    gross = total([b.net for b in booked], a.currency)
    vouchers = total([b.voucher_part for b in booked], a.currency)
    shares = split(a, gross, vouchers)
    return {
        "month": month, "number": number, "sovereign": a.sovereign, "agreement": a.name, "revision": a.version,
        "from": _text(span.start), "cutoff": _text(span.end), "last_entry": last_entry, "currency": a.currency,
        "gross": shares.gross.minor, "voucher_credit": shares.vouchers.minor, "publisher_share": shares.publisher.minor,
        "franchisee_share": shares.franchisee.minor,
        "lines": [
            {"kind": line.kind.value, "item": line.item, "count": line.count, "amount": line.amount.minor}
            for line in lines(booked)
        ],
    }  # fmt: skip


def document(said: dict[str, Any]) -> bytes:
    """Canonical JSON: the same value is the same bytes."""
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def issued(said: dict[str, Any], signature: bytes, a: Agreement, cutoff: datetime, now: datetime) -> Statement:
    """The statement whose document says `said`."""

    def money(key: str) -> Money:
        return Money(said[key], a.currency)

    return Statement(
        month=said["month"], number=said["number"], sovereign=a.sovereign, agreement=a.id, agreement_revision=a.version,
        cutoff=cutoff, last_entry=said["last_entry"], gross=money("gross"), voucher_credit=money("voucher_credit"),
        publisher_share=money("publisher_share"), franchisee_share=money("franchisee_share"),
        lines=tuple(
            StatementLine(LineKind(line["kind"]), line["item"], line["count"], Money(line["amount"], a.currency))
            for line in said["lines"]
        ),
        document=document(said), signature=signature, issued_at=now,
    )  # fmt: skip


def share_posting(books: Books, s: Statement, now: datetime) -> Txn | None:
    """What the publisher is owed for the month. None: nothing."""
    return postings.share_owed(books, month=s.month, sovereign=s.sovereign, amount=s.publisher_share, at=now)


def lines(booked: Iterable[Booked]) -> list[StatementLine]:
    """Charges and refunds by what they were for, and vouchers, each sorted."""
    sums: defaultdict[tuple[LineKind, str], list[Money]] = defaultdict(list)
    for b in booked:
        kind = LineKind.REVENUE if b.net.is_positive else LineKind.REFUND
        named = b.items if total([part.amount for part in b.items], b.net.currency) == b.net else ()
        for part in named or (Part("other", b.net),):
            sums[kind, part.name].append(part.amount)
        for part in b.vouchers:
            sums[LineKind.VOUCHER, part.name].append(part.amount)
    order = list(LineKind)
    return [
        StatementLine(kind, item, len(amounts), total(amounts, amounts[0].currency))
        for (kind, item), amounts in sorted(sums.items(), key=lambda entry: (order.index(entry[0][0]), entry[0][1]))
    ]


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
