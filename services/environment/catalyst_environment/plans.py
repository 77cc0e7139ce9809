"""What paid orders make of an Organization: billing tells, and its plan is set by nothing else. The apps that an order names are
noted here and installed by the fitter.

Each event has its effect in one transaction with its inbox row, hence once. A subscription of a Sovereign is none of an
Organization's; what is told of a name that nobody has, or has no more, changes nothing.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from catalyst.billing.v1 import events_pb2 as billing
from catalyst.billing.v1 import resources_pb2 as resources
from catalyst_mesh import Handled, Told
from catalyst_sdk import Decision

from .domain import ordered, organizations
from .domain.ordered import OrderedApp
from .domain.organizations import Organization
from .store import Store

_ROOT = "catalyst.v1.billing.subscription"
_ORG = "organizations/"
Move = Callable[[Organization, datetime], Decision[Organization]]


async def on_activated(tx: Store, message: billing.SubscriptionActivated, told: Told) -> Sequence[object]:
    return await _moved(tx, message.scope, lambda held, now: organizations.subscribe(held, message.plan, now))


async def on_changed(tx: Store, message: billing.SubscriptionChanged, told: Told) -> Sequence[object]:
    return await _moved(tx, message.scope, lambda held, now: organizations.subscribe(held, message.plan, now))


async def on_suspended(tx: Store, message: billing.SubscriptionSuspended, told: Told) -> Sequence[object]:
    return await _moved(tx, message.scope, organizations.lapse)


async def on_resumed(tx: Store, message: billing.SubscriptionResumed, told: Told) -> Sequence[object]:
    return await _moved(tx, message.scope, organizations.settle)


async def on_cancelled(tx: Store, message: billing.SubscriptionCancelled, told: Told) -> Sequence[object]:
    return await _moved(tx, message.scope, lambda held, now: organizations.subscribe(held, "", now))


async def on_paid(tx: Store, message: billing.OrderPaid, told: Told) -> Sequence[object]:
    """Its apps are to be installed, each once however often this is told."""
    org = message.org.removeprefix(_ORG)
    adds = message.kind != resources.Order.KIND_CHANGE
    for app in dict.fromkeys(message.apps):
        if await tx.find(OrderedApp, message.order, app, lock=True) is None:
            place = message.environment.removeprefix("environments/")
            await tx.save(ordered.want(message.order, app, org, place, adds=adds, now=tx.now))
    return ()


HANDLED = (
    Handled("catalyst.v1.billing.order.paid", billing.OrderPaid, on_paid),
    Handled(f"{_ROOT}.activated", billing.SubscriptionActivated, on_activated),
    Handled(f"{_ROOT}.changed", billing.SubscriptionChanged, on_changed),
    Handled(f"{_ROOT}.suspended", billing.SubscriptionSuspended, on_suspended),
    Handled(f"{_ROOT}.resumed", billing.SubscriptionResumed, on_resumed),
    Handled(f"{_ROOT}.cancelled", billing.SubscriptionCancelled, on_cancelled),
)


async def _moved(tx: Store, scope: str, move: Move) -> Sequence[Any]:
    if not scope.startswith(_ORG):
        return ()
    held = await tx.find(Organization, scope.removeprefix(_ORG), lock=True)
    if held is None:
        return ()
    decided = move(held, tx.now)
    if decided.state is not held:
        await tx.save(decided.state)
    return decided.events
