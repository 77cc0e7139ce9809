"""AccountService, as far as accounts are opened and read."""

from uuid import uuid4

from catalyst.billing.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page, Work
from catalyst_sdk import Decision

from ..domain import accounts
from ..domain.accounts import BillingAccount
from ..domain.credit import Wallet, spendable
from ..domain.money import Money
from ..domain.postings import credit_of
from ..store import Store
from . import convert
from .names import require_member


class AccountService(service_pb2_grpc.AccountServiceServicer):
    """Billing accounts, their credit and their balance."""

    def __init__(self, work: Work[Store], currency: str) -> None:
        self._work = work
        self._currency = currency

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


async def ensured(tx: Store, org: str, default: str, currency: str = "") -> Decision[BillingAccount]:
    """The account of `org`, locked; opened in `currency` or `default` where there is none yet."""
    known = await tx.lock_account(org)
    return accounts.ensure(known, org=org, uid=str(uuid4()), currency=currency, default=default, now=tx.now)


async def wallet_of(tx: Store, account: BillingAccount) -> Wallet:
    """The credit of an account in its own currency."""
    return await tx.wallet(account.org, account.currency)
