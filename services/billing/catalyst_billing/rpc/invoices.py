"""InvoiceService."""

from catalyst.billing.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page
from catalyst_sdk import Decision
from google.api import httpbody_pb2

from ..domain import further_orders, invoices, renewals
from ..domain.further_orders import Ordered
from ..domain.invoices import InvoiceDraft
from ..domain.orders import Kind
from ..domain.renewals import Dues
from ..rendering import html, pdf
from ..rendering.words import Issuer
from ..store import Store
from . import convert, papers
from .names import check_etag, id_of, new_id, require_member
from .subscriptions import Till

PDF, HTML = "application/pdf", "text/html; charset=utf-8"


class InvoiceService(service_pb2_grpc.InvoiceServiceServicer):
    """Bills and credit notes."""

    def __init__(self, till: Till) -> None:
        self._work = till.work
        self._till = till

    async def GetInvoice(self, request: service_pb2.GetInvoiceRequest, context: Context) -> resources_pb2.Invoice:
        org = require_member(request.name)
        async with self._work.reading() as tx:
            return papers.invoice(await tx.invoice(org, id_of(request.name)))

    async def ListInvoices(
        self, request: service_pb2.ListInvoicesRequest, context: Context
    ) -> service_pb2.ListInvoicesResponse:
        org = require_member(request.parent)
        names = [resources_pb2.Invoice.State.Name(s).removeprefix("STATE_").lower() for s in request.states]
        page = Page.of(request.page_size, request.page_token, request.parent, names)
        async with self._work.reading() as tx:
            cut = page.cut(await tx.invoices(org, page, states=names), lambda i: [i.created_at.isoformat(), i.id])
        return service_pb2.ListInvoicesResponse(
            invoices=[papers.invoice(i) for i in cut.rows], next_page_token=cut.next_page_token
        )

    async def RenderInvoice(self, request: service_pb2.RenderInvoiceRequest, context: Context) -> httpbody_pb2.HttpBody:
        org, books = require_member(request.name), self._till.house.books
        async with self._work.reading() as tx:
            invoice = await tx.invoice(org, id_of(request.name))
        if not invoice.number:
            raise InvoiceDraft(invoice=invoice.name)
        issuer = Issuer(books.sovereign, books.zone)
        if request.format == service_pb2.RenderInvoiceRequest.FORMAT_HTML:
            return httpbody_pb2.HttpBody(content_type=HTML, data=html(invoice, issuer))
        return httpbody_pb2.HttpBody(content_type=PDF, data=pdf(invoice, issuer))

    async def PayInvoice(self, request: service_pb2.PayInvoiceRequest, context: Context) -> resources_pb2.Order:
        org, id, books = require_member(request.name), new_id("o"), (await self._till.house_of_caller()).books

        async def step(tx: Store) -> Decision[Ordered]:
            invoice = await tx.invoice(org, id_of(request.name))
            check_etag(request.etag, invoice.name, invoice.version)
            invoices.require(invoice, "pay")
            dues = await tx.lock_dues(org, invoice.subscription, books, invoice=invoice.id)
            wish = self._till.wish(id, invoice.due, request.return_url)
            return further_orders.pay(await self._till.counter(tx, dues, Kind.ONE_OFF), wish, books, tx.now)

        return await self._work.run(
            step, answer=lambda done: convert.order(done.purchase.order, done.purchase.checkout)
        )

    async def VoidInvoice(self, request: service_pb2.VoidInvoiceRequest, context: Context) -> resources_pb2.Invoice:
        org, books = require_member(request.name), (await self._till.house_of_caller()).books

        async def step(tx: Store) -> Decision[Dues]:
            invoice = await tx.invoice(org, id_of(request.name))
            check_etag(request.etag, invoice.name, invoice.version)
            invoices.require(invoice, "void")
            dues = await tx.lock_dues(org, invoice.subscription, books, invoice=invoice.id)
            if dues.subscription.charge:
                raise invoices.InvoiceCharging(invoice=invoice.name)
            return renewals.forgiven(dues, request.reason, books, tx.now)

        return await self._work.run(step, answer=_voided)


def _voided(done: Dues) -> resources_pb2.Invoice:
    found = done.invoice
    assert found is not None
    return papers.invoice(found)
