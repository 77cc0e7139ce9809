"""SubscriptionService."""

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta

from catalyst.billing.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page, Work, caller
from catalyst_sdk import Decision, Refused

from ..amounts import money
from ..catalog import PriceBooks
from ..domain import changes, endings, further_orders, orders, periods, pricing, quotes, renewals, subscriptions
from ..domain.credit import Purpose
from ..domain.further_orders import Counter, Ordered, Wish
from ..domain.money import Money, total
from ..domain.pricing import Offer, Selection
from ..domain.quotes import Sign
from ..domain.renewals import Dues, House
from ..domain.subscriptions import UNPAID, Subscription, SubscriptionNotFound
from ..opening import ensured
from ..providers import Providers
from ..store import Store
from . import convert, papers
from .names import EtagMismatch, check_etag, etag_of, id_of, new_id, require_member
from .running import run


class Till:
    """What every order of ours that no quote makes is taken with."""

    def __init__(self, work: Work[Store], providers: Providers, house: House, *, ttl: timedelta, currency: str) -> None:
        self.work = work
        self.house = house
        self.currency = currency
        self._providers = providers
        self._ttl = ttl

    async def house_of_caller(self) -> House:
        """The rules, with whoever calls as the actor of what is booked; what admins changed of providers is seen."""
        await self._providers.refresh()
        return replace(self.house, books=replace(self.house.books, actor=caller().subject))

    async def counter(self, tx: Store, dues: Dues, kind: orders.Kind) -> Counter:
        """What an order about `dues` is decided on."""
        org, currency = dues.subscription.org, dues.subscription.price.currency
        account = (await ensured(tx, org, self.currency)).state
        opened = (await tx.rivals(org, "", kind)).open_order
        return Counter(account, dues, opened, self._providers.step(currency))

    def wish(self, id: str, due: Money, return_url: str) -> Wish:
        """How the rest is paid: by the first provider that takes `due`, or by none."""
        try:
            provider = self._providers.choose("", due.floor_to(self._providers.step(due.currency)))
        except orders.PaymentUnavailable:
            provider = ""
        return Wish(id, provider, return_url, self._ttl)

    def can_pay(self, dues: Dues, tx: Store) -> bool:
        """Whether credit or a saved method can pay the open invoice now."""
        s, invoice = dues.subscription, dues.invoice
        assert invoice is not None
        rest = invoice.due - min(invoice.due, dues.wallet.lapse(tx.now).available(tx.now, Purpose(s.plan)))
        return not rest or bool(s.method and self._providers.can_charge(s, rest))


