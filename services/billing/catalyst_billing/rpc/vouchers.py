"""VoucherService, as far as vouchers are issued, used and withdrawn."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from catalyst.billing.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page, Work, caller
from catalyst_sdk import Code, Decision, Refused

from ..amounts import money
from ..domain import submissions, uses, vouchers
from ..domain.accounts import BillingAccount
from ..domain.money import Money
from ..domain.postings import Books
from ..domain.submissions import Redemption
from ..domain.uses import Tally, Wish
from ..domain.vouchers import State, Voucher, VoucherCodeInvalid, VoucherCodeTaken, VoucherNotFound, normalise
from ..store import Store
from . import convert, voucher_terms
from .accounts import ensured, wallet_of
from .limits import PreviewLimit
from .names import check_etag, id_of, new_id, require_member
from .running import run


class CampaignNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "CAMPAIGN_NOT_FOUND", "there is no campaign {campaign}"


class VoucherService(service_pb2_grpc.VoucherServiceServicer):
    """Codes that stand for credit or a discount."""

    def __init__(self, work: Work[Store], *, books: Books, limit: PreviewLimit, currency: str) -> None:
        self._work = work
        self._books = books
        self._limit = limit
        self._currency = currency

    async def PreviewVoucher(
        self, request: service_pb2.PreviewVoucherRequest, context: Context
    ) -> service_pb2.PreviewVoucherResponse:
        async with self._work.reading() as tx:
            self._limit.admit(request.code, tx.now)
            voucher = await by_code(tx, request.code)
            terms = voucher.terms
            return service_pb2.PreviewVoucherResponse(
                code=voucher.code, credit=money(terms.amount) if terms.amount else None,
                percent_off=voucher_terms.percent_off(terms), description=terms.description,
                accepting=voucher.is_accepting(tx.now),
            )  # fmt: skip

    async def RedeemVoucher(
        self, request: service_pb2.RedeemVoucherRequest, context: Context
    ) -> service_pb2.RedeemVoucherResponse:
        org, id = require_member(request.parent), new_id("u")
        books = replace(self._books, actor=caller(context).subject)

        async def step(tx: Store) -> Decision[tuple[BillingAccount, Redemption]]:
            account = (await ensured(tx, org, self._currency)).state
            voucher = await tx.lock_voucher((await by_code(tx, request.code)).id)
            assert voucher is not None
            wallet, is_new = await wallet_of(tx, account), (await tx.rivals(org, "")).org_is_new
            value = voucher.terms.amount or Money(0, account.currency)
            wish = Wish(id, org, "", value, None, is_new, tx.now + uses.AT_ONCE)
            decided = submissions.redeem(account, wallet, voucher, await tx.tally(voucher.id, org), wish, books, tx.now)
            return Decision((account, decided.state), decided.events)

        def answer(done: tuple[BillingAccount, Redemption]) -> service_pb2.RedeemVoucherResponse:
            grant, wallet = done[1].grant, done[1].wallet
            return service_pb2.RedeemVoucherResponse(
                grant=convert.grant(grant), balance=convert.balance(wallet, grant.created_at)
            )

        return await run(self._work, step, answer, validate_only=request.validate_only)

    async def CreateVoucher(self, request: service_pb2.CreateVoucherRequest, context: Context) -> resources_pb2.Voucher:
        terms = voucher_terms.terms_of(request.voucher)
        if request.voucher.campaign:
            raise CampaignNotFound(campaign=request.voucher.campaign)
        code = normalise(request.voucher.code) if request.voucher.code else generated()
        by, id = caller(context).subject, new_id("v")

        async def step(tx: Store) -> Decision[Voucher]:
            if await tx.voucher_of_code(code) is not None:
                raise VoucherCodeTaken
            return vouchers.issue(id, code, terms, by=by, now=tx.now, activate=request.activate)

        return await run(
            self._work, step, lambda v: voucher_terms.voucher(v, Tally(), v.created_at),
            validate_only=request.validate_only,
        )  # fmt: skip

    async def GetVoucher(self, request: service_pb2.GetVoucherRequest, context: Context) -> resources_pb2.Voucher:
        async with self._work.reading() as tx:
            voucher = await tx.voucher(id_of(request.name))
            if voucher is None:
                raise VoucherNotFound
            return voucher_terms.voucher(voucher, await tx.tally(voucher.id, ""), tx.now)

    async def ListVouchers(
        self, request: service_pb2.ListVouchersRequest, context: Context
    ) -> service_pb2.ListVouchersResponse:
        wanted = resources_pb2.Voucher.State.Name(request.state).removeprefix("STATE_").lower() if request.state else ""
        page = Page.of(request.page_size, request.page_token, wanted, request.show_revoked, request.campaign)
        async with self._work.reading() as tx:
            found = [] if request.campaign else await tx.vouchers(page, state=wanted, show_revoked=request.show_revoked)
            cut = page.cut(found, lambda v: [v.created_at.isoformat(), v.id])
            rows = [voucher_terms.voucher(v, await tx.tally(v.id, ""), tx.now) for v in cut.rows]
        return service_pb2.ListVouchersResponse(vouchers=rows, next_page_token=cut.next_page_token)

    async def ActivateVoucher(
        self, request: service_pb2.ActivateVoucherRequest, context: Context
    ) -> resources_pb2.Voucher:
        return await self._move(request.name, request.etag, vouchers.activate)

    async def PauseVoucher(self, request: service_pb2.PauseVoucherRequest, context: Context) -> resources_pb2.Voucher:
        return await self._move(request.name, request.etag, vouchers.pause)

    async def RevokeVoucher(self, request: service_pb2.RevokeVoucherRequest, context: Context) -> resources_pb2.Voucher:
        by = caller(context).subject
        return await self._move(
            request.name, request.etag, lambda v, now: vouchers.revoke(v, now, by=by, why=request.reason)
        )

    async def _move(
        self, name: str, etag: str, move: Callable[[Voucher, datetime], Decision[Voucher]]
    ) -> resources_pb2.Voucher:
        seen: list[tuple[Tally, datetime]] = []

        async def step(tx: Store) -> Decision[Voucher]:
            voucher = await tx.lock_voucher(id_of(name))
            if voucher is None:
                raise VoucherNotFound
            check_etag(etag, voucher.name, voucher.version)
            seen.append((await tx.tally(voucher.id, ""), tx.now))
            return move(voucher, tx.now)

        return await self._work.run(step, answer=lambda v: voucher_terms.voucher(v, *seen[-1]))


async def by_code(tx: Store, typed: str) -> Voucher:
    """The voucher of a code as typed. Raises VoucherNotFound; unknown, unreadable and revoked look alike."""
    try:
        voucher = await tx.voucher_of_code(normalise(typed))
    except VoucherCodeInvalid as refusal:
        raise VoucherNotFound from refusal
    if voucher is None or voucher.state is State.REVOKED:
        raise VoucherNotFound
    return voucher


def generated() -> str:
    """A code of signs that nobody takes for another."""
    return "".join(secrets.choice(vouchers.ALPHABET) for _ in range(vouchers.GENERATED_LENGTH))
