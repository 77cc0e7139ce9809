"""A fake of Cloudflare's API v4, after its public documentation: zones, records in pages, batches, error codes."""

from itertools import count
from typing import Any

from catalyst_testkit.fake_registrar import FakeAnswer, FakeRegistrar, FakeRequest

TOKEN = "canary-token-0123456789abcdefghijklmnop"
ACCOUNT = "0123456789abcdef0123456789abcdef"
OWN = ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"]


class FakeCloudflare(FakeRegistrar):
    """One zone. A domain of the base class is a name below it, whose NS and DS are its records.

    status     of the token
    rights     what it may do in the zone
    others     records of other types
    page_size  most records of one page
    """

    def __init__(self) -> None:
        super().__init__()
        self.zone = {
            "id": "023e105f4ecef8ad9ca31a8372d0c353", "name": "acme.example", "status": "active", "name_servers": OWN,
            "original_name_servers": ["ns1.old.example", "ns2.old.example"],
            "permissions": ["#zone:read", "#dns_records:read", "#dns_records:edit"],
        }  # fmt: skip
        self.status = "active"
        self.others: list[dict[str, Any]] = []
        self.page_size = 100
        self.token_path = "/user/tokens/verify"
        self._ids: dict[tuple[str, str, str], str] = {}
        self._count = count(1)

    @property
    def rights(self) -> list[str]:
        return list(self.zone["permissions"])

    @rights.setter
    def rights(self, rights: list[str]) -> None:
        self.zone["permissions"] = rights

    def answer(self, request: FakeRequest) -> FakeAnswer:
        path = request.path.removeprefix("/client/v4")
        given = request.headers.get("authorization", "")
        if not given.startswith("Bearer "):
            return refused(400, 6003, "Invalid request headers")
        if given != f"Bearer {TOKEN}":
            return refused(403, 9109, "Invalid access token")
        if path.endswith("/tokens/verify"):
            if path != self.token_path:
                return refused(401, 1000, "Invalid API Token")
            return FakeAnswer(200, told({"id": "t", "status": self.status}))
        if path == "/zones":
            wanted = request.query.get("name") == self.zone["name"] and request.query.get("page", "1") == "1"
            return FakeAnswer(200, told([self.zone] if wanted else []))
        return self._records(path.split("/")[2:], request)

    def _records(self, parts: list[str], request: FakeRequest) -> FakeAnswer:
        if parts[0] != self.zone["id"]:
            return refused(404, 7003, "Could not route to the zone, perhaps your object identifier is invalid?")
        if request.method == "GET":
            return self._page(request.query)
        if "#dns_records:edit" not in self.rights:
            return refused(403, 10000, "Authentication error")
        return self._batch(request.json())

    def _page(self, query: dict[str, str]) -> FakeAnswer:
        found = [
            one
            for one in self._all()
            if one["type"] == query.get("type", one["type"]) and one["name"] == query.get("name", one["name"])
        ]  # fmt: skip - one condition
        page, size = int(query.get("page", 1)), min(int(query.get("per_page", 100)), self.page_size)
        rows = found[(page - 1) * size : page * size]
        pages = max(1, -(-len(found) // size))
        info = {"page": page, "per_page": size, "count": len(rows), "total_count": len(found), "total_pages": pages}
        return FakeAnswer(200, {**told(rows), "result_info": info})

    def _batch(self, body: Any) -> FakeAnswer:
        gone = {one["id"] for one in body.get("deletes", ())}
        left = [one for one in self._all() if one["id"] not in gone]
        for new in body.get("posts", ()):
            if any(one["name"] == new["name"] and one["type"] == "CNAME" for one in left):
                return refused(400, 81053, "An A, AAAA, or CNAME record with that host already exists.")
            if new["type"] == "NS" and "." not in new["content"]:
                return refused(400, 9005, "Content for NS record is invalid.")
            left.append(new)
        name = next(iter(self.domains))
        mine = [one for one in left if one["name"] == name]
        ns = [one["content"] for one in mine if one["type"] == "NS"]
        self.change(self.domains[name], ns=ns, ds=[one["data"] for one in mine if one["type"] == "DS"])
        return FakeAnswer(200, told({"deletes": [], "patches": [], "puts": [], "posts": body.get("posts", [])}))

    def _all(self) -> list[dict[str, Any]]:
        found = list(self.others)
        for name, domain in self.domains.items():
            found += [self._record(name, "NS", host) for host in domain.ns]
            found += [{**self._record(name, "DS", _text(data)), "data": data} for data in domain.ds]
        return found

    def _record(self, name: str, kind: str, content: str) -> dict[str, Any]:
        id = self._ids.setdefault((name, kind, content), f"{next(self._count):032x}")
        return {"id": id, "name": name, "type": kind, "content": content, "ttl": 3600, "proxied": False}


def _text(data: Any) -> str:
    return f"{data['key_tag']} {data['algorithm']} {data['digest_type']} {data['digest'].upper()}"


def told(result: Any) -> dict[str, Any]:
    return {"success": True, "errors": [], "messages": [], "result": result}


def refused(status: int, code: int, message: str) -> FakeAnswer:
    errors = [{"code": code, "message": message}]
    return FakeAnswer(status, {"success": False, "errors": errors, "messages": [], "result": None})
