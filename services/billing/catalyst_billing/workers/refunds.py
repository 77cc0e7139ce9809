"""Refunds: the provider's part of what was already booked to go back."""

import asyncio
from datetime import datetime, timedelta
from functools import partial

from catalyst_mesh import PluginUnavailable, Work
from catalyst_sdk import NotSupported, Permanent, PluginFailure
from catalyst_sdk.payment import Amount
from catalyst_sdk.payment import RefundState as ProviderState

from ..domain import findings, payments
from ..domain.disputes import order_name
from ..domain.payments import Refund, RefundState
from ..providers import Providers
from ..store import Store
from .checkouts import delay_of
from .turns import Turns

MOST = 50
"""Refunds in one round."""
LATER = timedelta(minutes=1)
"""When a refund is asked about that the provider still works on."""
_REACHED = {
    ProviderState.PENDING: RefundState.PENDING,
    ProviderState.SUCCEEDED: RefundState.SUCCEEDED,
    ProviderState.FAILED: RefundState.FAILED,
}


class Refunds:
    """Has each refund done once, under its own key, however often it must be asked for."""

    def __init__(self, work: Work[Store], providers: Providers) -> None:
        self._work = work
        self._providers = providers
        self._turns = Turns(work, Refund)

    async def round(self) -> None:
        """Ask for every refund that is due."""
        async with self._work.reading() as tx:
            due = await tx.due_refunds(MOST)
        if not due:
            return
        await self._providers.refresh()
        await asyncio.gather(*(self._turns.give(r.org, r.id, r.name, partial(self._guarded, r)) for r in due))

    async def _guarded(self, refund: Refund) -> None:
        try:
            await self._ask(refund)
        except (Permanent, NotSupported) as failure:
            await self._note(refund, RefundState.FAILED, timedelta(0), failure.message)
        except (PluginFailure, PluginUnavailable) as failure:
            await self._note(refund, RefundState.PENDING, delay_of(failure, refund.tries), "")

    async def _ask(self, refund: Refund) -> None:
        amount = Amount(refund.to_card.minor, refund.to_card.currency)
        provider = self._providers.get(refund.provider)
        done = await provider.refund(key=f"refund:{refund.id}", payment=refund.payment, amount=amount)
        await self._note(refund, _REACHED[done.state], LATER, done.reason)

    async def _note(self, refund: Refund, state: RefundState, delay: timedelta, why: str) -> None:
        async def step(tx: Store) -> None:
            current = await tx.refund(refund.id)
            if current is None or current.state is not RefundState.PENDING:
                return
            await tx.save(payments.tried(current, state=state, next_at=tx.now + delay, now=tx.now))
            if state is RefundState.FAILED:
                await tx.open_finding(_finding(current, why, tx.now))

        await self._work.again(step)


def _finding(refund: Refund, why: str, now: datetime) -> findings.Finding:
    account = f"billingAccounts/{refund.org}"
    text = f"{refund.to_card} of payment {refund.payment} could not be given back: {why or 'no reason told'}"
    subject = order_name(refund.org, refund.order) or refund.name
    return findings.alarm("REFUND_FAILED", subject, text, account=account, now=now)
