"""The GraphQL read API: limits before anything is executed, the rights of REST, one read per kind of question."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from catalyst_gateway.graph.answers import Graph, QueryInvalid, QueryNotKept, QueryTooLarge, QueryTooSlow, kept_queries
from catalyst_gateway.graph.measure import MOST_ALIASES, QueryTooCostly, QueryTooDeep, QueryTooManyAliases
from catalyst_gateway.graph.schema import make
from catalyst_gateway.store import Store, metadata
from catalyst_gateway.transcode import BodyUnreadable
from catalyst_mesh import Caller, Database, Work, migrate
from catalyst_sdk import Refused
from graphql import build_schema, get_introspection_query, parse, validate
from graphql.utilities import find_breaking_changes
from sqlalchemy import event as sqlalchemy_event

from .test_model import ADMIN, MEMBER, NOON, event, pod

TRACE = "0" * 32
SCHEMA_PAGE = Path("docs/reference/schema.graphql")
RELEASED = Path("tests/contract/schemas/released.graphql")


@pytest.fixture
async def work(database: str) -> AsyncIterator[Work[Store]]:
    db = await Database.open(database)
    await migrate(db, "catalyst_gateway", metadata)
    made = Work(db, Store, metadata=metadata)
    async with made.transaction() as tx:
        await tx.tell([event(1, 10), event(2, 11, owner="rival"), event(3, 12), event(4, 10), event(5, 14, "deleted")])
        await tx.tell_runtime([pod("a", 1), pod("b", 1), pod("x", 1, "rival-prod")])
    yield made
    await db.close()


async def asked(graph: Graph, query: str, who: Caller = MEMBER, **variables: Any) -> Any:
    body = json.dumps({"query": query, "variables": variables}).encode()
    return json.loads((await graph.posted(who, body, TRACE)).content)


DEEP = "{ events(first: 1) { nodes { thing { events(first: 1) { nodes { thing { events(first: 1) { nodes { key } } } } } } } } }"
SPREAD = "query { events(first: 1) { ...A } } fragment A on EventConnection { nodes { thing { events(first: 1) { nodes { thing { events(first: 1) { ...B } } } } } } } fragment B on EventConnection { nodes { key } }"  # noqa: E501 - one query
BOMB = "query { ...F0 } " + " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(60))
BOMB += " fragment F60 on Query { events { nodes { key } } }"
COSTLY = "{ events(first: 100) { nodes { thing { events(first: 100) { nodes { key } } } } } }"
RING = "query { ...A } fragment A on Query { ...B } fragment B on Query { ...A }"
ALIASES = "{ " + " ".join(f"a{n}: events {{ nodes {{ key }} }}" for n in range(MOST_ALIASES + 1)) + " }"
SPREAD_ALIASES = "query { ...A ...B } fragment A on Query { x: __typename ...C ...C } fragment B on Query { ...C } fragment C on Query { a: __typename b: __typename c: __typename d: __typename e: __typename }"  # noqa: E501 - one query

LARGEST = "{ events(first: 100) { nodes { key version subject time number thing { key kind name body time } } } }"
REFUSED: list[tuple[str, type[Refused]]] = [
    (DEEP, QueryTooDeep),
    (SPREAD, QueryTooDeep),
    (BOMB, QueryTooCostly),
    (COSTLY, QueryTooCostly),
    (RING, QueryInvalid),
    (ALIASES, QueryTooManyAliases),
    (SPREAD_ALIASES, QueryTooManyAliases),
    ("{" + "x " * 3000 + "}", QueryTooLarge),
    ("# " + "x" * 70_000, QueryTooLarge),
    ("{" * 1500, QueryInvalid),
    ("", QueryInvalid),
    ("{ nothing }", QueryInvalid),
    ("mutation { x }", QueryInvalid),
    ("subscription { events }", QueryInvalid),
    ("query A { __typename } query B { __typename }", QueryInvalid),
    ("{ events(first: 9999999999999999) { nodes { key } } }", QueryInvalid),
]


@pytest.mark.either_database
async def test_what_is_too_large_is_refused_before_anything_is_executed(work: Work[Store]) -> None:
    statements: list[str] = []
    engine = work.db._reader.sync_engine
    sqlalchemy_event.listen(engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    for query, why in REFUSED:
        with pytest.raises(why):
            await asked(Graph(work), query)
    assert statements == []
    assert "errors" not in await asked(Graph(work), LARGEST)
    assert statements != []


@pytest.mark.either_database
async def test_a_page_size_in_a_variable_counts_as_it_is_given_and_at_most_as_it_is_let_through(
    work: Work[Store],
) -> None:
    query = "query Q($n: Int!) { events(first: $n) { nodes { thing { events(first: $n) { nodes { key } } } } } }"
    assert "errors" not in await asked(Graph(work), query, n=5)
    for n in (100, 10**6, "many", None, -1):
        with pytest.raises(QueryTooCostly):
            await asked(Graph(work), query, n=n)


async def test_what_rest_would_refuse_is_null_with_its_reason(work: Work[Store]) -> None:
    graph = Graph(work)
    of = 'thing(key: "zones/{}.example") {{ name }}'
    query = f'{{ own: {of.format(10)} {of.format(11)} environment(name: "rival-prod") {{ name }} }}'
    said = await asked(graph, query)
    assert said["data"] == {"own": {"name": "10.example"}, "thing": None, "environment": None}
    reasons = {e["path"][0]: (e["extensions"]["reason"], e["extensions"]["code"]) for e in said["errors"]}
    assert reasons == {
        "thing": ("THING_NOT_FOUND", "NOT_FOUND"), "environment": ("ENVIRONMENT_DENIED", "PERMISSION_DENIED"),
    }  # fmt: skip
    assert said["errors"][0]["extensions"]["traceId"] == TRACE
    absent = await asked(graph, '{ thing(key: "zones/99.example") { name } }')
    foreign = await asked(graph, '{ thing(key: "zones/11.example") { name } }')
    assert json.dumps(absent).replace("99", "11") == json.dumps(foreign)


async def test_lists_hold_what_the_caller_may_read_and_go_on_by_tokens(work: Work[Store]) -> None:
    graph = Graph(work)
    query = 'query Q($after: String!) { things(kind: "pooldomain.zone", first: 1, after: $after) { nodes { key } pageInfo { endCursor hasNextPage } } }'  # noqa: E501 - one query
    first = (await asked(graph, query, after=""))["data"]["things"]
    second = (await asked(graph, query, after=first["pageInfo"]["endCursor"]))["data"]["things"]
    assert [x["nodes"][0]["key"] for x in (first, second)] == ["zones/10.example", "zones/12.example"]
    assert second["pageInfo"] == {"endCursor": "", "hasNextPage": False}
    stolen = await asked(graph, query, ADMIN, after=first["pageInfo"]["endCursor"])
    assert stolen["errors"][0]["extensions"]["reason"] == "PAGE_TOKEN_INVALID"
    everything = await asked(graph, '{ things(kind: "pooldomain.zone") { nodes { key } } }', ADMIN)
    assert len(everything["data"]["things"]["nodes"]) == 3
    pods = '{ things(kind: "k8s.pod") { nodes { name } } }'
    assert len((await asked(graph, pods))["data"]["things"]["nodes"]) == 2
    assert (await asked(graph, pods, ADMIN))["data"]["things"]["nodes"] == []
    negative = await asked(graph, '{ things(kind: "k8s.pod", first: -1) { nodes { name } } }')
    assert negative["errors"][0]["extensions"]["reason"] == "PAGE_SIZE_INVALID"


async def test_many_things_with_their_events_are_two_reads(work: Work[Store]) -> None:
    statements: list[str] = []
    engine = work.db._reader.sync_engine
    sqlalchemy_event.listen(engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    query = '{ search(q: "example") { nodes { key events(first: 3) { nodes { number thing { key } } } } } }'
    said = await asked(Graph(work), query)
    assert [(n["key"], len(n["events"]["nodes"])) for n in said["data"]["search"]["nodes"]] == [
        ("zones/10.example", 2), ("zones/12.example", 1),
    ]  # fmt: skip
    assert (
        sum("FROM" in s and ("thing" in s or "stream_event" in s) for s in statements) == 3
    )  # and the things of the events


OWNED = {"provisioner": "organization", "environment": "organization", "pooldomain": "owner", "billing": "org"}
"""The field in which the events of a daemon say whose a thing is."""


def told(number: int, subject: str, aggregate: str, owner: str = "acme", **body: Any) -> dict[str, Any]:
    field = OWNED.get(subject.partition(".")[0], "owner")
    return {
        "event_id": f"told-{number}",
        "subject": f"catalyst.v1.{subject}",
        "aggregate": aggregate,
        "version": number,
        "time": NOON,
        "body": {field: f"organizations/{owner}", **body},
        "organization": owner,
        "major": number,
        "minor": 1,
    }


async def test_a_sovereign_is_what_was_told_of_it_whatever_of_it_was_told_last(work: Work[Store]) -> None:
    one, run = "sovereigns/acme", {"run": "sovereigns/acme/runs/run-1"}
    async with work.transaction() as tx:
        await tx.tell(
            [
                told(11, "provisioner.sovereign.created", one, sovereign=one, generation="1"),
                told(12, "provisioner.run.started", one, intent="INTENT_APPLY", actor="ada", **run),
                told(13, "provisioner.sovereign.activated", one, fqdn="acme.example", simulated=True),
                told(14, "provisioner.run.succeeded", one, intent="INTENT_APPLY", **run),
                told(15, "provisioner.access.granted", one),  # whose readers are fewer
                told(16, "provisioner.sovereign.created", "sovereigns/rival", "rival"),
            ]
        )  # fmt: skip - an event a row
    query = "{ sovereigns { nodes { name state fqdn generation runs { nodes { name state actor } } } } }"
    (seen,) = (await asked(Graph(work), query))["data"]["sovereigns"]["nodes"]
    assert seen == {
        "name": one,
        "state": "ACTIVATED",
        "fqdn": "acme.example",
        "generation": "1",
        "runs": {"nodes": [{"name": run["run"], "state": "SUCCEEDED", "actor": "ada"}]},
    }  # fmt: skip - one answer
    everyone = await asked(Graph(work), query, ADMIN)
    assert [x["name"] for x in everyone["data"]["sovereigns"]["nodes"]] == [one, "sovereigns/rival"]
    foreign = await asked(Graph(work), '{ sovereign(name: "sovereigns/rival") { name } }')
    assert (foreign["data"]["sovereign"], foreign["errors"][0]["extensions"]["reason"]) == (None, "THING_NOT_FOUND")
    query = '{ things(kind: "provisioner.sovereign") { nodes { key events(first: 1) { nodes { number } } } } }'
    last = {"nodes": [{"number": "12"}]}  # not that of the grant
    assert (await asked(Graph(work), query))["data"]["things"]["nodes"] == [{"key": one, "events": last}]
    beside = (
        '{{ thing(key: "sovereigns/acme#provisioner.{}") {{ kind name events {{ nodes {{ thing {{ key }} }} }} }} }}'
    )
    hidden = await asked(Graph(work), beside.format("access"))
    assert (hidden["data"]["thing"], hidden["errors"][0]["extensions"]["reason"]) == (None, "THING_NOT_FOUND")
    run_ = (await asked(Graph(work), beside.format("run")))["data"]["thing"]
    assert (run_["kind"], run_["name"]) == ("provisioner.run", "acme")
    assert run_["events"]["nodes"] == [{"thing": {"key": one}}] * 4


TYPES = {
    "pools/omani.works/allocations/acme": (
        "allocation",
        "pooldomain.allocation.reserved",
        {"fqdn": "acme.omani.works"},
    ),
    "zones/acme.example": ("zone", "pooldomain.zone.signed", {"serial": "7"}),
    "billingAccounts/acme/orders/o-1": ("order", "billing.order.paid", {"plan": "m"}),
    "namespaces/acme/continuums/shop": ("slot", "continuum.continuum.created", {"primaryRegion": "east"}),
    "organizations/acme": ("organization", "environment.organization.updated", {"displayName": "Acme"}),
    "environments/acme-prod/applications/blog": ("application", "environment.application.updated", {"digest": "d1"}),
}


@pytest.mark.either_database
async def test_each_type_is_found_by_its_name_and_in_its_list_by_one_read_of_each(work: Work[Store]) -> None:
    async with work.transaction() as tx:
        await tx.tell([told(20 + n, type[1], key, **type[2]) for n, (key, type) in enumerate(TYPES.items())])
    graph, admin = Graph(work), Caller("olga", groups=frozenset({"/acme/org-admin"}))
    for key, (type, _, body) in TYPES.items():
        ((field, value),) = body.items()
        query = f'{{ {type}(name: "{key}") {{ name {field} }} {type}s(first: 5) {{ nodes {{ name {field} }} }} }}'
        said = await asked(graph, query, admin)
        assert said["data"][type] == {"name": key, field: value}
        assert said["data"][type] in said["data"][f"{type}s"]["nodes"]
        assert (await asked(graph, query, Caller("sam")))["data"] == {type: None, f"{type}s": {"nodes": []}}
    inside = '{ environment(name: "acme-prod") { applications { nodes { name } } } }'
    assert len((await asked(graph, inside, admin))["data"]["environment"]["applications"]["nodes"]) == 1


@pytest.mark.either_database
async def test_an_environment_is_told_by_state_with_backing_services_apart_and_who_uses_them(work: Work[Store]) -> None:
    stand = {"blog": ("ACTIVE", ["db"], False), "db": ("ACTIVE", [], True), "wiki": ("FAILED", ["db"], False)}
    async with work.transaction() as tx:
        former = told(59, "environment.application.updated", "environments/acme-prod/applications/db", uses=["old"])
        await tx.tell([former])
        for n, (app, (state, uses, backing)) in enumerate(stand.items()):
            key = f"environments/acme-prod/applications/{app}"
            fact: dict[str, Any] = {"uses": uses} if uses else {"backing": backing}  # what is empty is not said
            word = "installed" if app == "blog" else "updated"  # which says no state
            said_of = fact if app == "blog" else {**fact, "state": state}
            await tx.tell([told(60 + n, f"environment.application.{word}", key, **said_of)])
        other = told(70, "environment.application.updated", "environments/acme-dev/applications/x", uses=["db"])
        await tx.tell([other])
    admin = Caller("olga", groups=frozenset({"/acme/org-admin"}))
    groups = "byState { groups { state backing nodes { name uses usedBy { nodes { name } } } } }"
    statements: list[str] = []
    engine = work.db._reader.sync_engine
    sqlalchemy_event.listen(engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    said = await asked(Graph(work), f'{{ environment(name: "acme-prod") {{ {groups} }} }}', admin)
    assert [
        (one["state"], one["backing"], [app["name"].rpartition("/")[2] for app in one["nodes"]])
        for one in said["data"]["environment"]["byState"]["groups"]
    ] == [("ACTIVE", False, ["blog"]), ("FAILED", False, ["wiki"]), ("ACTIVE", True, ["db"])]
    (db,) = said["data"]["environment"]["byState"]["groups"][2]["nodes"]
    assert [one["name"].rpartition("/")[2] for one in db["usedBy"]["nodes"]] == ["blog", "wiki"]
    assert db["uses"] == [], "what it used once"
    assert sum("FROM" in s and ("thing" in s or "stream_event" in s) for s in statements) == 4, "however many ask"


async def test_plans_of_a_sovereign_tell_what_a_month_would_cost_more(work: Work[Store]) -> None:
    one, plan = "sovereigns/acme", "sovereigns/acme/plans/plan-1"
    price = {"month": {"minor": "-1460", "currency": "EUR"}, "hourMicros": "-20000"}
    made = {"plan": plan, "intent": "INTENT_APPLY", "applicable": True, "difference": price, "actor": "ada"}
    async with work.transaction() as tx:
        await tx.tell(
            [
                told(80, "provisioner.sovereign.created", one, sovereign=one),
                told(81, "provisioner.plan.created", one, **made),
                told(82, "provisioner.plan.created", one, plan=plan + "2", errorCodes=["quota.servers"]),
                told(83, "provisioner.plan.applied", one, plan=plan, actor="bo"),
            ]
        )  # fmt: skip - an event a row
    query = "{ sovereigns { nodes { plans { nodes { name state applicable errorCodes difference { minor currency } } } } } }"
    (seen,) = (await asked(Graph(work), query, ADMIN))["data"]["sovereigns"]["nodes"]
    said = {row["name"]: row for row in seen["plans"]["nodes"]}
    assert said[plan] == {
        "name": plan,
        "state": "APPLIED",
        "applicable": True,
        "errorCodes": [],
        "difference": price["month"],
    }  # fmt: skip - one answer
    other = said[plan + "2"]
    assert (other["state"], other["difference"], other["errorCodes"]) == ("CREATED", None, ["quota.servers"])


@pytest.mark.either_database
async def test_applications_are_picked_by_their_blueprint_and_no_other_is_taken_for_it(work: Work[Store]) -> None:
    installed = {"blog": "bp-ghost", "wiki": "bp-ghost-pro", "odd": "bp_ghost"}
    async with work.transaction() as tx:
        for n, (app, blueprint) in enumerate(installed.items()):
            key = f"environments/acme-prod/applications/{app}"
            fact = {"blueprint": f"blueprints/{blueprint}", "blueprintVersion": "1.0.0", "state": "ACTIVE"}
            await tx.tell([told(40 + n, "environment.application.updated", key, **fact)])
    graph, admin = Graph(work), Caller("olga", groups=frozenset({"/acme/org-admin"}))
    pick = 'applications(blueprint: "blueprints/bp-ghost") { nodes { name blueprintVersion state } }'
    said = (await asked(graph, f'{{ {pick} environment(name: "acme-prod") {{ {pick} }} }}', admin))["data"]
    found = {
        "nodes": [{"name": "environments/acme-prod/applications/blog", "blueprintVersion": "1.0.0", "state": "ACTIVE"}]
    }
    assert said == {"applications": found, "environment": {"applications": found}}
    assert (await asked(graph, f"{{ {pick} }}", Caller("sam")))["data"] == {"applications": {"nodes": []}}


@pytest.mark.either_database
async def test_kept_queries_are_asked_for_by_their_digest_and_fit_the_schema(work: Work[Store]) -> None:
    graph = Graph(work)
    assert len(kept_queries()) >= 2
    for text in kept_queries().values():
        assert validate(graph.schema._schema, parse(text)) == []
    (timeline,) = (digest for digest, text in kept_queries().items() if text.startswith("query Timeline"))
    answer = json.loads((await graph.answer(MEMBER, graph.kept(timeline), {}, None, TRACE)).content)
    assert [n["number"] for n in answer["data"]["events"]["nodes"]] == ["7", "6", "5", "4", "3", "1"]
    by_post = await graph.posted(MEMBER, json.dumps({"id": timeline}).encode(), TRACE)
    assert json.loads(by_post.content) == answer
    with pytest.raises(QueryNotKept):
        graph.kept("0" * 64)
    for body in (b"[]", b'{"query": 7}', b'{"query": "{__typename}", "variables": []  , "more": 1}'):
        with pytest.raises((BodyUnreadable, QueryInvalid)):
            await graph.posted(MEMBER, body, TRACE)


@pytest.mark.either_database
async def test_the_schema_can_be_asked_for_and_a_slow_query_ends(work: Work[Store]) -> None:
    told = await asked(Graph(work), get_introspection_query())
    assert "errors" not in told
    with pytest.raises(QueryTooSlow):
        await asked(Graph(work, patience=0.0), "{ events { nodes { key } } }")


def test_the_reference_shows_the_schema_and_it_only_grows() -> None:
    """After a change: `python -m catalyst_gateway.graph > docs/reference/schema.graphql`; at a release, copy it."""
    now = make()
    assert SCHEMA_PAGE.read_text() == now.as_str() + "\n"
    broken = find_breaking_changes(build_schema(RELEASED.read_text()), now._schema)
    assert [change.description for change in broken] == []
