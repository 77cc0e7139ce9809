"""The front door by itself: addresses, limits, retired paths, headers, conditions, compression, audit lines."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from catalyst_gateway.addresses import Proxies
from catalyst_gateway.audit import Audit, Line, QueryUnknown, Trail
from catalyst_gateway.front import Front
from catalyst_gateway.http import HttpServer
from catalyst_gateway.limits import Limits, PerMinute
from catalyst_gateway.store import Store, metadata
from catalyst_mesh import Caller, Database, Work, migrate
from catalyst_mesh.calls import RoleDenied
from catalyst_mesh.paging import PageSizeInvalid, PageTokenInvalid
from catalyst_testkit import eventually
from catalyst_testkit.servers import sixth_version
from httpx import AsyncClient
from litestar import Litestar, Response, get, post
from litestar.testing import AsyncTestClient

from lib.mesh.tests.bench import going

OURS = Proxies(["10.42.0.0/16", "fd00::/8"])
LONG = "x" * 2000


@pytest.mark.parametrize(
    ("peer", "forwarded", "real_ip", "who"),
    [
        ("203.0.113.9", ["198.51.100.1"], "198.51.100.2", "203.0.113.9"),  # from outside a header says nothing
        ("10.42.0.1", ["198.51.100.1"], "198.51.100.2", "198.51.100.1"),
        ("10.42.0.1", ["1.1.1.1, 198.51.100.1, 10.42.7.7"], "", "198.51.100.1"),  # the first that is not ours wins
        ("10.42.0.1", ["1.1.1.1", "198.51.100.1"], "", "198.51.100.1"),
        ("10.42.0.1", ["10.42.0.3, 10.42.0.2"], "", "10.42.0.3"),
        ("10.42.0.1", ["1.1.1.1, rubbish"], "", "10.42.0.1"),
        ("10.42.0.1", [], "198.51.100.2", "198.51.100.2"),
        ("10.42.0.1", [], "", "10.42.0.1"),
        ("::ffff:10.42.0.1", ["[2001:db8::1]:443"], "", "2001:db8::1"),
        ("fd00::1", ["198.51.100.1:80"], "", "198.51.100.1"),
        ("", ["198.51.100.1"], "", ""),
    ],
)
def test_the_address_is_that_which_the_first_proxy_of_ours_saw(
    peer: str, forwarded: Sequence[str], real_ip: str, who: str
) -> None:
    assert OURS.client(peer, forwarded, real_ip) == who


def test_the_121st_call_of_an_unknown_address_is_refused_until_time_has_passed() -> None:
    now = [0.0]
    limits = Limits(PerMinute(), monotonic=lambda: now[0])
    assert not any(limits.refusal("/v1/pools", "", "192.0.2.1") for _ in range(120))
    refused = limits.refusal("/v1/pools", "", "192.0.2.1")
    assert refused is not None
    assert (refused.http_status, refused.reason, refused.metadata) == (429, "CALLS_LIMITED", {"limit": "120"})
    assert refused.retry_after is not None
    assert limits.refusal("/v1/pools", "", "192.0.2.2") is None
    assert limits.refusal("/v1/pools", "ann", "192.0.2.1") is None
    assert limits.refusal("/static/console.js", "", "192.0.2.1") is None
    now[0] = refused.retry_after.total_seconds()
    assert limits.refusal("/v1/pools", "", "192.0.2.1") is None


def test_an_identity_has_its_limit_wherever_it_is_and_guesses_have_theirs_whoever_asks() -> None:
    limits = Limits(PerMinute(identity=3, guesses=2), monotonic=lambda: 0.0)
    assert [bool(limits.refusal("/graphql", "ann", f"192.0.2.{n}")) for n in range(4)] == [False, False, False, True]
    for path in ("/v1/auth/login", "/v1/billing/vouchers:preview"):
        subjects = [limits.refusal(path, f"{path}{n}", path) for n in range(3)]
        assert [bool(one) for one in subjects] == [False, False, True]


def test_the_61st_check_of_an_address_is_refused_by_whichever_path_and_whoever_asks() -> None:
    limits = Limits(PerMinute(), monotonic=lambda: 0.0)
    paths = ("/v1/pools/omani.works/check", "/v1/pools/omani.works:checkName", "/v1/validate")
    said = [limits.refusal(paths[n % 3], f"subject-{n % 7}", "192.0.2.1") for n in range(61)]
    assert [one is None for one in said] == [True] * 60 + [False]
    assert said[-1] is not None
    assert (said[-1].http_status, said[-1].reason, said[-1].metadata) == (429, "RATE_LIMITED", {"limit": "60"})
    assert said[-1].retry_after is not None
    assert limits.refusal("/v1/pools/omani.works/check", "subject", "192.0.2.2") is None
    assert limits.refusal("/v1/pools/omani.works/reserved", "subject", "192.0.2.1") is None


class Lines:
    """Keeps what it is told, as Audit does."""

    def __init__(self) -> None:
        self.all: list[Line] = []

    async def keep(self, line: Line) -> None:
        self.all.append(line)


@pytest.fixture
async def front() -> AsyncIterator[tuple[AsyncTestClient[Any], Lines]]:
    @get(["/v1/long", "/v1/deadLetters/{name:str}", "/v1/environments/{env:str}/state"])
    async def long() -> dict[str, str]:
        return {"long": LONG}

    @get("/page", media_type="text/html")
    async def page() -> str:
        return LONG

    @get("/v1/tagged")
    async def tagged() -> Response[str]:
        return Response("{}", media_type="application/json", headers={"ETag": '"7"', "Cache-Control": "max-age=9"})

    @get("/static/a.js")
    async def script() -> str:
        return LONG

    @post("/v1/long")
    async def write() -> None: ...

    async def recognise(scope: Any) -> str:
        return dict(scope["headers"]).get(b"x-test", b"").decode()

    lines = Lines()
    app = Litestar([long, page, tagged, script, write], openapi_config=None, logging_config=None)
    limits = Limits(PerMinute(identity=2), monotonic=lambda: 0.0)
    door = Front(app, OURS, limits, lines, recognise, ("https://ours.example",))  # type: ignore[arg-type]
    async with AsyncTestClient(door, base_url="http://edge.example") as client:
        yield client, lines


Door = tuple[AsyncTestClient[Any], Lines]


async def test_what_was_read_before_is_not_sent_again(front: Door) -> None:
    client, _ = front
    first = await client.get("/v1/long")
    assert first.headers["etag"].startswith('W/"')
    again = await client.get("/v1/long", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    tagged = await client.get("/v1/tagged", headers={"if-none-match": '"6", "7"'})
    assert (tagged.status_code, tagged.headers["etag"]) == (304, '"7"')
    assert (await client.get("/v1/tagged", headers={"if-none-match": '"6"'})).status_code == 200


async def test_of_a_stream_only_the_head_is_sent_where_only_that_is_asked_for_and_its_maker_hears_so() -> None:
    sent: list[dict[str, Any]] = []
    ended = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["method"] == "GET"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            await send({"type": "http.response.body", "body": b"data: 2\n\n", "more_body": True})
        ended.set()

    async def nothing_more() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    async def nobody(_: Any) -> str:
        return ""

    door = Front(app, OURS, Limits(PerMinute()), Lines(), nobody)  # type: ignore[arg-type]
    scope = {
        "type": "http",
        "method": "HEAD",
        "path": "/v1/watch",
        "headers": [],
        "scheme": "http",
        "query_string": b"",
    }
    async with asyncio.timeout(60):
        await door(scope, nothing_more, send)
    assert ended.is_set()
    assert [(one["type"], one.get("body"), one.get("more_body")) for one in sent] == [
        ("http.response.start", None, None),
        ("http.response.body", b"", False),
    ]


async def test_long_json_is_compressed_for_who_takes_it_and_a_page_is_not(front: Door) -> None:
    client, _ = front
    small = await client.get("/v1/long", headers={"accept-encoding": "br, gzip;q=0.5"})
    assert (small.headers["content-encoding"], small.json()) == ("gzip", {"long": LONG})
    assert int(small.headers["content-length"]) < 200
    assert "Accept-Encoding" in small.headers["vary"]
    for accepted in ("identity", "gzip;q=0, *", "br"):
        assert "content-encoding" not in (await client.get("/v1/long", headers={"accept-encoding": accepted})).headers
    assert "content-encoding" not in (await client.get("/page", headers={"accept-encoding": "gzip"})).headers


async def test_every_answer_has_the_headers_that_browsers_heed(front: Door) -> None:
    client, _ = front
    for path in ("/v1/long", "/nowhere", "/internal/users"):
        answer = await client.get(path, headers={"x-forwarded-proto": "https"})
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert len(answer.headers["x-request-id"]) == 32
        assert "strict-transport-security" not in answer.headers  # a stranger's word for it
    assert (await client.get("/v1/tagged")).headers["cache-control"] == "max-age=9"


async def test_a_page_elsewhere_may_call_only_where_its_origin_is_listed(front: Door) -> None:
    client, _ = front
    asks = {"access-control-request-method": "POST"}
    ours = await client.options("/v1/long", headers={"origin": "https://ours.example", **asks})
    assert (ours.status_code, ours.headers["access-control-allow-origin"]) == (204, "https://ours.example")
    assert "access-control-allow-credentials" not in ours.headers
    for origin in ("https://evil.example", "null", "https://ours.example.evil.example"):
        other = await client.get("/v1/long", headers={"origin": origin})
        assert "access-control-allow-origin" not in other.headers
        assert "Origin" in other.headers["vary"]


async def test_doors_of_the_former_house_are_gone_and_an_alias_is_a_name(front: Door) -> None:
    client, _ = front
    for path in ("/provisioning/start", "/api/provisioning/start", "/api/tenant/internal/users", "/internal/x/y"):
        answer = await client.post(path)
        assert (answer.status_code, answer.json()["reason"]) == (410, "ENDPOINT_RETIRED")
    assert (await client.get("/v1/dlq/provisioner-1")).status_code == 200
    assert (await client.get("/v1/dlqs/provisioner-1")).status_code == 404


async def test_every_call_is_one_line_that_says_who_what_on_whose_with_which_result(front: Door) -> None:
    client, lines = front
    await client.get("/v1/environments/my-org-prod/state?secret=hidden", headers={"x-test": "ann"})
    await client.post("/v1/long", headers={"x-test": "ann"})
    limited = await client.get("/v1/long", headers={"x-test": "ann"})
    await client.post("/internal/x")
    # A page's script is the same for everybody; who looks for files that there are not is told of all the same.
    assert (await client.get("/static/a.js")).status_code == 200
    assert (await client.get("/static/.env")).status_code == 404
    told = [(x.subject, x.verb, x.path, x.organization, x.status, x.reason) for x in lines.all]
    assert told == [
        ("ann", "GET", "/v1/environments/my-org-prod/state", "my-org", 200, ""),
        ("ann", "POST", "/v1/long", "", 201, ""),
        ("ann", "GET", "/v1/long", "", 429, "CALLS_LIMITED"),
        ("", "POST", "/internal/x", "", 410, "ENDPOINT_RETIRED"),
        ("", "GET", "/static/.env", "", 404, ""),
    ]
    assert lines.all[2].trace_id == limited.headers["x-request-id"] == limited.json()["traceId"]
    assert limited.headers["retry-after"] == "30"


def line(number: int, verb: str = "GET", org: str = "acme") -> Line:
    return Line(datetime.now(UTC), "ann", "192.0.2.1", verb, f"/v1/{number}", org, 200, "", "0" * 32)


@pytest.fixture
async def work(database: str) -> AsyncIterator[Work[Store]]:
    db = await Database.open(database)
    await migrate(db, "catalyst_gateway", metadata)
    yield Work(db, Store, metadata=metadata)
    await db.close()


async def test_the_line_of_a_write_is_kept_when_its_answer_goes_and_readers_wait_for_nothing(work: Work[Store]) -> None:
    audit = Audit(work)
    async with going(audit):
        for number in range(3):
            await audit.keep(line(number))
        await audit.keep(line(3, "POST"))
        async with work.reading() as tx:
            assert [row["path"] for row in await tx.audited(None, {}, 9)] == ["/v1/3", "/v1/2", "/v1/1", "/v1/0"]
        await audit.keep(line(4))
    async with work.reading() as tx:  # what waited at the end is kept too
        assert len(await tx.audited(None, {}, 9)) == 5


async def test_lines_are_shown_to_security_officers_and_an_organization_s_own_to_its_admins(work: Work[Store]) -> None:
    audit, trail = Audit(work), Trail(work)
    async with going(audit):
        for number, org in enumerate(("acme", "rival", "acme")):
            await audit.keep(line(number, "POST", org))
    officer = Caller("oz", roles=frozenset({"security-officer"}))
    admin = Caller("ann", groups=frozenset({"/acme/org-admin", "/rival/org-viewer"}))
    first = await shown(trail, officer, pageSize="2")
    assert [x["path"] for x in first["lines"]] == ["/v1/2", "/v1/1"]
    second = await shown(trail, officer, pageSize="2", pageToken=first["nextPageToken"])
    assert ([x["path"] for x in second["lines"]], second["nextPageToken"]) == (["/v1/0"], "")
    assert {x["organization"] for x in (await shown(trail, admin, organization="acme"))["lines"]} == {"acme"}
    for query in ({}, {"organization": "rival"}, {"organization": ""}):
        with pytest.raises(RoleDenied):
            await shown(trail, admin, **query)
    with pytest.raises(QueryUnknown):
        await shown(trail, officer, colour="red")
    with pytest.raises(PageSizeInvalid):
        await shown(trail, officer, pageSize="²")
    with pytest.raises(PageTokenInvalid):
        await shown(trail, officer, pageToken=first["nextPageToken"], subject="ann")


async def shown(trail: Trail, who: Caller, **query: str) -> Any:
    return json.loads((await trail.page(who, query)).content)


async def test_people_come_in_where_addresses_are_of_the_sixth_version() -> None:
    @get("/")
    async def here() -> str:
        return "here"

    server, stop = HttpServer(Litestar([here]), f"{sixth_version()}:0"), asyncio.Event()
    serving = asyncio.create_task(server.run(stop))
    try:
        await eventually(server.is_up, within=60, what="the gateway listens")
        async with AsyncClient(trust_env=False) as http:
            assert (await http.get(f"http://[::1]:{server.port}/")).text == "here"
    finally:
        stop.set()
        await serving
