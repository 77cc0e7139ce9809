"""Agreements and statements, over gRPC."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from catalyst.billing.v1 import resources_pb2 as pb
from catalyst.billing.v1 import service_pb2 as rpc
from catalyst.billing.v1 import service_pb2_grpc as stubs
from catalyst.mesh.v1.resources_pb2 import Money
from catalyst_billing.store import tables
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of
from sqlalchemy import update

from .conftest import Billing, Start

pytestmark = pytest.mark.either_database
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)


async def agreed(billing: Billing, **changes: Any) -> pb.Agreement:
    values: dict[str, Any] = {
        "sovereign": "sovereigns/home", "share_bps": 3000, "basis": pb.Agreement.BASIS_GROSS, "currency": "OMR"
    } | changes  # fmt: skip
    wish = pb.Agreement(**values)
    wish.valid_from_time.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
    stub = billing.staff(stubs.FranchiseServiceStub)
    made: pb.Agreement = await stub.CreateAgreement(rpc.CreateAgreementRequest(agreement=wish))
    return made


async def issued(billing: Billing, month: str = "2026-01") -> pb.Statement:
    stub = billing.staff(stubs.FranchiseServiceStub)
    statement: pb.Statement = await stub.IssueStatement(rpc.IssueStatementRequest(month=month))
    return statement


async def test_a_statement_is_the_same_bytes_again_and_after_later_postings(start: Start) -> None:
    async with start() as billing:
        await billing.issue("THIRTY", minor=30_000)
        await billing.order(plan="m", code="THIRTY", sovereign="sovereigns/one", add_ons=["daily-backup"])
        await billing.reached(await billing.order(plan="l", sovereign="sovereigns/two"), "PAID")
        assert await reason_of(issued(billing)) == "MONTH_OPEN"
        billing.clock.advance(FEBRUARY - billing.clock.now())

        async def earned() -> bool:
            return "revenue" in await billing.booked()

        await eventually(earned, within=60)
        assert await reason_of(issued(billing)) == "AGREEMENT_MISSING"
        agreement = await agreed(billing)
        first = await issued(billing)
        lines = [(pb.StatementLine.Kind.Name(n.kind)[5:], n.item, n.amount.minor) for n in first.lines]
        assert lines == [
            ("REVENUE", "daily-backup", 3000), ("REVENUE", "l", 16_000), ("REVENUE", "m", 9000),
            ("VOUCHER", lines[3][1], 28_000),
        ]  # fmt: skip
        shares = (first.gross, first.voucher_credit, first.publisher_share, first.franchisee_share)
        assert [amount.minor for amount in shares] == [28_000, 28_000, 8400, -8400]
        assert (first.number, first.agreement, first.agreement_revision) == ("ST-000001", agreement.name, 1)
        assert json.loads(first.document)["gross"] == 28_000
        await billing.reached(await billing.order("other"), "PAID")
        assert await issued(billing) == first
        stub = billing.staff(stubs.FranchiseServiceStub)
        assert await stub.GetStatement(rpc.GetStatementRequest(name="statements/2026-01")) == first
        booked = await billing.booked()
        assert (booked["share_cost"], booked["publisher_payable"]) == (8400, -8400)
        assert (await billing.told()).count("statement.issued") == 1


async def test_what_is_booked_late_goes_on_the_next_statement_once(start: Start) -> None:
    async with start() as billing:
        await agreed(billing)
        await billing.reached(await billing.order(), "PAID")
        billing.clock.advance(FEBRUARY - billing.clock.now())
        first = await issued(billing)
        await billing.reached(await billing.order("late"), "PAID")
        async with billing.daemon.daemon.db.begin() as sql:  # as if its payment had been booked for January
            for statement in _without_guard(billing):
                await sql.exec_driver_sql(statement)
            mine = tables.ledger_txn.c.org == "late"
            await sql.execute(update(tables.ledger_txn).where(mine).values(booked_at=FEBRUARY - timedelta(days=1)))
        await billing.reached(await billing.order("third", plan="l"), "PAID")
        billing.clock.advance(timedelta(days=28))
        second = await issued(billing, "2026-02")
        assert (first.gross.minor, second.gross.minor >= 9000 + 16_000, second.last_entry > first.last_entry) == (
            9000, True, True,
        )  # fmt: skip
        assert sum(n.count for n in second.lines if n.item == "l") == 1
        listed = await billing.staff(stubs.FranchiseServiceStub).ListStatements(rpc.ListStatementsRequest())
        assert [(s.number, s.document) for s in listed.statements] == [("ST-000002", b""), ("ST-000001", b"")]


async def test_agreements_do_not_overlap_and_keep_what_was_stated(start: Start) -> None:
    async with start() as billing:
        first = await agreed(billing)
        assert await reason_of(agreed(billing)) == "AGREEMENT_OVERLAP"
        assert await reason_of(agreed(billing, currency="")) == "REQUEST_INVALID"
        stub = billing.staff(stubs.FranchiseServiceStub)
        billing.clock.advance(FEBRUARY - billing.clock.now())
        await issued(billing)
        ends = pb.Agreement(name=first.name)
        ends.valid_to_time.FromDatetime(FEBRUARY - timedelta(days=9))
        early = rpc.UpdateAgreementRequest(agreement=ends, etag=first.etag)
        assert await reason_of(stub.UpdateAgreement(early)) == "STATEMENT_ISSUED"
        ends.valid_to_time.FromDatetime(FEBRUARY + timedelta(days=60))
        more = await stub.UpdateAgreement(rpc.UpdateAgreementRequest(agreement=ends, etag=first.etag))
        assert (more.revision, more.share_bps) == (2, 3000)
        assert await reason_of(stub.UpdateAgreement(early)) == "ETAG_MISMATCH"
        assert (await issued(billing)).agreement_revision == 1
        assert await reason_of(issued(billing, "2025-12")) == "STATEMENT_ISSUED"
        gone = rpc.GetStatementRequest(name="statements/2020-01")
        assert await reason_of(stub.GetStatement(gone)) == "STATEMENT_NOT_FOUND"
        assert (
            await reason_of(stub.GetAgreement(rpc.GetAgreementRequest(name="agreements/none"))) == "AGREEMENT_NOT_FOUND"
        )


def _without_guard(billing: Billing) -> list[str]:
    """Statements that take away what keeps the book from being changed."""
    if billing.daemon.daemon.db.dialect == "sqlite":
        return ["DROP TRIGGER ledger_txn_no_update"]
    return ["ALTER TABLE ledger_txn DISABLE TRIGGER ledger_txn_no_update"]


async def test_what_providers_pay_out_and_the_share_of_a_month_are_booked_once_and_as_stated(start: Start) -> None:
    async with start() as billing:
        await agreed(billing)
        await billing.reached(await billing.order(), "PAID")
        billing.clock.advance(FEBRUARY - billing.clock.now())
        stated = await issued(billing)
        book = billing.staff(stubs.LedgerServiceStub)

        def payout(parent: str, minor: int, *, reference: str = "r-1", fee: int = 0) -> Any:
            amount, kept = (Money(minor=part, currency="OMR") for part in (minor, fee))
            wish = rpc.RecordPayoutRequest(parent=parent, reference=reference, amount=amount, fee=kept if fee else None)
            return book.RecordPayout(wish)

        first = await payout("providers/fake", 8700, fee=300)
        assert await payout("providers/fake", 8700, fee=300) == first
        assert await reason_of(payout("providers/fake", 8600, fee=300)) == "PAYOUT_RECORDED"
        assert await reason_of(payout("providers/fake", -1, reference="r-2")) == "REQUEST_INVALID"
        assert (
            await reason_of(payout("providers/fake", 1, reference="r-2")) == "PAYOUT_EXCEEDS"
        )  # it holds nothing more
        assert await reason_of(payout(stated.name, 2699)) == "PAYOUT_DIFFERS"
        assert await reason_of(payout("statements/2020-01", 1)) == "STATEMENT_NOT_FOUND"
        share = await payout(stated.name, stated.publisher_share.minor, reference="bank-7")
        assert await payout(stated.name, stated.publisher_share.minor, reference="bank-7") == share
        assert await reason_of(payout(stated.name, stated.publisher_share.minor, reference="bank-8")) == (
            "PAYOUT_RECORDED"
        )  # fmt: skip
        booked = await billing.booked()
        assert (booked["cash"], booked["psp_fee"]) == (8700 - stated.publisher_share.minor, 300)
        assert not {"psp_clearing", "publisher_payable"} & booked.keys()
        assert (await billing.prove()).proved
        assert await issued(billing) == stated
