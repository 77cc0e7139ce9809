"""What an Organization owns at the pool-domain manager."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from catalyst.pooldomain.v1 import service_pb2 as pdm
from google.longrunning import operations_pb2
from google.protobuf.message import Message

from ..mesh import Mesh, request_of
from ..wishes import pooldomain as wishes
from .thing import Make, Owned, at_once

_P = "catalyst.pooldomain.v1"
_O = "google.longrunning.Operations"


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


def _imported(kind: type[Message]) -> Make:
    async def make(m: Mesh) -> Owned:
        started: Any = await m.call(f"{_P}.ZoneService/ImportZone", await wishes.an_import(m))
        return Owned("acme", at_once(kind(name=started.name)), started.name.rpartition("-")[2])

    return make


async def _looked_for(m: Mesh) -> Any:
    """A stream that ends at once: nobody is asked whose answer takes longer."""
    request = pdm.CheckPropagationRequest(name=(await wishes.zone(m)).name)
    request.timeout.FromMilliseconds(1000)
    return request


OWNED: Mapping[str, Make] = dict(
    [
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
        (f"pooldomain: {_O}/GetOperation", _imported(operations_pb2.GetOperationRequest)),
        (f"pooldomain: {_O}/WaitOperation", _imported(operations_pb2.WaitOperationRequest)),
    ]
)  # fmt: skip - reads as a table
"""What is asked of each method; one that several daemons serve has the daemon before it."""
