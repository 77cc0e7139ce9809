"""The book defends itself, and a proof finds what got past it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import grpc
import pytest
from catalyst.billing.v1 import service_pb2 as rpc
from catalyst.billing.v1 import service_pb2_grpc as stubs
from catalyst_billing.domain import postings
from catalyst_billing.domain.ledger import Entry, Kind, Txn
from catalyst_billing.domain.money import Money
from catalyst_billing.store import Store
from catalyst_billing.store import tables as t
from catalyst_mesh import LostRace
from catalyst_testkit.daemons import reason_of
from google.longrunning import operations_pb2, operations_pb2_grpc
from sqlalchemy import event, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from .conftest import Billing
from .makers import BOOKS, NOON, omr

pytestmark = pytest.mark.either_database
NO_GUARD = {
    "postgresql": "DROP TRIGGER ledger_entry_no_update ON ledger_entry",
    "sqlite": "DROP TRIGGER ledger_entry_no_update",
}
"""Statements after which somebody can tamper with the book."""
EITHER = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
"""Each has its own way to prove."""


async def run(billing: Billing, *statements: str) -> None:
    async with billing.daemon.daemon.db.begin() as sql:
        for statement in statements:
            await sql.execute(text(statement))


@pytest.mark.parametrize("table", ["ledger_entry", "ledger_txn"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET {}"])
async def test_a_row_of_the_book_is_neither_changed_nor_deleted(billing: Billing, table: str, change: str) -> None:
    await billing.issue()
    await billing.redeem()
    column = "amount_minor = amount_minor + 1" if table == "ledger_entry" else "reason = 'other'"
    with pytest.raises(IntegrityError, match="written once"):
        await run(billing, change.format(table, column))
    assert (await billing.prove()).proved


async def test_a_proof_names_what_was_tampered_with(billing: Billing) -> None:
    await billing.issue()
    await billing.redeem()
    await run(
        billing,
        NO_GUARD[billing.daemon.daemon.db.dialect],
        "UPDATE ledger_entry SET amount_minor = amount_minor + 1 WHERE n = 1",
    )
    proof = await billing.prove()
    assert not proof.proved
    assert [(d.rule, bool(d.account), bool(d.transaction)) for d in proof.differences] == [
        ("L1", False, True),
        ("L5", True, False),
    ]
    assert {d.found.minor - d.expected.minor for d in proof.differences} == {1, -1}
    assert await billing.findings() == ["LEDGER_DIFFERENCE"] * 2
    registry = billing.daemon.daemon.metrics.registry
    assert registry.get_sample_value("catalyst_billing_ledger_differences") == 2  # what the alert asks for
    await billing.prove()
    assert (await billing.told()).count("finding.opened") == 2


@EITHER
async def test_what_is_off_in_two_currencies_and_zero_over_both_is_named_in_each(billing: Billing) -> None:
    """Where nobody has anything in the second currency but this transaction; and the third is as it should be."""
    accounts = {c: [BOOKS.house(kind, c) for kind in (Kind.PROMO_COST, Kind.REVENUE)] for c in ("OMR", "EUR", "USD")}
    lines = [Entry(a, Money(sign, c)) for c, both in accounts.items() for a, sign in zip(both, (7, -7), strict=True)]
    await billing.daemon.daemon.work.again(
        lambda tx: tx.post(Txn("exchange", "test", NOON, "test", "why", tuple(lines)))
    )
    assert (await billing.prove()).proved
    cost = "UPDATE ledger_entry SET amount_minor = amount_minor {} WHERE account_id = '{}'"
    await run(
        billing,
        NO_GUARD[billing.daemon.daemon.db.dialect],
        cost.format("+ 5", accounts["OMR"][0].id),
        cost.format("- 5", accounts["EUR"][0].id),
    )
    found = {(d.rule, d.found.currency, d.found.minor) for d in (await billing.prove()).differences if d.rule == "L1"}
    assert found == {("L1", "OMR", 5), ("L1", "EUR", -5)}


@EITHER
async def test_what_wandered_from_one_transaction_to_another_is_found_though_each_account_is_as_it_was(
    billing: Billing,
) -> None:
    """Also where it, or what stands beside it, is more than a database multiplies by a weight."""
    accounts = [BOOKS.house(kind, "OMR") for kind in (Kind.PROMO_COST, Kind.REVENUE)]

    async def post(key: str, minor: int) -> Txn:
        lines = tuple(Entry(a, Money(sign * minor, "OMR")) for a, sign in zip(accounts, (1, -1), strict=True))
        txn = Txn(key, "test", NOON, "test", "why", lines)
        await billing.daemon.daemon.work.again(lambda tx: tx.post(txn))
        return txn

    async def off() -> list[tuple[str, str, int]]:
        found = [(d.rule, d.transaction, d.found.minor) for d in (await billing.prove()).differences]
        return sorted(found, key=lambda one: one[2])

    ids = [(await post(key, 1000)).id for key in ("one", "two")]
    move = "UPDATE ledger_entry SET amount_minor = amount_minor {} WHERE n = 1 AND txn_id = '{}'"
    await run(billing, NO_GUARD[billing.daemon.daemon.db.dialect])
    for amount, minor in ((1, 1), (10**15, 1 + 10**15)):
        await run(billing, move.format(f"+ {amount}", ids[0]), move.format(f"- {amount}", ids[1]))
        told = [("L1", f"ledgerTransactions/{ids[1]}", -minor), ("L1", f"ledgerTransactions/{ids[0]}", minor)]
        assert await off() == told
    await run(billing, move.format(f"- {10**15}", ids[0]), move.format(f"+ {10**15}", ids[1]))
    await post("beside which a rounded sum forgets them", 10**18)
    assert [minor for _, _, minor in await off()] == [-1, 1]
    for n in range(12):  # each times its weight is a number of 63 bits
        await post(f"great {n}", 5 * 10**11)
    assert [minor for _, _, minor in await off()] == [-1, 1]


@EITHER
async def test_a_balance_that_its_entries_do_not_come_to_is_found(billing: Billing) -> None:
    await billing.issue()
    await billing.redeem()
    await run(billing, "UPDATE ledger_balance SET amount_minor = amount_minor - 1 WHERE kind = 'customer_credit'")
    found = [(d.rule, d.found.minor - d.expected.minor) for d in (await billing.prove()).differences]
    assert found == [("L5", -1)]


async def test_a_proof_is_an_operation_that_can_be_read_again_by_who_may_ask_for_one(billing: Billing) -> None:
    operation = await billing.staff(stubs.LedgerServiceStub).ProveLedger(rpc.ProveLedgerRequest())
    asked = operations_pb2.GetOperationRequest(name=operation.name)
    assert await billing.staff(operations_pb2_grpc.OperationsStub).GetOperation(asked) == operation
    waited = operations_pb2.WaitOperationRequest(name=operation.name)
    assert await billing.staff(operations_pb2_grpc.OperationsStub).WaitOperation(waited) == operation
    with pytest.raises(grpc.aio.AioRpcError, match="CALL_DENIED"):
        await billing.member(operations_pb2_grpc.OperationsStub).GetOperation(asked)
    with pytest.raises(grpc.aio.AioRpcError, match="there is no operation"):
        unknown = operations_pb2.GetOperationRequest(name=f"{operation.name}0")
        await billing.staff(operations_pb2_grpc.OperationsStub).GetOperation(unknown)


async def test_operations_of_last_month_are_taken_away_by_the_next(billing: Billing) -> None:
    await billing.prove()
    billing.clock.advance(timedelta(days=31))
    await billing.prove()
    assert await billing.count("operation") == 1


async def test_an_empty_book_is_proved(billing: Billing) -> None:
    proof = await billing.prove()
    assert (proof.proved, proof.entry_count, proof.last_entry) == (True, 0, 0)


async def test_negative_credit_is_refused_by_the_database(billing: Billing) -> None:
    await billing.issue()
    await billing.redeem()
    account = postings.credit_of("acme", "OMR")
    for amount in (1, 50_001):
        with pytest.raises(IntegrityError):
            async with billing.daemon.daemon.db.begin() as sql:
                balance = t.ledger_balance
                await sql.execute(update(balance).where(balance.c.account_id == account.id).values(amount_minor=amount))


async def test_one_key_is_one_transaction(billing: Billing) -> None:
    work, cost = billing.daemon.daemon.work, BOOKS.house(Kind.PROMO_COST, "OMR")
    txn = Txn(
        "key", "test", NOON, "test", "why", (Entry(cost, omr("1")), Entry(postings.credit_of("a", "OMR"), omr("-1")))
    )

    async def post(tx: Store) -> None:
        await tx.post(txn)

    await work.again(post)
    with pytest.raises(LostRace):
        async with work.transaction() as tx:
            await tx.post(txn)
    async with work.reading() as tx:
        assert await tx.txn("key") == txn
        assert await tx.txn("other") is None
    assert await billing.count("ledger_entry") == 2


async def test_a_reversal_is_written_at_most_once(billing: Billing) -> None:
    work, cost = billing.daemon.daemon.work, BOOKS.house(Kind.PROMO_COST, "OMR")
    one = Txn(
        "one", "test", NOON, "test", "why", (Entry(cost, omr("1")), Entry(postings.credit_of("a", "OMR"), omr("-1")))
    )
    back = Txn(
        "back", "test", NOON, "test", "why", tuple(Entry(e.account, -e.amount) for e in one.entries), reverses=one.id
    )
    again = Txn("again", "test", NOON, "test", "why", back.entries, reverses=one.id)
    async with work.transaction() as tx:
        await tx.post(one)
        await tx.post(back)
    with pytest.raises(LostRace):
        async with work.transaction() as tx:
            await tx.post(again)
    assert await billing.booked() == {}


async def test_an_unknown_finding_is_not_found(billing: Billing) -> None:
    staff = billing.staff(stubs.LedgerServiceStub)
    assert await reason_of(staff.GetFinding(rpc.GetFindingRequest(name="findings/f-none"))) == "FINDING_NOT_FOUND"


async def test_a_finding_can_be_read(billing: Billing) -> None:
    await billing.issue()
    await billing.redeem()
    await run(billing, "UPDATE ledger_balance SET amount_minor = -1 WHERE kind = 'customer_credit'")
    await billing.prove()
    staff = billing.staff(stubs.LedgerServiceStub)
    (listed,) = (await staff.ListFindings(rpc.ListFindingsRequest(reason="LEDGER_DIFFERENCE"))).findings
    assert (await staff.GetFinding(rpc.GetFindingRequest(name=listed.name))) == listed
    assert (listed.message, listed.subject.split("/")[0]) == (
        "L5: -50.000 OMR expected, -0.001 OMR found", "ledgerAccounts"
    )  # fmt: skip
    nothing = rpc.ListFindingsRequest(account="billingAccounts/acme")
    assert len((await staff.ListFindings(nothing)).findings) == 0


async def test_accounts_that_several_use_first_at_once_are_made_once_and_hold_all(billing: Billing) -> None:
    """Nine transactions at once: one account is in all of them, each of three others in three."""
    work, cost = billing.daemon.daemon.work, BOOKS.house(Kind.PROMO_COST, "OMR")
    owners = [f"o{n % 3}" for n in range(9)]

    async def post(n: int) -> None:
        credit = postings.credit_of(owners[n], "OMR")
        entries = (Entry(cost, omr("1")), Entry(credit, omr("-1")))

        async def step(tx: Store) -> None:
            await tx.post(Txn(f"key-{n}", "test", NOON, "test", "why", entries))

        await work.again(step)

    await asyncio.gather(*(post(n) for n in range(9)))
    async with work.reading() as tx:
        assert await tx.balance(cost) == (omr("9"), 9)
        assert [await tx.balance(postings.credit_of(o, "OMR")) for o in owners[:3]] == [(omr("-3"), 3)] * 3
    assert (await billing.count("ledger_account"), (await billing.prove()).proved) == (4, True)


async def test_a_posting_between_known_accounts_is_four_statements_that_were_made_before(billing: Billing) -> None:
    """One for the transaction, one for all entries, one for each balance; where accounts are new, three more for each."""
    work, cost = billing.daemon.daemon.work, BOOKS.house(Kind.PROMO_COST, "OMR")
    entries = (Entry(cost, omr("1")), Entry(postings.credit_of("a", "OMR"), omr("-1")))
    sent: list[int] = []
    for n in range(2):
        async with work.transaction() as tx:
            with statements_of(tx.sql) as said:
                await tx.post(Txn(f"key-{n}", "test", NOON, "test", "why", entries))
        sent.append(len(said))
    assert sent == [10, 4]


@contextmanager
def statements_of(sql: AsyncConnection) -> Iterator[list[str]]:
    """What is sent over a connection meanwhile."""
    said: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        said.append(statement)

    event.listen(sql.sync_connection, "before_cursor_execute", hear)
    yield said
    event.remove(sql.sync_connection, "before_cursor_execute", hear)
