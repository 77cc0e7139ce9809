"""Subscriptions: what runs from period to period.

Invariants
  one live    a scope (an Organization's own plan, or one Sovereign) has at most one subscription that isn't CANCELLED;
  paid        `period_start` to `period_end` is the last period that was paid, or the trial; an unpaid one never shifts it;
  one debt    of an unpaid subscription at most one invoice is open, that of the period after the paid one;
  by orders   plan and add-ons change with a paid order, or at the end of the period for which such an order noted them;
  last bill   usage of a metered plan that no renewal bills any more is billed once after the end, see `last_bills`;
  announced   a price that is not an order's counts from the first period that begins long enough after it was told.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from catalyst_sdk import Code, Decision, Refused

from . import periods
from .money import Money, total
from .moves import IllegalTransition
from .orders import Order
from .periods import Span
from .postings import Books
from .pricing import TRIAL, Bill, Line, LineKind, Offer, TaxRule, bill


class SubscriptionNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "SUBSCRIPTION_NOT_FOUND", "there is no subscription {subscription}"


class TrialUsed(Refused):
    reason, message = "TRIAL_USED", "plan {plan} was tried before; a plan can be tried once"


class State(StrEnum):
    """Where a subscription stands."""

    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    GRACE = "grace"
    SUSPENDED = "suspended"
    CANCELLED = "cancelled"


UNPAID = frozenset({State.PAST_DUE, State.GRACE, State.SUSPENDED})
BILLED_AT_END = frozenset({"requested", "destroyed", "unpaid"})
"""Why a subscription may end and what was used until then is still owed. Who was given everything back, or has gone, owes
nothing; nor does a trial that nobody goes on with."""
EARNING = frozenset({State.ACTIVE, State.PAST_DUE, State.GRACE})
"""States that count as monthly recurring revenue."""


@dataclass(frozen=True, slots=True)
class Dunning:
    """What happens on which day after the first failure to pay."""

    retry_days: tuple[int, ...] = (1, 3, 5)
    grace_day: int = 3
    suspend_day: int = 7
    cancel_day: int = 30
    erase_day: int = 60
    """No data is erased before this day."""

    def retry_after(self, since: datetime, now: datetime) -> datetime | None:
        """The first retry later than `now`; None: there is none."""
        return next((at for day in self.retry_days if (at := since + day * periods.DAY) > now), None)


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
    anchor_at: datetime | None = None
    """The boundary from which all others are worked out; None in rows older than this column: when it was made."""
    items: tuple[Line, ...] = ()
    """Goods and the bundle's discount, each for one whole period; empty in rows older than this column."""
    apps: tuple[str, ...] = ()
    percent: int = 0
    """What a voucher takes off."""
    percent_periods: int = 0
    """In how many periods it still does, the current one counted."""
    customer: str = ""
    """The provider's id of the customer whose saved method may be charged."""
    method: str = ""
    method_label: str = ""
    cancel_at_period_end: bool = False
    pending: Offer | None = None
    """From the next period on, after a downgrade."""
    repricing: Offer | None = None
    """Prices that were announced and do not count yet."""
    compared_book: int = 0
    """The newest price book whose prices were compared with these."""
    trial_end: datetime | None = None
    trial_plan: str = ""
    """The plan that was tried; empty: none."""
    invoice: str = ""
    """Id of the invoice of the next period, draft or open; empty: there is none yet."""
    charge: str = ""
    """Id of the charge that a provider is asked for now."""
    past_due_at: datetime | None = None
    next_try_at: datetime | None = None
    tries: int = 0
    """Failed charges of the open invoice."""
    erase_not_before: datetime | None = None
    wake_at: datetime | None = None
    """When it is looked at next; None: something else moves it."""
    last: Span | None = None
    """Of an ended one: the time whose usage its last bill is about; None: there is nothing to bill."""
    version: int = 1

    @property
    def name(self) -> str:
        return f"billingAccounts/{self.org}/subscriptions/{self.id}"

    @property
    def period(self) -> Span:
        return Span(self.period_start, self.period_end)

    @property
    def is_live(self) -> bool:
        return self.state is not State.CANCELLED

    @property
    def anchor(self) -> datetime:
        return self.anchor_at or self.created_at

    @property
    def offer(self) -> Offer:
        """What the current period holds."""
        items = self.items or (Line(LineKind.PLAN, self.plan, f"Plan {self.plan}", self.price),)
        return Offer(self.plan, self.add_ons, items, self.price_book_version)

    @property
    def bundle(self) -> str:
        """The bundle whose discount comes again with every period; empty: none."""
        return next((line.item for line in self.items if line.kind is LineKind.DISCOUNT), "")

    @property
    def sovereign(self) -> str:
        """The Sovereign that it pays for; empty: the plan is the Organization's own."""
        return self.scope if self.scope.startswith("sovereigns/") else ""

    @property
    def monthly(self) -> Money:
        """Net price of one month."""
        return self.price.fraction(1, self.period_months)


