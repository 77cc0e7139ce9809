"""Something that belongs to an Organization, for every served method in which one may own anything."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from catalyst.billing.v1 import service_pb2 as billing
from catalyst.continuum.v1 import service_pb2 as continuum
from catalyst.pooldomain.v1 import service_pb2 as pdm
from google.longrunning import operations_pb2
from google.protobuf.message import Message
from sqlalchemy import insert

from . import wishes
from .mesh import WALLED, Mesh, request_of

_B, _C, _P, _S = "catalyst.billing.v1", "catalyst.catalog.v1", "catalyst.pooldomain.v1", "catalyst.provisioner.v1"
_X = "catalyst.continuum.v1"
_O = "google.longrunning.Operations"
_HIDDEN = f"organizations/{WALLED}/blueprints/bp-hidden"
_MOVED = f"organizations/{WALLED}/blueprints/bp-moved/versions/1.0.0"


@dataclass(frozen=True, slots=True)
class Owned:
    """A question about a resource that exists."""

    org: str
    """Whose it is."""
    request: Message
    mark: str
    """Part of its name, found in every answer that tells of it."""
    foreign: Message | None = None
    """What a stranger sends, where it is not the same."""

    is_gone: bool = False
    """Whether its owner hears NOT_FOUND too: of a part that nobody has made yet."""

    def of_none(self) -> bytes:
        """The same question about a resource that never was: equally long, so that nothing but the name differs."""
        asked = (self.foreign or self.request).SerializeToString()
        return asked.replace(self.mark.encode(), self.never.encode())

    @property
    def never(self) -> str:
        """The name that never was."""
        return ("z" if self.mark[0].isalpha() else "9" if self.mark[0] != "9" else "8") + self.mark[1:]


Make = Callable[[Mesh], Awaitable[Owned]]


def _account(request: Callable[[Mesh, str], Awaitable[Message]]) -> Make:
    async def make(m: Mesh) -> Owned:
        account = await wishes.account(m)
        org, asked = account.partition("/")[2], await request(m, account)
        return Owned(org, asked, org, is_gone=getattr(asked, "name", "").endswith("/none"))

    return make


def _of_account(method: str, field: str, suffix: str = "") -> tuple[str, Make]:
    async def request(_: Mesh, account: str) -> Message:
        return request_of(f"{_B}.{method}", **{field: f"{account}{suffix}"})

    return f"{_B}.{method}", _account(request)


async def _quoted(m: Mesh, account: str) -> Message:
    made: Any = await m.call(f"{_B}.QuoteService/CreateQuote", wishes.quote(account))
    return billing.GetQuoteRequest(name=made.name)


async def _new_quote(_: Mesh, account: str) -> Message:
    quote: Message = wishes.quote(account)
    return quote


async def _redeemed(m: Mesh, account: str) -> Message:
    return billing.RedeemVoucherRequest(parent=account, code=(await wishes.voucher(m, active=True)).code)


async def _ordered(m: Mesh, account: str) -> Message:
    return billing.GetOrderRequest(name=(await wishes.order(m, account)).name)


async def _order_watched(m: Mesh, account: str) -> Message:
    return billing.WatchOrderRequest(name=(await wishes.order(m, account)).name)


async def _topped_up(_: Mesh, account: str) -> Message:
    wish = billing.CreateTopUpRequest(parent=account)
    wish.amount.minor, wish.amount.currency = 5_000, "OMR"
    return wish


async def _updated(_: Mesh, account: str) -> Message:
    wish = billing.UpdateAccountRequest(etag='"1"')
    wish.account.name, wish.account.contact.email = account, "a@acme.example"
    return wish


async def _portal(_: Mesh, account: str) -> Message:
    return billing.OpenPortalRequest(name=account, return_url="https://shop.example/")


async def _cancelled(m: Mesh) -> Owned:
    request = await wishes.cancelled_order(m)
    org = request.name.split("/")[1]
    return Owned(org, request, org)


async def _subscribed(m: Mesh, account: str) -> Message:
    return billing.GetSubscriptionRequest(name=(await wishes.subscription(m, account)).name)


def _billed(kind: Callable[..., Message]) -> Callable[[Mesh, str], Awaitable[Message]]:
    async def request(m: Mesh, account: str) -> Message:
        return kind(name=await wishes.invoice(m, account))

    return request


def _subscription(made: Callable[[Mesh], Awaitable[Any]]) -> Make:
    async def make(m: Mesh) -> Owned:
        request = await made(m)
        org = request.name.split("/")[1]
        return Owned(org, request, org)

    return make


def _private(method: str, **fields: Any) -> tuple[str, Make]:
    async def make(_: Mesh) -> Owned:
        return Owned(WALLED, request_of(f"{_C}.{method}", **fields), WALLED)

    return f"{_C}.{method}", make


async def _search(_: Mesh) -> Owned:
    return Owned(WALLED, request_of(f"{_C}.CatalogService/SearchCards", q="hidden"), "bp-hidden")


async def _happened(m: Mesh) -> Owned:
    """The change by which it came, and whatever anybody may hear behind it."""
    work: Any = m.daemons["catalog"].daemon.work
    async with work.reading() as tx:
        came = next(one.revision for one in await tx.changes(0, 10_000) if one.blueprint == "bp-hidden")
    await m.call(
        f"{_C}.StorefrontService/CreateIndustry", await wishes.WRITES[f"{_C}.StorefrontService/CreateIndustry"](m)
    )
    request = request_of(f"{_C}.CatalogService/WatchCatalog", after_revision=came - 1)
    return Owned(WALLED, request, "bp-hidden")


def _source(method: str, field: str = "") -> tuple[str, Make]:
    async def make(m: Mesh) -> Owned:
        every: Any = await m.call(f"{_C}.SourceService/ListSources", request_of(f"{_C}.SourceService/ListSources"))
        name = next(source.name for source in every.sources if WALLED in source.name)
        return Owned(WALLED, request_of(f"{_C}.{method}", **({field: name} if field else {})), WALLED)

    return f"{_C}.{method}", make


async def _new_source(m: Mesh) -> Owned:
    """A new one of the Organization each time; its mark is whose it is, and the id goes with the request."""
    request = await wishes.a_source(m, org=WALLED)
    return Owned(WALLED, request, request.source_id)


def _private_source(method: str, made: Callable[..., Awaitable[Any]]) -> tuple[str, Make]:
    async def make(m: Mesh) -> Owned:
        request = await made(m, org=WALLED)
        name = request.source.name if method.startswith("Update") else request.name
        return Owned(WALLED, request, name.rpartition("/")[2])

    return f"{_C}.SourceService/{method}", make


async def _private_issue(m: Mesh) -> Owned:
    request = await wishes.retried_issue(m)
    return Owned("acme", request, request.name.rpartition("/")[2])


def _name(method: str, made: Callable[[Mesh], Awaitable[Message]]) -> tuple[str, Make]:
    async def make(m: Mesh) -> Owned:
        request: Any = await made(m)
        name = (
            request.allocation.name if method.startswith("Update") else getattr(request, "name", "") or request.parent
        )
        return Owned("acme", request, name.rpartition("/")[2])

    return f"{_P}.AllocationService/{method}", make


def _held(method: str, field: str) -> tuple[str, Make]:
    async def made(m: Mesh) -> Message:
        name = (await wishes.committed(m)).name
        return request_of(f"{_P}.AllocationService/{method}", **{field: name})

    return _name(method, made)


def _by_token(method: str, made: Callable[[Mesh], Awaitable[Any]]) -> tuple[str, Make]:
    async def make(m: Mesh) -> Owned:
        request = await made(m)
        wrong = type(request)()
        wrong.CopyFrom(request)
        wrong.reservation_token = f"rsv_{'0' * 64}"
        return Owned("acme", request, request.name.rpartition("/")[2], foreign=wrong)

    return f"{_P}.AllocationService/{method}", make


async def _reservation(m: Mesh) -> Owned:
    return Owned("acme", await wishes.a_reservation(m), "acme")


async def _names(m: Mesh) -> Owned:
    name = (await wishes.committed(m)).name
    request = pdm.ListAllocationsRequest(parent=wishes.POOL, page_size=500)
    return Owned("acme", request, name.rpartition("/")[2])


async def _acceptance(m: Mesh) -> Owned:
    """Of a name that somebody else has, and offers."""
    request = await wishes.acceptance(m, giver="organizations/giver", taker="organizations/acme")
    return Owned("acme", request, request.name.rpartition("/")[2])


async def _watched(m: Mesh) -> Owned:
    work: Any = m.daemons["pooldomain"].daemon.work
    async with work.reading() as tx:
        place = (await tx.horizon()).number
    name = (await wishes.committed(m)).name
    request = pdm.WatchAllocationsRequest(parent=wishes.POOL, from_version=place)
    return Owned("acme", request, name.rpartition("/")[2])


async def _waited(m: Mesh) -> Message:
    request = pdm.WaitAllocationRequest(name=(await wishes.committed(m)).name)
    request.timeout.FromMilliseconds(1)
    return request


def _zone(method: str, form: str = "") -> tuple[str, Make]:
    async def make(m: Mesh) -> Owned:
        label = await _with_zone(m)
        fields: dict[str, Any] = {"name": form.format(label)} if form else {"page_size": 500}
        return Owned("acme", request_of(f"{_P}.ZoneService/{method}", **fields), label)

    return f"{_P}.ZoneService/{method}", make


def _kept(method: str, made: Callable[[Mesh], Awaitable[Any]]) -> tuple[str, Make]:
    """A question about a zone that is kept here; its mark is the first label."""

    async def make(m: Mesh) -> Owned:
        request = await made(m)
        named = (
            getattr(request, "zone_id", "")
            or getattr(request, "fqdn", "").removeprefix("_acme-challenge.")
            or (request.zone.name if method.startswith("Update") else getattr(request, "name", "") or request.parent)
        )
        return Owned("acme", request, named.removeprefix("zones/").partition(".")[0])

    return f"{_P}.ZoneService/{method}", make


def _cut(method: str, made: Callable[[Mesh], Awaitable[Any]]) -> tuple[str, Make]:
    """A question about what a parent says of a zone; its mark is the first label."""

    async def make(m: Mesh) -> Owned:
        request = await made(m)
        return Owned("acme", request, request.name.removeprefix("zones/").partition(".")[0])

    return f"{_P}.DelegationService/{method}", make


async def _cut_read(m: Mesh) -> Message:
    return pdm.GetDelegationRequest(name=await wishes.moved_delegation(m))


def _named(kind: Callable[..., Message], made: Callable[[Mesh], Awaitable[Any]]) -> Callable[[Mesh], Awaitable[Any]]:
    async def request(m: Mesh) -> Any:
        return kind(name=(await made(m)).name)

    return request


def _of_zone(kind: Callable[..., Message], field: str = "parent") -> Callable[[Mesh], Awaitable[Any]]:
    async def request(m: Mesh) -> Any:
        return kind(**{field: (await wishes.zone(m)).name})

    return request


async def _read_import(m: Mesh) -> Any:
    return pdm.GetZoneImportRequest(name=await wishes.kept_import(m))


async def _drifts(m: Mesh) -> Owned:
    domain = (await wishes.drift(m)).split("/")[1]
    return Owned("acme", pdm.ListDriftsRequest(parent="zones/-", page_size=500), domain.partition(".")[0])


async def _with_zone(m: Mesh) -> str:
    """A name whose zone is there; the reconciler would make it, and stands still."""
    _, pool, _, label = (await wishes.committed(m)).name.split("/")
    work: Any = m.daemons["pooldomain"].daemon.work

    async def step(tx: Any) -> None:
        held = await tx.lock(pool, label)
        await tx.save(replace(held, zone_told="made", version=held.version + 1))

    await work.again(step)
    return str(label)


def _at_registrar(method: str, made: Callable[[Mesh], Awaitable[Any]]) -> tuple[str, Make]:
    async def make(m: Mesh) -> Owned:
        request = await made(m)
        name = getattr(request, "account", "") or getattr(request, "name", "") or request.registrar_account.name
        return Owned("acme", request, (name or request.registrar_account_id).rpartition("/")[2])

    return f"{_P}.RegistrarService/{method}", make


async def _account_read(m: Mesh) -> Message:
    return pdm.GetRegistrarAccountRequest(name=(await wishes.registrar_account(m)).name)


async def _by_hand(m: Mesh) -> str:
    """An account at the registrar that asks the name servers of this mesh, and nobody outside."""
    wish = await wishes.an_account(m)
    wish.registrar_account.registrar = "registrars/manual"
    wish.registrar_account.credential.clear()
    made: Any = await m.call(f"{_P}.RegistrarService/CreateRegistrarAccount", wish)
    return str(made.name)


async def _account_validated(m: Mesh) -> Message:
    account = await _by_hand(m)
    return pdm.ValidateRegistrarAccessRequest(name="registrars/manual", domain="acme.example", account=account)


async def _delegation_read(m: Mesh) -> Message:
    return pdm.ReadDelegationRequest(name=await _by_hand(m), domain="acme.example")


async def _accounts(m: Mesh) -> Owned:
    name = (await wishes.registrar_account(m)).name
    return Owned("acme", pdm.ListRegistrarAccountsRequest(page_size=500), name.rpartition("/")[2])


def _run(method: str, field: str = "", form: str = "", **more: Any) -> tuple[str, Make]:
    """A question about the run of a Sovereign; `{0}` is the Sovereign, `{1}` the run."""

    async def make(m: Mesh) -> Owned:
        run = await wishes.run(m)
        sovereign = run.name.partition("/runs/")[0]
        fields = {field: form.format(sovereign, run.name, run.plan)} if field else {}
        return Owned("acme", request_of(f"{_S}.{method}", **fields, **more), sovereign.partition("/")[2])

    return f"{_S}.{method}", make


async def _drift_report(m: Mesh) -> Owned:
    """A report as a look would leave it; the engine, which would look, stands still."""
    sovereign = (await wishes.sovereign(m)).name
    work: Any = m.daemons["provisioner"].daemon.work
    report = {"name": f"{sovereign}/drift", "drifts": []}
    await work.again(lambda tx: tx.observe(sovereign.partition("/")[2], "drift", report))
    request = request_of(f"{_S}.InfrastructureService/GetDriftReport", name=f"{sovereign}/drift")
    return Owned("acme", request, sovereign.partition("/")[2])


async def _difference(m: Mesh) -> Owned:
    plan = (await wishes.run(m)).plan
    request = request_of(f"{_S}.PlanService/DiffPlans", name=plan, other=plan)
    return Owned("acme", request, plan.split("/")[1])


async def _log_watched(m: Mesh) -> Owned:
    """With a line that can be seen at once; the engine, which would write more, stands still."""
    run = await wishes.run(m)
    work: Any = m.daemons["provisioner"].daemon.work
    line = {"run_id": run.name.rpartition("/")[2], "number": 1, "step": "validate", "attempt": 1, "level": "INFO"}

    async def write(tx: Any) -> None:
        await tx.sql.execute(insert(tables["journal_log"]).values(**line, at=tx.now, text="seen"))

    tables = m.daemons["provisioner"].daemon.metadata.tables
    await work.again(write)
    return Owned("acme", request_of(f"{_S}.RunService/WatchLogs", parent=run.name), run.name.split("/")[1])


async def _step(m: Mesh) -> Owned:
    run = await wishes.run(m)
    steps: Any = await m.call(f"{_S}.RunService/ListSteps", request_of(f"{_S}.RunService/ListSteps", parent=run.name))
    request = request_of(f"{_S}.RunService/GetStep", name=steps.steps[0].name)
    return Owned("acme", request, run.name.split("/")[1])


def _operation(kind: type[Message]) -> Make:
    async def make(m: Mesh) -> Owned:
        id = (await wishes.run(m)).name.rpartition("/")[2]
        return Owned("acme", _at_once(kind(name=f"operations/provisioner-{id}")), id)

    return make


def _synced(kind: type[Message]) -> Make:
    async def make(_: Mesh) -> Owned:
        return Owned(WALLED, _at_once(kind(name=f"operations/catalog-sync-org-{WALLED}-1")), WALLED)

    return make


def _imported(kind: type[Message]) -> Make:
    async def make(m: Mesh) -> Owned:
        started: Any = await m.call(f"{_P}.ZoneService/ImportZone", await wishes.an_import(m))
        return Owned("acme", _at_once(kind(name=started.name)), started.name.rpartition("-")[2])

    return make


def _slot(method: str, made: Callable[[Mesh], Awaitable[Any]]) -> tuple[str, Make]:
    """A question about a slot; its mark is the name."""

    async def make(m: Mesh) -> Owned:
        request = await made(m)
        named = request.continuum.name if method.startswith("Update") else request.name
        return Owned("acme", request, named.rpartition("/")[2])

    return f"{_X}.ContinuumService/{method}", make


def _of_slot(method: str, kind: Callable[..., Message]) -> tuple[str, Make]:
    async def made(m: Mesh) -> Message:
        return kind(name=(await wishes.slot(m)).name)

    return _slot(method, made)


def _of_run(method: str, made: Callable[[Mesh], Awaitable[Any]]) -> tuple[str, Make]:
    """A question about a run; its mark is the slot's name."""

    async def make(m: Mesh) -> Owned:
        request = await made(m)
        return Owned("acme", request, request.name.split("/")[3])

    return f"{_X}.ContinuumService/{method}", make


