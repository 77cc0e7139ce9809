"""What a Sovereign's life does to the order that pays for it.

Invariants
  any order   `activated` before or after `run.started`, once or three times: FULFILLED once;
  one refund  an order is given back once, and only after an end that is final;
  no silence  work on an order that isn't paid becomes a finding.
"""

from dataclasses import replace
from datetime import datetime

from catalyst_sdk import Decision

from . import findings, orders, purchases
from .orders import Command, State
from .postings import Books
from .purchases import Purchase


def started(p: Purchase, sovereign: str, now: datetime) -> Decision[Purchase]:
    """A run for the order's Sovereign began."""
    if not _is_paid_for(p, sovereign):
        return Decision(_not_paid(p, sovereign, "a run was started", now))
    if p.order.state is not State.PAID:
        return Decision(p)
    return Decision(replace(p, order=orders.moved(p.order, Command.START, now)))


def activated(p: Purchase, sovereign: str, now: datetime) -> Decision[Purchase]:
    """The order's Sovereign stands."""
    if not _is_paid_for(p, sovereign):
        return Decision(_not_paid(p, sovereign, "a Sovereign became active", now))
    if p.order.state in (State.FULFILLED, State.PARTIALLY_REFUNDED):
        return Decision(p)
    return Decision(replace(p, order=orders.moved(p.order, Command.FULFIL, now)))


def given_up(p: Purchase, sovereign: str, why: str, books: Books, now: datetime) -> Decision[Purchase]:
    """A run failed or was cancelled for good: what was paid goes back. After fulfilment it changes nothing."""
    if p.order.sovereign != sovereign:
        return Decision(p)
    is_disputed = p.order.state in (State.PAID, State.FULFILLING) and any(d.withholds for d in p.disputes)
    if p.order.state is State.PARTIALLY_REFUNDED or is_disputed:
        # Whether it had been fulfilled before a part went back is not known, nor how the payer's bank will decide: what
        # is disputed may have gone back by that. A person decides about the rest.
        text = f"{why}: whether the rest of it goes back is to be decided"
        found = findings.alarm("REFUND_BY_HAND", p.order.name, text, account=f"billingAccounts/{p.order.org}", now=now)
        return Decision(replace(p, findings=(*p.findings, found)))
    if p.order.state not in (State.PAID, State.FULFILLING):
        return Decision(p)
    return purchases.refund(p, why, books, now)


def destroyed(p: Purchase, sovereign: str, books: Books, now: datetime) -> Decision[Purchase]:
    """The Sovereign is gone: its subscription ends, and an order that was not yet fulfilled is given back."""
    if p.order.state is not State.FULFILLED or p.order.sovereign != sovereign:
        return given_up(p, sovereign, "destroyed", books, now)
    if not p.order.claims_sovereign:
        return Decision(p)
    freed = replace(p, order=orders.changed(p.order, now, claims_sovereign=False))
    return purchases.end_subscription(freed, "destroyed", now)


def _is_paid_for(p: Purchase, sovereign: str) -> bool:
    paid = p.order.state in orders.SETTLED or p.order.state is State.PARTIALLY_REFUNDED
    return paid and p.order.sovereign == sovereign


def _not_paid(p: Purchase, sovereign: str, what: str, now: datetime) -> Purchase:
    pays_for = p.order.sovereign or "no Sovereign"
    text = f"{what} for {sovereign}, but the order is {p.order.state} and pays for {pays_for}"
    found = findings.alarm("ORDER_NOT_PAID", p.order.name, text, account=f"billingAccounts/{p.order.org}", now=now)
    return replace(p, findings=(*p.findings, found))
