"""Charges of saved methods: each is asked for under its own key until the provider has said what became of it."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from catalyst_mesh import PluginUnavailable, Work
from catalyst_sdk import Decision, NotSupported, Permanent, PluginFailure
from catalyst_sdk.payment import Amount, PaymentState, ProviderPayment

from ..domain import charges, renewals
from ..domain.charges import Charge
from ..domain.renewals import Dues, House
from ..providers import Providers
from ..store import Store
from .checkouts import delay_of
from .turns import Turns

Decide = Callable[[Store, Dues], Decision[Dues]]
MOST = 50
"""Charges in one round."""
LATER = timedelta(minutes=1)
"""When a charge is asked about that the provider still works on."""


class Charges:
    """Has each charge made once, however often it must be asked for."""

    def __init__(self, work: Work[Store], providers: Providers, house: House) -> None:
        self._work = work
        self._providers = providers
        self._house = house
        self._turns = Turns(work, Charge)

    async def round(self) -> None:
        """Ask for every charge that is due."""
        async with self._work.reading() as tx:
            due = await tx.due_charges(MOST)
        if not due:
            return
        await self._providers.refresh()
        await asyncio.gather(*(self._turns.give(c.org, c.id, c.name, partial(self._guarded, c)) for c in due))

    async def _guarded(self, charge: Charge) -> None:
        try:
            await self._ask(charge)
        except (Permanent, NotSupported) as failure:
            # Only a payer's own bank says that no retry will help.
            is_final = isinstance(failure, Permanent) and failure.reason == "DECLINED"
            await self._declined(charge, failure.message, is_final=is_final)
        except (PluginFailure, PluginUnavailable) as failure:
            await self._put_off(charge, delay_of(failure, charge.tries))

    async def _ask(self, charge: Charge) -> None:
        account = f"billingAccounts/{charge.org}"
        payment = await self._providers.get(charge.provider).charge(
            key=f"charge:{charge.id}",
            customer=charge.customer,
            method=charge.method,
            amount=Amount(charge.amount.minor, charge.amount.currency),
            metadata={
                "org": f"organizations/{charge.org}",
                "invoice": f"{account}/invoices/{charge.invoice}",
                "subscription": f"{account}/subscriptions/{charge.subscription}",
            },
        )
        if payment.state is PaymentState.CAPTURED:
            await self._captured(charge, payment)
        elif payment.state is PaymentState.FAILED:
            await self._declined(charge, payment.reason, is_final=payment.is_final)
        else:
            await self._put_off(charge, LATER)

    async def _captured(self, charge: Charge, payment: ProviderPayment) -> None:
        def decide(tx: Store, dues: Dues) -> Decision[Dues]:
            return renewals.captured(dues, payment.ref, self._house, tx.now, at=payment.at)

        await self._apply(charge, decide)

    async def _declined(self, charge: Charge, why: str, *, is_final: bool) -> None:
        def decide(tx: Store, dues: Dues) -> Decision[Dues]:
            return renewals.declined(dues, why, self._house, tx.now, is_final=is_final)

        await self._apply(charge, decide)

    async def _apply(self, charge: Charge, decide: Decide) -> None:
        async def step(tx: Store) -> None:
            dues = await tx.lock_charge(charge.org, charge.id, self._house.books)
            if dues is None:
                return
            decided = decide(tx, dues)
            await tx.save(decided.state)
            tx.emit(*decided.events)

        await self._work.again(step)

    async def _put_off(self, charge: Charge, delay: timedelta) -> None:
        async def step(tx: Store) -> None:
            dues = await tx.lock_charge(charge.org, charge.id, self._house.books)
            if dues is not None and dues.charge is not None:
                await tx.save(charges.put_off(dues.charge, tx.now + delay, tx.now))

        await self._work.again(step)
