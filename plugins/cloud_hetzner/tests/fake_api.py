"""A fake of Hetzner's API over a fake project: real HTTP on loopback, in the documented shapes, with its paging and actions."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fake_world import Refused, World

PATHS = {
    "networks": "network", "placement_groups": "placement_group", "ssh_keys": "ssh_key", "firewalls": "firewall",
    "certificates": "certificate", "load_balancers": "load_balancer", "servers": "server", "volumes": "volume",
    "primary_ips": "primary_ip", "floating_ips": "floating_ip", "images": "snapshot",
}  # fmt: skip
STATUSES = {"unauthorized": 401, "token_readonly": 403, "not_found": 404, "invalid_input": 422, "uniqueness_error": 409,
            "rate_limit_exceeded": 429, "resource_unavailable": 412, "resource_limit_exceeded": 403,
            "protected": 423}  # fmt: skip
LOCATIONS = ("fsn1", "nbg1", "hel1", "ash", "hil")
CHECK = {"protocol": "tcp", "port": 80, "interval": 10, "timeout": 5, "retries": 3}
SERVICE = {"protocol": "tcp", "proxyprotocol": False, "health_check": CHECK}
WHEN = "2026-01-01T12:00:00+00:00"


class FakeHetznerApi:
    """The server. `sold_out` are sizes that no location has at the moment."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.requests: list[tuple[str, str]] = []
        self.refuse: list[str] = []
        """Codes that the next requests are refused with, one each."""
        self.page = ""
        """What is answered to everything in place of JSON, if it is not empty."""
        self.sold_out: set[str] = set()
        self._polled: dict[int, int] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else {}
                url = urlsplit(self.path)
                query = {key: values[0] for key, values in parse_qs(url.query).items()}
                outer.requests.append((self.command, self.path))
                token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
                try:
                    outer._demand(token, self.command)
                    status, answer = outer._answer(self.command, url.path.removeprefix("/v1"), query, body)
                except Refused as refused:
                    status = STATUSES.get(refused.code, 500)
                    answer = {"error": {"code": refused.code, "message": refused.message, "details": {}}}
                text = outer.page.encode() or json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if outer.page else "application/json")
                self.send_header("X-Correlation-Id", "0a1b2c3d4e5f")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_DELETE = _handle  # noqa: N815 - the names of http.server

            def log_message(self, format: str, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def endpoint(self) -> str:
        """What clients are told."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def _demand(self, token: str, method: str) -> None:
        if self.refuse:
            raise Refused(self.refuse.pop(0), "refused as told")
        if token[:1] not in ("w", "r") or len(token) != 64:
            raise Refused("unauthorized", "unable to authenticate")
        if token[:1] == "r" and method != "GET":
            raise Refused("token_readonly", "token is only allowed to perform GET requests")

    def _answer(self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> tuple[int, Any]:
        _, collection, *rest = path.split("/")
        if collection == "actions":
            return 200, {"action": self._action(int(rest[0]))}
        if collection == "locations":
            return 200, self._paged("locations", [_location(name) for name in LOCATIONS], query)
        if collection == "server_types":
            return 200, self._paged("server_types", list(self._server_types()), query)
        if collection == "load_balancer_types":
            return 200, self._paged("load_balancer_types", [_balancer_type()], query)
        kind = PATHS.get(collection)
        if kind is None:
            raise Refused("not_found", f"no such path: {path}")
        if method == "POST":
            return self._create(kind, body)
        if rest:
            return self._one(method, kind, int(rest[0]))
        found = [_shape(kind, doc) for _, doc in self.world.all(kind) if _is_wanted(doc, query)]
        return 200, self._paged(collection, found, query)

    def _one(self, method: str, kind: str, id: int) -> tuple[int, Any]:
        doc = self.world.get(kind, id)
        if doc is None:
            raise Refused("not_found", f"{kind} with ID '{id}' not found")
        if method == "DELETE":
            self.world.delete(kind, id)
            return 200, {"action": self._action(id)}
        return 200, {kind: _shape(kind, doc)}

    def _create(self, kind: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        if not body.get("name") or (kind == "ssh_key" and not body.get("public_key")):
            raise Refused("invalid_input", "invalid input in field 'name'")
        location = body.get("location") or LOCATIONS[0]
        id = self.world.create(kind, {**body, "location": location})
        doc = self.world.get(kind, id)
        assert doc is not None
        answer = {kind: _shape(kind, doc), "action": self._action(id), "next_actions": [], "root_password": None}
        return 201, answer

    def _action(self, id: int) -> dict[str, Any]:
        """It runs at the first look and is done at the second."""
        looks = self._polled[id] = self._polled.get(id, 0) + 1
        done = looks > 1
        return {"id": id, "command": "create_server", "status": "success" if done else "running", "progress": 100 * done,
                "started": WHEN, "finished": WHEN if done else None, "resources": [], "error": None}  # fmt: skip

    def _paged(self, key: str, found: list[Any], query: Mapping[str, str]) -> dict[str, Any]:
        page, size = int(query.get("page", 1)), int(query.get("per_page", 25))
        start = (page - 1) * size
        following = page + 1 if start + size < len(found) else None
        pagination = {"page": page, "per_page": size, "previous_page": None, "next_page": following,
                      "last_page": max(1, -(-len(found) // size)), "total_entries": len(found)}  # fmt: skip
        return {key: found[start : start + size], "meta": {"pagination": pagination}}

    def _server_types(self) -> Iterator[dict[str, Any]]:
        table = (
            ("cx23", 2, 4, 40, "x86"),
            ("cx33", 4, 8, 80, "x86"),
            ("cpx32", 4, 8, 160, "x86"),
            ("cax21", 4, 8, 80, "arm"),
        )
        for id, (name, cores, memory, disk, arch) in enumerate((*table, ("cx32", 4, 8, 80, "x86")), 1):
            yield {
                "id": id,
                "name": name,
                "description": name,
                "cores": cores,
                "memory": memory,
                "disk": disk,
                "architecture": arch,
                "cpu_type": "shared",
                "storage_type": "local",
                "category": "shared",
                "prices": [
                    {
                        "location": place,
                        "price_hourly": {"net": "0.0060", "gross": "0.00714"},
                        "price_monthly": {"net": "3.7900", "gross": "4.5101"},
                    }
                    for place in LOCATIONS
                ],
                "locations": [
                    {
                        "id": n,
                        "name": place,
                        "available": name not in self.sold_out,
                        "recommended": True,
                        "deprecation": None,
                    }
                    for n, place in enumerate(LOCATIONS, 1)
                ],
            }  # fmt: skip - as documented


def _balancer_type() -> dict[str, Any]:
    amounts = {
        "price_hourly": {"net": "0.0088", "gross": "0.0105"},
        "price_monthly": {"net": "5.3900", "gross": "6.41"},
    }
    return {
        "id": 1,
        "name": "lb11",
        "description": "LB11",
        "max_connections": 10_000,
        "max_services": 5,
        "max_targets": 25,
        "max_assigned_certificates": 10,
        "deprecated": None,
        "prices": [{"location": place, **amounts} for place in LOCATIONS],
    }  # fmt: skip - as documented


@contextmanager
def fake_api(world: World) -> Iterator[FakeHetznerApi]:
    """A running one for the block."""
    api = FakeHetznerApi(world)
    api._thread.start()
    try:
        yield api
    finally:
        api._server.shutdown()
        api._server.server_close()
        api._thread.join()


def _is_wanted(doc: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    labels = doc.get("labels") or {}
    wanted = dict(pair.split("=", 1) for pair in query.get("label_selector", "").split(",") if pair)
    return wanted.items() <= labels.items() and query.get("name", doc["name"]) == doc["name"]


def _shape(kind: str, doc: Mapping[str, Any]) -> dict[str, Any]:
    """As the API tells of a resource."""
    place = _location(doc.get("location") or LOCATIONS[0])
    told: dict[str, Any] = {"id": doc["id"], "name": doc["name"], "labels": doc.get("labels") or {}, "created": WHEN}
    told["protection"] = {"delete": bool(doc.get("delete_protection"))}
    if kind == "network":
        subnets = [{"type": "cloud", "ip_range": range, "network_zone": "eu-central", "gateway": "10.0.0.1", "vswitch_id": None}
                   for range in doc.get("subnets", {})]  # fmt: skip
        told |= {
            "ip_range": doc.get("ip_range", "10.0.0.0/16"),
            "subnets": subnets,
            "routes": [],
            "servers": [],
            "load_balancers": [],
        }
    elif kind == "server":
        told |= {"status": "running", "location": place, "server_type": {"id": 1, "name": doc.get("server_type", "cx23")},
                 "image": None, "private_net": [], "volumes": [], "load_balancers": []}  # fmt: skip
    elif kind == "load_balancer":
        targets = [{"type": "label_selector", "label_selector": {"selector": one}, "use_private_ip": True, "targets": []}
                   for one in doc.get("targets", {})]  # fmt: skip
        services = [
            {"listen_port": int(port), "destination_port": part["destination_port"], **SERVICE}
            for port, part in doc.get("services", {}).items()
        ]
        private = [{"network": int(network), "ip": part.get("ip")} for network, part in doc.get("networks", {}).items()]
        told |= {"location": place, "targets": targets, "services": services, "private_net": private,
                 "load_balancer_type": {"id": 1, "name": doc.get("load_balancer_type", "lb11")}}  # fmt: skip
    elif kind == "volume":
        told |= {"location": place, "size": 10, "server": None, "status": "available", "format": None}
    elif kind == "firewall":
        told |= {"rules": [], "applied_to": []}
    elif kind == "placement_group":
        told |= {"type": "spread", "servers": []}
    elif kind == "ssh_key":
        told |= {"public_key": doc.get("public_key", ""), "fingerprint": "00"}
    return told


def _location(name: str) -> dict[str, Any]:
    return {
        "id": LOCATIONS.index(name) + 1,
        "name": name,
        "description": name,
        "country": "DE",
        "city": name,
        "latitude": 0.0,
        "longitude": 0.0,
        "network_zone": "eu-central",
    }  # fmt: skip - as documented
