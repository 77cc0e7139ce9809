"""Prepaid usage: what is used is set aside from credit each hour, so that nobody uses what he has not paid.

Invariants
  hour by hour   what is set aside is what the period has cost so far, made anew each time: asked twice it is the same;
  no more        it never passes the credit there is; what is missing is told once for each period;
  one invoice    the period is billed as any other: what was set aside is free again the moment its invoice is paid from it.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from . import subscriptions, usage
from .credit import Purpose, Wallet
from .money import Money
from .quotas import Entitlement, Fired, Reached
from .renewals import HELD_FOR, Dues
from .subscriptions import State

PREPAID = "prepaid"
"""Dimension of what is told when credit does not hold the usage."""
RUNS = frozenset({State.ACTIVE, State.TRIALING})


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one hour brought."""

    wallet: Wallet
    entitlement: Entitlement
    fired: tuple[Fired, ...] = ()
    facts: tuple[Reached, ...] = ()


def draw(d: Dues, e: Entitlement, cost: Money, *, is_told: bool, now: datetime) -> Drawn:
    """Set aside what the period of a subscription has cost so far.

    cost      of its usage until now, with tax
    is_told   whether it was told before that credit is missing in this period
    """
    s = d.subscription
    id, purpose = subscriptions.prepaid_hold(s), Purpose(s.plan)
    looked = replace(e, drawn_until=usage.hour_of(now), version=e.version + 1)
    wallet = d.wallet.lapse(now).release(id, now)
    if s.state not in RUNS or s.charge:
        return Drawn(wallet, looked)  # it is on an invoice, which is met with all credit there is
    held = min(wallet.available(now, purpose), cost)
    if held:
        wallet = wallet.hold(id, held, promise=None, purpose=purpose, until=now + HELD_FOR, now=now)
    if held == cost or is_told:
        return Drawn(wallet, looked)
    looked = replace(looked, version=looked.version + 1)
    fired = Fired(e.org, s.period_start, PREPAID, 100, now)
    return Drawn(wallet, looked, (fired,), (Reached(looked, 100, PREPAID, s.period_start, spent=cost),))
