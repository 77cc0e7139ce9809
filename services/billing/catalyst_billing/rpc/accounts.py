"""AccountService, as far as one account is concerned; `transfers` takes them between Sovereigns."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from catalyst.billing.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page, Work, caller
from catalyst_sdk import Decision
from google.longrunning import operations_pb2

from ..customers import Customers
from ..domain import accounts, goodwill
from ..domain.accounts import AccountClosed, AccountNotFound, BillingAccount, CurrencyMismatch, State
from ..domain.credit import Wallet, spendable
from ..domain.goodwill import Given, Goodwill, GoodwillNotFound
from ..domain.goodwill import State as GoodwillState
from ..domain.money import Money, parse
from ..domain.postings import Books, credit_of
from ..opening import ensured
from ..store import Store
from . import account_changes as changes
from . import convert
from .names import ANY, check_etag, id_of, new_id, org_of, require_member
from .running import run
from .transfers import Transfers


class AccountService(service_pb2_grpc.AccountServiceServicer):
    """Billing accounts, their credit and their balance."""

    def __init__(
        self, work: Work[Store], currency: str, *, books: Books, limit: str, customers: Customers, transfers: Transfers
    ) -> None:
        """Wire it; `limit` is the goodwill of one month that one person may give."""
        self._work = work
        self._currency = currency
        self._books = books
        self._limit = limit
        self._customers = customers
        self._transfers = transfers

    async def EnsureAccount(
        self, request: service_pb2.EnsureAccountRequest, context: Context
    ) -> resources_pb2.BillingAccount:
        org = request.org.removeprefix("organizations/")

        async def step(tx: Store) -> Decision[BillingAccount]:
            return await ensured(tx, org, self._currency, request.currency)

        return await self._work.run(step, answer=convert.account)

    async def GetAccount(
        self, request: service_pb2.GetAccountRequest, context: Context
    ) -> resources_pb2.BillingAccount:
        org = require_member(request.name)

        async def step(tx: Store) -> Decision[BillingAccount]:
            return await ensured(tx, org, self._currency)

        return await self._work.run(step, answer=convert.account)

    async def ListAccounts(
        self, request: service_pb2.ListAccountsRequest, context: Context
    ) -> service_pb2.ListAccountsResponse:
        states = resources_pb2.BillingAccount.State
        state = states.Name(request.state).removeprefix("STATE_").lower() if request.state else ""
        page = Page.of(request.page_size, request.page_token, state)
        async with self._work.reading() as tx:
            cut = page.cut(await tx.accounts(page, state=state), lambda a: a.org)
        return service_pb2.ListAccountsResponse(
            accounts=[convert.account(a) for a in cut.rows], next_page_token=cut.next_page_token
        )

    async def UpdateAccount(
        self, request: service_pb2.UpdateAccountRequest, context: Context
    ) -> resources_pb2.BillingAccount:
        org, wish = require_member(request.account.name), request.account
        paths = changes.wanted(request.update_mask, wish)
        if changes.EXEMPT & paths:
            caller(context).require("billing-admin", resource=wish.name)

        async def step(tx: Store) -> Decision[BillingAccount]:
            account = await self._locked(tx, org, request.etag)
            contact, tax = changes.changed(account, wish, paths)
            return accounts.update(account, contact, tax, tx.now)

        return await run(self._work, step, convert.account, validate_only=request.validate_only)

    async def FreezeAccount(
        self, request: service_pb2.FreezeAccountRequest, context: Context
    ) -> resources_pb2.BillingAccount:
        return await self._move(request.name, request.etag, accounts.freeze)

    async def UnfreezeAccount(
        self, request: service_pb2.UnfreezeAccountRequest, context: Context
    ) -> resources_pb2.BillingAccount:
        return await self._move(request.name, request.etag, accounts.unfreeze)

    async def GrantGoodwill(
        self, request: service_pb2.GrantGoodwillRequest, context: Context
    ) -> resources_pb2.Goodwill:
        org, id, by = org_of(request.name), new_id("gw"), caller(context).subject
        amount = Money(request.amount.minor, request.amount.currency)
        ttl = request.ttl.ToTimedelta() if request.HasField("ttl") else None
        books = replace(self._books, actor=by)

        async def step(tx: Store) -> Decision[Given]:
            account = await self._locked(tx, org)
            if account.state is State.CLOSED:
                raise AccountClosed(account=account.name)
            if account.currency != amount.currency:
                raise CurrencyMismatch(account=account.name, kept=account.currency, asked=amount.currency)
            wish = Goodwill(id, org, amount, request.reason, ttl, GoodwillState.PENDING, by, tx.now, tx.now)
            given = await tx.goodwill_since(org, goodwill.month_of(tx.now), amount.currency)
            return goodwill.ask(wish, given, parse(self._limit, amount.currency), books, tx.now)

        return await run(
            self._work, step, lambda g: convert.goodwill(g.goodwill, g.goodwill.updated_at),
            validate_only=request.validate_only,
        )  # fmt: skip

    async def ApproveGoodwill(
        self, request: service_pb2.ApproveGoodwillRequest, context: Context
    ) -> resources_pb2.Goodwill:
        org, by = org_of(request.name), caller(context).subject
        books = replace(self._books, actor=by)

        async def step(tx: Store) -> Decision[Given]:
            account = await self._locked(tx, org)
            if account.state is State.CLOSED:
                raise AccountClosed(account=account.name)
            wish = await tx.lock_goodwill(org, id_of(request.name))
            if wish is None:
                raise GoodwillNotFound(goodwill=request.name)
            check_etag(request.etag, wish.name, wish.version)
            return goodwill.approve(wish, by, books, tx.now)

        return await self._work.run(step, answer=lambda g: convert.goodwill(g.goodwill, g.goodwill.updated_at))

    async def ListGoodwills(
        self, request: service_pb2.ListGoodwillsRequest, context: Context
    ) -> service_pb2.ListGoodwillsResponse:
        states = resources_pb2.Goodwill.State
        state = states.Name(request.state).removeprefix("STATE_").lower() if request.state else ""
        page = Page.of(request.page_size, request.page_token, request.parent, state)
        org = org_of(request.parent).removeprefix(ANY)
        async with self._work.reading() as tx:
            found = await tx.goodwills(org, page, state=state)
            cut = page.cut(found, lambda g: [g.created_at.isoformat(), g.id])
            shown = [convert.goodwill(g, tx.now) for g in cut.rows]
        return service_pb2.ListGoodwillsResponse(goodwills=shown, next_page_token=cut.next_page_token)

    async def OpenPortal(
        self, request: service_pb2.OpenPortalRequest, context: Context
    ) -> service_pb2.OpenPortalResponse:
        org = require_member(request.name)

        async def opened(tx: Store) -> None:
            await tx.save((await ensured(tx, org, self._currency)).state)

        await self._work.again(opened)
        url = await self._customers.portal(org, request.return_url)

        async def step(tx: Store) -> Decision[None]:
            return Decision(None)

        return await self._work.run(step, answer=lambda _: service_pb2.OpenPortalResponse(url=url))

    async def ExportAccount(
        self, request: service_pb2.ExportAccountRequest, context: Context
    ) -> operations_pb2.Operation:
        return await self._transfers.export(
            org_of(request.name), request.target_sovereign.removeprefix("sovereigns/"), request.etag
        )

    async def ImportAccount(
        self, request: service_pb2.ImportAccountRequest, context: Context
    ) -> operations_pb2.Operation:
        return await self._transfers.take_over(request.bundle, validate_only=request.validate_only)

    async def _locked(self, tx: Store, org: str, etag: str = "") -> BillingAccount:
        account = await tx.lock_account(org)
        if account is None:
            raise AccountNotFound(account=f"billingAccounts/{org}")
        check_etag(etag, account.name, account.version)
        return account

    async def _move(
        self, name: str, etag: str, move: Callable[[BillingAccount, datetime], Decision[BillingAccount]]
    ) -> resources_pb2.BillingAccount:
        async def step(tx: Store) -> Decision[BillingAccount]:
            return move(await self._locked(tx, org_of(name), etag), tx.now)

        return await self._work.run(step, answer=convert.account)

    async def GetBalance(self, request: service_pb2.GetBalanceRequest, context: Context) -> resources_pb2.Balance:
        org = require_member(request.name)
        page = Page.of(request.page_size or 20, request.page_token, request.name, request.currency)
        async with self._work.reading() as tx:
            account = await tx.account(org)
            wanted = request.currency or (account.currency if account else self._currency)
            currency = Money(0, wanted).currency
            book = credit_of(org, currency)
            _, version = await tx.balance(book)
            cut = page.cut(await tx.entries(book, page), lambda row: row["number"])
            entries = [convert.entry(row, currency) for row in cut.rows]
            return convert.balance(
                await tx.wallet(org, currency), tx.now, version=version, entries=entries,
                next_page_token=cut.next_page_token,
            )  # fmt: skip

    async def ListCreditGrants(
        self, request: service_pb2.ListCreditGrantsRequest, context: Context
    ) -> service_pb2.ListCreditGrantsResponse:
        org = require_member(request.parent)
        page = Page.of(request.page_size, request.page_token, request.parent, request.show_spent)
        async with self._work.reading() as tx:
            known = await tx.grants(org)
            burning = spendable(known, None, tx.now)
        shown = [*burning, *(g for g in known if g not in burning)] if request.show_spent else burning
        first = int(page.after or 0)
        rows = list(enumerate(shown, 1))[first : first + page.size + 1]
        cut = page.cut(rows, lambda row: row[0])
        return service_pb2.ListCreditGrantsResponse(
            credit_grants=[convert.grant(grant) for _, grant in cut.rows], next_page_token=cut.next_page_token
        )


async def wallet_of(tx: Store, account: BillingAccount) -> Wallet:
    """The credit of an account in its own currency."""
    return await tx.wallet(account.org, account.currency)
