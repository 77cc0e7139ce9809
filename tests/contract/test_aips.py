"""The contracts keep the rules of conventions, section 1: shapes of methods, fields that must be there, words at everything.

What departs from a rule stands in a list with its reason, and an entry that departs no longer fails: lists only shrink.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

import pytest

from . import contracts
from .contracts import Field, Rpc

SLOW = "google.longrunning.Operation"

NOT_THE_RESOURCE = {
    "AccountService.GetAccount": "a billing account is BillingAccount in full, since an account of the ledger is another thing",
    "AccountService.UpdateAccount": "as GetAccount",
    "CatalogService.GetVersion": "a version of a Blueprint is BlueprintVersion in full: many things have versions",
    "SubscriptionService.GetRevenue": "a report over the book, computed when it is asked for, not a resource with a name",
    "ZoneService.GetDnssec": "the one DNSSEC state of a zone is ZoneDnssec in full",
    "OrderService.CreateTopUp": "an order of another kind; it answers the Order that CreateOrder would",
    "PlanService.CreatePlan": "made by the daemon from intent and spec, so the request has no plan to carry",
    "OrderService.CreateOrder": "made from a quote, so the request has no order to carry",
    "QuoteService.CreateQuote": "made from a selection, so the request has no quote to carry",
}
"""Standard methods whose answer or request is not simply the resource of their name."""

NO_RETRY_KEY = {
    "VoucherService.PreviewVoucher": "writes nothing; a POST because a code must not stand in a path",
    "ProviderService.ReceiveWebhook": "the provider's own event id is the key, and its body is not ours to shape",
    "CatalogService.Resolve": "writes nothing; a POST because the question is a document",
    "CatalogService.ValidateConfig": "as Resolve",
    "CatalogService.LintBlueprint": "as Resolve",
    "CatalogService.SelectComponents": "as Resolve",
    "CatalogService.PlanInstall": "as Resolve",
    "StorefrontService.CheckCapacity": "as Resolve",
    "ContinuumService.PlanRun": "as Resolve",
    "EventService.ReplayEvents": "idempotent by itself: the events keep their ids, so a consumer that handled one does nothing",
    "EventService.ReplayDeadLetter": "idempotent by itself: the letter's name is the key, its event has one effect",
    "EventService.DiscardDeadLetter": "idempotent by itself: what is gone stays gone",
    "ZoneService.CheckPropagation": "asks servers, writes nothing; a stream",
    "RegistrarService.ValidateRegistrarAccess": "asks the registrar, writes nothing; a POST because secrets travel in it",
}
"""Methods that are asked by POST without a `request_id`."""

NO_ETAG = {
    "AllocationService.UpdateAllocation": "optional: a switchover carries `epoch`, which is stronger than an etag",
}
"""Updates and deletes that may be asked without the etag that was read."""

NO_DRY_RUN = {
    "AccountService.EnsureAccount": "makes what is not there or answers what is; there is nothing to rehearse",
}
"""Standard writes without `validate_only`."""

MORE_THAN_ROWS = {
    "RunService.ListSteps": "the page of a run shows how many steps are where, from the same snapshot as the rows",
    "InfrastructureService.ListComponents": "as ListSteps",
    "InfrastructureService.ListLedger": "the revision of the whole ledger, by which a reader sees that it moved between pages",
    "RunService.ListEvents": "the newest number of the run, from which WatchEvents goes on",
    "RunService.ListLogs": "as ListEvents",
    "CatalogService.ListBlueprints": "an Organization's private ones are asked by the query; the Sovereign's have no parent",
}
"""Lists whose answer has more than rows, `next_page_token` and `unreachable`, or whose parent is optional."""

OTHER_MOMENTS = {
    "catalyst.mesh.v1.Condition.since": "a word of architecture, section 4",
    "catalyst.provisioner.v1.Component.since": "as Condition.since",
    "catalyst.billing.v1.UsageEvent.time": "CloudEvents' own attribute, which meters send",
    "catalyst.billing.v1.UsageRecorded.time": "the same, as the stream tells it",
    "catalyst.provisioner.v1.RunEvent.time": "an entry of a log: its moment, as in CloudEvents",
    "catalyst.provisioner.v1.LogLine.time": "as RunEvent.time",
    "catalyst.provisioner.v1.AgentReport.time": "as RunEvent.time",
    "catalyst.provisioner.v1.AgentLogLines.Line.time": "as RunEvent.time",
    "catalyst.provisioner.v1.DestroyReport.sweep_times": "several moments",
}
"""Moments that do not end in `_time`."""

NO_ROUTE = {
    "AgentService": "agents speak gRPC over a bidirectional stream",
    "ContinuumPeerService": "continuum speaks to itself in another cluster",
    "WorkloadService": "the daemon of Environments tells whole lists; people see what became of them at each Application",
}
"""Services without REST."""

SAME_SHAPE = {
    "AgentService": "enrolment and reports carry keys and numbers of their own, which drop what comes twice",
    "ContinuumPeerService": "epoch and sequence number each message; a repeat has no second effect",
    "WorkloadService": "each call carries the whole list and a fence; the same list again writes nothing",
}
"""Services whose writes take no `request_id`."""


def departures(rule: Callable[[Rpc], Iterable[str]], allowed: Mapping[str, str]) -> dict[str, list[str]]:
    """What breaks `rule` without a reason in the list, and what stands in the list without breaking it."""
    broken = {rpc.name: list(rule(rpc)) for rpc in contracts.rpcs()}
    wrong = {name: why for name, why in broken.items() if why and name not in allowed}
    return {**wrong, **{name: ["needs no exception"] for name in allowed if not broken.get(name)}}


def has(rpc: Rpc, name: str, kind: int, mark: str) -> Iterator[str]:
    """Says what is wrong with the request's field `name`."""
    field = rpc.field(name)
    if field is None:
        yield f"no {name}"
    elif field.type != kind or contracts.behaviours(field) != {mark}:
        yield f"{name} is not {mark} or of another type"


