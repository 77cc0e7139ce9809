"""Rows of webhooks, of their secrets and of what is on its way to them."""

from abc import abstractmethod
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from catalyst_mesh import Page, Transaction, sealed_at
from catalyst_mesh.retention import Rule
from sqlalchemy import Select, and_, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ..domain.webhooks import OVERLAP, Delivery, DeliveryState, State, Webhook
from . import tables as t
from .bodies import to_json
from .pages import newest

E = TypeVar("E")
KEPT = timedelta(days=30)
"""How long a delivery can be looked at and replayed."""
_D, _S = t.webhook_deliveries.c, t.webhook_secrets.c
_WAITS = and_(
    _D.state == DeliveryState.PENDING,
    select(t.webhooks.c.id)
    .where(t.webhooks.c.org == _D.org, t.webhooks.c.id == _D.webhook, t.webhooks.c.state != State.DISABLED)
    .exists(),
)
"""Of deliveries that are to be made."""


def rules() -> tuple[Rule, ...]:
    """What grows old."""
    return (Rule(t.webhook_deliveries, _D.created_at, KEPT),)


class WebhookRows(Transaction):
    """What the unit of work knows of webhooks."""

    @abstractmethod
    async def _all(self, kind: type[E], query: Select[Any]) -> list[E]: ...

    async def webhooks(self, org: str) -> list[Webhook]:
        """The webhooks of an Organization by id."""
        c = t.webhooks.c
        return await self._all(Webhook, select(t.webhooks).where(c.org == org).order_by(c.id))

    async def listening(self) -> list[Webhook]:
        """The webhooks of all Organizations that are told anything."""
        c = t.webhooks.c
        return await self._all(Webhook, select(t.webhooks).where(c.state != State.DISABLED).order_by(c.org, c.id))

    async def forget_webhook(self, org: str, id: str) -> None:
        """Take a webhook away, and all that belongs to it."""
        for table, column in ((t.webhook_deliveries, "webhook"), (t.webhook_secrets, "webhook"), (t.webhooks, "id")):
            await self.sql.execute(delete(table).where(table.c.org == org, table.c[column] == id))
        self.wrote.add(t.webhooks.name)

    async def add_secret(self, org: str, webhook: str, number: int, sealed: bytes) -> None:
        """Let a secret sign from now on. The one before signs for a while yet, those before it no more."""
        mine = (_S.org == org) & (_S.webhook == webhook)
        await self.sql.execute(delete(t.webhook_secrets).where(mine, _S.until_at.is_not(None)))
        await self.sql.execute(update(t.webhook_secrets).where(mine).values(until_at=self.now + OVERLAP))
        row = {"org": org, "webhook": webhook, "number": number, "sealed": sealed, "until_at": None}
        await self.sql.execute(insert(t.webhook_secrets), row)

    async def secrets(self, org: str, webhook: str) -> list[tuple[bytes, bytes]]:
        """The sealed secrets that sign now, and for which places; the newest first."""
        counts = _S.until_at.is_(None) | (_S.until_at > self.now)
        mine = (_S.org == org) & (_S.webhook == webhook)
        rows = await self.sql.execute(select(_S.sealed, _S.number).where(mine, counts).order_by(_S.number.desc()))
        return [(sealed, sealed_at(_S.sealed, org, webhook, number)) for sealed, number in rows.all()]

    async def queue(self, deliveries: Sequence[Delivery]) -> None:
        """Write down what is to be told, unless it is written down already."""
        if not deliveries:
            return
        make: Any = (postgresql if self.has_row_locks else sqlite).insert(t.webhook_deliveries)
        await self.sql.execute(make.on_conflict_do_nothing(), [_row(one) for one in deliveries])
        self.wrote.add(t.webhook_deliveries.name)

    async def due(self, most: int, *, full: Collection[str] = ()) -> list[Delivery]:
        """Deliveries whose time has come, the oldest first, but for webhooks that are `full`."""
        query = select(t.webhook_deliveries).where(_WAITS, _D.due_at <= self.now, _D.webhook.not_in(sorted(full)))
        return await self._all(Delivery, query.order_by(_D.due_at, _D.id).limit(most))

    async def next_due(self, *, full: Collection[str] = ()) -> datetime | None:
        """When the next delivery that is not due yet will be."""
        waits = select(func.min(_D.due_at)).where(_WAITS, _D.due_at > self.now, _D.webhook.not_in(sorted(full)))
        moment: datetime | None = (await self.sql.execute(waits)).scalar_one_or_none()
        return moment

    async def deliveries(self, org: str, webhook: str, page: Page, states: Sequence[str]) -> list[Delivery]:
        """One more than a page of a webhook's deliveries, the newest first."""
        query = select(t.webhook_deliveries).where(_D.org == org, _D.webhook == webhook, _D.state.in_(states))
        return await self._all(Delivery, newest(query, t.webhook_deliveries, page))

    async def delivered_between(self, org: str, webhook: str, start: datetime, end: datetime) -> list[Delivery]:
        """What was told, or given up, of what happened in a span of time."""
        query = select(t.webhook_deliveries).where(
            _D.org == org,
            _D.webhook == webhook,
            _D.state != DeliveryState.PENDING,
            _D.event_at >= start,
            _D.event_at < end,
        )
        return await self._all(Delivery, query.order_by(_D.event_at, _D.id))

    async def position(self, service: str, life: str) -> int:
        """Sequence of the last event of a daemon's stream that was looked at; 0 where there is none of this `life` of it."""
        c = t.stream_positions.c
        query = select(c.sequence).where(c.service == service, c.life == life)
        return (await self.sql.execute(query)).scalar_one_or_none() or 0

    async def stand_at(self, service: str, life: str, sequence: int) -> None:
        """Note how far a stream was looked at."""
        fresh: Any = (postgresql if self.has_row_locks else sqlite).insert(t.stream_positions)
        newest = {name: fresh.excluded[name] for name in ("life", "sequence")}
        statement = fresh.on_conflict_do_update(index_elements=["service"], set_=newest)
        await self.sql.execute(statement, {"service": service, "life": life, "sequence": sequence})


def _row(one: Delivery) -> dict[str, Any]:
    columns = ("org", "webhook", "id", "event_at", "due_at", "created_at", "version")
    return {**{name: getattr(one, name) for name in columns}, "state": one.state.value, "body": to_json(one)}
