"""Apps that an order names, on their way to be Applications.

Invariants
  once       an order and an app are one row, whatever is told twice, and one installation at most comes of it;
  no silence what cannot be installed is said at the Organization, with the order and the reason, until it is no longer so.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from .conditions import Condition

CONDITION = "OrderedApps"


class State(StrEnum):
    WANTED = "wanted"
    BEGUN = "begun"
    """Its installation has begun, or it stood there already."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class OrderedApp:
    """One app of one paid order."""

    order: str
    """`billingAccounts/{org}/orders/{id}`."""
    app: str
    """Its slug in the storefront."""
    org: str
    environment: str
    """Id of the Environment in which it goes; empty: the Organization's default one."""
    state: State
    created_at: datetime
    updated_at: datetime
    version: int
    adds: bool = True
    """False: the order changes what stands already, and an app that stands is not installed again."""
    application: str = ""
    reason: str = ""


def want(order: str, app: str, org: str, environment: str, *, adds: bool, now: datetime) -> OrderedApp:
    """It was paid."""
    return OrderedApp(order, app, org, environment, State.WANTED, now, now, 1, adds)


def begun(held: OrderedApp, application: str, now: datetime) -> OrderedApp:
    """Its installation has begun as `application`."""
    return _moved(held, now, state=State.BEGUN, application=application, reason="")


def refused(held: OrderedApp, why: str, now: datetime) -> OrderedApp:
    """It cannot be installed as things stand; it is tried again when somebody has seen to it."""
    if (held.state, held.reason) == (State.REFUSED, why):
        return held
    return _moved(held, now, state=State.REFUSED, reason=why)


def told(rows: Iterable[OrderedApp], now: datetime) -> Condition | None:
    """What an Organization says of its orders; None: none names an app."""
    rows = list(rows)
    if not rows:
        return None
    wrong = [one for one in rows if one.state is State.REFUSED]
    if wrong:
        text = "; ".join(f"{one.app} of {one.order}: {one.reason}" for one in wrong)
        return Condition(CONDITION, False, "Refused", text, now)
    waiting = [one.app for one in rows if one.state is State.WANTED]
    if waiting:
        return Condition(CONDITION, False, "Waiting", f"to be installed: {', '.join(waiting)}", now)
    return Condition(CONDITION, True, "Installed", "what was ordered is installed, or is being", now)


def _moved(held: OrderedApp, now: datetime, **changes: object) -> OrderedApp:
    return replace(held, updated_at=now, version=held.version + 1, **changes)  # type: ignore[arg-type]  # its fields
