"""A fake of OVH's API, after its public documentation: signed calls, ids before things, tasks that take their time."""

import hashlib
import json
import re
import time
from typing import Any

from catalyst_testkit.fake_registrar import FakeAnswer, FakeDomain, FakeRegistrar, FakeRequest

APP, SECRET, CONSUMER = "app0123456789abcd", "sec0123456789abcdef0123456789abc", "con0123456789abcdef0123456789abc"
CLOCK_AHEAD = 90
"""OVH's clock differs from ours: who signs by a clock of its own is refused."""


class FakeOvh(FakeRegistrar):
    """rules   of the consumer key: method and path, with `*` for anything."""

    def __init__(self) -> None:
        super().__init__()
        self.rules = [("GET", "/*"), ("PUT", "/domain/*"), ("POST", "/domain/*")]
        self.status = "validated"
        self.tasks: dict[int, dict[str, Any]] = {}
        self.kinds: dict[str, str] = {}
        self.fails = False
        """Tasks end as `error`."""
        self.is_slow = True
        self.zones: dict[str, str] = {}
        """Zone files of the domains that are on OVH's own name servers."""
        self.vanished: set[int] = set()
        """Ids that are listed, and gone when they are asked for."""

    def answer(self, request: FakeRequest) -> FakeAnswer:
        path = request.path.removeprefix("/1.0")
        if path == "/auth/time":
            return FakeAnswer(200, int(time.time()) + CLOCK_AHEAD)
        if refusal := self._stranger(request):
            return refusal
        if path == "/auth/currentCredential":
            rules = [{"method": method, "path": pattern} for method, pattern in self.rules]
            return FakeAnswer(200, {"credentialId": 1, "status": self.status, "rules": rules, "ovhSupport": False})
        if not any(request.method == m and re.fullmatch(p.replace("*", ".*"), path) for m, p in self.rules):
            return refused(403, "NOT_GRANTED_CALL", "This call has not been granted")
        parts = path.split("/")[2:]
        if parts[0] == "zone":
            text = self.zones.get(parts[1])
            unknown = refused(404, "", "This service does not exist", "Client::NotFound")
            return FakeAnswer(200, json.dumps(text)) if text is not None else unknown
        domain = self.domains.get(parts[0])
        if domain is None:
            return refused(404, "", "This service does not exist", "Client::NotFound")
        return self._of(domain, parts, request)

    def spares(self, request: FakeRequest) -> bool:
        return request.path.endswith("/auth/time")

    def _stranger(self, request: FakeRequest) -> FakeAnswer | None:
        given = request.headers
        if given.get("x-ovh-application") != APP:
            return refused(403, "INVALID_KEY", "This application key is invalid")
        if given.get("x-ovh-consumer") != CONSUMER:
            return refused(403, "INVALID_CREDENTIAL", "This credential is not valid")
        moment = given.get("x-ovh-timestamp", "0")
        if abs(int(moment) - time.time() - CLOCK_AHEAD) > 30:
            return refused(400, "QUERY_TIME_OUT", "Query out of time")
        text = "+".join((SECRET, CONSUMER, request.method, request.url, request.text, moment))
        if given.get("x-ovh-signature") != "$1$" + hashlib.sha1(text.encode()).hexdigest():
            return refused(400, "INVALID_SIGNATURE", "Invalid signature")
        return None

    def _of(self, domain: FakeDomain, parts: list[str], request: FakeRequest) -> FakeAnswer:
        name, rest = parts[0], parts[1:]
        if request.method == "PUT":
            self.kinds[name] = request.json()["nameServerType"]
            return FakeAnswer(200, "null")
        if request.method == "POST":
            return self._begin(domain, rest[0], request.json())
        if not rest:
            lock = "locked" if domain.locked else "unlocked"
            kind = self.kinds.get(name, "hosted")
            return FakeAnswer(200, {"domain": name, "nameServerType": kind, "transferLockStatus": lock})
        things = {"nameServer": self._servers(domain), "dsRecord": _keys(domain), "task": self.tasks}[rest[0]]
        if len(rest) == 1:
            return FakeAnswer(200, sorted(things))
        if int(rest[1]) in self.vanished or int(rest[1]) not in things:
            return refused(404, "", "The requested object does not exist", "Client::NotFound")
        return FakeAnswer(200, things[int(rest[1])])

    def _begin(self, domain: FakeDomain, what: str, body: Any) -> FakeAnswer:
        if domain.hidden:
            return refused(409, "", "A task is already running on this domain", "Client::Conflict")
        if what == "nameServers":
            values = {
                "ns": [one["host"] for one in body["nameServers"]],
                "glue": {one["host"]: [one["ip"]] for one in body["nameServers"] if "ip" in one},
            }
        else:
            values = {"ds": body["keys"]}
        id = len(self.tasks) + 1
        self.tasks[id] = {"id": id, "function": f"Domain{what}", "status": "doing", "comment": ""}
        self.change(domain, **values)
        return FakeAnswer(200, self.tasks[id])

    def finish(self) -> None:
        if self.fails:
            for domain in self.domains.values():
                domain.hidden = None
        super().finish()
        for task in self.tasks.values():
            if task["status"] == "doing":
                task["status"] = "error" if self.fails else "done"
                task["comment"] = "the registry refused the servers" if self.fails else ""

    def _servers(self, domain: FakeDomain) -> dict[int, Any]:
        coming = (domain.hidden or {}).get("ns")
        rows = [(host, True, coming is not None and host not in coming) for host in domain.ns]
        rows += [(host, False, False) for host in coming or () if host not in domain.ns]
        return {
            n: {"id": n, "host": host, "ip": (domain.glue.get(host) or [None])[0], "isUsed": used, "toDelete": goes}
            for n, (host, used, goes) in enumerate(rows, 100)
        }  # fmt: skip - one row


def _keys(domain: FakeDomain) -> dict[int, Any]:
    return {n: {"id": n, "status": "activated", **key} for n, key in enumerate(domain.ds, 500)}


def refused(status: int, code: str, message: str, kind: str = "Client::Forbidden") -> FakeAnswer:
    body = {"message": message, "class": kind}
    return FakeAnswer(status, {**body, "errorCode": code} if code else body)
