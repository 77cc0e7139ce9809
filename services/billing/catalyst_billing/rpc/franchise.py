"""FranchiseService."""

from dataclasses import replace
from datetime import datetime, timedelta

from catalyst.billing.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, InvalidRequest, Page, Work, caller, moment, stamp
from catalyst_sdk import Decision, Violation

from ..amounts import money
from ..domain import franchise, periods
from ..domain.franchise import (
    Agreement,
    AgreementMissing,
    AgreementNotFound,
    AgreementOverlap,
    Basis,
    LedgerUnproved,
    MonthOpen,
    MonthStated,
    Statement,
    StatementNotFound,
)
from ..domain.money import Money
from ..domain.periods import Span
from ..domain.postings import Books
from ..proofs import Proofs
from ..signing import Signer
from ..store import Store
from .metering import paths_of
from .names import check_etag, etag_of, id_of, new_id, uid_of
from .running import run

FIELDS = ("valid_to_time", "share_bps", "basis", "voucher_cost_bearer", "floor", "cap")


class FranchiseService(service_pb2_grpc.FranchiseServiceServicer):
    """Agreements and monthly statements."""

    def __init__(self, work: Work[Store], *, books: Books, proofs: Proofs, sign: Signer) -> None:
        self._work = work
        self._books = books
        self._proofs = proofs
        self._sign = sign

    async def CreateAgreement(
        self, request: service_pb2.CreateAgreementRequest, context: Context
    ) -> resources_pb2.Agreement:
        _require_whole(request.agreement)
        id = new_id("ag")

        async def step(tx: Store) -> Decision[Agreement]:
            wish = request.agreement
            made = Agreement(
                id, wish.sovereign, moment(wish.valid_from_time), wish.share_bps, _basis(wish),
                Money(0, wish.currency).currency, tx.now, tx.now, valid_to=_end(wish), floor=_minor(wish, "floor"),
                cap=_minor(wish, "cap"),
            )  # fmt: skip
            await _check_overlap(tx, made)
            return Decision(made)

        return await run(self._work, step, to_agreement, validate_only=request.validate_only)

    async def GetAgreement(self, request: service_pb2.GetAgreementRequest, context: Context) -> resources_pb2.Agreement:
        async with self._work.reading() as tx:
            return to_agreement(await _agreement(tx, id_of(request.name)))

    async def ListAgreements(
        self, request: service_pb2.ListAgreementsRequest, context: Context
    ) -> service_pb2.ListAgreementsResponse:
        page = Page.of(request.page_size, request.page_token, request.sovereign)
        async with self._work.reading() as tx:
            found = await tx.agreements(page, sovereign=request.sovereign)
        cut = page.cut(found, lambda a: [a.valid_from.isoformat(), a.id])
        return service_pb2.ListAgreementsResponse(
            agreements=[to_agreement(a) for a in cut.rows], next_page_token=cut.next_page_token
        )

    async def UpdateAgreement(
        self, request: service_pb2.UpdateAgreementRequest, context: Context
    ) -> resources_pb2.Agreement:
        wish = request.agreement
        paths = paths_of(request.update_mask.paths, wish, FIELDS, "agreement")

        async def step(tx: Store) -> Decision[Agreement]:
            known = await _agreement(tx, id_of(wish.name), lock=True)
            check_etag(request.etag, known.name, known.version)
            new = _changed(known, wish, paths, tx)
            last = await tx.last_statement()
            if last and last.agreement == known.id and new.valid_to is not None and new.valid_to < last.cutoff:
                raise MonthStated(month=last.month)
            await _check_overlap(tx, new)
            return Decision(new)

        return await run(self._work, step, to_agreement, validate_only=request.validate_only)

    async def IssueStatement(
        self, request: service_pb2.IssueStatementRequest, context: Context
    ) -> resources_pb2.Statement:
        month, span = request.month, periods.month_span(request.month, self._books.zone)
        books = replace(self._books, actor=caller().subject)
        proof = await self._proofs.prove()

        async def step(tx: Store) -> Decision[Statement]:
            if known := await tx.statement(month):
                return Decision(known)
            if span.end > tx.now:
                raise MonthOpen(month=month, until=f"{span.end:%FT%TZ}")
            if proof.differences:
                raise LedgerUnproved(differences=len(proof.differences))
            made = await self._state(tx, month, span)
            share = franchise.share_posting(books, made, tx.now)
            if share is not None and not request.validate_only:
                await tx.post(share)
            return Decision(made, (franchise.Issued(made),))

        return await run(self._work, step, to_statement, validate_only=request.validate_only)

    async def GetStatement(self, request: service_pb2.GetStatementRequest, context: Context) -> resources_pb2.Statement:
        month = id_of(request.name)
        async with self._work.reading() as tx:
            found = await tx.statement(month)
        if found is None:
            raise StatementNotFound(month=month)
        return to_statement(found)

    async def ListStatements(
        self, request: service_pb2.ListStatementsRequest, context: Context
    ) -> service_pb2.ListStatementsResponse:
        page = Page.of(request.page_size, request.page_token)
        async with self._work.reading() as tx:
            cut = page.cut(await tx.statements(page), lambda s: s.month)
        shown = [to_statement(replace(s, document=b"", signature=b"")) for s in cut.rows]
        return service_pb2.ListStatementsResponse(statements=shown, next_page_token=cut.next_page_token)

    async def _state(self, tx: Store, month: str, span: Span) -> Statement:
        before = await tx.last_statement()
        if before is not None and before.month > month:
            raise MonthStated(month=before.month)
        sovereign, last_moment = self._books.sovereign, span.end - timedelta(microseconds=1)
        agreed = [a for a in await tx.agreements_of(sovereign) if a.holds_at(last_moment)]
        if not agreed:
            raise AgreementMissing(sovereign=sovereign, month=month)
        a, last_entry = agreed[0], await tx.last_entry()
        booked = await tx.booked(a.currency, a.valid_from, span.end, last_entry, before)
        number = f"ST-{await tx.count_statements() + 1:06}"
        said = franchise.state(month, span, number, a, booked, last_entry)
        return franchise.issued(said, self._sign(franchise.document(said)), a, span.end, tx.now)