class SubscriptionService(service_pb2_grpc.SubscriptionServiceServicer):
    """What runs from period to period."""

    def __init__(self, till: Till, prices: PriceBooks, sign: Sign) -> None:
        self._work = till.work
        self._till = till
        self._prices = prices
        self._sign = sign

    async def GetSubscription(
        self, request: service_pb2.GetSubscriptionRequest, context: Context
    ) -> resources_pb2.Subscription:
        org = require_member(request.name)
        return papers.subscription(await self._read(org, request.name))

    async def ListSubscriptions(
        self, request: service_pb2.ListSubscriptionsRequest, context: Context
    ) -> service_pb2.ListSubscriptionsResponse:
        org = require_member(request.parent)
        names = [resources_pb2.Subscription.State.Name(s).removeprefix("STATE_").lower() for s in request.states]
        page = Page.of(request.page_size, request.page_token, request.parent, names)
        async with self._work.reading() as tx:
            cut = page.cut(await tx.subscriptions(org, page, states=names), lambda s: [s.scope, s.id])
        return service_pb2.ListSubscriptionsResponse(
            subscriptions=[papers.subscription(s) for s in cut.rows], next_page_token=cut.next_page_token
        )

    async def ChangeSubscription(
        self, request: service_pb2.ChangeSubscriptionRequest, context: Context
    ) -> resources_pb2.Order:
        org, id, house = require_member(request.name), new_id("o"), await self._till.house_of_caller()
        seen = await self._read(org, request.name)
        offer = await self._wanted(seen, request, house)

        async def step(tx: Store) -> Decision[Ordered]:
            dues = await tx.lock_dues(org, seen.id, house.books)
            check_etag(request.etag, seen.name, dues.subscription.version)
            if isinstance(offer, Refused):
                raise offer
            if dues.subscription.offer != seen.offer:  # what was priced is not what runs any more
                raise EtagMismatch(resource=seen.name, etag=etag_of(dues.subscription.version))
            counter = await self._till.counter(tx, dues, orders.Kind.CHANGE)
            selection = Selection(
                offer.plan, offer.add_ons, seen.bundle, seen.apps, seen.sovereign, seen.period_months
            )  # fmt: skip
            wish = self._till.wish(id, self._due(dues, offer, house, tx), request.return_url)
            decided = further_orders.change(
                counter, offer, selection, wish, house, tx.now, immediate=request.immediate
            )  # fmt: skip
            return Decision(await self._with_quote(tx, decided.state, request), decided.events)

        return await run(self._work, step, _order, validate_only=request.validate_only)

    async def CancelSubscription(
        self, request: service_pb2.CancelSubscriptionRequest, context: Context
    ) -> resources_pb2.Subscription:
        org, house = require_member(request.name), await self._till.house_of_caller()

        async def step(tx: Store) -> Decision[Dues]:
            dues = await tx.lock_dues(org, id_of(request.name), house.books)
            s = dues.subscription
            check_etag(request.etag, s.name, s.version)
            if request.immediate and s.is_live:
                return endings.end_now(dues, "requested", house, tx.now)
            kept = subscriptions.at_period_end(s, tx.now, house.books.lead)
            return Decision(replace(dues, subscription=kept))

        return await run(
            self._work, step, lambda dues: papers.subscription(dues.subscription), validate_only=request.validate_only
        )

    async def ResumeSubscription(
        self, request: service_pb2.ResumeSubscriptionRequest, context: Context
    ) -> resources_pb2.Subscription:
        org, house = require_member(request.name), await self._till.house_of_caller()

        async def step(tx: Store) -> Decision[Dues]:
            dues = await tx.lock_dues(org, id_of(request.name), house.books)
            s = dues.subscription
            check_etag(request.etag, s.name, s.version)
            if s.state not in UNPAID:
                return Decision(replace(dues, subscription=subscriptions.taken_back(s, tx.now, house.books.lead)))
            (await ensured(tx, org, self._till.currency)).state.require_open()
            if not self._till.can_pay(dues, tx):
                assert dues.invoice is not None
                raise orders.PaymentUnavailable(
                    due=dues.invoice.due, why="no saved method can be charged; pay the invoice"
                )
            return Decision(replace(dues, subscription=renewals.retry_now(s, house, tx.now)))

        return await self._work.run(step, answer=lambda dues: papers.subscription(dues.subscription))

    async def GetRevenue(
        self, request: service_pb2.GetRevenueRequest, context: Context
    ) -> service_pb2.GetRevenueResponse:
        currency = Money(0, request.currency or self._till.currency).currency
        zone = self._till.house.books.zone
        async with self._work.reading() as tx:
            running = await tx.earning(currency)
            accounts, new = await tx.accounts_opened(periods.month_start(tx.now, zone))
        by_plan: defaultdict[str, list[Money]] = defaultdict(list)
        for s in running:
            by_plan[s.plan].append(s.monthly)
        return service_pb2.GetRevenueResponse(
            mrr=money(total([s.monthly for s in running], currency)), accounts=accounts, new_this_month=new,
            active_subscriptions=len(running),
            by_plan=[
                service_pb2.PlanRevenue(plan=plan, subscriptions=len(prices), mrr=money(total(prices, currency)))
                for plan, prices in sorted(by_plan.items())
            ],
        )  # fmt: skip

    async def _read(self, org: str, name: str) -> Subscription:
        async with self._work.reading() as tx:
            found = await tx.subscription(org, id_of(name))
        if found is None:
            raise SubscriptionNotFound(subscription=name)
        return found

    async def _wanted(
        self, s: Subscription, request: service_pb2.ChangeSubscriptionRequest, house: House
    ) -> Offer | Refused:
        """What is wished for, or why it cannot be had: said within the step, for a retry is told what was told first."""
        try:
            offer = await self._offer(s, request)
            if changes.is_downgrade(s, offer, house.taxes):
                # Asked on every way down, so that nobody is moved to what cannot hold them.
                await self._prices.require_capacity(f"organizations/{s.org}", offer.plan, offer.add_ons)
        except Refused as refusal:
            return refusal
        return offer

    async def _offer(self, s: Subscription, request: service_pb2.ChangeSubscriptionRequest) -> Offer:
        """What is wished for: as a quote says, or at the prices of now."""
        if request.quote:
            return await self._quoted(s, request)
        add_ons = tuple(request.add_ons) if request.replace_add_ons else s.add_ons
        book = await self._prices.current(Selection(""))
        await self._work.again(lambda tx: tx.keep_card(book))
        return pricing.offer(Selection(request.plan or s.plan, add_ons, s.bundle, period_months=s.period_months), book)

    async def _quoted(self, s: Subscription, request: service_pb2.ChangeSubscriptionRequest) -> Offer:
        async with self._work.reading() as tx:
            quote = await tx.quote(s.org, id_of(request.quote))
            quotes.check(quote, request.quote_hash, tx.now, self._sign)
        chosen = quote.selection
        if chosen.period_months != s.period_months or (request.plan and request.plan != chosen.plan):
            raise quotes.QuoteInvalid(why="it is for another plan or period")
        items = tuple(subscriptions.goods(quote.priced.lines))
        return Offer(chosen.plan, chosen.add_ons, items, quote.price_book_version)

    async def _with_quote(self, tx: Store, done: Ordered, request: service_pb2.ChangeSubscriptionRequest) -> Ordered:
        """The order, having used up the quote that it was made of."""
        if not request.quote:
            return done
        p = done.purchase
        quote = await tx.quote(p.order.org, id_of(request.quote))
        quotes.check(quote, request.quote_hash, tx.now, self._sign)
        named = replace(p.order, quote=quote.id)
        return replace(done, purchase=replace(p, order=named, quote=quotes.use(quote, p.order.id)))

    def _due(self, dues: Dues, offer: Offer, house: House, tx: Store) -> Money:
        """What a provider would be asked for at most."""
        assert dues.period is not None
        price = changes.prorate(dues.subscription, dues.period, offer, dues.taxes(house), tx.now)
        return max(price.total, price.total.zero())


def _order(done: Ordered) -> resources_pb2.Order:
    return convert.order(done.purchase.order, done.purchase.checkout)
