"""Each day the payments of every provider are compared with ours, so that no webhook needs to have arrived."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from catalyst_mesh import PluginUnavailable, Work, get_logger
from catalyst_sdk import PluginFailure, Temporary
from catalyst_sdk.payment import PaymentState, ProviderPayment

from ..domain import findings
from ..domain.payments import Payment
from ..domain.providers import Reconciled
from ..providers import Providers
from ..store import Store
from .applying import nothing
from .webhooks import Webhooks

OVERLAP = timedelta(days=2)
"""How far back a comparison reaches beyond the one before: a provider may show a payment late."""
PATIENCE = timedelta(days=1)
"""How long whoever made a charge may take to note it before a person hears of it."""
MOST_PAGES = 10_000


class Reconciliation:
    """Compares, repairs what an order waits for, and tells of the rest. It never books by itself."""

    def __init__(self, work: Work[Store], providers: Providers, webhooks: Webhooks) -> None:
        self._work = work
        self._providers = providers
        self._webhooks = webhooks
        self._log = get_logger("reconciliation")

    async def round(self) -> None:
        """Compare with every provider; one that does not answer is compared the next time, from where it was left."""
        await self._providers.refresh()
        for name in self._providers.working():
            try:
                await self._compare(name)
            except (PluginFailure, PluginUnavailable) as failure:
                self._log.warning("not reconciled", provider=name, error=str(failure))

    async def _compare(self, name: str) -> None:
        async with self._work.reading() as tx:
            before, now = await tx.reconciled(name), tx.now
            since = (before.until if before else now) - OVERLAP
            known = {payment.ref: payment for payment in await tx.payments_since(name, since - OVERLAP)}
        listed = await self._listed(name, since)
        waiting = await self._bring(name, [payment for ref, payment in listed.items() if ref not in known], now)
        # The next comparison begins before the first capture that somebody here still has to note.
        until = min([now, *(payment.at for payment in waiting)])
        await self._work.again(lambda tx: _told(tx, name, known, listed, since, until, waiting))

    async def _bring(self, name: str, payments: Iterable[ProviderPayment], now: datetime) -> list[ProviderPayment]:
        """Bring captures to what they are for. Returns those of charges that are not noted yet: they hold up no other."""
        waiting = []
        for payment in payments:
            try:
                await self._webhooks.reconcile(name, payment, now, nothing)
            except Temporary:
                waiting.append(payment)
        return waiting

    async def _listed(self, name: str, since: datetime) -> Mapping[str, ProviderPayment]:
        """Every capture at the provider since a moment."""
        provider, cursor = self._providers.get(name), ""
        found: dict[str, ProviderPayment] = {}
        for _ in range(MOST_PAGES):
            page = await provider.list_payments(since=since, cursor=cursor)
            found |= {p.ref: p for p in page.payments if p.state is PaymentState.CAPTURED}
            if not (cursor := page.next_cursor):
                break
        return found


async def _told(
    tx: Store, name: str, known: Mapping[str, Payment], listed: Mapping[str, ProviderPayment], since: datetime,
    until: datetime, waiting: Iterable[ProviderPayment],
) -> None:  # fmt: skip
    """Note how far it was compared, and tell of what differs, and of charges that nobody notes."""
    for ref, payment in known.items():
        if text := _difference(payment, listed.get(ref), since):
            account = f"billingAccounts/{payment.org}"
            await tx.open_finding(findings.alarm("PAYMENT_DIFFERS", payment.name, text, account=account, now=tx.now))
    for charge in waiting:
        if charge.at < tx.now - PATIENCE:
            text = f"{charge.amount.minor} minor units of {charge.amount.currency} were charged and are not noted here"
            await tx.open_finding(findings.alarm("CHARGE_NOT_NOTED", charge.ref, text, account="", now=tx.now))
    before = await tx.reconciled(name)
    await tx.save(Reconciled(name, until, before.version + 1 if before else 1))


def _difference(ours: Payment, theirs: ProviderPayment | None, since: datetime) -> str:
    if theirs is None:
        return f"{ours.amount} of {ours.ref} are not at the provider" if ours.received_at >= since else ""
    if (theirs.amount.minor, theirs.amount.currency) != (ours.amount.minor, ours.amount.currency):
        there = f"{theirs.amount.minor} minor units of {theirs.amount.currency}"
        return f"{ours.amount} of {ours.ref} are booked, and {there} are at the provider"
    return ""
