"""A fake of Dynadot's API 3, after its public documentation: one address, commands, JSON of several shapes, status 200."""

from enum import StrEnum
from itertools import count
from typing import Any

from catalyst_testkit.fake_registrar import FakeAnswer, FakeDomain, FakeRegistrar, FakeRequest

KEY = "canary-key-0123456789abcdef"


class Shape(StrEnum):
    """How an answer is built; each was seen."""

    FLAT = "code and status beside the content, the code a number"
    TEXT = "the same with the code a text"
    NESTED = "code and status in a header of their own"
    BARE = "no status"


class FakeDynadot(FakeRegistrar):
    """servers   host names that the account knows: id and addresses
    at_once      most requests that were served at one time
    """

    def __init__(self) -> None:
        super().__init__()
        self.shape = Shape.FLAT
        self.error = ""
        self.servers: dict[str, tuple[int, list[str]]] = {}
        self._ids = count(1)
        self.records: dict[str, Any] | None = None
        """What the domain has on Dynadot's own name servers; None: it is on others."""

    def answer(self, request: FakeRequest) -> FakeAnswer:
        q = request.query
        if request.method != "GET" or request.path != "/api3.json":
            return FakeAnswer(404, "<html>not found</html>", "text/html")
        if q.get("key") != KEY:
            return FakeAnswer(200, {"Response": {"ResponseCode": "-1", "Error": "invalid key"}})
        command = q.get("command", "")
        name = "".join(part.capitalize() for part in command.split("_"))
        if self.error:
            return self._refused(name, self.error)
        known = {
            "domain_info": self._info,
            "set_ns": self._set,
            "server_list": self._list,
            "add_ns": self._add,
            "register_ns": self._register,
            "set_ns_ip": self._readdress,
            "get_dns": self._dns,
        }  # fmt: skip - a table
        if command not in known:
            return self._refused(name, "invalid command")
        try:
            return self._told(name, known[command](q))
        except LookupError as error:
            return self._refused(name, str(error.args[0]))

    def _domain(self, q: dict[str, str]) -> FakeDomain:
        if q["domain"] not in self.domains:
            raise LookupError("could not find domain in your account")
        return self.domains[q["domain"]]

    def _info(self, q: dict[str, str]) -> dict[str, Any]:
        domain = self._domain(q)
        servers = [{"ServerId": str(n), "ServerName": host} for n, host in enumerate(domain.ns)]
        settings = {"Type": "Name Servers", "NameServers": [*servers, {"ServerId": "0", "ServerName": ""}]}
        settings = settings if self.records is None else {"Type": "Dynadot DNS", **self.records}
        about = {
            "Name": q["domain"],
            "Locked": "yes",
            "Disabled": "no",
            "UdrpLocked": "no",
            "Hold": "no",
            "NameServerSettings": settings,
        }  # fmt: skip - one object
        return {"DomainInfo": about}

    def _set(self, q: dict[str, str]) -> dict[str, Any]:
        domain = self._domain(q)
        if domain.locked:
            raise LookupError("Please unlock your domain firstly.")
        ns = [q[f"ns{n}"] for n in range(13) if f"ns{n}" in q]
        for host in ns:
            if host not in self.servers and host not in domain.ns:
                raise LookupError(f"'{host}' needs to be registered with an ip address before it can be used")
        self.change(domain, ns=ns)
        return {}

    def _dns(self, q: dict[str, str]) -> dict[str, Any]:
        self._domain(q)
        return {"GetDns": {"NameServerSettings": {"Type": "Dynadot DNS", **(self.records or {})}}}

    def _list(self, q: dict[str, str]) -> dict[str, Any]:
        rows = [{"ServerId": id, "ServerName": host, "ServerIp": ips} for host, (id, ips) in self.servers.items()]
        return {"ServerList": [{"Server": row} for row in rows]}

    def _add(self, q: dict[str, str]) -> dict[str, Any]:
        if any(q["host"].endswith(f".{name}") for name in self.domains):
            raise LookupError(f"'{q['host']}' needs to be registered with an ip address")
        return self._new(q["host"], [])

    def _register(self, q: dict[str, str]) -> dict[str, Any]:
        return self._new(q["host"], [q["ip"]])

    def _new(self, host: str, addresses: list[str]) -> dict[str, Any]:
        if host in self.servers:
            raise LookupError(f"'{host}' already exists in your account")
        self.servers[host] = (next(self._ids), addresses)
        return {"Server": {"Host": host, "ServerId": self.servers[host][0]}}

    def _readdress(self, q: dict[str, str]) -> dict[str, Any]:
        (host,) = [host for host, (id, _) in self.servers.items() if str(id) == q["server_id"]]
        self.writes += 1
        self.servers[host] = (int(q["server_id"]), [q[f"ip{n}"] for n in range(10) if f"ip{n}" in q])
        return {}

    def _told(self, name: str, content: dict[str, Any]) -> FakeAnswer:
        head: dict[str, Any] = {"ResponseCode": 0, "Status": "success"}
        if self.shape is Shape.TEXT:
            head["ResponseCode"] = "0"
        if self.shape is Shape.BARE:
            del head["Status"]
        if self.shape is Shape.NESTED:
            head = {f"{name}Header": {"SuccessCode": "0", "Status": "success"}}
        return FakeAnswer(200, {f"{name}Response": {**head, **content}})

    def _refused(self, name: str, sentence: str) -> FakeAnswer:
        head = {"ResponseCode": "-1", "Status": "error", "Error": sentence}
        if self.shape is Shape.NESTED:
            head = {f"{name}Header": {"SuccessCode": "-1", "Status": "error", "Error": sentence}}  # type: ignore[dict-item]
        return FakeAnswer(200, {f"{name}Response": head})
