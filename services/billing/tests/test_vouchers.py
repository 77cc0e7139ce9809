"""Vouchers over gRPC: issued once, used within their caps by however many at once."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from catalyst.billing.v1 import resources_pb2 as pb
from catalyst.billing.v1 import service_pb2 as rpc
from catalyst.billing.v1 import service_pb2_grpc as stubs
from catalyst.mesh.v1.resources_pb2 import Money
from catalyst_mesh import ManualClock, stamp
from catalyst_testkit.daemons import reason_of
from google.protobuf.field_mask_pb2 import FieldMask

from .conftest import Billing, Start, races, state_of
from .makers import NOON

pytestmark = pytest.mark.either_database

PREVIEW = rpc.PreviewVoucherRequest


async def test_a_code_is_previewed_and_redeemed_however_it_is_typed(billing: Billing) -> None:
    await billing.issue("omani-26", description="Welcome")
    public = billing.daemon.stub(stubs.VoucherServiceStub, token="")
    for typed in (" omani-26 ", "OMANI-26", "ＯＭＡＮＩ－２６"):
        seen = await public.PreviewVoucher(PREVIEW(code=typed))
        assert (seen.code, seen.credit.minor, seen.description, seen.accepting) == ("OMANI-26", 50_000, "Welcome", True)
    redeemed = await billing.redeem("ｏｍａｎｉ－２６")
    assert (redeemed.grant.amount.minor, redeemed.balance.available.minor) == (50_000, 50_000)


async def test_unknown_unreadable_and_revoked_codes_look_alike(billing: Billing) -> None:
    issued = await billing.issue()
    revoke = rpc.RevokeVoucherRequest(name=issued.name, reason="leaked")
    first = await billing.staff(stubs.VoucherServiceStub).RevokeVoucher(revoke)
    second = await billing.staff(stubs.VoucherServiceStub).RevokeVoucher(revoke)
    assert (first.state, first.version) == (second.state, second.version) == (pb.Voucher.STATE_REVOKED, 2)
    public = billing.daemon.stub(stubs.VoucherServiceStub, token="")
    for typed in ("OMANI-26", "OTHER-26", "?!"):
        assert await reason_of(public.PreviewVoucher(PREVIEW(code=typed))) == "VOUCHER_NOT_FOUND"
    assert await reason_of(billing.redeem()) == "VOUCHER_NOT_FOUND"
    assert await reason_of(billing.quote(code="?!")) == "VOUCHER_NOT_FOUND"
    assert await reason_of(billing.issue()) == "VOUCHER_CODE_TAKEN"


async def test_a_paused_code_is_told_apart_from_an_unknown_one(billing: Billing) -> None:
    issued, staff = await billing.issue(), billing.staff(stubs.VoucherServiceStub)
    await staff.PauseVoucher(rpc.PauseVoucherRequest(name=issued.name))
    public = billing.daemon.stub(stubs.VoucherServiceStub, token="")
    assert not (await public.PreviewVoucher(PREVIEW(code="OMANI-26"))).accepting
    assert await reason_of(billing.redeem()) == "VOUCHER_NOT_ACTIVE"
    stale = rpc.ActivateVoucherRequest(name=issued.name, etag=issued.etag)
    assert await reason_of(staff.ActivateVoucher(stale)) == "ETAG_MISMATCH"
    await staff.ActivateVoucher(rpc.ActivateVoucherRequest(name=issued.name))
    assert await reason_of(billing.redeem()) == "OK"
    missing = rpc.PauseVoucherRequest(name="vouchers/v-none")
    assert await reason_of(staff.PauseVoucher(missing)) == "VOUCHER_NOT_FOUND"


async def test_a_second_use_by_one_organization_is_refused(billing: Billing) -> None:
    await billing.issue()
    await billing.redeem()
    assert await reason_of(billing.redeem()) == "VOUCHER_ALREADY_USED"
    assert await reason_of(billing.redeem(org="other")) == "OK"


@races
async def test_50_organizations_on_a_voucher_for_5(billing: Billing) -> None:
    voucher = await billing.issue(max_total=5)
    reasons = await asyncio.gather(*(reason_of(billing.redeem(org=f"org-{n}")) for n in range(50)))
    assert sorted(reasons) == ["OK"] * 5 + ["VOUCHER_EXHAUSTED"] * 45
    seen = await billing.staff(stubs.VoucherServiceStub).GetVoucher(rpc.GetVoucherRequest(name=voucher.name))
    assert (seen.used_count, seen.reserved_count, seen.state) == (5, 0, pb.Voucher.STATE_EXHAUSTED)
    assert await billing.booked() == {"promo_cost": 250_000, "customer_credit": -250_000}
    assert (await billing.prove()).proved


@races
async def test_50_orders_on_a_voucher_for_5(billing: Billing) -> None:
    await billing.issue(max_total=5)
    quotes = [await billing.quote(f"org-{n}", code="OMANI-26") for n in range(50)]
    reasons = await asyncio.gather(*(reason_of(billing.submit(quote)) for quote in quotes))
    assert sorted(reasons) == ["OK"] * 5 + ["VOUCHER_EXHAUSTED"] * 45
    assert (await billing.told()).count("order.paid") == await billing.count("order") == 5


@races
async def test_one_organization_one_code_two_orders(billing: Billing) -> None:
    await billing.issue()
    quotes = [await billing.quote(code="OMANI-26", sovereign=f"sovereigns/s{n}") for n in range(2)]
    reasons = await asyncio.gather(*(reason_of(billing.submit(quote)) for quote in quotes))
    assert sorted(reasons) == ["OK", "VOUCHER_ALREADY_USED"]


async def test_a_request_id_makes_one_voucher_and_another_body_is_refused(billing: Billing) -> None:
    staff, key = billing.staff(stubs.VoucherServiceStub), str(uuid4())
    voucher = pb.Voucher(amount=Money(minor=1, currency="OMR"))
    wish = rpc.CreateVoucherRequest(voucher=voucher, request_id=key)
    first = await staff.CreateVoucher(wish)
    assert first == await staff.CreateVoucher(wish)
    assert (len(first.code), first.state) == (12, pb.Voucher.STATE_DRAFT)
    voucher.amount.minor = 2
    other = rpc.CreateVoucherRequest(voucher=voucher, request_id=key)
    assert await reason_of(staff.CreateVoucher(other)) == "REQUEST_ID_REUSED"


async def test_bad_vouchers_are_refused_with_everything_that_is_wrong(billing: Billing) -> None:
    staff = billing.staff(stubs.VoucherServiceStub)
    omr, gold = Money(minor=1, currency="OMR"), Money(minor=1, currency="XAU")
    cases = [
        (pb.Voucher(), "REQUEST_INVALID"),
        (pb.Voucher(amount=Money(minor=0, currency="OMR")), "REQUEST_INVALID"),
        (pb.Voucher(amount=Money(minor=-1, currency="OMR")), "REQUEST_INVALID"),
        (pb.Voucher(amount=gold), "CURRENCY_UNSUPPORTED"),
        (pb.Voucher(amount=omr, budget=Money(minor=1, currency="EUR")), "REQUEST_INVALID"),
        (pb.Voucher(amount=omr, max_total=0), "REQUEST_INVALID"),
        (pb.Voucher(amount=omr, start_time=stamp(NOON), end_time=stamp(NOON)), "REQUEST_INVALID"),
        (pb.Voucher(amount=omr, code="-odd-"), "VOUCHER_CODE_INVALID"),
        (pb.Voucher(amount=omr, campaign="campaigns/none"), "CAMPAIGN_NOT_FOUND"),
    ]
    for voucher, reason in cases:
        assert await reason_of(staff.CreateVoucher(rpc.CreateVoucherRequest(voucher=voucher))) == reason
    assert await billing.count("voucher") == 0


async def test_a_discount_lowers_the_order_and_cannot_be_redeemed_alone(billing: Billing) -> None:
    half = pb.Voucher(code="HALF", percent_off=pb.PercentOff(percent=50, periods=3))
    staff = billing.staff(stubs.VoucherServiceStub)
    issued = await staff.CreateVoucher(rpc.CreateVoucherRequest(voucher=half, activate=True))
    assert issued.percent_off.percent == 50
    assert await reason_of(billing.redeem("HALF")) == "VOUCHER_NEEDS_ORDER"
    paid = await billing.reached(await billing.order(code="HALF"), "PAID")
    assert (paid.total.minor, paid.paid_by_card.minor) == (4500, 4500)


async def test_credit_of_a_voucher_expires(billing: Billing, clock: ManualClock) -> None:
    from google.protobuf.duration_pb2 import Duration

    await billing.issue(grant_ttl=Duration(seconds=86_400))
    await billing.redeem()
    assert (await billing.balance()).expiring.minor == 50_000
    clock.advance(timedelta(days=1))

    async def swept() -> bool:
        return (await billing.balance()).total.minor == 0

    from catalyst_testkit import eventually

    await eventually(swept, within=60)
    assert await billing.booked() == {"promo_cost": 50_000, "breakage": -50_000}
    assert (await billing.told())[-1] == "credit.expired"
    assert [(e.amount.minor, e.reason) for e in (await billing.balance()).entries] == [
        (-50_000, "expiry"), (50_000, "voucher")
    ]  # fmt: skip


async def test_lists_hide_revoked_vouchers_unless_asked(billing: Billing, clock: ManualClock) -> None:
    staff = billing.staff(stubs.VoucherServiceStub)
    kept = await billing.issue("KEPT")
    clock.advance(timedelta(seconds=1))
    gone = await billing.issue("GONE")
    await staff.RevokeVoucher(rpc.RevokeVoucherRequest(name=gone.name))

    async def listed(**wanted: object) -> list[str]:
        return [v.code for v in (await staff.ListVouchers(rpc.ListVouchersRequest(**wanted))).vouchers]

    assert await listed() == ["KEPT"]
    assert await listed(show_revoked=True) == ["GONE", "KEPT"]
    assert await listed(state=pb.Voucher.STATE_REVOKED) == ["GONE"]
    assert await listed(campaign="campaigns/none") == []
    assert (await staff.GetVoucher(rpc.GetVoucherRequest(name=kept.name))).code == "KEPT"


async def test_codes_that_begin_alike_cannot_be_tried_endlessly(billing: Billing, clock: ManualClock) -> None:
    public = billing.daemon.stub(stubs.VoucherServiceStub, token="")
    tries = [await reason_of(public.PreviewVoucher(PREVIEW(code=f"OMAN{n:04}"))) for n in range(31)]
    assert tries == ["VOUCHER_NOT_FOUND"] * 30 + ["PREVIEW_LIMITED"]
    assert await reason_of(public.PreviewVoucher(PREVIEW(code="BAHR0000"))) == "VOUCHER_NOT_FOUND"
    clock.advance(timedelta(minutes=1))
    assert await reason_of(public.PreviewVoucher(PREVIEW(code="OMAN0000"))) == "VOUCHER_NOT_FOUND"


async def test_a_redeemed_voucher_is_previewed_without_any_effect(billing: Billing) -> None:
    await billing.issue()
    call = rpc.RedeemVoucherRequest(parent="billingAccounts/acme", code="OMANI-26", validate_only=True)
    answer = await billing.member(stubs.VoucherServiceStub).RedeemVoucher(call)
    assert answer.balance.available.minor == 50_000
    assert ((await billing.balance()).total.minor, await billing.booked()) == (0, {})
    assert state_of(await billing.order(code="OMANI-26")) == "PAID"


async def update(billing: Billing, voucher: pb.Voucher, *paths: str, **fields: Any) -> pb.Voucher:
    wish = pb.Voucher(name=voucher.name, **fields)
    call = rpc.UpdateVoucherRequest(voucher=wish, update_mask=FieldMask(paths=paths), etag=voucher.etag)
    return await billing.staff(stubs.VoucherServiceStub).UpdateVoucher(call)


async def test_edits_are_kept_and_a_reservation_holds_its_terms(start: Start) -> None:
    async with start("never") as billing:
        issued = await billing.issue(minor=4000, description="Welcome", max_total=1)
        order = await billing.order(code="OMANI-26")
        held = await billing.staff(stubs.VoucherServiceStub).GetVoucher(rpc.GetVoucherRequest(name=issued.name))
        worth = update(billing, held, "amount", amount=Money(minor=9000, currency="OMR"))
        assert await reason_of(worth) == "VOUCHER_VALUE_FROZEN"
        assert await reason_of(update(billing, issued, "max_total", max_total=3)) == "ETAG_MISMATCH"
        edited = await update(billing, held, "max_total", "description", max_total=3)
        assert (edited.revision, edited.max_total, edited.description) == (2, 3, "")
        assert (edited.amount.minor, edited.reserved_count) == (4000, 1)
        parent = rpc.ListVoucherRevisionsRequest(parent=issued.name)
        kept = (await billing.staff(stubs.VoucherServiceStub).ListVoucherRevisions(parent)).revisions
        assert [(r.revision, r.max_total, r.description) for r in kept] == [(2, 3, ""), (1, 1, "Welcome")]
        (use,) = (
            await billing.staff(stubs.VoucherServiceStub).ListVoucherUses(
                rpc.ListVoucherUsesRequest(parent=issued.name)
            )
        ).uses
        assert (use.order, use.voucher_revision, use.value.minor) == (order.name, 1, 4000)
        assert use.state == pb.VoucherUse.STATE_RESERVED


async def test_an_exhausted_voucher_goes_on_with_a_raised_cap_and_no_cap_goes_below_its_use(billing: Billing) -> None:
    issued = await billing.issue(max_total=1)
    await billing.redeem()
    staff = billing.staff(stubs.VoucherServiceStub)
    full = await staff.GetVoucher(rpc.GetVoucherRequest(name=issued.name))
    assert full.state == pb.Voucher.STATE_EXHAUSTED
    small = Money(minor=49_999, currency="OMR")
    assert await reason_of(update(billing, full, "budget", budget=small)) == "CAP_BELOW_USE"
    assert (await update(billing, full, "max_total", max_total=2)).state == pb.Voucher.STATE_ACTIVE
    assert await reason_of(billing.redeem(org="bell")) == "OK"


async def test_20_organizations_on_two_codes_of_a_campaign_for_five(billing: Billing) -> None:
    staff = billing.staff(stubs.VoucherServiceStub)
    budget = Money(minor=25_000, currency="OMR")
    made = await staff.CreateCampaign(
        rpc.CreateCampaignRequest(campaign=pb.Campaign(display_name="Spring", budget=budget))
    )
    for code in ("SPRING-A", "SPRING-B"):
        await billing.issue(code, minor=5000, campaign=made.name)
    calls = (billing.redeem(f"SPRING-{'AB'[n % 2]}", org=f"org-{n}") for n in range(20))
    reasons = await asyncio.gather(*(reason_of(call) for call in calls))
    assert sorted(reasons) == ["OK"] * 5 + ["VOUCHER_EXHAUSTED"] * 15
    seen = await staff.GetCampaign(rpc.GetCampaignRequest(name=made.name))
    assert (seen.used.minor, seen.budget.minor, seen.display_name) == (25_000, 25_000, "Spring")
    less = pb.Campaign(name=made.name, budget=Money(minor=24_999, currency="OMR"))
    call = rpc.UpdateCampaignRequest(campaign=less, update_mask=FieldMask(paths=["budget"]), etag=seen.etag)
    assert await reason_of(staff.UpdateCampaign(call)) == "CAP_BELOW_USE"
    call.campaign.budget.minor = 30_000
    assert (await staff.UpdateCampaign(call)).version == 2
    assert await reason_of(billing.redeem("SPRING-A", org="late")) == "OK"
    listed = await staff.ListCampaigns(rpc.ListCampaignsRequest())
    assert [c.used.minor for c in listed.campaigns] == [30_000]
    stranger = billing.issue("OTHER", campaign="campaigns/c-none")
    assert await reason_of(stranger) == "CAMPAIGN_NOT_FOUND"


async def test_vouchers_are_listed_by_the_state_that_time_gave_them(billing: Billing, clock: ManualClock) -> None:
    await billing.issue("SHORT", end_time=stamp(NOON + timedelta(hours=1)))
    await billing.issue("LONG")
    staff = billing.staff(stubs.VoucherServiceStub)

    async def codes(state: pb.Voucher.State.ValueType) -> list[str]:
        listed = await staff.ListVouchers(rpc.ListVouchersRequest(state=state))
        assert {voucher.state for voucher in listed.vouchers} <= {state}
        return sorted(voucher.code for voucher in listed.vouchers)

    assert await codes(pb.Voucher.STATE_EXPIRED) == []
    clock.advance(timedelta(hours=1))
    assert (await codes(pb.Voucher.STATE_EXPIRED), await codes(pb.Voucher.STATE_ACTIVE)) == (["SHORT"], ["LONG"])


async def test_the_limits_of_previews_hold_over_replicas_and_count_each_address(start: Start, home: Path) -> None:
    (home / "second").mkdir()
    keyring = {"keyring_file": home / "keyring"}
    async with start(**keyring) as first, start(home=home / "second", **keyring) as second:
        places = [one.daemon.stub(stubs.VoucherServiceStub, token="") for one in (first, second)]

        async def ask(n: int, address: str, code: str) -> str:
            call = places[n % 2].PreviewVoucher(PREVIEW(code=code), metadata=(("client-address", address),))
            return await reason_of(call)

        of_one = [await ask(n, "192.0.2.1", f"X{n:03}-AB") for n in range(12)]
        assert of_one == ["VOUCHER_NOT_FOUND"] * 10 + ["PREVIEW_LIMITED"] * 2
        alike = await asyncio.gather(*(ask(n, f"192.0.2.{n + 10}", "OMAN-X") for n in range(34)))
        assert sorted(alike) == ["PREVIEW_LIMITED"] * 4 + ["VOUCHER_NOT_FOUND"] * 30
