"""Names over REST: the gateway in front of the daemon, as clients of the earlier system and Crossplane call it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from catalyst_gateway.app import compose
from catalyst_gateway.settings import GatewaySettings
from catalyst_sdk.dns import Change
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, running
from catalyst_testkit.servers import NatsServer, free_port

from .conftest import Dns, Start
from .zone_calls import ZONE, ended, made_zone

on_one_database = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
NAME = {"poolDomain": "omani.works", "subdomain": "omantel"}
OPEN = "STATE_OPEN"
PATH = "/v1/pools/omani.works/allocations/omantel"


@dataclass
class Edge:
    url: str
    daemon: RunningDaemon

    def client(self, **claims: Any) -> httpx.AsyncClient:
        token = self.daemon.issuer.token("somebody", **(claims or {"roles": ["sovereign-admin"]}))
        return httpx.AsyncClient(base_url=self.url, headers={"authorization": f"Bearer {token}"}, timeout=60)


@asynccontextmanager
async def edge_of(daemon: RunningDaemon, home: Path, nats: NatsServer, pdm: str = "") -> AsyncIterator[Edge]:
    """A gateway before the daemon; nobody else is behind it."""
    port, folder = free_port(), home / f"gateway-{uuid4()}"
    folder.mkdir()
    (folder / "issuer").symlink_to(home / "issuer")
    dead = {f"{name}_target": "127.0.0.1:9" for name in ("catalog", "provisioner", "continuum", "billing")}
    values = {"http_listen": f"127.0.0.1:{port}", "nats_url": nats.url, "pdm_target": pdm or daemon.target, **dead}
    async with running(compose, GatewaySettings, folder, service="gateway", **values):
        edge = Edge(f"http://127.0.0.1:{port}", daemon)
        await eventually(lambda: _up(edge), within=60)
        yield edge


async def _up(edge: Edge) -> bool:
    try:
        async with edge.client() as http:
            return (await http.get("/v1/openapi.json")).status_code == 200
    except httpx.TransportError:
        return False


@on_one_database
async def test_a_name_is_reserved_renewed_committed_and_released_over_rest(
    start: Start, dns: Dns, home: Path, clean_nats: NatsServer
) -> None:
    async with start() as daemon, edge_of(daemon, home, clean_nats) as edge, edge.client() as http:
        key = {"idempotency-key": str(uuid4())}
        wish = {
            "poolDomain": "Omani.Works.",
            "subdomain": " Omantel ",
            "owner": "omantel",
            "createdBy": "ali",
            "ttlSeconds": 600,
        }
        made = await http.post("/v1/reserve", json=wish, headers=key)
        held = made.json()
        assert (made.status_code, made.headers["location"]) == (201, PATH)
        assert {k: held[k] for k in ("subdomain", "fqdn", "state", "createdBy")} == {
            "subdomain": "omantel", "fqdn": "omantel.omani.works", "state": "RESERVED", "createdBy": "ali",
        }  # fmt: skip
        assert (await http.post("/v1/reserve", json=wish, headers=key)).json() == held, "a repeat is answered alike"
        token = {"reservationToken": held["reservationToken"]}
        assert (await http.post("/v1/renew", json={**NAME, **token})).status_code == 200
        commit = {
            **NAME, **token, "sovereignFQDN": "omantel.omani.works", "loadBalancerIP": "127.7.0.1",
            "consoleLoadBalancerIp": "127.7.0.2",
        }  # fmt: skip
        stored = await http.post("/v1/commit", json=commit)
        assert (stored.status_code, stored.headers["location"], stored.headers["retry-after"]) == (202, PATH, "2")
        done = await http.post("/v1/commit", params={"wait": "25s"}, json=commit)
        assert (done.status_code, done.json()["state"]) == (200, "STATE_ACTIVE")
        assert "retry-after" not in done.headers
        assert (await dns.resolver.resolve("console.omantel.omani.works", "A")).records == ("127.7.0.2",)
        for path in (PATH, "/v1/pools/omani.works/allocations", "/v1/pools/omani.works"):
            assert held["reservationToken"] not in (await http.get(path)).text
        listed = await http.get("/v1/pools/omani.works/allocations", params={"state": "active"})
        assert [a["name"] for a in listed.json()["allocations"]] == [PATH.removeprefix("/v1/")]
        none = await http.get("/v1/pools/omani.works/allocations", params={"state": "reserved"})
        assert none.json()["allocations"] == []
        stale = await http.patch(PATH, json={"targets": []}, headers={"if-match": '"1"'})
        assert (stale.status_code, stale.json()["reason"]) == (412, "ETAG_MISMATCH")
        gone = await http.post("/v1/release", json={"fqdn": "Omantel.OMANI.works.", "reason": "torn down"})
        assert (gone.status_code, gone.json()["state"]) == (202, "STATE_RELEASING")
        assert (await http.delete(PATH)).status_code == 202, "a repeat"


WRONG: list[tuple[str, dict[str, Any], int, str, list[str]]] = [
    ("/v1/reserve", {**NAME, "colour": "red"}, 400, "BODY_INVALID", ["colour"]),
    ("/v1/reserve", {"poolDomain": 7}, 422, "REQUEST_INVALID", ["poolDomain", "subdomain"]),
    ("/v1/reserve", {**NAME, "ttlSeconds": 0}, 422, "REQUEST_INVALID", ["ttlSeconds"]),
    ("/v1/reserve", {**NAME, "ttlSeconds": True}, 422, "REQUEST_INVALID", ["ttlSeconds"]),
    ("/v1/reserve", {**NAME, "subdomain": "www", "owner": "x"}, 422, "LABEL_RESERVED", ["subdomain"]),
    ("/v1/reserve", {**NAME, "poolDomain": "a/../b", "owner": "x"}, 422, "REQUEST_INVALID", ["poolDomain"]),
    ("/v1/reserve", {**NAME, "poolDomain": "no.example", "owner": "x"}, 404, "POOL_NOT_FOUND", []),
    ("/v1/reserve", {**NAME, "subdomain": "\ud800"}, 422, "REQUEST_INVALID", ["subdomain"]),
    ("/v1/commit", {**NAME}, 422, "REQUEST_INVALID", ["reservationToken", "sovereignFqdn"]),
    (
        "/v1/commit",
        {**NAME, "reservationToken": "rsv_x", "sovereignFqdn": "omantel.omani.works", "loadBalancerIp": "127.7.0.1"},
        404,
        "ALLOCATION_NOT_FOUND",
        [],
    ),
    (
        "/v1/commit",
        {**NAME, "reservationToken": "x", "sovereignFqdn": "a", "sovereignFQDN": "b"},
        422,
        "REQUEST_INVALID",
        ["sovereignFQDN"],
    ),
    ("/v1/release", {"reason": "x"}, 422, "REQUEST_INVALID", ["fqdn"]),
    ("/v1/validate", {"targets": "1.2.3.4"}, 422, "REQUEST_INVALID", ["targets"]),
    ("/v1/reserve", {**NAME, "holder": "x" * 17_000}, 413, "BODY_TOO_LARGE", []),
]


@on_one_database
async def test_what_is_wrong_with_a_body_is_told_by_the_names_that_it_has_there(
    start: Start, home: Path, clean_nats: NatsServer
) -> None:
    async with start() as daemon, edge_of(daemon, home, clean_nats) as edge, edge.client() as http:
        for path, body, status, reason, fields in WRONG:
            answer = await http.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
            problem = answer.json()
            told = (answer.status_code, problem["reason"], [v["field"] for v in problem["violations"]])
            assert told == (status, reason, fields), f"{path} {str(body)[:100]}: {answer.text[:300]}"
            assert answer.headers["content-type"] == "application/problem+json"
        unread = await http.post("/v1/reserve", content=b"{", headers={"content-type": "application/json"})
        assert (unread.status_code, unread.json()["reason"]) == (400, "BODY_INVALID")
        other = await http.post("/v1/reserve", content=b"a=1", headers={"content-type": "text/csv"})
        assert other.status_code == 415
        assert (await http.options("/v1/reserve")).headers["allow"] == "POST, OPTIONS"
        assert (await http.get("/v1/reserve")).status_code == 405


@on_one_database
async def test_everything_is_validated_at_once_and_a_finding_is_no_error(
    start: Start, home: Path, clean_nats: NatsServer
) -> None:
    async with start() as daemon, edge_of(daemon, home, clean_nats) as edge, edge.client() as http:
        good = (await http.post("/v1/validate", json=NAME)).json()
        assert (good["valid"], good["available"], good["fqdn"]) == (True, True, "omantel.omani.works")
        bad = {
            "poolDomain": "omani.works", "subdomain": "www",
            "targets": [{"slot": "x", "address": "1.2.3"}, {"address": "127.7.0.1"}],
            "domain": "example.com", "nameservers": ["ns1.example.com", "192.0.2.1"],
        }  # fmt: skip
        answer = await http.post("/v1/validate", json=bad)
        report = answer.json()
        assert (answer.status_code, report["valid"], report["available"]) == (200, False, False)
        assert [(f["field"], f["reason"]) for f in report["findings"]] == [
            ("subdomain", "LABEL_RESERVED"), ("targets[0].slot", "TARGET_INVALID"),
            ("targets[0].address", "TARGET_INVALID"), ("nameservers[1]", "NAMESERVERS_INVALID"),
            ("nameservers", "GLUE_REQUIRED"),
        ]  # fmt: skip
        public = (await http.post("/v1/validate", json={"targets": [{"address": "::ffff:10.0.0.1"}]})).json()
        assert [f["reason"] for f in public["findings"]] == ["TARGET_NOT_PUBLIC"]


@on_one_database
async def test_a_check_is_an_answer_and_what_is_not_known_is_not_available(
    start: Start, home: Path, clean_nats: NatsServer
) -> None:
    async def check(http: httpx.AsyncClient, label: str, pool: str = "omani.works") -> tuple[int, bool, str]:
        answer = await http.get(f"/v1/pools/{pool}/check", params={"sub": label})
        return answer.status_code, answer.json().get("available", False), answer.json()["reason"]

    async with start() as daemon, edge_of(daemon, home, clean_nats) as edge:
        async with edge.client(groups=["/acme/org-viewer"]) as http:
            assert await check(http, " Acme ") == (200, True, "")
            assert await check(http, "ns7") == (200, False, "LABEL_RESERVED")
            assert await check(http, "x_y", "no.example") == (200, False, "LABEL_INVALID")
            reserved = (await http.get("/v1/pools/omani.works/reserved")).json()["reservedNames"]
            assert "www" in [one["label"] for one in reserved]
            for _ in range(60):
                answer = await check(http, "acme")
                if answer[0] == 429:
                    break
            assert answer[2] == "RATE_LIMITED"
        async with edge_of(daemon, home, clean_nats, pdm="127.0.0.1:9") as alone, alone.client() as http:
            assert await check(http, "acme") == (200, False, "PDM_UNREACHABLE")


@on_one_database
async def test_what_happens_to_names_is_streamed_and_goes_on_after_a_break(
    start: Start, home: Path, clean_nats: NatsServer
) -> None:
    async def frames(http: httpx.AsyncClient, after: str, most: int) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        one: dict[str, str] = {}
        async with http.stream("GET", "/v1/allocations/events", headers={"last-event-id": after}) as answer:
            async for line in answer.aiter_lines():
                if not line and one:
                    found.append(one)
                    one = {}
                elif line and not line.startswith(":"):
                    key, _, value = line.partition(": ")
                    one[key] = value
                if len(found) >= most:
                    break
        return found

    async with start(sweep_interval=3600) as daemon, edge_of(daemon, home, clean_nats) as edge, edge.client() as http:
        for label in ("one", "two", "three"):
            made = await http.post("/v1/reserve", json={**NAME, "subdomain": label, "owner": "acme"})
            assert made.status_code == 201
        two = await asyncio.wait_for(frames(http, "1", 2), 60)
        assert [json.loads(f["data"])["fqdn"].split(".")[0] for f in two] == ["two", "three"]
        assert {f["event"] for f in two} == {"catalyst.v1.pooldomain.allocation.reserved"}
        assert await asyncio.wait_for(frames(http, two[0]["id"], 1), 60) == two[1:]


@on_one_database
async def test_zones_are_read_planned_and_put_right_by_the_paths_that_people_write(
    start: Start, dns: Dns, home: Path, clean_nats: NatsServer
) -> None:
    async with start(drift_interval=0.5) as daemon, edge_of(daemon, home, clean_nats) as edge, edge.client() as http:
        await made_zone(daemon, dns)
        zone = f"/v1/{ZONE}"
        www = {"name": "www", "type": "A", "values": ["192.0.2.1"], "ttl": "300s"}
        planned = await http.post(f"{zone}/plans", json={"changes": [{"action": "ACTION_UPSERT", "recordSet": www}]})
        plan = planned.json()
        begun = await http.post(f"/v1/{plan['name']}/apply", json={"hash": plan["hash"]})
        assert begun.status_code == 202, begun.text
        assert begun.headers["location"] == f"/v1/{begun.json()['name']}"
        operation = await ended(daemon, begun.json()["name"])
        assert operation.HasField("response"), operation.error
        assert (await http.get(begun.headers["location"])).json()["done"] is True
        assert (await http.post(f"/v1/{plan['name']}/revert", json={})).status_code == 200
        for source in ("SOURCE_DESIRED", "SOURCE_SERVERS"):
            found = (await http.get(f"{zone}/records", params={"source": source})).json()["recordSets"]
            assert [r["values"] for r in found if r["name"] == "www.acme.example."] == [["192.0.2.1"]], source
        assert "192.0.2.1" in (await http.get(f"{zone}/export")).json()["zoneFile"]
        spoiled = Change("www.acme.example.", "A", 300, ("203.0.113.9",))
        await dns.backend.apply(zone="acme.example.", changes=(spoiled,))

        async def open_drift() -> Any:
            return next(
                (d for d in (await http.get(f"{zone}/drift")).json().get("drifts", ()) if d["state"] == OPEN), None
            )

        drift = await eventually(open_drift, within=60, what="the difference is told")
        path = drift["name"].replace("/drifts/", "/drift/")
        assert (await http.post(f"/v1/{path}/repair", json={})).json()["state"] == "STATE_REPAIRING"

        async def rolled() -> str:  # one run after the other
            answer = await http.post(f"{zone}/dnssec/roll", json={})
            return str(answer.headers.get("location", "")) if answer.status_code == 202 else ""

        assert (await eventually(rolled, within=60, what="a roll begins")).startswith("/v1/operations/")
