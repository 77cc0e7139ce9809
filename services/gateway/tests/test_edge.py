"""The edge over real HTTP, in front of a real daemon."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from catalyst.provisioner.v1.resources_pb2 import Sovereign
from catalyst.provisioner.v1.service_pb2 import CreateSovereignRequest
from catalyst.provisioner.v1.service_pb2_grpc import SovereignServiceStub
from catalyst_gateway.app import compose
from catalyst_gateway.graph.answers import kept_queries
from catalyst_gateway.settings import GatewaySettings
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, running
from catalyst_testkit.servers import NatsServer, free_port

from . import backends

pytestmark = pytest.mark.either_database


@dataclass
class Edge:
    url: str
    backend: RunningDaemon
    admin: dict[str, str]

    def client(self, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, headers=headers or self.admin, timeout=60)


@pytest.fixture
async def edge(home: Path, clean_nats: NatsServer, second_database: str) -> AsyncIterator[Edge]:
    port = free_port()
    (home / "gateway").mkdir()
    (home / "gateway" / "issuer").symlink_to(home / "issuer")
    (home / "code").write_text("12345678")
    async with running(backends.compose, backends.BackendSettings, home, nats_url=clean_nats.url) as backend:
        token = backend.issuer.token("admin", roles=["sovereign-admin"])
        (home / "operator").write_text(token)
        values = {
            "database_url": second_database, "nats_url": clean_nats.url,
            "http_listen": f"127.0.0.1:{port}", "provisioner_target": backend.target, "development": True,
            "login_code_file": home / "code", "operator_token_file": home / "operator",
        }  # fmt: skip
        dead = {f"{name}_target": "127.0.0.1:9" for name in ("catalog", "pdm", "continuum", "billing")}
        async with running(compose, GatewaySettings, home / "gateway", **values, **dead):
            edge = Edge(f"http://127.0.0.1:{port}", backend, {"authorization": f"Bearer {token}"})
            await eventually(lambda: _up(edge), within=60)
            yield edge


async def _up(edge: Edge) -> bool:
    try:
        async with edge.client() as http:
            return (await http.get("/v1/openapi.json")).status_code == 200
    except httpx.TransportError:
        return False


async def test_a_resource_is_written_and_read_as_json(edge: Edge) -> None:
    async with edge.client() as http:
        made = await http.post("/v1/sovereigns", json={"name": "sovereigns/acme"})
        assert made.status_code == 200, made.text
        read = await http.get("/v1/sovereigns/acme")
        assert read.json()["name"] == "sovereigns/acme"
        listed = await http.get("/v1/sovereigns", params={"pageSize": "1"})
        assert [s["name"] for s in listed.json()["sovereigns"]] == ["sovereigns/acme"]


async def test_refusals_are_problems_with_reason_and_trace(edge: Edge) -> None:
    async with edge.client() as http:
        answer = await http.get("/v1/sovereigns/nobody")
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert (problem["reason"], problem["code"]) == ("SOVEREIGN_NOT_FOUND", "NOT_FOUND")
    assert problem["metadata"] == {"name": "sovereigns/nobody"}
    assert len(problem["traceId"]) == 32


BAD = [
    ("GET", "/v1/nothing", None, 404, "PATH_NOT_FOUND"),
    ("PUT", "/v1/sovereigns", b"{}", 405, "METHOD_NOT_ALLOWED"),
    ("POST", "/v1/sovereigns", b"{", 400, "BODY_INVALID"),
    ("POST", "/v1/sovereigns", b"[]", 400, "BODY_INVALID"),
    ("POST", "/v1/sovereigns", b'{"nmae": "x"}', 422, "REQUEST_INVALID"),
    ("POST", "/v1/sovereigns", b'{"name": 7}', 422, "REQUEST_INVALID"),
    ("POST", "/v1/sovereigns", b'{"name": "' + b"x" * 1_100_000 + b'"}', 413, "BODY_TOO_LARGE"),
    ("GET", "/v1/sovereigns?pageSize=-1", None, 422, "REQUEST_INVALID"),
    ("GET", "/v1/sovereigns?colour=red", None, 422, "REQUEST_INVALID"),
    ("GET", "/v1/operations/nobody-1", None, 404, "OPERATION_NOT_FOUND"),
    ("GET", "/v1/pools", None, 503, "PEER_UNAVAILABLE"),
]


async def test_bad_requests_are_told_precisely(edge: Edge) -> None:
    async with edge.client() as http:
        for verb, path, body, status, reason in BAD:
            answer = await http.request(verb, path, content=body, headers={"content-type": "application/json"})
            told = (answer.status_code, answer.json()["reason"])
            assert told == (status, reason), f"{verb} {path} {(body or b'')[:40]!r}: {answer.text[:300]}"
            assert "Traceback" not in answer.text


async def test_a_violation_says_where_in_the_body_it_stands(edge: Edge) -> None:
    async with edge.client() as http:
        answer = await http.post(
            "/v1/sovereigns", json={"name": "sovereigns/acme", "spec": {"organization": {"adminEmail": 7}}}
        )
    (violation,) = answer.json()["violations"]
    assert violation["field"] == "sovereign.spec.organization.admin_email"
    assert violation["pointer"] == "#/spec/organization/adminEmail"


async def test_another_media_type_is_refused(edge: Edge) -> None:
    async with edge.client() as http:
        answer = await http.post("/v1/sovereigns", content=b"a=1", headers={"content-type": "text/csv"})
    assert (answer.status_code, answer.json()["reason"]) == (415, "MEDIA_TYPE_UNSUPPORTED")


async def test_nobody_gets_in_without_a_token(edge: Edge) -> None:
    async with edge.client(accept="*/*") as http:
        for path in ("/v1/sovereigns", "/v1/stream", "/v1/plugins", "/v1/sovereigns/x/runs/y/events:stream"):
            answer = await http.get(path)
            if answer.headers["content-type"].startswith("text/event-stream"):
                assert "TOKEN_REJECTED" in answer.text
            else:
                assert answer.status_code == 401, path


async def test_the_code_of_development_opens_a_session_that_no_other_site_can_use(edge: Edge) -> None:
    async with edge.client(accept="*/*") as http:
        wrong = await http.post("/v1/auth/login", json={"code": "0"})
        assert (wrong.status_code, wrong.json()["reason"]) == (401, "LOGIN_CODE_REJECTED")
        form = await http.post(
            "/console/sign-in/code", data={"code": " 12345678 ", "next": "/console/sovereigns?page=2"}
        )
        assert (form.status_code, form.headers["location"]) == (303, "/console/sovereigns?page=2")
        given = form.headers["set-cookie"]
        assert all(word in given for word in ("__Host-catalyst=", "HttpOnly", "Secure", "SameSite=Lax", "Path=/"))
    # As a browser does on its own machine; this client keeps a secure cookie for TLS.
    async with edge.client(cookie=given.partition(";")[0]) as http:
        page = await http.get("/console/sovereigns")
        assert (page.status_code, "There is no Sovereign yet." in page.text) == (200, True)
        (token,) = set(re.findall('name="csrf" value="([0-9a-f]+)"', page.text))
        forged = await http.post("/v1/sovereigns", json={"name": "sovereigns/evil"})
        assert (forged.status_code, forged.json()["reason"]) == (403, "CROSS_SITE")
        own = await http.post("/v1/sovereigns", json={"name": "sovereigns/mine"}, headers={"x-csrf-token": token})
        assert own.status_code == 200
        out = await http.post("/console/sign-out", data={"csrf": token})
        assert "Max-Age=0" in out.headers["set-cookie"]
        # Not only in that browser: what was in its cookie opens nothing any more.
        assert (await http.get("/console/sovereigns")).status_code == 303
        assert (await http.get("/v1/sovereigns")).status_code == 401


async def test_nobody_is_sent_to_another_site_by_our_sign_in(edge: Edge) -> None:
    async with edge.client(accept="*/*") as http:
        for away in ("https://evil.test/", "//evil.test/", "/console//evil.test", "/\\evil.test", "/v1/stream"):
            form = await http.post(
                "/console/sign-in/code", data={"code": "12345678", "next": away}, headers={"cookie": ""}
            )
            assert form.headers["location"] == "/console"


async def frames(answer: httpx.Response, most: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    current: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line.startswith(":"):
            continue
        if not line:
            if current:
                found.append(current)
            current = {}
            if len(found) >= most:
                return found
            continue
        key, _, value = line.partition(": ")
        current[key] = value
    return found


async def test_a_run_is_followed_and_resumed_by_its_numbers(edge: Edge) -> None:
    path = "/v1/sovereigns/acme/runs/run-1/events:stream"
    async with edge.client() as http:
        async with http.stream("GET", path) as answer:
            whole = await frames(answer, 6)
        assert [f.get("id") for f in whole] == ["1", "2", "3", "4", "5", None]
        assert whole[-1]["event"] == "done"
        async with http.stream("GET", path, headers={"last-event-id": "3"}) as answer:
            assert [f.get("id") for f in await frames(answer, 3)] == ["4", "5", None]


async def test_the_stream_tells_what_happens_and_goes_on_after_a_break(edge: Edge) -> None:
    async with edge.client() as http:
        for name in ("one", "two"):
            await http.post("/v1/sovereigns", json={"name": f"sovereigns/{name}"})
        async with http.stream("GET", "/v1/stream", headers={"last-event-id": "0"}) as answer:
            first, second = await frames(answer, 2)
        assert json.loads(first["data"])["aggregate"] == "sovereigns/one"
        async with http.stream("GET", "/v1/stream", headers={"last-event-id": first["id"]}) as answer:
            assert (await frames(answer, 1))[0] == second
        async with http.stream("GET", "/v1/stream", headers={"last-event-id": "ffffffff:1"}) as answer:
            assert (await frames(answer, 1))[0]["event"] == "reset"


async def test_a_member_hears_only_of_the_own_organization(edge: Edge) -> None:
    token = edge.backend.issuer.token("ann", groups=["/acme/org-viewer"])
    async with edge.client() as admin, edge.client(authorization=f"Bearer {token}") as member:
        for name, org in (("one", "rival"), ("two", "acme")):
            sovereign = {"name": f"sovereigns/{name}", "spec": {"organization": {"slug": org}}}
            assert (await admin.post("/v1/sovereigns", json=sovereign)).status_code == 200
        async with member.stream("GET", "/v1/stream", headers={"last-event-id": "0"}) as answer:
            assert json.loads((await frames(answer, 1))[0]["data"])["aggregate"] == "sovereigns/two"
        foreign = await member.get("/v1/stream", params={"topics": "ws.rival-prod."})
        daemon = edge.backend.issuer.token("billing", service="billing")
        unknown = await member.get("/v1/stream", headers={"authorization": f"Bearer {daemon}"})
    assert (foreign.status_code, foreign.json()["reason"]) == (403, "TOPIC_DENIED")
    assert (unknown.status_code, unknown.json()["reason"]) == (403, "PEOPLE_ONLY")


async def test_a_topic_narrows_the_stream(edge: Edge) -> None:
    async with edge.client() as http:
        await http.post("/v1/sovereigns", json={"name": "sovereigns/one"})
        query = {"topics": "catalyst.v1.provisioner."}
        async with http.stream("GET", "/v1/stream", params=query, headers={"last-event-id": "0"}) as answer:
            assert (await frames(answer, 1))[0]["event"] == "catalyst.v1.provisioner.sovereign.created"


async def test_events_are_sent_again_and_a_browser_sees_none_twice(edge: Edge) -> None:
    async with edge.client() as http:
        for name in ("one", "two"):
            await http.post("/v1/sovereigns", json={"name": f"sovereigns/{name}"})
        async with http.stream("GET", "/v1/stream", headers={"last-event-id": "0"}) as answer:
            before = await frames(answer, 2)
        wish = {"startTime": "2020-01-01T00:00:00Z", "service": "provisioner"}
        again = await http.post("/v1/events:replay", json=wish)
        assert again.status_code == 200, again.text
        assert [(r["daemon"], r["events"]) for r in again.json()["replays"]] == [("provisioner", "2")]
        await http.post("/v1/sovereigns", json={"name": "sovereigns/three"})
        async with http.stream("GET", "/v1/stream", headers={"last-event-id": "0"}) as answer:
            after = await frames(answer, 3)
        assert after[:2] == before
        assert json.loads(after[2]["data"])["aggregate"] == "sovereigns/three"


ABOUT_EVENTS = [
    ("GET", "/v1/deadLetters/provisioner-1-00000000", None, 404, "DEAD_LETTER_NOT_FOUND"),
    ("POST", "/v1/deadLetters/provisioner-1-00000000:replay", {}, 404, "DEAD_LETTER_NOT_FOUND"),
    ("POST", "/v1/deadLetters/provisioner-1-00000000:discard", {}, 404, "DEAD_LETTER_NOT_FOUND"),
    ("GET", "/v1/deadLetters/nobody-1-00000000", None, 404, "DAEMON_NOT_FOUND"),
    ("GET", "/v1/deadLetters/provisioner", None, 422, "REQUEST_INVALID"),
    ("POST", "/v1/events:replay", {}, 422, "REQUEST_INVALID"),
    ("POST", "/v1/events:replay", {"startTime": "2020-01-01T00:00:00Z", "service": "x"}, 404, "DAEMON_NOT_FOUND"),
    # What changes something says that not all daemons were reached; the others' lists are lists all the same.
    ("POST", "/v1/events:replay", {"startTime": "2020-01-01T00:00:00Z"}, 503, "PEER_UNAVAILABLE"),
]


async def test_a_name_says_which_daemon_is_asked_about_its_events(edge: Edge) -> None:
    async with edge.client() as http:
        for verb, path, body, status, reason in ABOUT_EVENTS:
            answer = await http.request(verb, path, json=body)
            assert (answer.status_code, answer.json()["reason"]) == (status, reason), f"{verb} {path}: {answer.text}"


async def test_lists_about_events_are_gathered_from_the_daemons_that_answer(edge: Edge) -> None:
    async with edge.client() as http:
        assert (await http.get("/v1/deadLetters")).json()["deadLetters"] == []
        (report,) = (await http.get("/v1/busReports")).json()["reports"]
        assert (report["daemon"], report["jetstream"]) == ("provisioner", "TRUTH_YES")
    async with edge.client(accept="*/*") as http:
        assert (await http.get("/v1/deadLetters")).status_code == 401


async def test_the_description_names_every_route_once(edge: Edge) -> None:
    async with edge.client() as http:
        document = (await http.get("/v1/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    operations = [o["operationId"] for verbs in document["paths"].values() for o in verbs.values()]
    assert len(operations) == len(set(operations)) > 150
    assert "/v1/pools/{pool}/allocations/{allocation}:commit" in document["paths"]
    text = json.dumps(document)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"]


async def test_the_description_says_what_each_operation_parameter_and_field_is(edge: Edge) -> None:
    async with edge.client() as http:
        document = (await http.get("/v1/openapi.json")).json()
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            assert 0 < len(operation["summary"]) < 250, (verb, path, operation["summary"])
            assert operation["description"], (verb, path)
            by_hand = operation["tags"] in (["Names"], ["Registrars"], ["Gateway"])
            for parameter in operation["parameters"]:
                assert parameter.get("description") or (by_hand and parameter["in"] == "path"), (verb, path, parameter)
    ours = {name: shape for name, shape in document["components"]["schemas"].items() if name.startswith("catalyst.")}
    for name, shape in ours.items():
        assert shape["description"], name
        for field, told in shape.get("properties", {}).items():
            assert told["description"], (name, field)
    zone = ours["catalyst.pooldomain.v1.Allocation"]["properties"]
    assert zone["state"]["readOnly"]
    assert "STATE_QUARANTINED" in ours["catalyst.pooldomain.v1.Allocation.State"]["description"]
    assert {tag["name"] for tag in document["tags"]} >= {
        tag for verbs in document["paths"].values() for o in verbs.values() for tag in o["tags"]
    }


async def test_a_head_is_a_get_without_its_body(edge: Edge) -> None:
    async with edge.client() as http:
        for path in ("/v1/sovereigns", "/v1/openapi.json", "/v1/sovereigns/nobody"):
            whole, head = await http.get(path), await http.head(path)
            assert (head.status_code, head.content) == (whole.status_code, b""), path
            for name in ("content-type", "content-length", "etag"):
                assert head.headers.get(name) == whole.headers.get(name), path


async def test_what_a_path_takes_is_told(edge: Edge) -> None:
    async with edge.client() as http:
        asked = await http.options("/v1/sovereigns")
        wrong = await http.put("/v1/sovereigns", json={})
        page = await http.post("/v1/plugins", json={})
    assert (asked.status_code, asked.headers["allow"]) == (204, "GET, HEAD, POST, OPTIONS")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD, POST, OPTIONS")
    assert (page.status_code, page.json()["reason"]) == (405, "METHOD_NOT_ALLOWED")
    assert "GET" in page.headers["allow"]


async def test_a_daemon_that_is_away_says_when_to_ask_again(edge: Edge) -> None:
    async with edge.client() as http:
        answer = await http.get("/v1/pools")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_an_etag_is_shown_and_a_condition_is_kept(edge: Edge) -> None:
    async with edge.client() as http:
        await http.post("/v1/sovereigns", json={"name": "sovereigns/acme"})
        shown = await http.get("/v1/sovereigns/acme")
        stale = await http.delete("/v1/sovereigns/acme", headers={"if-match": '"old"'})
        weak = await http.delete("/v1/sovereigns/acme", headers={"if-match": 'W/"1"'})
        two = await http.delete("/v1/sovereigns/acme", params={"etag": '"1"'}, headers={"if-match": '"2"'})
        none = await http.post("/v1/sovereigns", json={"name": "sovereigns/b"}, headers={"if-match": '"1"'})
        right = await http.delete("/v1/sovereigns/acme", headers={"if-match": shown.headers["etag"]})
    assert shown.headers["etag"] == '"1"'
    assert (stale.status_code, stale.json()["reason"]) == (412, "ETAG_MISMATCH")
    assert [a.json()["reason"] for a in (weak, two, none)] == ["IF_MATCH_INVALID"] * 3
    assert right.status_code == 200


async def test_a_snapshot_goes_on_as_a_stream_and_a_search_finds_what_stands(edge: Edge) -> None:
    token = edge.backend.issuer.token("ann", groups=["/acme/org-viewer"])
    async with edge.client() as admin, edge.client(authorization=f"Bearer {token}") as member:
        spec = {"organization": {"slug": "acme"}}
        await admin.post("/v1/sovereigns", json={"name": "sovereigns/one", "spec": spec})

        async def found() -> bool:
            return bool((await member.get("/v1/search", params={"q": "sovereigns/"})).json()["items"])

        await eventually(found, within=60)
        state = await member.get("/v1/environments/acme-prod/state")
        assert (state.status_code, state.json()["items"]) == (200, [])
        denied = await admin.get("/v1/environments/acme-prod/state")
        assert (denied.status_code, denied.json()["reason"]) == (403, "ENVIRONMENT_DENIED")
        await admin.post("/v1/sovereigns", json={"name": "sovereigns/two", "spec": spec})
        async with member.stream("GET", "/v1/stream", params={"cursor": state.json()["cursor"]}) as answer:
            assert json.loads((await frames(answer, 1))[0]["data"])["aggregate"] == "sovereigns/two"
        assert (await admin.post("/v1/projector:rebuild", json={})).status_code == 202
        assert (await member.post("/v1/projector:rebuild", json={})).status_code == 403
        assert (await member.get("/v1/audit")).status_code == 403
        query = {"query": '{ things(kind: "provisioner.sovereign") { nodes { key } } }'}
        told = await member.post("/graphql", json=query)
        assert [n["key"] for n in told.json()["data"]["things"]["nodes"]] == ["sovereigns/one", "sovereigns/two"]
        digest = next(digest for digest, text in kept_queries().items() if "query Timeline" in text)
        kept = await member.get("/graphql", params={"id": digest, "variables": '{"topic": "catalyst.v1.prov"}'})
        assert len(kept.json()["data"]["events"]["nodes"]) == 2
        tag = {"if-none-match": kept.headers["etag"], "authorization": ""}
        unknown = await member.get("/graphql", params={"id": digest}, headers=tag)
        assert (unknown.status_code, unknown.json()["reason"]) == (401, "TOKEN_REJECTED")
        large = await member.post("/graphql", json={"query": "{" + "x " * 3000 + "}"})
        assert (large.status_code, large.json()["reason"]) == (422, "QUERY_TOO_LARGE")


async def test_an_operation_is_tried_again_and_cancelled_by_its_id(edge: Edge) -> None:
    async with edge.client() as http:
        path = "/v1/operations/provisioner-run-1"
        assert (await http.get(path)).json()["metadata"]["run"] == "sovereigns/acme/runs/run-1"
        assert (await http.post(f"{path}:retry")).status_code == 200
        again = await http.post(f"{path}:retry")
        assert (again.status_code, again.json()["reason"]) == (412, "OPERATION_NOT_RETRYABLE")
        assert (await http.post(f"{path}:cancel")).json()["done"] is True
        other = "/v1/operations/provisioner-drift-1"
        assert (await http.post(f"{other}:retry")).json()["reason"] == "OPERATION_NOT_RETRYABLE"
        denied = await http.post(f"{other}:cancel")
        assert (denied.status_code, denied.json()["reason"]) == (501, "METHOD_NOT_SERVED")
        for verb, wrong in (("GET", f"{path}:cancel"), ("POST", path), ("POST", f"{path}:explode")):
            assert (await http.request(verb, wrong)).json()["reason"] == "PATH_NOT_FOUND"


async def test_a_projector_that_runs_by_itself_feeds_the_browsers_of_a_gateway_that_only_answers(
    home: Path, clean_nats: NatsServer, second_database: str
) -> None:
    port = free_port()
    for name in ("gateway", "projector"):
        (home / name).mkdir()
        (home / name / "issuer").symlink_to(home / "issuer")
    dead = {f"{name}_target": "127.0.0.1:9" for name in ("catalog", "pdm", "continuum", "billing", "provisioner")}
    shared = {"database_url": second_database, "nats_url": clean_nats.url, **dead}
    http = {"http_listen": f"127.0.0.1:{port}", "projects": False}
    async with (
        running(backends.compose, backends.BackendSettings, home, nats_url=clean_nats.url) as backend,
        running(compose, GatewaySettings, home / "gateway", **shared, **http) as gateway,
        running(compose, GatewaySettings, home / "projector", **shared, serves_http=False) as projector,
    ):
        assert {type(w).__name__ for w in gateway.daemon.workers} == {"HttpServer", "Audit"}
        assert {type(w).__name__ for w in projector.daemon.workers} >= {"Projector", "Workspaces", "Rebuild"}
        edge = Edge(f"http://127.0.0.1:{port}", backend, {"authorization": f"Bearer {_admin(backend)}"})
        await eventually(lambda: _up(edge), within=60)
        await backend.admin(SovereignServiceStub).CreateSovereign(
            CreateSovereignRequest(sovereign=Sovereign(name="sovereigns/acme"))
        )
        async with (
            edge.client() as client,
            client.stream("GET", "/v1/stream", headers={"last-event-id": "0"}) as answer,
        ):
            assert json.loads((await frames(answer, 1))[0]["data"])["aggregate"] == "sovereigns/acme"


def _admin(backend: RunningDaemon) -> str:
    return backend.issuer.token("admin", roles=["sovereign-admin"])
