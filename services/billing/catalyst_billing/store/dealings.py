"""What is kept of dealings with payment providers: their settings, what they told, disputes, saved methods."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import insert, select, update

from ..domain.disputes import Dispute
from ..domain.payments import Checkout, Payment, Refund, RefundState
from ..domain.providers import Method, Provider, ProviderSecret, Reconciled
from ..domain.webhooks import EventState, ProviderEvent
from . import tables as t
from .remembering import Remembering


class Dealings(Remembering):
    """The part of the store that is about payment providers."""

    async def providers(self) -> list[Provider]:
        """What admins have set, by name."""
        return await self._many(Provider, select(t.provider).order_by(t.provider.c.id))

    async def lock_provider(self, id: str) -> Provider | None:
        """Settings of one provider; nobody else changes them or its secrets until the commit."""
        return await self._one(Provider, select(t.provider).where(t.provider.c.id == id), lock=True)

    async def own_key(self, name: str) -> bytes | None:
        """A key of ours, sealed."""
        found: bytes | None = await self.sql.scalar(select(t.own_key.c.sealed).where(t.own_key.c.name == name))
        return found

    async def keep_own_key(self, name: str, sealed: bytes) -> None:
        """Keep one for ever. Raises LostRace where somebody was faster."""
        await self.write(insert(t.own_key).values(name=name, sealed=sealed))

    async def provider_secrets(self, provider: str) -> list[ProviderSecret]:
        """Its secrets, sealed, by field."""
        s = t.provider_secret.c
        query = select(t.provider_secret).where(s.provider == provider).order_by(s.field)
        return await self._many(ProviderSecret, query)

    async def lock_event(self, provider: str, id: str) -> ProviderEvent | None:
        """What a provider told; nobody else works on it until the commit."""
        e = t.provider_event.c
        query = select(t.provider_event).where(e.provider == provider, e.id == id)
        return await self._one(ProviderEvent, query, lock=True)

    async def due_events(self, most: int) -> list[ProviderEvent]:
        """What waits to be worked on, the longest waiting first."""
        e = t.provider_event.c
        query = select(t.provider_event).where(e.state == EventState.WAITING.value, e.next_at <= self.now)
        return await self._many(ProviderEvent, query.order_by(e.next_at, e.id).limit(most))

    async def last_event(self, provider: str) -> datetime | None:
        """When a provider last told something."""
        e = t.provider_event.c
        query = select(e.received_at).where(e.provider == provider).order_by(e.received_at.desc()).limit(1)
        found: datetime | None = (await self.sql.execute(query)).scalar_one_or_none()
        return found

    async def checkout_of_ref(self, provider: str, ref: str) -> Checkout | None:
        """The checkout that a provider knows by this id."""
        c = t.checkout.c
        return await self._one(Checkout, select(t.checkout).where(c.provider == provider, c.ref == ref, c.ref != ""))

    async def payment(self, provider: str, ref: str) -> Payment | None:
        """A capture that we know."""
        p = t.payment.c
        return await self._one(Payment, select(t.payment).where(p.provider == provider, p.ref == ref))

    async def payments_since(self, provider: str, since: datetime) -> list[Payment]:
        """Captures that we know, from a moment on."""
        p = t.payment.c
        return await self._many(Payment, select(t.payment).where(p.provider == provider, p.received_at >= since))

    async def refunds_of_payment(self, provider: str, payment: str) -> list[Refund]:
        """What went back of a capture, or is to."""
        r = t.refund.c
        return await self._many(Refund, select(t.refund).where(r.provider == provider, r.payment == payment))

    async def hurry_refunds(self, provider: str, payment: str) -> None:
        """Have the provider asked now how the refunds of a capture stand."""
        r = t.refund.c
        mine = (r.provider == provider) & (r.payment == payment) & (r.state == RefundState.PENDING.value)
        await self.sql.execute(update(t.refund).where(mine).values(next_at=self.now))
        self.wrote.add(t.refund.name)

    async def lock_dispute(self, provider: str, ref: str) -> Dispute | None:
        """A dispute that we know."""
        d = t.dispute.c
        return await self._one(Dispute, select(t.dispute).where(d.provider == provider, d.ref == ref), lock=True)

    async def disputes_of(self, payments: Sequence[Payment]) -> list[Dispute]:
        """Every dispute about these captures."""
        d = t.dispute.c
        refs = [payment.ref for payment in payments]
        return await self._many(Dispute, select(t.dispute).where(d.payment.in_(refs))) if refs else []

    async def lock_method(self, org: str, provider: str) -> Method | None:
        """The method that an Organization has saved at a provider."""
        m = t.payment_method.c
        query = select(t.payment_method).where(m.org == org, m.provider == provider)
        return await self._one(Method, query, lock=True)

    async def methods(self, org: str) -> list[Method]:
        """Every saved method of an Organization, the newest first."""
        m = t.payment_method.c
        return await self._many(Method, select(t.payment_method).where(m.org == org).order_by(m.updated_at.desc()))

    async def reconciled(self, provider: str) -> Reconciled | None:
        """Until when the provider's payments were compared with ours."""
        return await self._one(Reconciled, select(t.reconciled).where(t.reconciled.c.id == provider), lock=True)