@dataclass(frozen=True, slots=True)
class Activated:
    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Renewed:
    """The next period is paid."""

    subscription: Subscription
    invoice: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Changed:
    """Plan or add-ons are others now."""

    subscription: Subscription
    previous_plan: str
    order: str


@dataclass(frozen=True, slots=True)
class Repriced:
    """Another price counts from the period that begins at `starts_at`."""

    subscription: Subscription
    price: Money
    """Of a whole period, before tax."""
    starts_at: datetime


@dataclass(frozen=True, slots=True)
class Lapsed:
    """A renewal was not paid: past due, or in grace."""

    subscription: Subscription
    amount: Money
    suspend_at: datetime


@dataclass(frozen=True, slots=True)
class Suspended:
    subscription: Subscription
    amount: Money
    cancel_at: datetime


@dataclass(frozen=True, slots=True)
class Resumed:
    """The debt is paid; the period is not shifted."""

    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Cancelled:
    subscription: Subscription
    why: str
    """`requested`, `unpaid`, `refunded`, `destroyed`, `trial_ended` or `organization_deleted`."""


def prepaid_hold(s: "Subscription") -> str:
    """Id of the credit that is set aside for the usage of the current period."""
    return f"pp-{s.id}-{s.period_start:%Y%m%dT%H%M}"


def begin(
    id: str, order: Order, books: Books, now: datetime, *, percent: int = 0, periods_off: int = 0
) -> Subscription:
    """The subscription that a settled order begins, paid or as a trial.

    percent, periods_off   what the order's voucher takes off, in how many periods from the first on
    """
    s, is_trial = order.selection, order.selection.trial
    end = now + books.trial if is_trial else periods.boundary(now, s.period_months, books.zone)
    anchor = end if is_trial else now
    begun = Subscription(
        id=id, org=order.org, scope=order.scope, order=order.id, state=State.TRIALING if is_trial else State.ACTIVE,
        plan=s.plan, add_ons=s.add_ons, price_book_version=order.price_book_version, price=order.total - order.tax,
        anchor_day=anchor.astimezone(books.zone).day, anchor_at=anchor, period_start=now, period_end=end,
        period_months=s.period_months, provider=order.provider, created_at=now, updated_at=now,
        items=tuple(goods(order.lines)), apps=s.apps, percent=percent, percent_periods=periods_off if percent else 0,
        trial_end=end if is_trial else None, trial_plan=s.plan if is_trial else "",
    )  # fmt: skip
    return replace(begun, wake_at=wake(begun, books.lead))


def goods(lines: Sequence[Line]) -> Iterator[Line]:
    """The lines of a quote that come again with every period."""
    again = (LineKind.PLAN, LineKind.ADD_ON, LineKind.DISCOUNT)
    return (line for line in lines if line.kind in again and line.item != TRIAL)


def wake(s: Subscription, lead: timedelta, dunning: Dunning | None = None) -> datetime | None:
    """When it is to be looked at next."""
    if not s.is_live or s.charge:
        return None
    if s.past_due_at is None:
        return s.period_end if s.invoice or s.cancel_at_period_end else s.period_end - lead
    days = dunning or Dunning()
    next_day = {
        State.PAST_DUE: days.grace_day,
        State.GRACE: days.suspend_day,
        State.SUSPENDED: days.cancel_day,
    }[s.state]
    moment = s.past_due_at + next_day * periods.DAY
    return min(moment, s.next_try_at) if s.next_try_at else moment


def next_offer(s: Subscription) -> Offer:
    """What the next period holds: as a downgrade noted it, else as it is, at the prices that were announced in time."""
    if s.pending:
        return s.pending
    told = s.repricing
    return told if told and told.since and told.since <= s.period_end else s.offer


def next_bill(s: Subscription, taxes: Sequence[TaxRule]) -> Bill:
    """What the next period costs."""
    left = s.percent_periods - (s.state is not State.TRIALING)
    return bill(next_offer(s).items, taxes, percent=s.percent if left > 0 else 0)