async def _looked_at_run(m: Mesh) -> Any:
    return continuum.GetRunRequest(name=(await wishes.waiting_run(m)).name)


async def _watched_run(m: Mesh) -> Any:
    return continuum.WatchRunRequest(name=(await wishes.waiting_run(m)).name)


async def _started_run(m: Mesh) -> Any:
    """Refused to whoever may ask, as no agent is here."""
    planned = await wishes.planned_run(m)
    return continuum.StartRunRequest(name=planned.name, kind=planned.kind, expected_epoch=1)


async def _runs(m: Mesh) -> Owned:
    parent = (await wishes.waiting_run(m)).name.partition("/runs/")[0]
    return Owned("acme", continuum.ListRunsRequest(parent=parent), parent.rpartition("/")[2])


async def _slots(m: Mesh) -> Owned:
    held = await wishes.slot(m)
    return Owned(
        "acme", continuum.ListContinuumsRequest(parent="namespaces/-", page_size=500), held.name.rpartition("/")[2]
    )


async def _new_slot(m: Mesh) -> Owned:
    request = await wishes.a_slot(m)
    return Owned("acme", request, request.continuum_id)


async def _looked_for(m: Mesh) -> Any:
    """A stream that ends at once: nobody is asked whose answer takes longer."""
    request = pdm.CheckPropagationRequest(name=(await wishes.zone(m)).name)
    request.timeout.FromMilliseconds(1000)
    return request


