"""VoucherService."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from catalyst.billing.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page, Work, caller
from catalyst_sdk import Decision

from ..amounts import money
from ..domain import campaigns, submissions, uses, vouchers
from ..domain.accounts import BillingAccount
from ..domain.campaigns import Campaign, CampaignNotFound
from ..domain.money import Money
from ..domain.postings import Books
from ..domain.submissions import Redemption
from ..domain.uses import Tally, Wish
from ..domain.vouchers import Edited, State, Voucher, VoucherCodeInvalid, VoucherCodeTaken, VoucherNotFound, normalise
from ..opening import ensured
from ..store import Store
from . import convert, voucher_terms
from .accounts import wallet_of
from .limits import PreviewLimit
from .masks import wanted
from .names import check_etag, id_of, new_id, require_member
from .running import run

CLIENT_ADDRESS = "client-address"
"""Metadata in which the gateway says who has called it."""


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
        await self._limit.admit(request.code, client_address(context))
        async with self._work.reading() as tx:
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
            wallet, is_new = await wallet_of(tx, account), (await tx.rivals(org, "", None)).org_is_new
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
        campaign = request.voucher.campaign.removeprefix("campaigns/")
        code = normalise(request.voucher.code) if request.voucher.code else generated()
        by, id = caller(context).subject, new_id("v")

        async def step(tx: Store) -> Decision[Edited]:
            await require_campaign(tx, campaign)
            if await tx.voucher_of_code(code) is not None:
                raise VoucherCodeTaken
            issued = vouchers.issue(
                id, code, terms, by=by, now=tx.now, activate=request.activate, campaign=campaign
            )  # fmt: skip
            return Decision(Edited(issued.state, vouchers.revision_of(issued.state, by)), issued.events)

        return await run(
            self._work, step, lambda e: voucher_terms.voucher(e.voucher, Tally(), e.voucher.created_at),
            validate_only=request.validate_only,
        )  # fmt: skip

    async def UpdateVoucher(self, request: service_pb2.UpdateVoucherRequest, context: Context) -> resources_pb2.Voucher:
        id, by, wish = id_of(request.voucher.name), caller(context).subject, request.voucher
        paths = wanted(request.update_mask, wish, voucher_terms.CHANGEABLE)
        seen: list[tuple[Tally, datetime]] = []

        async def step(tx: Store) -> Decision[Edited]:
            voucher = await tx.lock_voucher(id)
            if voucher is None:
                raise VoucherNotFound
            check_etag(request.etag, voucher.name, voucher.version)
            terms, campaign = voucher_terms.changed(voucher, wish, paths)
            await require_campaign(tx, campaign)
            edited = vouchers.edit(voucher, terms, campaign, await tx.used(id), by=by, now=tx.now)
            seen.append((await tx.tally(id, ""), tx.now))
            return edited

        return await run(
            self._work, step, lambda e: voucher_terms.voucher(e.voucher, *seen[-1]), validate_only=request.validate_only
        )

    async def ListVoucherUses(
        self, request: service_pb2.ListVoucherUsesRequest, context: Context
    ) -> service_pb2.ListVoucherUsesResponse:
        id, states = id_of(request.parent), resources_pb2.VoucherUse.State
        state = states.Name(request.state).removeprefix("STATE_").lower() if request.state else ""
        page = Page.of(request.page_size, request.page_token, request.parent, state)
        async with self._work.reading() as tx:
            await self._require(tx, id)
            cut = page.cut(await tx.uses(id, page, state=state), lambda u: [u.created_at.isoformat(), u.id])
        return service_pb2.ListVoucherUsesResponse(
            uses=[voucher_terms.use(use) for use in cut.rows], next_page_token=cut.next_page_token
        )

    async def ListVoucherRevisions(
        self, request: service_pb2.ListVoucherRevisionsRequest, context: Context
    ) -> service_pb2.ListVoucherRevisionsResponse:
        id, page = id_of(request.parent), Page.of(request.page_size, request.page_token, request.parent)
        async with self._work.reading() as tx:
            voucher = await self._require(tx, id)
            cut = page.cut(await tx.revisions(id, page), lambda r: r.revision)
        return service_pb2.ListVoucherRevisionsResponse(
            revisions=[voucher_terms.revision(voucher, revision) for revision in cut.rows],
            next_page_token=cut.next_page_token,
        )

    async def CreateCampaign(
        self, request: service_pb2.CreateCampaignRequest, context: Context
    ) -> resources_pb2.Campaign:
        title, budget = voucher_terms.campaign_of(request.campaign)
        id, uid = new_id("c"), str(uuid4())

        async def step(tx: Store) -> Decision[Campaign]:
            return campaigns.begin(id, uid, title, budget, tx.now)

        return await run(self._work, step, lambda c: voucher_terms.campaign(c, {}), validate_only=request.validate_only)

    async def GetCampaign(self, request: service_pb2.GetCampaignRequest, context: Context) -> resources_pb2.Campaign:
        async with self._work.reading() as tx:
            found = await tx.campaign(id_of(request.name))
            if found is None:
                raise CampaignNotFound(campaign=request.name)
            return voucher_terms.campaign(found, await tx.campaign_used(found.id))

    async def ListCampaigns(
        self, request: service_pb2.ListCampaignsRequest, context: Context
    ) -> service_pb2.ListCampaignsResponse:
        page = Page.of(request.page_size, request.page_token)
        async with self._work.reading() as tx:
            cut = page.cut(await tx.campaigns(page), lambda c: c.id)
            shown = [voucher_terms.campaign(c, await tx.campaign_used(c.id)) for c in cut.rows]
        return service_pb2.ListCampaignsResponse(campaigns=shown, next_page_token=cut.next_page_token)

    async def UpdateCampaign(
        self, request: service_pb2.UpdateCampaignRequest, context: Context
    ) -> resources_pb2.Campaign:
        id, wish = id_of(request.campaign.name), request.campaign
        paths = wanted(request.update_mask, wish, voucher_terms.CHANGEABLE_OF_CAMPAIGN)
        title, budget = voucher_terms.campaign_of(wish, paths)
        seen: list[Mapping[str, int]] = []

        async def step(tx: Store) -> Decision[Campaign]:
            known = await tx.lock_campaign(id)
            if known is None:
                raise CampaignNotFound(campaign=wish.name)
            check_etag(request.etag, known.name, known.version)
            seen.append(await tx.campaign_used(id))
            return campaigns.edit(
                known, title if "display_name" in paths else known.title,
                budget if "budget" in paths else known.budget, seen[-1], tx.now,
            )  # fmt: skip

        return await run(
            self._work, step, lambda c: voucher_terms.campaign(c, seen[-1]), validate_only=request.validate_only
        )

    async def GetVoucher(self, request: service_pb2.GetVoucherRequest, context: Context) -> resources_pb2.Voucher:
        async with self._work.reading() as tx:
            voucher = await tx.voucher(id_of(request.name))
            if voucher is None:
                raise VoucherNotFound
            return voucher_terms.voucher(voucher, await tx.tally(voucher.id, ""), tx.now)

    async def ListVouchers(
        self, request: service_pb2.ListVouchersRequest, context: Context
    ) -> service_pb2.ListVouchersResponse:
        state = resources_pb2.Voucher.State.Name(request.state).removeprefix("STATE_").lower() if request.state else ""
        page = Page.of(request.page_size, request.page_token, state, request.show_revoked, request.campaign)
        async with self._work.reading() as tx:
            found = await tx.vouchers(
                page,
                state=state,
                show_revoked=request.show_revoked,
                campaign=request.campaign.removeprefix("campaigns/"),
            )
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

    async def _require(self, tx: Store, id: str) -> Voucher:
        voucher = await tx.voucher(id)
        if voucher is None:
            raise VoucherNotFound
        return voucher

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


async def require_campaign(tx: Store, id: str) -> None:
    """Raises CampaignNotFound for a campaign that there is not; none is none."""
    if id and await tx.campaign(id) is None:
        raise CampaignNotFound(campaign=f"campaigns/{id}")


def client_address(context: Context) -> str:
    """Where a call came into the mesh from, as the gateway says; empty for a call that came another way."""
    found = dict(context.invocation_metadata() or ()).get(CLIENT_ADDRESS, "")
    return found if isinstance(found, str) else ""


def generated() -> str:
    """A code of signs that nobody takes for another."""
    return "".join(secrets.choice(vouchers.ALPHABET) for _ in range(vouchers.GENERATED_LENGTH))
