"""SourceService: where Blueprints come from, and what did not come through."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst.catalog.v1 import service_pb2_grpc
from catalyst_mesh import OperationNotFound, Page, PluginHost, Work, caller
from catalyst_mesh.protos import Context, stamp
from catalyst_sdk import Decision, Violation
from google.longrunning import operations_pb2
from google.protobuf.empty_pb2 import Empty
from google.rpc import code_pb2, status_pb2

from ..domain import config_schema
from ..domain.refusals import ConfigInvalid, IssueNotFound, SourceNotFound, TrustTooLow
from ..domain.sources import Issue, Removal, Scope, Source, create, delete, update, wish
from ..domain.trust import Policy
from ..store import Store
from ..workers.keyless import is_certificate
from ..workers.signatures import is_key
from .masks import fresh, wanted
from .source_messages import CHANGEABLE, described, merged, to_issue, to_source
from .words import SCOPES, STAGES

KIND = "blueprint_source"
FOLDER = "directory"
"""The kind that reads this machine."""
PREFIX = "operations/catalog-sync-"


class SourceService(service_pb2_grpc.SourceServiceServicer):
    """Sources and their issues; stores the wish for a sync, which a worker fulfils."""

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
            rows = [s for s in sources if (s.priority, s.id) > after]
            cut = page.cut(rows, key=lambda s: [s.priority, s.id])
            messages = [await _message(tx, source) for source in cut.rows]
        return rpc.ListSourcesResponse(sources=messages, next_page_token=cut.next_page_token)

    async def CreateSource(self, request: rpc.CreateSourceRequest, context: Context) -> pb.Source:
        wanted_one = described(request.source_id, request.source)
        who = caller()
        owner = wanted_one.organization
        if not (
            who.is_service() or who.has_role("sovereign-admin") or (owner and who.has_role("org-admin", org=owner))
        ):
            # As with every source of somebody else: nothing tells whether there is one.
            raise SourceNotFound(source=wanted_one.name)
        _demand_place(wanted_one)
        self._check_config(wanted_one)

        async def step(tx: Store) -> Decision[Source]:
            known = await tx.source(wanted_one.id, lock=True, deleted=True)
            public = next((s for s in await tx.sources() if s.scope is Scope.PUBLIC), None)
            return create(known, wanted_one, public)

        return await self._changed(step, validate_only=request.validate_only)

    async def UpdateSource(self, request: rpc.UpdateSourceRequest, context: Context) -> pb.Source:
        fields = wanted(request.update_mask, request.source, CHANGEABLE)

        async def step(tx: Store) -> Decision[Source]:
            known = await _own(tx, request.source.name, lock=True)
            fresh(known.name, known.revision, request.etag)
            after = merged(known, request.source, fields)
            if after.config != known.config:
                _demand_place(after)
            self._check_config(after)
            decision = update(known, after)
            if after.policy != known.policy and not request.validate_only:
                await tx.forget_digests(known.id)
            return decision

        return await self._changed(step, validate_only=request.validate_only)

    async def DeleteSource(self, request: rpc.DeleteSourceRequest, context: Context) -> Empty:
        async def step(tx: Store) -> Decision[Removal]:
            known = await _own(tx, request.name, lock=True)
            fresh(known.name, known.revision, request.etag)
            return delete(known, await tx.owned(known.id), await tx.revision(), tx.now)

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=lambda _: Empty())

    async def SyncSource(self, request: rpc.SyncSourceRequest, context: Context) -> operations_pb2.Operation:
        async def step(tx: Store) -> Decision[Source]:
            source = await _own(tx, request.name, lock=True)
            self._plugins.get(KIND, source.kind)
            if request.full:
                await tx.forget_digests(source.id)
            return wish(source, tx.now)

        operation = await self._work.run(step, answer=_operation)
        self._wake.set()
        return operation

    async def RetryIssue(self, request: rpc.RetryIssueRequest, context: Context) -> pb.Issue:
        taken: list[Issue] = []

        async def step(tx: Store) -> Decision[Source]:
            id = request.name.split("/")[1]
            source = await tx.source(id, lock=True)
            issues = await tx.issues(id) if source is not None and _is_seen(source) else []
            issue = next((one for one in issues if one.name == request.name), None)
            if source is None or issue is None:
                raise IssueNotFound(issue=request.name)
            await tx.forget_digests(id, issue.ref)
            taken[:] = [issue]
            return wish(source, tx.now)

        answer = await self._work.run(step, answer=lambda _: to_issue(taken[0], is_due=True))
        self._wake.set()
        return answer

    async def _changed(self, step: Callable[[Store], Awaitable[Decision[Source]]], *, validate_only: bool) -> pb.Source:
        """The changed source with what the database says of it besides."""
        seen: dict[str, Any] = {}

        async def read(tx: Store) -> Decision[Source]:
            decision = await step(tx)
            row = await tx.source_row(decision.state.id)
            seen.update(row or {"uid": "", "created_at": tx.now}, now=tx.now)
            seen["counts"] = await tx.source_counts(decision.state)
            return decision

        def answer(source: Source) -> pb.Source:
            return to_source(source, seen | {"updated_at": seen["now"]}, *seen["counts"])

        ask = self._work.rehearse if validate_only else self._work.run
        made = await ask(read, answer=answer)
        self._wake.set()
        return made

    def _check_config(self, source: Source) -> None:
        """Whether the plugin is there and understands the settings. Raises PluginUnavailable, ConfigInvalid."""
        self._plugins.get(KIND, source.kind)
        manifest = self._plugins.manifest(KIND, source.kind)
        wrong = tuple(_wrong_pem(source.policy))
        try:
            config_schema.normalise(manifest.extra.get("location", {"additionalProperties": True}), source.config)
        except ConfigInvalid as refusal:
            wrong += tuple(Violation(f"config{v.field}", v.description, v.rule) for v in refusal.violations)
        if wrong:
            raise ConfigInvalid(wrong)

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
        return rpc.ListIssuesResponse(issues=list(map(to_issue, cut.rows)), next_page_token=cut.next_page_token)


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


def _demand_place(source: Source) -> None:
    """A folder of the daemon's machine is trusted as it is, so who runs the machine says which. Raises TrustTooLow."""
    who = caller()
    if source.kind == FOLDER and not (who.is_service() or who.has_role("sovereign-admin")):
        raise TrustTooLow(source=source.name, scope=source.scope.name)


def _wrong_pem(policy: Policy) -> Iterator[Violation]:
    keys = {"keys": policy.keys, "log_keys": policy.log_keys, "certificate_log_keys": policy.certificate_log_keys}
    for field, pems in keys.items():
        for n, pem in enumerate(pems):
            if not is_key(pem):
                yield Violation(f"trust.{field}.{n}", "a public key in PEM is expected", "pem")
    for n, pem in enumerate(policy.authorities):
        if not is_certificate(pem):
            yield Violation(f"trust.authorities.{n}", "a certificate in PEM is expected", "pem")


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
    return to_source(source, row, *await tx.source_counts(source))


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