def to_agreement(a: Agreement) -> resources_pb2.Agreement:
    """An agreement as the contract shows it."""
    shown = resources_pb2.Agreement(
        name=a.name, uid=uid_of(a.id), etag=etag_of(a.version), version=a.version, create_time=stamp(a.created_at),
        update_time=stamp(a.updated_at), sovereign=a.sovereign, valid_from_time=stamp(a.valid_from),
        valid_to_time=stamp(a.valid_to), share_bps=a.share_bps,
        basis=resources_pb2.Agreement.Basis.Value(f"BASIS_{a.basis.upper()}"),
        voucher_cost_bearer=resources_pb2.Agreement.COST_BEARER_FRANCHISEE, currency=a.currency, revision=a.version,
    )  # fmt: skip
    if a.floor is not None:
        shown.floor.CopyFrom(money(Money(a.floor, a.currency)))
    if a.cap is not None:
        shown.cap.CopyFrom(money(Money(a.cap, a.currency)))
    return shown


def to_statement(s: Statement) -> resources_pb2.Statement:
    """A statement as the contract shows it."""
    return resources_pb2.Statement(
        name=s.name, number=s.number, sovereign=s.sovereign, agreement=f"agreements/{s.agreement}",
        agreement_revision=s.agreement_revision, cutoff_time=stamp(s.cutoff), last_entry=s.last_entry,
        gross=money(s.gross), voucher_credit=money(s.voucher_credit), publisher_share=money(s.publisher_share),
        franchisee_share=money(s.franchisee_share), document=s.document, signature=s.signature,
        issue_time=stamp(s.issued_at),
        lines=[
            resources_pb2.StatementLine(
                kind=resources_pb2.StatementLine.Kind.Value(f"KIND_{line.kind.upper()}"), item=line.item,
                count=line.count, amount=money(line.amount),
            )
            for line in s.lines
        ],
    )  # fmt: skip


async def _agreement(tx: Store, id: str, *, lock: bool = False) -> Agreement:
    found = await tx.agreement(id, lock=lock)
    if found is None:
        raise AgreementNotFound(agreement=f"agreements/{id}")
    return found


async def _check_overlap(tx: Store, new: Agreement) -> None:
    for other in await tx.agreements_of(new.sovereign):
        if other.id != new.id and new.overlaps(other):
            raise AgreementOverlap(other=other.name, sovereign=new.sovereign)


def _require_whole(wish: resources_pb2.Agreement) -> None:
    there = {
        "sovereign": bool(wish.sovereign), "valid_from_time": wish.HasField("valid_from_time"),
        "basis": bool(wish.basis), "currency": bool(wish.currency),
    }  # fmt: skip
    wrong = [
        Violation(f"agreement.{field}", "a new agreement needs it", "REQUIRED") for field, ok in there.items() if not ok
    ]
    end = _end(wish)
    wrong += _ends_after_it_begins(end is not None and end <= moment(wish.valid_from_time))
    wrong += [
        Violation(f"agreement.{field}", f"the agreement is in {wish.currency}", "CURRENCY")
        for field in ("floor", "cap")
        if wish.HasField(field) and getattr(wish, field).currency != wish.currency
    ]
    if wrong:
        raise InvalidRequest(tuple(wrong))


def _ends_after_it_begins(is_wrong: bool) -> list[Violation]:
    return [Violation("agreement.valid_to_time", "it ends after it begins", "SPAN")] if is_wrong else []


def _changed(a: Agreement, wish: resources_pb2.Agreement, paths: set[str], tx: Store) -> Agreement:
    new = replace(a, updated_at=tx.now, version=a.version + 1)
    if "share_bps" in paths:
        new = replace(new, share_bps=wish.share_bps)
    if "basis" in paths and wish.basis:
        new = replace(new, basis=_basis(wish))
    if "valid_to_time" in paths:
        new = replace(new, valid_to=_end(wish))
        if wrong := _ends_after_it_begins(new.valid_to is not None and new.valid_to <= new.valid_from):
            raise InvalidRequest(tuple(wrong))
    wrong_currency = [
        Violation(f"agreement.{field}", f"the agreement is in {a.currency}", "CURRENCY")
        for field, given in (("floor", wish.floor), ("cap", wish.cap))
        if field in paths and given.currency not in ("", a.currency)
    ]
    if wrong_currency:
        raise InvalidRequest(tuple(wrong_currency))
    if "floor" in paths:
        new = replace(new, floor=_minor(wish, "floor"))
    if "cap" in paths:
        new = replace(new, cap=_minor(wish, "cap"))
    return new


def _basis(wish: resources_pb2.Agreement) -> Basis:
    return Basis(resources_pb2.Agreement.Basis.Name(wish.basis).removeprefix("BASIS_").lower())


def _end(wish: resources_pb2.Agreement) -> datetime | None:
    return moment(wish.valid_to_time) if wish.HasField("valid_to_time") else None


def _minor(wish: resources_pb2.Agreement, field: str) -> int | None:
    given = {"floor": wish.floor, "cap": wish.cap}[field]
    return given.minor if wish.HasField(field) else None  # type: ignore[arg-type]  # one of the two names
