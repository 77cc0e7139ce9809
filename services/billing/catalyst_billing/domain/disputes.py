"""Disputes: a payer wants a capture back through the bank.

Invariants
  once        a lost dispute is booked once, however often it is told, and taken back once if it is lost no more;
  no excess   what is lost and what was refunded of a capture never pass what was captured: what would is a finding.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from catalyst_sdk import Decision

from . import findings, postings
from .findings import Finding
from .ledger import Txn
from .money import Money
from .payments import Payment
from .postings import Books


class State(StrEnum):
    """Where a dispute stands."""

    OPENED = "opened"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Dispute:
    """One dispute about one capture."""

    provider: str
    ref: str
    payment: str
    order: str
    """Id of the order; empty for a charge without one."""
    org: str
    amount: Money
    booked: Money
    """What was booked as lost."""
    state: State
    created_at: datetime
    updated_at: datetime
    version: int = 1

    @property
    def name(self) -> str:
        return f"providers/{self.provider}/disputes/{self.ref}"

    @property
    def loss(self) -> str:
        """Key of the posting of its loss, while it is lost."""
        return f"dispute_lost:{self.name}:{self.version}"

    @property
    def withholds(self) -> Money:
        """What of the capture cannot be refunded because of it."""
        return self.amount.zero() if self.state is State.WON else self.amount


@dataclass(frozen=True, slots=True)
class Told:
    """A dispute as the provider has it now."""

    ref: str
    amount: Money
    state: State


@dataclass(frozen=True, slots=True)
class Disputed:
    """A dispute with what its change brings along."""

    dispute: Dispute
    postings: tuple[Txn, ...] = ()
    findings: tuple[Finding, ...] = field(default_factory=tuple)


def decide(
    known: Dispute | None, told: Told, payment: Payment, left: Money, lost: Txn | None, books: Books, now: datetime
) -> Decision[Disputed]:
    """What a dispute's present state brings.

    left   what of the capture was neither refunded nor lost before
    lost   the posting of its loss, if it is booked as lost
    """
    base = known or Dispute(
        payment.provider, told.ref, payment.ref, payment.order, payment.org, told.amount, told.amount.zero(),
        State.OPENED, now, now, version=0,
    )  # fmt: skip
    if known is not None and known.state is told.state:
        return Decision(Disputed(known))
    found = (_finding(base, told, now),)
    # A bank may ask for less than before, where part of it was refunded meanwhile.
    moved = replace(base, state=told.state, amount=told.amount, updated_at=now, version=base.version + 1)
    if told.state is State.LOST:
        return Decision(_lose(moved, left, books, found, now))
    if lost is not None:
        back = postings.dispute_won(books, lost, at=now)
        return Decision(Disputed(replace(moved, booked=moved.booked.zero()), (back,), found))
    return Decision(Disputed(moved, (), found))


def _lose(d: Dispute, left: Money, books: Books, found: tuple[Finding, ...], now: datetime) -> Disputed:
    booked = min(d.amount, left)
    if booked != d.amount:
        text = f"{d.amount} of {d.payment} were lost, and only {left} of it were left: a refund went out before"
        account = f"billingAccounts/{d.org}"
        found = (*found, findings.alarm("DISPUTE_EXCEEDS", f"{d.name}/loss", text, account=account, now=now))
    if not booked.is_positive:
        return Disputed(d, (), found)
    txn = postings.dispute_lost(
        books, org=d.org, provider=d.provider, key=d.loss, order=order_name(d.org, d.order), amount=booked, at=now
    )
    return Disputed(replace(d, booked=booked), (txn,), found)


def order_name(org: str, order: str) -> str:
    """Resource name of an order by its id; empty for none."""
    return f"billingAccounts/{org}/orders/{order}" if order else ""


def _finding(d: Dispute, told: Told, now: datetime) -> Finding:
    subject, account = order_name(d.org, d.order) or d.name, f"billingAccounts/{d.org}"
    make = findings.warn if told.state is State.WON else findings.alarm
    text = f"dispute {d.ref} about {told.amount} of payment {d.payment}: {told.state}"
    return make(f"DISPUTE_{told.state.upper()}", subject, text, account=account, now=now)
