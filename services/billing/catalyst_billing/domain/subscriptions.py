"""Subscriptions, as far as an order begins and a destruction ends them.

Invariants
  one live    a scope (an Organization's own plan, or one Sovereign) has at most one subscription that isn't CANCELLED;
  half-open   a period contains its start and not its end; it ends on the anchor day, or on the last day of a month
              that is shorter, and comes back to the anchor day after it.
"""

import calendar
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from .money import Money
from .orders import Order


class State(StrEnum):
    """Where a subscription stands."""

    ACTIVE = "active"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Subscription:
    """What an Organization, or one Sovereign of it, pays for from period to period."""

    id: str
    org: str
    scope: str
    order: str
    state: State
    plan: str
    add_ons: tuple[str, ...]
    price_book_version: int
    price: Money
    """Net price of the current period: without tax."""
    anchor_day: int
    period_start: datetime
    period_end: datetime
    period_months: int
    provider: str
    created_at: datetime
    updated_at: datetime
    version: int = 1

    @property
    def name(self) -> str:
        return f"billingAccounts/{self.org}/subscriptions/{self.id}"


@dataclass(frozen=True, slots=True)
class Activated:
    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Cancelled:
    subscription: Subscription
    why: str
    """`destroyed` or `refunded`."""


def begin(id: str, order: Order, now: datetime) -> Subscription:
    """The subscription that a settled order begins."""
    return Subscription(
        id=id, org=order.org, scope=order.scope, order=order.id, state=State.ACTIVE, plan=order.selection.plan,
        add_ons=order.selection.add_ons, price_book_version=order.price_book_version, price=order.total - order.tax,
        anchor_day=now.day, period_start=now, period_end=next_boundary(now, order.selection.period_months, now.day),
        period_months=order.selection.period_months, provider=order.provider, created_at=now, updated_at=now,
    )  # fmt: skip


def cancel(subscription: Subscription, now: datetime) -> Subscription:
    """The subscription, ended; an ended one stays as it is."""
    if subscription.state is State.CANCELLED:
        return subscription
    return replace(subscription, state=State.CANCELLED, updated_at=now, version=subscription.version + 1)


def next_boundary(start: datetime, months: int, anchor_day: int) -> datetime:
    """The moment `months` calendar months after `start`, on the anchor day or the last of a shorter month."""
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return start.replace(year=year, month=month + 1, day=min(anchor_day, last))
