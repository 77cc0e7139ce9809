"""Killed between any two steps of a settlement, it ends after a restart as if nothing had been."""

from datetime import timedelta
from typing import Any

from catalyst_billing.domain import settlements
from catalyst_billing.domain.payments import Capture
from catalyst_billing.emitted import EMITTED
from catalyst_billing.store import Store, metadata
from catalyst_billing.store import tables as t
from catalyst_mesh import ManualClock, Work
from catalyst_sdk import Temporary
from catalyst_testkit import eventually
from sqlalchemy import update

from .conftest import Billing, Start
from .makers import BOOKS, omr


class Killed(BaseException):
    """The process ends here."""


class Mortal:
    """A connection that lives for so many statements."""

    def __init__(self, sql: Any, lives: list[int]) -> None:
        self._sql = sql
        self._lives = lives

    async def execute(self, *args: Any) -> Any:
        if not self._lives[0]:
            raise Killed
        self._lives[0] -= 1
        return await self._sql.execute(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sql, name)


async def test_a_settlement_is_all_or_nothing_at_every_statement(start: Start) -> None:
    async with start("never") as billing:
        await billing.issue("FOUR", minor=4000)
        order = await billing.submit(await billing.quote(code="FOUR", sovereign="sovereigns/omantel"))
        before, points = await _picture(billing), 0
        while not await _settles(billing, order.name, lives=points):
            assert await _picture(billing) == before, f"something was left by a death at statement {points}"
            points += 1
        assert points > 30, "fewer points than a settlement has statements"
        after = await _picture(billing)
        assert after["booked"] == {"promo_cost": 4000, "psp_clearing": 5000, "deferred_revenue": -9000}
        assert after["told"][len(before["told"]) :] == [
            "invoice.finalized", "invoice.paid", "payment.received", "voucher.confirmed", "credit.granted", "order.paid",
            "subscription.activated",
        ]  # fmt: skip
        assert await _settles(billing, order.name, lives=10_000)
        assert await _picture(billing) == after
        assert (await billing.prove()).proved


async def test_a_checkout_made_before_a_crash_is_found_and_not_made_again(start: Start, clock: ManualClock) -> None:
    async with start("never") as billing:
        order = await billing.order()
        await _asked(billing)
    async with start("no such script") as billing, billing.daemon.daemon.db.begin() as sql:
        # Our note of the provider's answer is lost; the provider has its checkout.
        await sql.execute(update(t.checkout).values(ref="", url="", state="wanted", next_at=t.checkout.c.created_at))
    clock.advance(timedelta(seconds=2))
    async with start("pay") as billing:

        async def found() -> str:
            return (await billing.get(order)).checkout_url

        await eventually(found, within=60)
        assert len(billing.provider.books.checkouts) == 1


async def test_a_restart_carries_open_orders_on(start: Start, clock: ManualClock) -> None:
    async with start("async") as billing:
        order = await billing.order()
        await _asked(billing)
    clock.advance(timedelta(minutes=2))
    async with start("async") as billing:
        await billing.reached(order, "PAID")
        assert await billing.booked() == {"psp_clearing": 9000, "deferred_revenue": -9000}
        assert (await billing.told()).count("order.paid") == 1


async def test_a_provider_that_fails_for_a_while_is_asked_again(start: Start, clock: ManualClock) -> None:
    async with start() as billing:
        target = billing.provider._target
        create, fails = target.create_checkout, [True, True]

        async def flaky(**call: Any) -> Any:
            if fails:
                fails.pop()
                raise Temporary("away")
            return await create(**call)

        target.create_checkout = flaky
        order = await billing.order()

        async def paid() -> bool:
            clock.advance(timedelta(seconds=1))
            return (await billing.get(order)).paid_by_card.minor == 9000

        await eventually(paid, within=60, every=0.05)
        assert await billing.booked() == {"psp_clearing": 9000, "deferred_revenue": -9000}


async def _settles(billing: Billing, order: str, *, lives: int) -> bool:
    """Apply a capture in a process that dies after `lives` statements; whether it came to the end."""
    left = [lives]
    daemon = billing.daemon.daemon

    def mortal(sql: Any, now: Any, **rest: Any) -> Store:
        return Store(Mortal(sql, left), now, **rest)

    work = Work(daemon.db, mortal, metadata=metadata, emitted=EMITTED)
    _, org, _, id = order.split("/")

    async def step(tx: Store) -> None:
        p = await tx.lock_purchase(org, id)
        decided = settlements.capture(p, Capture("fp_test", omr("5"), tx.now), BOOKS, tx.now)
        await tx.save(decided.state)
        tx.emit(*decided.events)

    try:
        await work.again(step)
    except Killed:
        return False
    return True


async def _picture(billing: Billing) -> dict[str, Any]:
    tables = (
        "order", "credit_grant", "voucher_use", "subscription", "payment", "ledger_txn", "ledger_entry", "invoice",
        "invoice_series",
    )  # fmt: skip
    counts = {table: await billing.count(table) for table in tables}
    return {**counts, "booked": await billing.booked(), "told": await billing.told()}


async def _asked(billing: Billing) -> None:
    async def check() -> bool:
        return bool(billing.provider.books.checkouts)

    await eventually(check, within=60)
