"""SourceService: where Blueprints come from, and what did not come through."""

import asyncio

from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst.catalog.v1 import service_pb2_grpc
from catalyst.mesh.v1 import resources_pb2 as mesh
from catalyst_mesh import OperationNotFound, Page, PluginHost, Work, caller
from catalyst_mesh.protos import Context, span, stamp
from catalyst_sdk import Decision
from google.longrunning import operations_pb2
from google.rpc import code_pb2, status_pb2

from ..domain.refusals import SourceNotFound
from ..domain.sources import Issue, Source, wish
from ..store import Store
from .blueprints import struct
from .words import SCOPES, STAGES, etag, organization

KIND = "blueprint_source"
PREFIX = "operations/catalog-sync-"


class SourceService(service_pb2_grpc.SourceServiceServicer):
    """Reads sources and issues; stores the wish for a sync, which a worker fulfils."""

    def __init__(self, work: Work[Store], plugins: PluginHost, wake: asyncio.Event) -> None:
        self._work = work
        self._plugins = plugins
        self._wake = wake

    async def GetSource(self, request: rpc.GetSourceRequest, context: Context) -> pb.Source:
        async with self._work.reading() as tx:
            return await _message(tx, await _own(tx, request.name))

    async def ListSources(self, request: rpc.ListSourcesRequest, context: Context) -> rpc.ListSourcesResponse:
        page = Page.of(request.page_size, request.page_token, caller().subject, request.scope, request.org)
        async with self._work.reading() as tx:
            sources = [s for s in await tx.sources() if _is_seen(s) and _fits(s, request)]
            after = tuple(page.after or (-1, ""))
            rows = [s for s in sources if (s.scope.value, s.id) > after]
            cut = page.cut(rows, key=lambda s: [s.scope.value, s.id])
            messages = [await _message(tx, source) for source in cut.rows]
        return rpc.ListSourcesResponse(sources=messages, next_page_token=cut.next_page_token)

    async def SyncSource(self, request: rpc.SyncSourceRequest, context: Context) -> operations_pb2.Operation:
        async def step(tx: Store) -> Decision[Source]:
            source = await _own(tx, request.name, lock=True)
            self._plugins.get(KIND, source.kind)
            return wish(source, tx.now)

        operation = await self._work.run(step, answer=_operation)
        self._wake.set()
        return operation

    async def ListIssues(self, request: rpc.ListIssuesRequest, context: Context) -> rpc.ListIssuesResponse:
        scope = caller().subject, request.parent, request.stage, request.reason
        page = Page.of(request.page_size, request.page_token, *scope)
        async with self._work.reading() as tx:
            if request.parent == "sources/-":
                seen = {source.id for source in await tx.sources() if _is_seen(source)}
            else:
                seen = {(await _own(tx, request.parent)).id}
            issues = [i for i in await tx.issues() if i.source in seen and _is_wanted(i, request)]
        # One that was solved between two pages must not send the reader back to the start.
        cut = page.cut([i for i in issues if page.after is None or _place(i) < page.after], key=_place)
        return rpc.ListIssuesResponse(issues=list(map(_issue, cut.rows)), next_page_token=cut.next_page_token)


async def _own(tx: Store, name: str, *, lock: bool = False) -> Source:
    """A source that the caller may see; a stranger's is as unknown as one that never was."""
    source = await tx.source(name.removeprefix("sources/"), lock=lock)
    if source is None or not _is_seen(source):
        raise SourceNotFound(source=name)
    return source


def _is_seen(source: Source) -> bool:
    who = caller()
    return (
        who.is_service()
        or who.has_role("sovereign-admin")
        or (bool(source.organization) and who.has_role("org-admin", org=source.organization))
    )


def _fits(source: Source, request: rpc.ListSourcesRequest) -> bool:
    org = request.org.removeprefix("organizations/")
    return (not request.scope or SCOPES[source.scope] == request.scope) and (not org or source.organization == org)


def _place(issue: Issue) -> list[str]:
    """Where it stands in the list, the latest first."""
    return [issue.last_seen.isoformat(), issue.name]


def _is_wanted(issue: Issue, request: rpc.ListIssuesRequest) -> bool:
    stage = not request.stage or STAGES[issue.finding.stage] == request.stage
    return stage and (not request.reason or issue.finding.reason == request.reason)


