"""What an Organization owns at the catalog."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from google.longrunning import operations_pb2
from google.protobuf.message import Message

from ..mesh import WALLED, Mesh, request_of
from ..wishes import catalog as wishes
from .thing import Make, Owned, at_once

_C = "catalyst.catalog.v1"
_O = "google.longrunning.Operations"
_HIDDEN = f"organizations/{WALLED}/blueprints/bp-hidden"
_MOVED = f"organizations/{WALLED}/blueprints/bp-moved/versions/1.0.0"


_NEEDS_HIDDEN = """\
apiVersion: catalyst.openova.io/v1
kind: Blueprint
metadata: {name: bp-hiding}
spec:
  version: 1.0.0
  depends: [{blueprint: bp-hidden, version: ^9, alias: hidden}]
"""


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


def _synced(kind: type[Message]) -> Make:
    async def make(_: Mesh) -> Owned:
        return Owned(WALLED, at_once(kind(name=f"operations/catalog-sync-org-{WALLED}-1")), WALLED)

    return make


OWNED: Mapping[str, Make] = dict(
    [
        _private("CatalogService/ListBlueprints", parent=f"organizations/{WALLED}"),
        _private("CatalogService/GetBlueprint", name=_HIDDEN),
        _private("CatalogService/ListVersions", parent=_HIDDEN),
        _private("CatalogService/GetVersion", name=f"{_HIDDEN}/versions/1.0.0"),
        _private("CatalogService/ReadArtifact", name=f"{_HIDDEN}/versions/1.0.0"),
        _private("CatalogService/Closure", name=_HIDDEN),
        _private("CatalogService/Resolve", roots=[{"name": _HIDDEN}]),
        _private("CatalogService/ValidateConfig", version=f"{_HIDDEN}/versions/1.0.0"),
        _private("CatalogService/LintBlueprint", parent=f"organizations/{WALLED}", document=_NEEDS_HIDDEN),
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
        (f"catalog: {_O}/GetOperation", _synced(operations_pb2.GetOperationRequest)),
        (f"catalog: {_O}/WaitOperation", _synced(operations_pb2.WaitOperationRequest)),
    ]
)  # fmt: skip - reads as a table
"""What is asked of each method; one that several daemons serve has the daemon before it."""
