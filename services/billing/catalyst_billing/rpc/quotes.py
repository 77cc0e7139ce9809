"""QuoteService."""

from dataclasses import dataclass
from datetime import timedelta

from catalyst.billing.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, InvalidRequest, Work
from catalyst_sdk import Decision, Violation

from ..catalog import PriceBooks
from ..domain import pricing, quotes, uses
from ..domain.accounts import BillingAccount, CurrencyMismatch
from ..domain.credit import Purpose
from ..domain.money import Money
from ..domain.prices import PriceBook
from ..domain.pricing import Priced, Selection, TaxRule
from ..domain.quotes import Quote, Sign
from ..domain.subscriptions import TrialUsed
from ..domain.uses import Wish
from ..domain.vouchers import Voucher
from ..opening import ensured
from ..providers import Providers
from ..store import Store
from . import convert
from .accounts import wallet_of
from .names import id_of, new_id, require_member
from .running import run
from .vouchers import by_code


@dataclass(frozen=True, slots=True)
class Desk:
    """What a price is made of beside the book: the Sovereign's rules and this daemon's key."""

    currency: str
    taxes: tuple[TaxRule, ...]
    ttl: timedelta
    sign: Sign


class QuoteService(service_pb2_grpc.QuoteServiceServicer):
    """Prices."""

    def __init__(self, work: Work[Store], books: PriceBooks, providers: Providers, desk: Desk) -> None:
        self._work = work
        self._books = books
        self._providers = providers
        self._desk = desk

    async def CreateQuote(self, request: service_pb2.CreateQuoteRequest, context: Context) -> resources_pb2.Quote:
        org, selection = require_member(request.parent), to_selection(request.selection)
        book = await self._books.current(selection)
        pricing.check(selection, book)
        await self._providers.refresh()
        id = new_id("q")

        async def step(tx: Store) -> Decision[tuple[BillingAccount, Quote]]:
            account = (await ensured(tx, org, self._desk.currency)).state
            account.require_open()
            if book.currency != account.currency:
                raise CurrencyMismatch(account=account.name, kept=account.currency, asked=book.currency)
            if selection.trial and await tx.had_trial(org, selection.plan):
                raise TrialUsed(plan=selection.plan)
            voucher = await by_code(tx, request.voucher_code) if request.voucher_code else None
            if not request.validate_only:
                await tx.keep_card(book)
            priced = await self._price(tx, account, selection, book, voucher)
            offered = quotes.offer(
                id, org, selection, purpose=pricing.purpose_of(selection, book), voucher=voucher,
                book_version=book.version, priced=priced, now=tx.now, ttl=self._desk.ttl, sign=self._desk.sign,
            )  # fmt: skip
            return Decision((account, offered.state))

        return await run(
            self._work, step, lambda done: convert.quote(done[1], done[1].created_at),
            validate_only=request.validate_only,
        )  # fmt: skip

    async def GetQuote(self, request: service_pb2.GetQuoteRequest, context: Context) -> resources_pb2.Quote:
        org = require_member(request.name)
        async with self._work.reading() as tx:
            return convert.quote(await tx.quote(org, id_of(request.name)), tx.now)

    async def _price(
        self, tx: Store, account: BillingAccount, selection: Selection, book: PriceBook, voucher: Voucher | None
    ) -> Priced:
        purpose = pricing.purpose_of(selection, book)
        credit = (await wallet_of(tx, account)).lapse(tx.now).available(tx.now, purpose)
        priced = pricing.price(
            selection, book, voucher=voucher.terms if voucher else None, credit=credit,
            taxes=() if account.tax.exempt else self._desk.taxes, step=self._providers.step(book.currency),
        )  # fmt: skip
        if voucher is not None:
            await self._check(tx, account, voucher, priced.discount, purpose)
        return priced

    async def _check(
        self, tx: Store, account: BillingAccount, voucher: Voucher, discount: Money, purpose: Purpose
    ) -> None:
        tally = await tx.tally(voucher.id, account.org)
        is_new = (await tx.rivals(account.org, "", None)).org_is_new
        wish = Wish("", account.org, "", voucher.terms.amount or discount, purpose, is_new, tx.now)
        uses.check(voucher, tally, wish, tx.now)


def to_selection(s: resources_pb2.QuoteSelection) -> Selection:
    """What a request asks for. Raises InvalidRequest for a period that is not sold."""
    if s.period_months not in (0, 1, 12):
        raise InvalidRequest((Violation("selection.period_months", "a period is 1 or 12 months", "PERIOD"),))
    return Selection(
        s.plan, tuple(s.add_ons), s.bundle, tuple(s.apps), s.sovereign, s.period_months or 1, trial=s.trial
    )  # fmt: skip
