"""LedgerService: the book is read and proved, findings are read; it is written by what happens, and by what the bank says."""

from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from catalyst.billing.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, InvalidRequest, OperationNotFound, Page, Work, caller, moment
from catalyst_sdk import Code, Decision, Refused, Violation
from google.longrunning import operations_pb2

from ..amounts import money
from ..domain import payouts
from ..domain.franchise import StatementNotFound
from ..domain.ledger import Txn
from ..domain.money import Money
from ..domain.postings import Books, clearing_of
from ..proofs import Proofs
from ..store import Proof, Store
from . import convert
from .names import id_of

PREFIX = "operations/billing-prove-"


class FindingNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "FINDING_NOT_FOUND", "there is no finding {finding}"


class TransactionNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "TRANSACTION_NOT_FOUND", "there is no transaction {transaction}"


class LedgerService(service_pb2_grpc.LedgerServiceServicer):
    """The double-entry book."""

    def __init__(self, work: Work[Store], proofs: Proofs, *, books: Books) -> None:
        self._work = work
        self._proofs = proofs
        self._books = books

    async def ProveLedger(self, request: service_pb2.ProveLedgerRequest, context: Context) -> operations_pb2.Operation:
        # The proof is a handful of sums in the database, done within the call: the Operation is finished when told.
        proof = await self._proofs.prove()
        operation = operations_pb2.Operation(name=f"{PREFIX}{uuid4().hex}", done=True)
        operation.metadata.Pack(service_pb2.ProveLedgerMetadata(entry_count=proof.entries, progress_percent=100))
        operation.response.Pack(to_response(proof))

        async def step(tx: Store) -> Decision[None]:
            await tx.keep_operation(operation.name, operation.SerializeToString())
            return Decision(None)

        return await self._work.run(step, answer=lambda _: operation)  # a retry gets the proof that was told first

    async def operation(self, name: str) -> operations_pb2.Operation:
        """A proof that was told. Raises OperationNotFound."""
        async with self._work.reading() as tx:
            kept = await tx.operation(name)
        if kept is None:
            raise OperationNotFound(name=name)
        return operations_pb2.Operation.FromString(kept)

    async def ListLedgerAccounts(
        self, request: service_pb2.ListLedgerAccountsRequest, context: Context
    ) -> service_pb2.ListLedgerAccountsResponse:
        kind = resources_pb2.LedgerAccount.Kind.Name(request.kind).removeprefix("KIND_").lower() if request.kind else ""
        page = Page.of(request.page_size, request.page_token, request.owner, kind)
        async with self._work.reading() as tx:
            cut = page.cut(await tx.ledger_accounts(page, owner=request.owner, kind=kind), lambda row: row["id"])
        return service_pb2.ListLedgerAccountsResponse(
            ledger_accounts=[convert.ledger_account(row) for row in cut.rows], next_page_token=cut.next_page_token
        )

    async def GetLedgerTransaction(
        self, request: service_pb2.GetLedgerTransactionRequest, context: Context
    ) -> resources_pb2.LedgerTransaction:
        async with self._work.reading() as tx:
            found = await tx.ledger_txn(id_of(request.name))
            if found is None:
                raise TransactionNotFound(transaction=request.name)
            return convert.ledger_transaction(found, (await tx.lines_of([found["id"]]))[found["id"]])

    async def ListLedgerTransactions(
        self, request: service_pb2.ListLedgerTransactionsRequest, context: Context
    ) -> service_pb2.ListLedgerTransactionsResponse:
        begin = moment(request.start_time) if request.HasField("start_time") else None
        end = moment(request.end_time) if request.HasField("end_time") else None
        page = Page.of(request.page_size, request.page_token, request.account, request.order, begin, end)
        async with self._work.reading() as tx:
            found = await tx.ledger_txns(
                page, account=request.account.removeprefix("ledgerAccounts/"), order=request.order, begin=begin, end=end
            )
            cut = page.cut(found, lambda row: [row["booked_at"].isoformat(), row["id"]])
            lines = await tx.lines_of([row["id"] for row in cut.rows])
        return service_pb2.ListLedgerTransactionsResponse(
            ledger_transactions=[convert.ledger_transaction(row, lines[row["id"]]) for row in cut.rows],
            next_page_token=cut.next_page_token,
        )

    async def RecordPayout(
        self, request: service_pb2.RecordPayoutRequest, context: Context
    ) -> resources_pb2.LedgerTransaction:
        amount = Money(request.amount.minor, request.amount.currency)
        fee = Money(request.fee.minor, request.fee.currency) if request.HasField("fee") else amount.zero()
        if fee.currency != amount.currency:
            raise InvalidRequest((Violation("fee", f"the amount is in {amount.currency}", "CURRENCY"),))
        books = replace(self._books, actor=caller().subject)
        shown: list[resources_pb2.LedgerTransaction] = []

        async def step(tx: Store) -> Decision[None]:
            at = moment(request.paid_time) if request.HasField("paid_time") else tx.now
            new = await _payout(tx, request, amount, fee, books, at)
            fresh = payouts.once(await tx.txn(new.idem_key), new, request.parent)
            if fresh is not None:
                if request.parent.startswith("providers/"):
                    held, _ = await tx.balance(clearing_of(id_of(request.parent), amount.currency))
                    payouts.demand_held(fresh, held, request.parent)
                await tx.post(fresh)
            row = await tx.ledger_txn(new.id)
            shown[:] = [convert.ledger_transaction(row, (await tx.lines_of([new.id]))[new.id])]
            return Decision(None)

        return await self._work.run(step, answer=lambda _: shown[0])

    async def ListFindings(
        self, request: service_pb2.ListFindingsRequest, context: Context
    ) -> service_pb2.ListFindingsResponse:
        page = Page.of(request.page_size, request.page_token, request.reason, request.account)
        async with self._work.reading() as tx:
            found = await tx.findings(page, reason=request.reason, account=request.account)
        cut = page.cut(found, lambda f: [f.last_seen_at.isoformat(), f.id])
        return service_pb2.ListFindingsResponse(
            findings=[convert.finding(f) for f in cut.rows], next_page_token=cut.next_page_token
        )

    async def GetFinding(self, request: service_pb2.GetFindingRequest, context: Context) -> resources_pb2.Finding:
        async with self._work.reading() as tx:
            found = await tx.finding(id_of(request.name))
        if found is None:
            raise FindingNotFound(finding=request.name)
        return convert.finding(found)