async def _message(tx: Store, source: Source) -> pb.Source:
    row = await tx.source_row(source.id)
    assert row is not None, "it was read in this transaction"
    blueprints, versions, issues = await tx.source_counts(source.id)
    return pb.Source(
        name=source.name,
        uid=row["uid"],
        etag=etag(source.revision),
        version=source.revision,
        create_time=stamp(row["created_at"]),
        update_time=stamp(row["updated_at"]),
        generation=source.wished,
        observed_generation=source.observed,
        conditions=_conditions(source),
        state=_state(source),
        kind=source.kind,
        config=struct(source.config),
        scope=SCOPES[source.scope],
        org=organization(source.organization),
        interval=span(source.interval),
        priority=source.scope.value,
        enabled=source.enabled,
        last_sync_time=stamp(source.synced_at),
        blueprint_count=blueprints,
        version_count=versions,
        open_issue_count=issues,
    )


def _state(source: Source) -> "pb.Source.State.ValueType":
    if not source.enabled:
        return pb.Source.STATE_DISABLED
    if source.observed < source.wished:
        return pb.Source.STATE_SYNCING
    return pb.Source.STATE_FAILED if source.condition else pb.Source.STATE_ACTIVE


def _conditions(source: Source) -> list[mesh.Condition]:
    """`Synced`: whether the last sync could read the source."""
    status = mesh.Condition.STATUS_FALSE if source.condition else mesh.Condition.STATUS_TRUE
    reason = "".join(word.capitalize() for word in source.condition.split("_")) or "Read"
    unknown = source.observed == 0
    return [
        mesh.Condition(
            type="Synced",
            status=mesh.Condition.STATUS_UNKNOWN if unknown else status,
            reason="NotYet" if unknown else reason,
            message=source.message,
            observed_generation=source.observed,
            since=stamp(source.since),
        )
    ]


def _issue(issue: Issue) -> pb.Issue:
    return pb.Issue(
        name=issue.name,
        ref=issue.ref,
        stage=STAGES[issue.finding.stage],
        reason=issue.finding.reason,
        message=issue.finding.message,
        field=issue.finding.field,
        first_seen_time=stamp(issue.first_seen),
        last_seen_time=stamp(issue.last_seen),
        attempts=issue.attempts,
        version=issue.attempts,
    )


class Syncs:
    """Wishes for a sync as operations. One is done when a sync has answered its number, or a later one."""

    def __init__(self, work: Work[Store]) -> None:
        self._work = work

    async def find(self, name: str) -> operations_pb2.Operation:
        """The wish as it stands, with what the last sync came to. Raises OperationNotFound."""
        id, _, number = name.removeprefix(PREFIX).rpartition("-")
        async with self._work.reading() as tx:
            source = await tx.source(id) if name.startswith(PREFIX) else None
        known = source is not None and _is_seen(source) and number.isdecimal() and 0 < int(number) <= source.wished
        if source is None or not known:
            raise OperationNotFound(name=name)
        return _operation(source, int(number))


def _operation(source: Source, number: int = 0) -> operations_pb2.Operation:
    """A wish as an operation, the newest one where no number is given."""
    number = number or source.wished
    told = source.last_sync
    operation = operations_pb2.Operation(name=f"{PREFIX}{source.id}-{number}", done=number <= source.observed)
    listed = told.get("listed", 0) if operation.done else 0
    operation.metadata.Pack(
        rpc.SyncSourceMetadata(
            source=source.name, start_time=stamp(source.since), listed_count=listed, done_count=listed
        )
    )  # fmt: skip - one message
    if operation.done and source.condition:
        operation.error.CopyFrom(status_pb2.Status(code=code_pb2.UNAVAILABLE, message=source.message))
    elif operation.done:
        operation.response.Pack(rpc.SyncSourceResponse(**{f"{name}_count": told.get(key, 0) for name, key in _COUNTS}))
    return operation


_COUNTS = (
    ("listed", "listed"), ("published", "published"), ("unchanged", "unchanged"), ("issue", "issues"),
    ("orphaned", "orphaned"),
)  # fmt: skip
