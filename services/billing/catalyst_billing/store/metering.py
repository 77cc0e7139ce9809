"""Usage in the database: events once, hours summed up, and what they come to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Text, func, insert, or_, select, tuple_, type_coerce, update
from sqlalchemy.dialects import postgresql, sqlite

from ..domain import metered, rating
from ..domain.invoices import Invoice, InvoiceLine, LineKind
from ..domain.last_bills import last_bill_id
from ..domain.meters import BUILT_IN
from ..domain.money import Money
from ..domain.orders import Kind as OrderKind
from ..domain.periods import Span
from ..domain.postings import Books as HouseBooks
from ..domain.prices import PriceBook
from ..domain.purchases import Purchase
from ..domain.quotas import Entitlement
from ..domain.rating import NANO, Card, Used
from ..domain.renewals import Dues
from ..domain.subscriptions import State, Subscription, prepaid_hold
from ..domain.usage import Event, Hour, Meter, decimal, hour_of
from . import tables as t
from .dues import DuesStore
from .mapping import of_plain, plain, to_row


class Store(DuesStore):
    """Everything that billing reads under lock and saves; here what is metered."""

    async def lock_dues(self, org: str, id: str, books: HouseBooks, *, invoice: str = "") -> Dues:
        """As before, with what was used in the current period."""
        dues = await super().lock_dues(org, id, books, invoice=invoice)
        cards = await self.cards()
        ran = metered.spans(dues.subscription, dues.period, cards)
        billed = await self._last_bills(dues.subscription)
        lines = await self._usage_lines(dues.subscription, ran, cards, billed)
        return replace(dues.used(lines, is_metered=bool(ran)), last_bills=len(billed))

    async def lock_purchase(self, org: str, id: str) -> Purchase:
        """As before; of the subscription that the order began, whether usage under it costs something."""
        p = await super().lock_purchase(org, id)
        s = p.subscription
        if s is None or not s.is_live or p.order.kind is not OrderKind.SUBSCRIPTION:
            return p
        current = await self._period(s, HouseBooks(p.order.sovereign, ""))
        return replace(p, is_metered=bool(metered.spans(s, current, await self.cards())))

    async def save(self, state: Any) -> None:
        """As before; late usage on an invoice that goes with its subscription waits for the last bill.

        That of a last bill which is forgiven is forgiven too.
        """
        await super().save(state)
        gone = state.invoice if isinstance(state, Dues) else state.open_invoice if isinstance(state, Purchase) else None
        ends = state.subscription if gone is not None and gone.voided_at(self.now) else None
        if (
            gone is not None
            and ends is not None
            and ends.last is not None
            and gone.id not in await self._last_bills(ends)
        ):
            e = t.usage_event
            await self.sql.execute(update(e).where(e.c.org == gone.org, e.c.invoice == gone.id).values(invoice=""))

    async def meters(self) -> dict[str, Meter]:
        """Every meter by its slug."""
        found = await self._many(Meter, select(t.meter))
        every = {**BUILT_IN, **{meter.slug: meter for meter in found}}
        return dict(sorted(every.items()))

    async def lock_meter(self, slug: str) -> Meter | None:
        """One meter; nobody else changes it until the commit."""
        found = await self._one(Meter, select(t.meter).where(t.meter.c.slug == slug), lock=True)
        return found or BUILT_IN.get(slug)

    async def is_split_by(self, meter: str, dimension: str) -> bool:
        """Whether an event of the meter names the dimension."""
        e = t.usage_event.c
        marked = type_coerce(e.dimensions, Text).contains(f'["{dimension}",', autoescape=True)
        return (await self.sql.execute(select(e.id).where(e.meter == meter, marked).limit(1))).first() is not None

    async def known_events(self, org: str, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str, str], Event]:
        """Events of an Organization that are there already, of those with these sources and ids."""
        e = t.usage_event.c
        query = select(t.usage_event).where(e.org == org, tuple_(e.source, e.id).in_(list(keys)))
        found = await self._all(Event, query)
        return {event.key: event for event in found}

    async def hours_of(self, org: str, events: Iterable[Event]) -> dict[tuple[str, str, str, str, datetime], Hour]:
        """The hours that events would join, those that are there."""
        h = t.usage_hour.c
        keys = {(e.meter, e.environment, e.application, e.hour) for e in events}
        at = tuple_(h.meter, h.environment, h.application, h.hour)
        query = select(t.usage_hour).where(h.org == org, at.in_(list(keys)))
        found = await self._all(Hour, query)
        return {hour.key: hour for hour in found}

    async def add_usage(self, events: Sequence[Event], hours: Iterable[Hour]) -> None:
        """Write new events and the hours that they joined. The account is locked."""
        if events:
            await self.sql.execute(insert(t.usage_event), [to_row(event, t.usage_event) for event in events])
        rows = [to_row(hour, t.usage_hour) for hour in hours]
        if not rows:
            return
        put = (postgresql if self.has_row_locks else sqlite).insert(t.usage_hour)
        put = put.on_conflict_do_update(
            index_elements=list(t.usage_hour.primary_key.columns),
            set_={name: put.excluded[name] for name in ("value", "rated", "last_at", "last_id")},
        )
        await self.sql.execute(put, rows)

    async def hours(
        self, org: str, span: Span, *, meters: Sequence[str] = (), environment: str = "", application: str = ""
    ) -> list[Hour]:
        """Hours in a span, by time."""
        h = t.usage_hour.c
        wanted = [
            h.org == org, h.hour >= span.start, h.hour < span.end, *([h.meter.in_(meters)] if meters else []),
            *([h.environment == environment] if environment else []),
            *([h.application == application] if application else []),
        ]  # fmt: skip
        query = select(t.usage_hour).where(*wanted).order_by(h.meter, h.hour, h.environment, h.application)
        return await self._all(Hour, query)

    async def events_of(self, org: str) -> list[Event]:
        """Every event of an Organization, in the order of their keys."""
        e = t.usage_event.c
        query = select(t.usage_event).where(e.org == org).order_by(e.source, e.id)
        return await self._all(Event, query)

    async def entitlement(self, org: str, currency: str, *, lock: bool = False) -> Entitlement:
        """How far usage of an Organization may go; the defaults where nothing was set."""
        found = await self._one(Entitlement, select(t.entitlement).where(t.entitlement.c.org == org), lock=lock)
        return found or Entitlement(org, currency)

    async def due_draws(self, most: int) -> list[str]:
        """Organizations with prepaid usage whose last hour was not drawn yet."""
        e = t.entitlement.c
        over = or_(e.drawn_until.is_(None), e.drawn_until < hour_of(self.now))
        query = select(e.org).where(e.prepaid, over).order_by(e.drawn_until, e.org).limit(most)
        return list((await self.sql.execute(query)).scalars())

    async def drawn(self, org: str) -> None:
        """There is nothing to draw for in this hour."""
        e = t.entitlement
        await self.sql.execute(update(e).where(e.c.org == org).values(drawn_until=hour_of(self.now)))

    async def with_prepaid(self, dues: Dues) -> Dues:
        """The same, with what was set aside for its usage, also where that was freed since."""
        s = dues.subscription
        return replace(dues, wallet=await self.wallet(s.org, s.price.currency, prepaid_hold(s)))

    async def fired(self, org: str, period_start: datetime) -> frozenset[tuple[str, int]]:
        """Thresholds that were told in a period."""
        f = t.threshold_fired.c
        query = select(f.dimension, f.percent).where(f.org == org, f.period_start == period_start)
        return frozenset((row.dimension, row.percent) for row in await self.sql.execute(query))

    async def keep_card(self, book: PriceBook) -> None:
        """Remember the rates of a price book, once: what is used under them is rated by them, catalog or not."""
        card = book.card
        if card is None:
            return
        put = (postgresql if self.has_row_locks else sqlite).insert(t.rate_card).on_conflict_do_nothing()
        row = {"version": card.version, "valid_from": card.valid_from, "card": plain(card)}
        await self.sql.execute(put, row)

    async def cards(self) -> list[Card]:
        """Every rate card that was ever sold under."""
        query = select(t.rate_card.c.card).order_by(t.rate_card.c.version)
        return [of_plain(Card, card) for card in (await self.sql.execute(query)).scalars()]

    async def metered(self, org: str) -> dict[str, Subscription]:
        """The live subscriptions of an Organization under which usage costs something, by what they pay for."""
        return {payer: s for payer, s in (await self.payers(org)).items() if s.is_live}

    async def payers(self, org: str) -> dict[str, Subscription]:
        """The same; where none lives, the one that ended last and has usage to bill, or had.

        The key is the Sovereign; empty: the Organization itself.
        """
        s = t.subscription.c
        is_live = s.state != State.CANCELLED.value
        query = select(t.subscription).where(s.org == org, or_(is_live, s.last.is_not(None)))
        found = await self._many(Subscription, query.order_by(is_live, s.updated_at, s.id))
        cards = await self.cards() if found else []
        return {one.sovereign: one for one in found if one.last or (one.is_live and metered.is_metered(one, cards))}

    async def spent(self, org: str, currency: str, span: Span) -> Money:
        """What usage of an Organization in a span comes to, that of its Sovereigns too."""
        spent = Money(0, currency)
        for payer in await self.metered(org):
            sums = await self._quantities(org, payer, [span], await self.cards(), currency)
            spent = sum(rating.rate(sums, currency).values(), spent)
        return spent

    async def _usage_lines(
        self, s: Subscription, ran: Sequence[Span], cards: Sequence[Card], billed: Sequence[str]
    ) -> tuple[InvoiceLine, ...]:
        """Lines for what was used while a metered plan ran, and for what came too late for an earlier period.

        Late usage is priced from where the period of the invoice ends: it counts as if it had been used last.

        billed   last bills of an ended subscription, which have the period and what was late for it until then
        """
        if not ran:
            return ()
        currency = s.price.currency
        used = await self._quantities(s.org, s.sovereign, ran, cards, currency)
        late = await self._late(s, cards)
        had = [*used, *(await self._late(s, cards, billed) if billed else ())]
        starts = {
            meter: sum((u.quantity for u in had if u.meter == meter), Decimal(0)) for meter in {u.meter for u in late}
        }
        lines = () if billed else _lines(used, rating.rate(used, currency), Span(ran[0].start, ran[-1].end))
        return (*lines, *_lines(late, rating.rate(late, currency, starts), None))

    async def _last_bills(self, s: Subscription) -> list[str]:
        """Ids of the bills that an ended subscription had of what was used until its end."""
        if s.last is None:
            return []
        i, found = t.invoice.c, list[str]()
        query = select(i.id).where(i.org == s.org, i.subscription == s.id)
        there = set((await self.sql.execute(query)).scalars())
        while (id := last_bill_id(s.id, len(found))) in there:
            found.append(id)
        return found

    async def bill_late_usage(self, invoice: Invoice, s: Subscription) -> None:
        """Note which invoice late usage is on. What arrives later is on the next one: the account is locked."""
        e = t.usage_event.c
        open_ones = (e.org == invoice.org) & e.is_adjustment & (e.invoice == "") & _paid_by(e.environment, s.sovereign)
        open_ones = open_ones & (e.at < s.last.end) if s.last else open_ones
        await self.sql.execute(update(t.usage_event).where(open_ones).values(invoice=invoice.id))

    async def _save_dues(self, d: Dues) -> None:
        await super()._save_dues(d)
        if (
            d.invoice is not None
            and d.invoice.finalized_at == self.now
            and any(n.is_adjustment for n in d.invoice.lines)
        ):
            await self.bill_late_usage(d.invoice, d.subscription)

    async def _quantities(
        self, org: str, payer: str, spans: Sequence[Span], cards: Sequence[Card], currency: str
    ) -> list[Used]:
        """Rated quantities of some spans, by meter and by the card of their time."""
        h = t.usage_hour.c
        ours = [card for card in cards if card.currency == currency]
        found: list[Used] = []
        for part, card in (row for span in spans for row in _by_card(span, ours)):
            query = select(h.meter, func.sum(h.rated)).where(
                h.org == org, h.hour >= part.start, h.hour < part.end, _paid_by(h.environment, payer)
            )
            rows = await self.sql.execute(query.group_by(h.meter).order_by(h.meter))
            found += [Used(meter, card, Decimal(int(value)) / NANO) for meter, value in rows if value]
        return found

    async def _late(self, s: Subscription, cards: Sequence[Card], invoices: Sequence[str] = ("",)) -> list[Used]:
        """Late usage that is on one of these invoices, on none by default; of an ended subscription until its end."""
        e = t.usage_event.c
        query = select(e.meter, e.at, e.value).where(
            e.org == s.org, e.is_adjustment, e.invoice.in_(invoices), e.is_rated, _paid_by(e.environment, s.sovereign)
        )
        query = query.where(e.at < s.last.end) if s.last else query
        ours = [card for card in cards if card.currency == s.price.currency]
        rows = await self.sql.execute(query.order_by(e.meter, e.at, e.source, e.id))
        dated = [(meter, rating.card_at(ours, at), value) for meter, at, value in rows]
        return [Used(meter, card, Decimal(int(value)) / NANO) for meter, card, value in dated if card]


def _paid_by(place: ColumnElement[str], payer: str) -> ColumnElement[bool]:
    """What was used in places for which the plan of `payer` pays."""
    return place == payer if payer else place.not_like(f"{metered.SOVEREIGNS}%")


def _by_card(span: Span, cards: Sequence[Card]) -> list[tuple[Span, Card]]:
    """The span in parts, each under one card."""
    edges = sorted({span.start, *(card.valid_from for card in cards if span.start < card.valid_from < span.end)})
    parts = [Span(a, b) for a, b in zip(edges, [*edges[1:], span.end], strict=True)]
    return [(part, card) for part in parts if (card := rating.card_at(cards, part.start))]


def _lines(used: Sequence[Used], costs: Mapping[str, Money], span: Span | None) -> list[InvoiceLine]:
    found = []
    for meter, amount in sorted(costs.items()):
        quantity = sum((u.quantity for u in used if u.meter == meter), Decimal(0))
        found.append(
            InvoiceLine(
                LineKind.USAGE, meter, f"Usage: {meter}", amount, quantity=decimal(int(quantity * NANO)),
                start=span.start if span else None, end=span.end if span else None, is_adjustment=span is None,
            )
        )  # fmt: skip
    return found
