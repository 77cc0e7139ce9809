"""What billing does when it is told of what an order pays for: of a Sovereign by the provisioner, of apps by environment.

Each event has its effect in one transaction with its inbox row, hence once. An event without `order` is nobody's.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from catalyst.environment.v1 import events_pb2 as environment
from catalyst.provisioner.v1 import events_pb2 as provisioner
from catalyst.provisioner.v1 import resources_pb2 as resources
from catalyst_mesh import Handled, Told
from catalyst_sdk import Decision

from .domain import findings, fulfilment
from .domain.fulfilment import Failing
from .domain.orders import OrderNotFound
from .domain.postings import Books
from .domain.purchases import Purchase
from .emitted import EMITTED
from .names import ORDER, org_in
from .store import Store

_ROOT = "catalyst.v1.provisioner"
_APPLICATION = "catalyst.v1.environment.application"


Facts = Sequence[object]


Step = Callable[[str, str], int]
"""`(provider, currency)`: the step in minor units of what goes back to a card."""


def handled(books: Books, step: Step, failing: Failing) -> tuple[Handled, ...]:
    """The handlers; `books` says on which Sovereign refunds are booked, `failing` what becomes of failed Applications."""
    on_failed = partial(on_application_failed, books, step, failing)
    return (
        Handled(f"{_ROOT}.run.started", provisioner.RunStarted, on_run_started),
        Handled(f"{_ROOT}.run.failed", provisioner.RunFailed, partial(on_run_ended, books, step, "run failed")),
        Handled(
            f"{_ROOT}.run.cancelled", provisioner.RunCancelled, partial(on_run_ended, books, step, "run cancelled")
        ),
        Handled(f"{_ROOT}.sovereign.activated", provisioner.SovereignActivated, on_activated),
        Handled(f"{_APPLICATION}.installed", environment.ApplicationInstalled, on_installed),
        Handled(f"{_APPLICATION}.failed", environment.ApplicationFailed, on_failed),
        Handled(f"{_ROOT}.sovereign.destroyed", provisioner.SovereignDestroyed, partial(on_destroyed, books, step)),
    )


async def on_run_started(tx: Store, message: provisioner.RunStarted, told: Told) -> Facts:
    if message.intent == resources.Plan.INTENT_DESTROY:
        return ()  # taking away is no fulfilment
    return await _decide(tx, message, lambda p: fulfilment.started(p, message.sovereign, tx.now))


async def on_activated(tx: Store, message: provisioner.SovereignActivated, told: Told) -> Facts:
    return await _decide(tx, message, lambda p: fulfilment.activated(p, message.sovereign, tx.now))


async def on_installed(tx: Store, message: environment.ApplicationInstalled, told: Told) -> Facts:
    """An Application stands: the oldest order that waits for one of its Blueprint has it."""
    return await _first_that_waits(tx, message, lambda p: fulfilment.installed(p, message.blueprint, tx.now))


async def on_application_failed(
    books: Books, step: Step, failing: Failing, tx: Store, message: environment.ApplicationFailed, told: Told
) -> Facts:
    """An Application failed: so has what the oldest order waits for. Where that is the end of it, the order is named."""

    def decide(p: Purchase) -> Decision[Purchase]:
        return fulfilment.not_installed(p, message.application, message.blueprint, message.error, tx.now)

    def give_back(p: Purchase) -> Decision[Purchase]:
        return fulfilment.never_stood(
            p, message.application, message.blueprint, failing, books, _step(p, step), tx.now
        )  # fmt: skip - one call

    if message.final:
        return await _decide(tx, message, give_back, who=message.application)
    return await _first_that_waits(tx, message, decide)


async def _first_that_waits(tx: Store, message: Any, decide: Callable[[Purchase], Decision[Purchase]]) -> Facts:
    org = org_in(message.organization)
    await tx.lock_account(org)
    for id in await tx.awaited_orders(org, message.environment):
        purchase = await tx.lock_purchase(org, id)
        decided = decide(purchase)
        if decided.state is not purchase:
            await tx.save(decided.state)
            return decided.events
    return ()


async def on_run_ended(books: Books, step: Step, why: str, tx: Store, message: Any, told: Told) -> Facts:
    if not message.final or message.intent == resources.Plan.INTENT_DESTROY:
        return ()

    def decide(p: Purchase) -> Decision[Purchase]:
        return fulfilment.given_up(p, message.sovereign, why, books, _step(p, step), tx.now)

    return await _decide(tx, message, decide)


async def on_destroyed(
    books: Books, step: Step, tx: Store, message: provisioner.SovereignDestroyed, told: Told
) -> Facts:
    def decide(p: Purchase) -> Decision[Purchase]:
        return fulfilment.destroyed(p, message.sovereign, books, _step(p, step), tx.now)

    return await _decide(tx, message, decide)


def _step(p: Purchase, step: Step) -> int:
    return step(p.order.provider, p.order.total.currency)


async def _decide(tx: Store, message: Any, decide: Callable[[Purchase], Decision[Purchase]], *, who: str = "") -> Facts:
    if not message.order:
        return ()
    name = ORDER.fullmatch(message.order)
    if name is None:
        raise ValueError(f"{message.order!r} is no name of an order")
    try:
        purchase = await tx.lock_purchase(name[1], name[2])
    except OrderNotFound:
        text = f"{who or message.sovereign} names an order that is not known here"
        await tx.open_finding(findings.warn("ORDER_UNKNOWN", message.order, text, account="", now=tx.now))
        return ()
    decided = decide(purchase)
    await tx.save(decided.state)
    return decided.events


__all__ = ["EMITTED", "handled"]