def is_the_resource(rpc: Rpc) -> Iterator[str]:
    short = rpc.answers.rsplit(".", 1)[1]
    for verb, http in (("Get", "get"), ("Create", "post"), ("Update", "patch")):
        if kind := rpc.standard(verb):
            if short != kind:
                yield f"answers {short}"
            if rpc.verb != http:
                yield f"is {rpc.verb}"
            if verb != "Get" and not any(f.type_name.endswith(f".{kind}") for f in rpc.request.field):
                yield f"takes no {kind}"
            if verb == "Get":
                yield from has(rpc, "name", Field.TYPE_STRING, "REQUIRED")


def test_standard_methods_take_and_answer_the_resource() -> None:
    assert departures(is_the_resource, NOT_THE_RESOURCE) == {}


def is_a_list(rpc: Rpc) -> Iterator[str]:
    if not rpc.standard("List"):
        return
    assert rpc.answer is not None
    yield from has(rpc, "page_size", Field.TYPE_INT32, "OPTIONAL")
    yield from has(rpc, "page_token", Field.TYPE_STRING, "OPTIONAL")
    names = [f.name for f in rpc.answer.field if f.name != "unreachable"]
    if rpc.answer.field[0].label != Field.LABEL_REPEATED or names[1:] != ["next_page_token"]:
        yield f"answers {names}"
    if rpc.verb != "get" or rpc.body:
        yield "is no plain GET"
    if ("parent" in rpc.path) != (rpc.field("parent") is not None):
        yield "its parent is not in its path"


def test_every_list_has_pages_and_nothing_beside_its_rows() -> None:
    assert departures(is_a_list, MORE_THAN_ROWS) == {}


def test_whatever_answers_a_token_takes_one() -> None:
    paged = [r for r in contracts.rpcs() if r.answer and any(f.name == "next_page_token" for f in r.answer.field)]
    assert len(paged) > 45
    assert [r.name for r in paged if not (r.field("page_size") and r.field("page_token"))] == []


