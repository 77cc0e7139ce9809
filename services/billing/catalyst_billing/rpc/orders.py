"""OrderService."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

from catalyst.billing.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page, Work, caller
from catalyst_mesh.streams import Curfew
from catalyst_sdk import Decision, Refused

from ..catalog import PriceBooks
from ..domain import purchases, refunds, submissions
from ..domain.accounts import BillingAccount
from ..domain.money import Money
from ..domain.orders import AmountTooSmall, Command, Kind, Order, State
from ..domain.postings import Books
from ..domain.purchases import Purchase
from ..domain.quotes import QuoteNotFound, Sign
from ..domain.refunds import Wish
from ..domain.submissions import Desk, Submit, TopUp
from ..domain.uses import Tally
from ..opening import ensured
from ..providers import Providers
from ..store import Store
from . import convert
from .accounts import wallet_of
from .names import check_etag, id_of, new_id, org_of, require_member
from .running import run


class OrderService(service_pb2_grpc.OrderServiceServicer):
    """Purchases from submission to fulfilment."""

    def __init__(
        self, work: Work[Store], providers: Providers, *, books: Books, sign: Sign, ttl: timedelta, currency: str,
        curfew: Curfew, prices: PriceBooks,
    ) -> None:  # fmt: skip
        self._work = work
        self._prices = prices
        self._curfew = curfew
        self._providers = providers
        self._books = books
        self._sign = sign
        self._ttl = ttl
        self._currency = currency

    async def CreateOrder(self, request: service_pb2.CreateOrderRequest, context: Context) -> resources_pb2.Order:
        org, id = require_member(request.parent), new_id("o")
        await self._providers.refresh()
        books = replace(self._books, actor=caller(context).subject)
        cramped = await self._cramped(org, request.quote)

        async def step(tx: Store) -> Decision[tuple[BillingAccount, Purchase]]:
            account = (await ensured(tx, org, self._currency)).state
            desk = await self._desk(tx, account, request.quote)
            if cramped is not None:
                raise cramped
            provider = self._providers.choose(request.provider.removeprefix("providers/"), desk.quote.priced.due)
            cmd = Submit(
                id, request.quote_hash, provider, environment=request.environment, save_method=request.save_method,
                return_url=request.return_url, ttl=self._ttl,
            )  # fmt: skip
            decided = submissions.submit(desk, cmd, books, self._sign, tx.now)
            return Decision((account, decided.state), decided.events)

        def answer(done: tuple[BillingAccount, Purchase]) -> resources_pb2.Order:
            order = replace(done[1].order, state=State.PRICED) if request.validate_only else done[1].order
            return convert.order(order, done[1].checkout)

        return await run(self._work, step, answer, validate_only=request.validate_only)

    async def _cramped(self, org: str, quote: str) -> Refused | None:
        """Why the plan of a quote cannot hold what it is to hold; raised in the transaction, which knows whether the wish
        was answered before."""
        try:
            async with self._work.reading() as tx:
                wanted = (await tx.quote(org, id_of(quote))).selection
            if wanted.plan and not wanted.sovereign:
                await self._prices.require_capacity(f"organizations/{org}", wanted.plan, wanted.add_ons, wanted.apps)
        except QuoteNotFound:
            return None  # it is said below, after what comes before it
        except Refused as refusal:
            return refusal
        return None

    async def GetOrder(self, request: service_pb2.GetOrderRequest, context: Context) -> resources_pb2.Order:
        org, id = require_member(request.name), id_of(request.name)
        async with self._work.reading() as tx:
            return convert.order(await tx.order(org, id), await tx.checkout(id), await tx.refunds(id))

    async def WatchOrder(
        self, request: service_pb2.WatchOrderRequest, context: Context
    ) -> AsyncIterator[service_pb2.WatchOrderResponse]:
        org, id = require_member(request.name), id_of(request.name)
        async for order in self._curfew.bounded(self._changes(org, id)):
            yield service_pb2.WatchOrderResponse(order=order)

    async def _changes(self, org: str, id: str) -> AsyncIterator[resources_pb2.Order]:
        """The order now and after each change of it or of its checkout, until it is final."""
        told: tuple[int, int] | None = None
        with self._work.bell.listening("order", "checkout") as rung:
            while True:
                rung.clear()
                async with self._work.reading() as tx:
                    order, checkout = await tx.order(org, id), await tx.checkout(id)
                    refunds = await tx.refunds(id)
                now = (order.version, checkout.version if checkout else 0)
                if now != told:
                    yield convert.order(order, checkout, refunds)
                    told = now
                if order.is_final:
                    return
                await self._work.bell.wait(self._curfew.over, rung)

    async def ListOrders(
        self, request: service_pb2.ListOrdersRequest, context: Context
    ) -> service_pb2.ListOrdersResponse:
        org = require_member(request.parent)
        names = [resources_pb2.Order.State.Name(state).removeprefix("STATE_").lower() for state in request.states]
        page = Page.of(
            request.page_size, request.page_token, request.parent, names, request.sovereign, request.voucher
        )  # fmt: skip
        async with self._work.reading() as tx:
            found = await tx.orders(
                org, page, states=names, sovereign=request.sovereign, voucher=request.voucher.removeprefix("vouchers/")
            )
        cut = page.cut(found, _place)
        return service_pb2.ListOrdersResponse(
            orders=[convert.order(order) for order in cut.rows], next_page_token=cut.next_page_token
        )

    async def CancelOrder(self, request: service_pb2.CancelOrderRequest, context: Context) -> resources_pb2.Order:
        org = require_member(request.name)

        async def step(tx: Store) -> Decision[Purchase]:
            p = await tx.lock_purchase(org, id_of(request.name))
            check_etag(request.etag, p.order.name, p.order.version)
            return purchases.release(p, Command.CANCEL, "requested", tx.now)

        return await self._work.run(step, answer=lambda p: convert.order(p.order, p.checkout, p.refunds))

    async def CreateTopUp(self, request: service_pb2.CreateTopUpRequest, context: Context) -> resources_pb2.Order:
        org, id = require_member(request.parent), new_id("o")
        await self._providers.refresh()
        amount = Money(request.amount.minor, request.amount.currency)
        wanted = request.provider.removeprefix("providers/")
        least = Money(self._providers.least(wanted, amount.currency), amount.currency)
        if amount < least:
            raise AmountTooSmall(amount=str(amount), least=str(least))

        async def step(tx: Store) -> Decision[tuple[BillingAccount, Purchase]]:
            account = (await ensured(tx, org, self._currency)).state
            cmd = TopUp(id, amount, self._providers.choose(wanted, amount), request.return_url, self._ttl)
            decided = submissions.top_up(
                account, await wallet_of(tx, account), await tx.rivals(org, "", Kind.TOP_UP), cmd, tx.now
            )
            return Decision((account, decided.state), decided.events)

        return await run(
            self._work, step, lambda done: convert.order(done[1].order, done[1].checkout),
            validate_only=request.validate_only,
        )  # fmt: skip

    async def RefundOrder(self, request: service_pb2.RefundOrderRequest, context: Context) -> resources_pb2.Order:
        org = org_of(request.name)
        await self._providers.refresh()
        books = replace(self._books, actor=caller(context).subject)
        amount = Money(request.amount.minor, request.amount.currency) if request.HasField("amount") else None
        wish = Wish(
            amount, request.destination == service_pb2.RefundOrderRequest.DESTINATION_CREDIT, request.reason
        )  # fmt: skip

        async def step(tx: Store) -> Decision[Purchase]:
            p = await tx.lock_purchase(org, id_of(request.name))
            check_etag(request.etag, p.order.name, p.order.version)
            pace = self._providers.step_of(p.order.provider, p.order.total.currency)
            return refunds.give_back(p, wish, books, pace, tx.now)

        return await run(
            self._work, step, lambda p: convert.order(p.order, p.checkout, p.refunds),
            validate_only=request.validate_only,
        )  # fmt: skip

    async def _desk(self, tx: Store, account: BillingAccount, name: str) -> Desk:
        quote = await tx.quote(account.org, id_of(name))
        voucher = await tx.lock_voucher(quote.voucher) if quote.voucher else None
        return Desk(
            account=account,
            wallet=await wallet_of(tx, account),
            quote=quote,
            voucher=voucher,
            tally=await tx.tally(voucher.id, account.org) if voucher else Tally(),
            rivals=await tx.rivals(account.org, quote.selection.sovereign, Kind.SUBSCRIPTION),
        )


def _place(order: Order) -> list[str]:
    return [order.created_at.isoformat(), order.id]