async def _payout(
    tx: Store, request: service_pb2.RecordPayoutRequest, amount: Money, fee: Money, books: Books, at: datetime
) -> Txn:
    """What is to be booked. Raises PayoutDiffers, StatementNotFound."""
    collection, _, id = request.parent.partition("/")
    if collection == "statements":
        statement = await tx.statement(id)
        if statement is None:
            raise StatementNotFound(month=id)
        return payouts.of_statement(statement, amount, fee, request.reference, books, at)
    if not amount.is_positive or fee < fee.zero():
        raise InvalidRequest((Violation("amount", "it is above zero, and a fee is not below", "AMOUNT"),))
    return payouts.of_provider(id, amount, fee, request.reference, books, at)


def to_response(proof: Proof) -> service_pb2.ProveLedgerResponse:
    """What a proof found, at most 100 differences."""
    differences = [
        service_pb2.LedgerDifference(
            rule=d.rule, account=f"ledgerAccounts/{d.account}" if d.account else "",
            transaction=f"ledgerTransactions/{d.txn}" if d.txn else "", expected=money(d.expected),
            found=money(d.found),
        )
        for d in proof.differences[:100]
    ]  # fmt: skip
    return service_pb2.ProveLedgerResponse(
        proved=not proof.differences, entry_count=proof.entries, last_entry=proof.last_entry, differences=differences
    )