def page_size_says_its_bounds(rpc: Rpc) -> Iterator[str]:
    field = rpc.field("page_size")
    if field is not None and not contracts.rules(field).int32.HasField("gte"):
        yield "a negative page_size is not refused by the contract"


def test_the_contract_itself_refuses_a_negative_page_size() -> None:
    assert departures(page_size_says_its_bounds, {}) == {}


def is_guarded(rpc: Rpc) -> Iterator[str]:
    if rpc.standard("Update") or rpc.standard("Delete"):
        yield from has(rpc, "etag", Field.TYPE_STRING, "REQUIRED")


def test_updates_and_deletes_need_the_etag_that_was_read() -> None:
    assert departures(is_guarded, NO_ETAG) == {}


def keeps_its_etag(rpc: Rpc) -> Iterator[str]:
    if rpc.field("etag") is not None and rpc.answer is not None and rpc.standard("Update"):
        tag = next((f for f in rpc.answer.field if f.name == "etag"), None)
        if tag is None or "OUTPUT_ONLY" not in contracts.behaviours(tag):
            yield "answers no etag for the next one"


def test_what_is_guarded_by_an_etag_shows_it() -> None:
    assert departures(keeps_its_etag, {}) == {}


def is_an_update(rpc: Rpc) -> Iterator[str]:
    if not rpc.standard("Update"):
        return
    mask = rpc.field("update_mask")
    if mask is None or mask.type_name != ".google.protobuf.FieldMask":
        yield "no update_mask"
    if not rpc.body or rpc.body == "*" or f"{{{rpc.body}.name=" not in rpc.path:
        yield f"its body is {rpc.body!r}, its path {rpc.path}"


def test_updates_are_patches_with_a_mask() -> None:
    assert departures(is_an_update, {}) == {}


def is_a_delete(rpc: Rpc) -> Iterator[str]:
    if kind := rpc.standard("Delete"):
        yield from has(rpc, "name", Field.TYPE_STRING, "REQUIRED")
        if rpc.verb != "delete" or rpc.body:
            yield "is no DELETE"
        if rpc.answers.rsplit(".", 1)[1] not in ("Empty", kind):
            yield f"answers {rpc.answers}"


def test_deletes_answer_nothing_or_what_is_on_its_way_out() -> None:
    assert departures(is_a_delete, {}) == {}


def can_be_repeated(rpc: Rpc) -> Iterator[str]:
    writes = rpc.verb != "get" and rpc.service.rsplit(".", 1)[1] not in SAME_SHAPE
    if not writes:
        if rpc.field("request_id") is not None:
            yield "reads, and takes a request_id"
        return
    yield from has(rpc, "request_id", Field.TYPE_STRING, "OPTIONAL")
    field = rpc.field("request_id")
    if field is not None and not contracts.rules(field).string.uuid:
        yield "request_id need not be a UUID"


def test_everything_that_writes_takes_a_uuid_as_retry_key() -> None:
    assert departures(can_be_repeated, NO_RETRY_KEY) == {}


def can_be_rehearsed(rpc: Rpc) -> Iterator[str]:
    if any(rpc.standard(verb) for verb in ("Create", "Update", "Delete", "Ensure")):
        yield from has(rpc, "validate_only", Field.TYPE_BOOL, "OPTIONAL")


def test_standard_writes_can_be_rehearsed() -> None:
    assert departures(can_be_rehearsed, NO_DRY_RUN) == {}


def has_a_route(rpc: Rpc) -> Iterator[str]:
    if not rpc.verb and rpc.service.rsplit(".", 1)[1] not in NO_ROUTE:
        yield "no google.api.http"
    if rpc.verb == "post" and not rpc.standard("Create") and ":" not in rpc.path.rsplit("/", 1)[1]:
        yield f"a custom verb without `:verb`: {rpc.path}"