def _at_once(request: Any) -> Message:
    """A question that waits for nothing."""
    if isinstance(request, operations_pb2.WaitOperationRequest):
        request.timeout.FromMilliseconds(1)
    return request  # type: ignore[no-any-return]


OWNED: Mapping[str, Make] = dict(
    [
        _of_account("AccountService/GetAccount", "name"),
        _of_account("AccountService/GetBalance", "name", "/balance"),
        _of_account("AccountService/ListCreditGrants", "parent"),
        _of_account("OrderService/ListOrders", "parent"),
        _of_account("SubscriptionService/ListSubscriptions", "parent"),
        (f"{_B}.QuoteService/CreateQuote", _account(_new_quote)),
        (f"{_B}.QuoteService/GetQuote", _account(_quoted)),
        (f"{_B}.OrderService/CreateOrder", _account(wishes.an_order)),
        (f"{_B}.OrderService/GetOrder", _account(_ordered)),
        (f"{_B}.OrderService/CancelOrder", _cancelled),
        (f"{_B}.OrderService/WatchOrder", _account(_order_watched)),
        (f"{_B}.OrderService/CreateTopUp", _account(_topped_up)),
        (f"{_B}.AccountService/UpdateAccount", _account(_updated)),
        (f"{_B}.AccountService/OpenPortal", _account(_portal)),
        (f"{_B}.SubscriptionService/GetSubscription", _account(_subscribed)),
        (f"{_B}.SubscriptionService/ChangeSubscription", _subscription(wishes.a_change)),
        (f"{_B}.SubscriptionService/CancelSubscription", _subscription(wishes.cancelled_subscription)),
        (f"{_B}.SubscriptionService/ResumeSubscription", _subscription(wishes.resumed_subscription)),
        _of_account("InvoiceService/ListInvoices", "parent"),
        (f"{_B}.InvoiceService/GetInvoice", _account(_billed(billing.GetInvoiceRequest))),
        (f"{_B}.InvoiceService/RenderInvoice", _account(_billed(billing.RenderInvoiceRequest))),
        (f"{_B}.InvoiceService/PayInvoice", _account(_billed(billing.PayInvoiceRequest))),
        _of_account("MeteringService/QueryUsage", "parent"),
        _of_account("MeteringService/GetEntitlement", "name", "/entitlement"),
        (f"{_B}.MeteringService/UpdateEntitlement", _account(wishes.entitlement)),
        (f"{_B}.VoucherService/RedeemVoucher", _account(_redeemed)),
        _private("CatalogService/ListBlueprints", parent=f"organizations/{WALLED}"),
        _private("CatalogService/GetBlueprint", name=_HIDDEN),
        _private("CatalogService/ListVersions", parent=_HIDDEN),
        _private("CatalogService/GetVersion", name=f"{_HIDDEN}/versions/1.0.0"),
        _private("CatalogService/Closure", name=_HIDDEN),
        _private("CatalogService/Resolve", roots=[{"name": _HIDDEN}]),
        _private("CatalogService/ValidateConfig", version=f"{_HIDDEN}/versions/1.0.0"),
        _private("CatalogService/CompareVersions", name=_HIDDEN, from_version="1.0.0", to_version="1.0.0"),
        _private("CatalogService/PlanInstall", blueprint=_HIDDEN, environment=f"environments/{WALLED}-prod"),
        _private("CatalogService/AdviseUpgrades", parent=f"environments/{WALLED}-prod"),
        (f"{_C}.CatalogService/WatchCatalog", _happened),
        (f"{_C}.CatalogService/SearchCards", _search),
        _source("SourceService/GetSource", "name"),
        _source("SourceService/SyncSource", "name"),
        _source("SourceService/ListIssues", "parent"),
        _source("SourceService/ListSources"),
        (f"{_C}.SourceService/CreateSource", _new_source),
        _private_source("UpdateSource", wishes.changed_source),
        _private_source("DeleteSource", wishes.gone_source),
        (f"{_C}.SourceService/RetryIssue", _private_issue),
        *(
            _private(f"ModerationService/{m}Version", name=_MOVED, reason="a test")
            for m in ("Yank", "Unyank", "Deprecate")
        ),
        _of_slot("GetContinuum", continuum.GetContinuumRequest),
        _of_slot("WatchContinuum", continuum.WatchContinuumRequest),
        _slot("PlanRun", wishes.planned_run),
        _of_run("GetRun", _looked_at_run),
        _of_run("WatchRun", _watched_run),
        _of_run("ApproveRun", wishes.approved_run),
        _of_run("AbortRun", wishes.aborted_run),
        _slot("StartRun", _started_run),
        (f"{_X}.ContinuumService/ListRuns", _runs),
        _of_slot("PostHealth", continuum.PostHealthRequest),
        _of_slot("Suspend", continuum.SuspendRequest),
        _of_slot("Resume", continuum.ResumeRequest),
        _of_slot("AcknowledgeFailover", continuum.AcknowledgeFailoverRequest),
        _slot("UpdateContinuum", wishes.changed_slot),
        _slot("DeleteContinuum", wishes.gone_slot),
        (f"{_X}.ContinuumService/ListContinuums", _slots),
        (f"{_X}.ContinuumService/CreateContinuum", _new_slot),
        _held("GetAllocation", "name"),
        _held("ListAllocationHistory", "parent"),
        _name("WaitAllocation", _waited),
        _name("UpdateAllocation", wishes.steered),
        _name("ReconcileAllocation", wishes.hurry),
        _name("ReleaseAllocation", wishes.release),
        _name("TransferAllocation", wishes.offer),
        (f"{_P}.AllocationService/AcceptAllocationTransfer", _acceptance),
        (f"{_P}.AllocationService/WatchAllocations", _watched),
        _by_token("RenewAllocation", wishes.renewal),
        _by_token("CommitAllocation", wishes.commit),
        (f"{_P}.AllocationService/ReserveAllocation", _reservation),
        (f"{_P}.AllocationService/ListAllocations", _names),
        _zone("GetZone", "zones/{}.omani.works"),
        _zone("GetDnssec", "zones/{}.omani.works/dnssec"),
        _zone("ListZones"),
        _kept("CreateZone", wishes.a_zone),
        _kept("UpdateZone", wishes.moved_zone),
        _kept("DeleteZone", wishes.gone_zone),
        _kept("PlanZone", wishes.a_zone_plan),
        _kept("ApplyPlan", wishes.zone_application),
        _kept("RevertPlan", wishes.zone_reversal),
        _kept("GetPlan", _named(pdm.GetPlanRequest, wishes.zone_plan)),
        _kept("ListPlans", _of_zone(pdm.ListPlansRequest)),
        _kept("ImportZone", wishes.an_import),
        _kept("GetZoneImport", _read_import),
        _kept("ListZoneImports", _of_zone(pdm.ListZoneImportsRequest)),
        _kept("ListRecordSets", _of_zone(pdm.ListRecordSetsRequest)),
        _kept("ExportZone", _of_zone(pdm.ExportZoneRequest, "name")),
        _kept("DiffZone", _of_zone(pdm.DiffZoneRequest, "name")),
        _kept("CheckPropagation", _looked_for),
        _kept("PresentChallenge", wishes.challenge),
        _kept("CleanUpChallenge", wishes.clean_up),
        (f"{_P}.ZoneService/ListDrifts", _drifts),
        _cut("GetDelegation", _cut_read),
        _cut("PlanDelegation", wishes.a_delegation_plan),
        _cut("ApplyDelegation", wishes.delegation_application),
        _cut("RollbackDelegation", wishes.delegation_rollback),
        _cut("CloseRollbackWindow", wishes.closed_window),
        _at_registrar("CreateRegistrarAccount", wishes.an_account),
        _at_registrar("GetRegistrarAccount", _account_read),
        _at_registrar("UpdateRegistrarAccount", wishes.moved_account),
        _at_registrar("DeleteRegistrarAccount", wishes.gone_account),
        _at_registrar("ValidateRegistrarAccess", _account_validated),
        _at_registrar("ReadDelegation", _delegation_read),
        (f"{_P}.RegistrarService/ListRegistrarAccounts", _accounts),
        _run("SovereignService/GetSovereign", "name", "{0}"),
        _run("SovereignService/ListSovereigns"),
        _run("PlanService/GetPlan", "name", "{2}"),
        _run("PlanService/ListPlans", "parent", "{0}"),
        (f"{_S}.PlanService/DiffPlans", _difference),
        _run("RunService/GetRun", "name", "{1}"),
        _run("RunService/ListRuns", "parent", "sovereigns/-"),
        _run("RunService/ListSteps", "parent", "{1}"),
        (f"{_S}.RunService/GetStep", _step),
        _run("RunService/ApproveGate", "name", "{1}/steps/validate"),
        _run("RunService/RejectGate", "name", "{1}/steps/validate"),
        _run("RunService/ListEvents", "parent", "{0}"),
        _run("RunService/WatchEvents", "parent", "{0}"),
        _run("RunService/ListLogs", "parent", "{1}"),
        (f"{_S}.RunService/WatchLogs", _log_watched),
        _run("InfrastructureService/ListLedger", "parent", "{0}"),
        _run("InfrastructureService/ListComponents", "parent", "{0}/clusters/-"),
        _run("InfrastructureService/WatchComponents", "parent", "{0}/clusters/-"),
        _run("InfrastructureService/GetTopology", "name", "{0}/topology"),
        _run("InfrastructureService/WatchTopology", "name", "{0}/topology"),
        (f"{_S}.InfrastructureService/GetDriftReport", _drift_report),
        (f"provisioner: {_O}/GetOperation", _operation(operations_pb2.GetOperationRequest)),
        (f"provisioner: {_O}/WaitOperation", _operation(operations_pb2.WaitOperationRequest)),
        (f"pooldomain: {_O}/GetOperation", _imported(operations_pb2.GetOperationRequest)),
        (f"pooldomain: {_O}/WaitOperation", _imported(operations_pb2.WaitOperationRequest)),
        (f"catalog: {_O}/GetOperation", _synced(operations_pb2.GetOperationRequest)),
        (f"catalog: {_O}/WaitOperation", _synced(operations_pb2.WaitOperationRequest)),
    ]
)  # fmt: skip - reads as a table
"""What is asked of each method; one that several daemons serve has the daemon before it."""
