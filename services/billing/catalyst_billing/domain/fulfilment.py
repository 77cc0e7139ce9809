"""What a Sovereign's life does to the order that pays for it.

Invariants
  any order   `activated` before or after `run.started`, once or three times: FULFILLED once;
  one refund  an order is given back once, and only after an end that is final: what is left of it then, and what a dispute
              withholds when that is won; if it is lost the bank has given it back, and nobody owes it;
  no silence  work on an order that isn't paid becomes a finding, and so does an Application that failed.
"""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from catalyst_sdk import Decision

from . import findings, orders, purchases, refunds
from .disputes import Dispute
from .disputes import State as DisputeState
from .orders import Command, Order, State
from .postings import Books
from .purchases import Purchase
from .refunds import Wish


class Failing(StrEnum):
    """What becomes of an order of which an Application failed for good before any of them stood: the Sovereign's policy."""

    FINDING = "finding"
    """A person decides."""
    REFUND = "refund"
    """All of it goes back to where it came from."""
    CREDIT = "credit"
    """All of it goes back as credit."""


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
    if p.order.fulfilled_at is not None:
        return Decision(p)
    if p.order.state is State.PARTIALLY_REFUNDED:
        return Decision(replace(p, order=orders.changed(p.order, now, fulfilled_at=now)))
    return Decision(replace(p, order=orders.moved(p.order, Command.FULFIL, now, fulfilled_at=now)))


def installed(p: Purchase, blueprint: str, now: datetime) -> Decision[Purchase]:
    """An Application of what the order names stands; with the last of them the order is fulfilled."""
    order = p.order
    if not _awaits(order, blueprint):
        return Decision(p)
    there = tuple(sorted({*order.installed, blueprint}))
    is_whole = set(order.blueprints) <= set(there)
    changes = {"installed": there, **({"fulfilled_at": now} if is_whole else {})}
    if order.state is State.PARTIALLY_REFUNDED or (order.state is State.FULFILLING and not is_whole):
        return Decision(replace(p, order=orders.changed(order, now, **changes)))
    return Decision(
        replace(p, order=orders.moved(order, Command.FULFIL if is_whole else Command.START, now, **changes))
    )


def not_installed(p: Purchase, application: str, blueprint: str, why: str, now: datetime) -> Decision[Purchase]:
    """An Application of what the order names failed, and may be tried again: people see to it."""
    if not _awaits(p.order, blueprint):
        return Decision(p)
    return Decision(_failed(p, f"{application} could not be installed: {why} failed; retry it, or take it away", now))


def never_stood(
    p: Purchase, application: str, blueprint: str, policy: Failing, books: Books, step: int, now: datetime
) -> Decision[Purchase]:
    """An Application of what the order names failed for good: it is gone and never stood. Where one of its others stands,
    whether the order is given back is for people to say: the plan that was bought with it serves that one.

    step   of the provider in minor units, as in `refunds.give_back`
    """
    if not _awaits(p.order, blueprint):
        return Decision(p)
    if policy is Failing.FINDING or p.order.installed:
        return Decision(_failed(p, f"{application} is gone and never stood; refund the order", now))
    told = _failed(p, f"{application} is gone and never stood; the order goes back", now)
    return _back(told, "application failed", books, step, now, to_credit=policy is Failing.CREDIT)


def given_up(p: Purchase, sovereign: str, why: str, books: Books, step: int, now: datetime) -> Decision[Purchase]:
    """A run failed or was cancelled for good: what is left of what was paid goes back. After fulfilment it changes nothing.

    step   of the provider in minor units, as in `refunds.give_back`
    """
    order = p.order
    if order.sovereign != sovereign or order.state not in orders.UNDER_WAY or order.fulfilled_at or order.given_up_at:
        return Decision(p)
    return _back(p, why, books, step, now)


def disputed(p: Purchase, d: Dispute, books: Books, step: int, now: datetime) -> Decision[Purchase]:
    """A dispute was decided about an order whose work failed for good: what it withheld goes back, or went back by it."""
    if p.order.given_up_at is None:
        return Decision(p)
    given = refunds.after_win(p, d, books, now)
    if given.order.state not in orders.UNDER_WAY:
        return Decision(given)
    if d.state is DisputeState.LOST:
        return refunds.by_loss(given, d, books, now)
    if not refunds.left_of(given, now).total.is_positive:
        return Decision(given)
    return _the_rest(given, "dispute won", books, step, now)


def destroyed(p: Purchase, sovereign: str, books: Books, step: int, now: datetime) -> Decision[Purchase]:
    """The Sovereign is gone: its subscription ends, and an order that was not yet fulfilled is given back."""
    if p.order.fulfilled_at is None or p.order.sovereign != sovereign:
        return given_up(p, sovereign, "destroyed", books, step, now)
    if not p.order.claims_sovereign:
        return Decision(p)
    freed = replace(p, order=orders.changed(p.order, now, claims_sovereign=False))
    return purchases.end_subscription(freed, "destroyed", books, now)


def _failed(p: Purchase, text: str, now: datetime) -> Purchase:
    account = f"billingAccounts/{p.order.org}"
    found = findings.alarm("APPLICATION_FAILED", p.order.name, text, account=account, now=now)
    return replace(p, findings=(*p.findings, found))


def _awaits(order: Order, blueprint: str) -> bool:
    is_awaited = order.state in orders.UNDER_WAY and order.fulfilled_at is None and not order.sovereign
    return is_awaited and blueprint in order.blueprints and blueprint not in order.installed


def _back(
    p: Purchase, why: str, books: Books, step: int, now: datetime, *, to_credit: bool = False
) -> Decision[Purchase]:
    """All that is left of an order whose work failed for good, and the end of its subscription."""
    if not (p.refunds or (to_credit and p.order.paid) or any(d.withholds for d in p.disputes)):
        return purchases.refund(p, why, books, now)
    marked = replace(p, order=replace(p.order, given_up_at=now, claims_sovereign=False))
    given = _the_rest(marked, why, books, step, now, to_credit=to_credit)
    ended = purchases.end_subscription(given.state, why, books, now)
    return Decision(ended.state, (*given.events, *ended.events))


def _the_rest(
    p: Purchase, why: str, books: Books, step: int, now: datetime, *, to_credit: bool = False
) -> Decision[Purchase]:
    """Everything that can go back now; what is withheld by a dispute goes when it is won, and is gone when it is lost."""
    facts: list[object] = []
    for d in p.disputes:
        lost = refunds.by_loss(p, d, books, now)
        p = lost.state
        facts += lost.events
    if refunds.left_of(p, now).total.is_positive:
        rest = refunds.give_back(p, Wish(None, to_credit, why), books, step, now)
        return Decision(rest.state, (*facts, *rest.events))
    return Decision(p if facts else replace(p, order=orders.changed(p.order, now)), tuple(facts))


def _is_paid_for(p: Purchase, sovereign: str) -> bool:
    paid = p.order.state in orders.SETTLED or p.order.state is State.PARTIALLY_REFUNDED
    return paid and p.order.sovereign == sovereign


def _not_paid(p: Purchase, sovereign: str, what: str, now: datetime) -> Purchase:
    pays_for = p.order.sovereign or "no Sovereign"
    text = f"{what} for {sovereign}, but the order is {p.order.state} and pays for {pays_for}"
    found = findings.alarm("ORDER_NOT_PAID", p.order.name, text, account=f"billingAccounts/{p.order.org}", now=now)
    return replace(p, findings=(*p.findings, found))