CUSTOM_PATHS = {
    "ContinuumService.StartRun": "a run is made in its collection",
    "ZoneService.ImportZone": "an import is made in its collection",
    "ZoneService.PlanZone": "a plan is made in its collection",
    "ProviderService.ReceiveWebhook": "the address that is registered at the provider",
}
"""Custom methods that are asked by POST to a collection, because they make one of its members."""


def test_every_method_has_a_route_and_custom_ones_say_their_verb() -> None:
    assert departures(has_a_route, CUSTOM_PATHS) == {}


def test_no_two_methods_share_a_route() -> None:
    routes = [(r.verb, r.path) for r in contracts.rpcs() if r.verb]
    assert len(routes) == len(set(routes))


SLOW_VERBS = ("Start", "Apply", "Sync", "Import", "Prove", "Roll", "Disable", "Detect", "Export", "Force", "Verify")
AT_ONCE = {
    "ZoneService.ExportZone": "reads one zone and answers it",
    "StorefrontService.ImportSeed": "compares some sixty rows with those that ship with the release",
    "ApplicationService.RollbackApplication": "stores the wish; the Application names the operation, as all its methods do",
    "WebhookService.DisableWebhook": "turns one row; what waits goes on waiting",
    "WorkloadService.SyncWorkloads": "stores the list and answers what was seen; agents act on it by themselves",
    "AllocationService.ForceReleaseAllocation": "stores the wish; the name's own conditions say how far it is",
}
"""Methods whose verb sounds slow, but which answer at once."""


def is_slow(rpc: Rpc) -> Iterator[str]:
    if rpc.method.name.startswith(SLOW_VERBS) and rpc.answers != SLOW:
        yield f"answers {rpc.answers}"


def test_slow_work_answers_an_operation() -> None:
    assert departures(is_slow, AT_ONCE) == {}


def test_operations_say_what_they_will_answer() -> None:
    slow = [rpc for rpc in contracts.rpcs() if rpc.answers == SLOW]
    assert len(slow) > 10
    assert [rpc.name for rpc in slow if not all(rpc.promised)] == []


def test_every_field_that_a_caller_sends_says_who_sets_it() -> None:
    silent = [
        f"{name}.{field.name}"
        for name in sorted(contracts.asked())
        for field in contracts.messages()[name].field
        if not contracts.behaviours(field)
    ]
    assert silent == []


def test_every_service_method_message_field_and_value_has_words() -> None:
    assert list(contracts.without_comment()) == []


def test_moments_end_in_time_and_nothing_is_a_float() -> None:
    fields = [(name, f) for name, message in contracts.messages().items() for f in message.field]
    moments = {f"{n}.{f.name}" for n, f in fields if f.type_name == ".google.protobuf.Timestamp"}
    assert {m for m in moments if not m.endswith("_time")} == set(OTHER_MOMENTS)
    assert [f"{n}.{f.name}" for n, f in fields if f.type in (Field.TYPE_DOUBLE, Field.TYPE_FLOAT)] == []


def test_zero_of_every_enum_says_that_nothing_was_said() -> None:
    enums = [(name, e) for name, message in contracts.messages().items() for e in message.enum_type]
    enums += [(file.package, e) for file in contracts.files() for e in file.enum_type]
    assert len(enums) > 60
    assert [f"{n}.{e.name}" for n, e in enums if not e.value[0].name.endswith("_UNSPECIFIED")] == []


@pytest.mark.parametrize("rpc", [r for r in contracts.rpcs() if r.answer], ids=lambda rpc: rpc.name)
def test_states_are_output_only(rpc: Rpc) -> None:
    assert rpc.answer is not None
    named = not rpc.answer.name.endswith("Response")
    states = [f for f in rpc.answer.field if named and f.type == Field.TYPE_ENUM and f.name == "state"]
    assert [f.name for f in states if "OUTPUT_ONLY" not in contracts.behaviours(f)] == []
