"""Accounts in the hands of admins, over gRPC: contact and tax, freezing, goodwill, the book, moves between Sovereigns."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from catalyst.billing.v1 import resources_pb2 as pb
from catalyst.billing.v1 import service_pb2 as rpc
from catalyst.billing.v1 import service_pb2_grpc as stubs
from catalyst.mesh.v1.resources_pb2 import Money
from catalyst_billing.keys import Keys
from catalyst_billing.signing import Seal
from catalyst_mesh import ManualClock
from catalyst_testkit.daemons import reason_of
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from .conftest import Billing, Start

pytestmark = pytest.mark.either_database

ACME = "billingAccounts/acme"


def omr(minor: int) -> Money:
    return Money(minor=minor, currency="OMR")


def accounts(billing: Billing, subject: str = "staff") -> Any:
    return billing.daemon.stub(stubs.AccountServiceStub, subject, roles=["billing-admin"])


async def account(billing: Billing, org: str = "acme") -> pb.BillingAccount:
    name = f"billingAccounts/{org}"
    return await billing.member(stubs.AccountServiceStub, org).GetAccount(rpc.GetAccountRequest(name=name))


async def test_of_two_people_who_change_an_account_one_is_told_so(billing: Billing) -> None:
    known, member = await account(billing), billing.member(stubs.AccountServiceStub)

    def change(*paths: str, **fields: Any) -> Any:
        wish = pb.BillingAccount(name=ACME, **fields)
        return rpc.UpdateAccountRequest(account=wish, update_mask=FieldMask(paths=paths), etag=known.etag)

    wishes = [change("contact.email", contact=pb.Contact(email=f"{n}@acme.example")) for n in "ab"]
    assert sorted(await asyncio.gather(*(reason_of(member.UpdateAccount(w)) for w in wishes))) == [
        "ETAG_MISMATCH",
        "OK",
    ]
    known = await account(billing)
    assert known.contact.email in ("a@acme.example", "b@acme.example")
    kept = await member.UpdateAccount(change("tax.tax_id", tax=pb.TaxProfile(tax_id="OM1")))
    assert (kept.tax.tax_id, kept.contact.email) == ("OM1", known.contact.email)
    known = kept
    exempt = change("tax.exempt", tax=pb.TaxProfile(exempt=True))
    assert await reason_of(member.UpdateAccount(exempt)) == "ROLE_DENIED"
    assert (await accounts(billing).UpdateAccount(exempt)).tax == pb.TaxProfile(tax_id="OM1", exempt=True)
    nobody = rpc.UpdateAccountRequest(account=pb.BillingAccount(name="billingAccounts/nobody"), etag='"1"')
    assert await reason_of(accounts(billing).UpdateAccount(nobody)) == "ACCOUNT_NOT_FOUND"


async def test_a_document_names_who_was_the_customer_then_and_who_is_exempt_pays_no_tax(start: Start) -> None:
    async with start(tax_rules=[{"name": "VAT", "rate_bps": 500}]) as billing:
        await billing.issue(minor=50_000)
        await billing.order(code="OMANI-26")
        wish = pb.BillingAccount(name=ACME, contact=pb.Contact(display_name="Acme LLC", address_lines=["Muscat"]))
        wish.tax.tax_id, wish.tax.exempt = "OM1", True
        call = rpc.UpdateAccountRequest(account=wish, update_mask=FieldMask(paths=["contact", "tax"]))
        call.etag = (await account(billing)).etag
        await accounts(billing).UpdateAccount(call)
        await billing.order(sovereign="sovereigns/one")
        old, new = sorted(await billing.invoices(), key=lambda paper: paper.number)
        assert (old.contact, old.tax_profile, old.tax.minor, old.total.minor) == (
            pb.Contact(),
            pb.TaxProfile(),
            450,
            9450,
        )
        assert (new.contact, new.tax_profile, new.tax.minor, new.total.minor) == (wish.contact, wish.tax, 0, 9000)
        form = rpc.RenderInvoiceRequest.FORMAT_HTML
        stub = billing.member(stubs.InvoiceServiceStub)
        page = (await stub.RenderInvoice(rpc.RenderInvoiceRequest(name=new.name, format=form))).data.decode()
        assert [word for word in ("Acme LLC", "Muscat", "OM1", "exempt") if word not in page] == []


async def test_a_frozen_account_spends_nothing_until_it_is_opened_again(billing: Billing) -> None:
    await billing.issue()
    await billing.redeem()
    quote = await billing.quote()
    freeze = rpc.FreezeAccountRequest(name=ACME, reason="chargebacks")
    frozen = await accounts(billing).FreezeAccount(freeze)
    assert frozen.state == pb.BillingAccount.STATE_FROZEN
    assert (await accounts(billing).FreezeAccount(freeze)).version == frozen.version
    assert await reason_of(billing.submit(quote)) == "ACCOUNT_FROZEN"
    listed = await accounts(billing).ListAccounts(rpc.ListAccountsRequest(state=pb.BillingAccount.STATE_FROZEN))
    assert [a.name for a in listed.accounts] == [ACME]
    await accounts(billing).UnfreezeAccount(rpc.UnfreezeAccountRequest(name=ACME, reason="paid"))
    assert await reason_of(billing.submit(quote)) == "OK"


async def test_goodwill_beyond_the_month_s_limit_needs_a_second_person(start: Start, clock: ManualClock) -> None:
    async with start(goodwill_limit="20") as billing:
        await account(billing)

        def wish(minor: int) -> rpc.GrantGoodwillRequest:
            return rpc.GrantGoodwillRequest(name=ACME, amount=omr(minor), reason="outage", ttl=Duration(seconds=86_400))

        first = await accounts(billing).GrantGoodwill(wish(15_000))
        assert (first.state, first.approved_by) == (pb.Goodwill.STATE_GRANTED, "")
        waits = await accounts(billing).GrantGoodwill(wish(5001))
        assert (waits.state, waits.grant) == (pb.Goodwill.STATE_PENDING, "")
        approve = rpc.ApproveGoodwillRequest(name=waits.name)
        assert await reason_of(accounts(billing).ApproveGoodwill(approve)) == "SECOND_PERSON_REQUIRED"
        answers = await asyncio.gather(*(accounts(billing, f"second-{n}").ApproveGoodwill(approve) for n in range(4)))
        assert {answer.grant for answer in answers} == {answers[0].grant}
        assert await billing.booked() == {"promo_cost": 20_001, "customer_credit": -20_001}
        late = await accounts(billing).GrantGoodwill(wish(1))
        clock.advance(timedelta(days=7))
        approve = rpc.ApproveGoodwillRequest(name=late.name)
        assert await reason_of(accounts(billing, "second").ApproveGoodwill(approve)) == "GOODWILL_EXPIRED"
        expired = rpc.ListGoodwillsRequest(parent="billingAccounts/-", state=pb.Goodwill.STATE_EXPIRED)
        assert [g.name for g in (await accounts(billing).ListGoodwills(expired)).goodwills] == [late.name]
        clock.advance(timedelta(days=30))
        assert (await accounts(billing).GrantGoodwill(wish(20_000))).state == pb.Goodwill.STATE_GRANTED
        assert (await billing.prove()).proved


async def test_goodwill_is_for_an_account_in_its_currency(billing: Billing) -> None:
    wish = rpc.GrantGoodwillRequest(name=ACME, amount=Money(minor=1, currency="EUR"), reason="outage")
    assert await reason_of(accounts(billing).GrantGoodwill(wish)) == "ACCOUNT_NOT_FOUND"
    await account(billing)
    assert await reason_of(accounts(billing).GrantGoodwill(wish)) == "CURRENCY_MISMATCH"
    none = rpc.ApproveGoodwillRequest(name=f"{ACME}/goodwills/gw-none")
    assert await reason_of(accounts(billing).ApproveGoodwill(none)) == "GOODWILL_NOT_FOUND"


async def test_the_book_is_read_by_account_order_and_time(billing: Billing) -> None:
    order = await billing.order()
    await billing.reached(order, "PAID")
    ledger = billing.staff(stubs.LedgerServiceStub)
    rows = (await ledger.ListLedgerAccounts(rpc.ListLedgerAccountsRequest())).ledger_accounts
    assert {pb.LedgerAccount.Kind.Name(row.kind): row.balance.minor for row in rows} == {
        "KIND_PSP_CLEARING": 9000,
        "KIND_DEFERRED_REVENUE": -9000,
    }
    (row,) = (
        await ledger.ListLedgerAccounts(rpc.ListLedgerAccountsRequest(kind=pb.LedgerAccount.KIND_PSP_CLEARING))
    ).ledger_accounts
    assert (row.owner, row.owner_kind) == ("providers/fake", pb.LedgerAccount.OWNER_KIND_PROVIDER)
    for wish in (
        rpc.ListLedgerTransactionsRequest(account=row.name), rpc.ListLedgerTransactionsRequest(order=order.name),
    ):  # fmt: skip
        (txn,) = (await ledger.ListLedgerTransactions(wish)).ledger_transactions
        assert (txn.kind, txn.order, sum(p.amount.minor for p in txn.postings)) == ("order_paid", order.name, 0)
    assert await ledger.GetLedgerTransaction(rpc.GetLedgerTransactionRequest(name=txn.name)) == txn
    later = rpc.ListLedgerTransactionsRequest()
    later.start_time.FromDatetime(billing.clock.now() + timedelta(seconds=1))
    assert list((await ledger.ListLedgerTransactions(later)).ledger_transactions) == []
    none = rpc.GetLedgerTransactionRequest(name="ledgerTransactions/lt-none")
    assert await reason_of(ledger.GetLedgerTransaction(none)) == "TRANSACTION_NOT_FOUND"


async def test_an_account_goes_to_a_second_sovereign_once_with_all_of_its_history(
    start: Start, home: Path, second_database: str
) -> None:
    (home / "second").mkdir()
    async with start() as billing:
        await billing.issue()
        await billing.redeem()
        assert (await billing.order()).credit_used.minor == 9000
        export = rpc.ExportAccountRequest(name=ACME, target_sovereign="sovereigns/second")
        done = await accounts(billing).ExportAccount(export)
        exported = rpc.ExportAccountResponse()
        assert done.response.Unpack(exported)
        assert (await account(billing)).state == pb.BillingAccount.STATE_FROZEN
        before = await billing.balance()
        key = await sealing(billing)
    settings = {"sovereign": "sovereigns/second", "database_url": second_database}
    wish = rpc.ImportAccountRequest(bundle=exported.bundle)
    async with start(home=home / "second", **settings) as second:
        assert await reason_of(accounts(second).ImportAccount(wish)) == "BUNDLE_INVALID"
    settings["trusted_sovereigns"] = {"sovereigns/home": key.public}
    async with start(home=home / "second", **settings) as second:
        calls = [reason_of(accounts(second).ImportAccount(wish)) for _ in range(4)]
        assert sorted(await asyncio.gather(*calls)) == ["BUNDLE_IMPORTED"] * 3 + ["OK"]
        after = await second.balance()
        assert (after.total, after.available) == (before.total, before.available)
        shown = [[(e.amount.minor, e.reason, e.order, e.create_time) for e in b.entries] for b in (before, after)]
        assert shown[0] == shown[1]
        assert (await second.prove()).proved
        for broken in (exported.bundle[:-9], exported.bundle.replace(b"50000", b"90000"), b"{}", b"[]", b"\xff"):
            call = accounts(second).ImportAccount(rpc.ImportAccountRequest(bundle=broken))
            assert await reason_of(call) == "BUNDLE_INVALID"


async def sealing(billing: Billing) -> Seal:
    """By what it signs for other Sovereigns."""
    work = billing.daemon.daemon.work
    assert work.sealer is not None
    return Seal(await Keys(work, work.sealer, billing.daemon.daemon.settings.data_folder).of("export"))


async def test_an_account_with_an_open_order_is_not_exported(start: Start) -> None:
    async with start("never") as billing:
        await billing.order()
        export = rpc.ExportAccountRequest(name=ACME, target_sovereign="sovereigns/second")
        assert await reason_of(accounts(billing).ExportAccount(export)) == "ORDERS_OPEN"
        assert (await account(billing)).state == pb.BillingAccount.STATE_OPEN


async def test_without_a_provider_that_has_one_there_is_no_portal(billing: Billing) -> None:
    call = rpc.OpenPortalRequest(name=ACME, return_url="https://shop.example/")
    assert await reason_of(billing.member(stubs.AccountServiceStub).OpenPortal(call)) == "PAYMENT_UNAVAILABLE"


async def test_whoever_watches_an_order_sees_each_change_until_the_end(start: Start) -> None:
    async with start("decline") as billing:
        order = await billing.order()
        stub = billing.member(stubs.OrderServiceStub)
        seen = [answer.order async for answer in stub.WatchOrder(rpc.WatchOrderRequest(name=order.name))]
        assert pb.Order.State.Name(seen[-1].state) == "STATE_FAILED"
        assert [o.version for o in seen] == sorted(o.version for o in seen)
        none = rpc.WatchOrderRequest(name=f"{ACME}/orders/o-none")
        assert await reason_of(_first(stub.WatchOrder(none))) == "ORDER_NOT_FOUND"


async def _first(stream: Any) -> Any:
    async for one in stream:
        return one
    return None