def current_bill(s: Subscription, offer: Offer, taxes: Sequence[TaxRule]) -> Bill:
    """What all of the current period would cost at `offer`."""
    return bill(offer.items, taxes, percent=s.percent if s.percent_periods > 0 else 0)


def told(s: Subscription, makes: Sequence[Callable[[Subscription], object]]) -> tuple[Subscription, tuple[object, ...]]:
    """The subscription and its facts, each of which has a version of its own, in their order."""
    facts = [make(replace(s, version=s.version + n)) for n, make in enumerate(makes)]
    return replace(s, version=s.version + max(0, len(makes) - 1)), tuple(facts)


def changed(s: Subscription, now: datetime, **changes: Any) -> Subscription:
    """The subscription with other values, one version later."""
    return replace(s, updated_at=now, version=s.version + 1, **changes)


def with_offer(s: Subscription, offer: Offer, now: datetime, **more: Any) -> Subscription:
    """The subscription at another offer."""
    return changed(
        s, now, plan=offer.plan, add_ons=offer.add_ons, items=offer.items, price_book_version=offer.price_book_version,
        **more,
    )  # fmt: skip


def announce(s: Subscription, offer: Offer, books: Books, now: datetime, notice: timedelta) -> Decision[Subscription]:
    """Note that a newer price book was looked at; other prices are told, and count from a period that begins later."""
    newest = offer.price_book_version
    if s.compared_book >= newest:
        return Decision(s)
    if [line.amount for line in offer.items] == [line.amount for line in s.offer.items]:
        return Decision(changed(s, now, compared_book=newest, repricing=None))
    told = replace(offer, since=now + notice)
    start = s.period_end
    while start < now + notice:
        start = periods.following(s.anchor, start, s.period_months, books.zone, day=s.anchor_day).end
    noted = changed(s, now, compared_book=newest, repricing=told)
    price = total([line.amount for line in offer.items], s.price.currency)
    return Decision(noted, (Repriced(noted, price, start),))


def at_period_end(s: Subscription, now: datetime, lead: timedelta) -> Subscription:
    """Ends with the period. Raises IllegalTransition for one that is not paid or has ended."""
    if s.state not in (State.ACTIVE, State.TRIALING):
        raise IllegalTransition(s.name, s.state, "cancel at period end", () if not s.is_live else ("cancel at once",))
    if s.cancel_at_period_end:
        return s
    kept = changed(s, now, cancel_at_period_end=True)
    return replace(kept, wake_at=wake(kept, lead))


def taken_back(s: Subscription, now: datetime, lead: timedelta) -> Subscription:
    """Goes on after its period again; one that would anyway stays as it is."""
    if not s.is_live:
        raise IllegalTransition(s.name, s.state, "resume", ())
    if not s.cancel_at_period_end:
        return s
    kept = changed(s, now, cancel_at_period_end=False)
    return replace(kept, wake_at=wake(kept, lead))


def cancel(
    subscription: Subscription, now: datetime, dunning: Dunning | None = None, *, last: Span | None = None,
    late: timedelta = timedelta(0),
) -> Subscription:  # fmt: skip
    """The subscription, ended; an ended one stays as it is.

    last   the time whose usage is billed when `late` has passed, in which it may still arrive
    """
    if not subscription.is_live:
        return subscription
    days = dunning or Dunning()
    since = subscription.past_due_at or now
    return changed(
        subscription, now, state=State.CANCELLED, wake_at=now + late if last else None, next_try_at=None, invoice="",
        charge="", last=last, erase_not_before=max(now, since + days.erase_day * periods.DAY),
    )  # fmt: skip


def unbilled(s: Subscription, why: str, now: datetime, dunning: Dunning | None = None) -> Span | None:
    """The time of which nothing is billed yet where a metered subscription ends now; None: usage of it is owed to nobody.

    Of one that ends unpaid the open invoice stays, and has the usage of the period before on it. While it was suspended
    nothing was to be had.
    """
    if why not in BILLED_AT_END or s.state is State.TRIALING:
        return None
    end = now
    if s.state is State.SUSPENDED and s.past_due_at is not None:
        end = min(now, s.past_due_at + (dunning or Dunning()).suspend_day * periods.DAY)
    return Span(s.period_end if why == "unpaid" else s.period_start, end)
