"""LedgerService, as far as the book is proved and findings are read."""

from uuid import uuid4

from catalyst.billing.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, OperationNotFound, Page, Work
from catalyst_sdk import Code, Decision, Refused
from google.longrunning import operations_pb2

from ..amounts import money
from ..proofs import Proofs
from ..store import Proof, Store
from . import convert
from .names import id_of

PREFIX = "operations/billing-prove-"


class FindingNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "FINDING_NOT_FOUND", "there is no finding {finding}"


class LedgerService(service_pb2_grpc.LedgerServiceServicer):
    """The double-entry book."""

    def __init__(self, work: Work[Store], proofs: Proofs) -> None:
        self._work = work
        self._proofs = proofs

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
