"""A fake of GoDaddy's Domains API v1, after its public documentation."""

from typing import Any

from catalyst_testkit.fake_registrar import FakeAnswer, FakeRegistrar, FakeRequest

KEY, SECRET = "canary-key-0123456789", "canary-secret-0123456789"


class FakeGoDaddy(FakeRegistrar):
    """is_closed   the account is too small for the API
    status         of every domain
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_closed = False
        self.status = "ACTIVE"
        self.records: list[dict[str, Any]] = []

    def answer(self, request: FakeRequest) -> FakeAnswer:
        given = request.headers.get("authorization", "")
        if not given.startswith("sso-key "):
            return refused(401, "UNABLE_TO_AUTHENTICATE", "Unauthorized : Could not authenticate API key/secret")
        if given != f"sso-key {KEY}:{SECRET}":
            return refused(401, "UNABLE_TO_AUTHENTICATE", "Unauthorized : Could not authenticate API key/secret")
        if self.is_closed:
            return refused(403, "ACCESS_DENIED", "Authenticated user is not allowed access")
        name, _, rest = request.path.removeprefix("/v1/domains/").partition("/")
        domain = self.domains.get(name)
        if domain is None:
            return refused(
                404, "NOT_FOUND", f"The given domain is not registered, or does not have a zone file: {name}"
            )
        if rest == "records":
            first, size = int(request.query["offset"]) - 1, int(request.query["limit"])
            return FakeAnswer(200, self.records[first : first + size])
        if request.method == "GET":
            body = {
                "domainId": 1,
                "domain": name,
                "status": self.status,
                "locked": domain.locked,
                "holdRegistrar": False,
                "nameServers": domain.ns or None,
                "renewAuto": True,
                "privacy": False,
            }  # fmt: skip - one body
            return FakeAnswer(200, body)
        return self._patch(request.json(), name)

    def _patch(self, body: Any, name: str) -> FakeAnswer:
        domain = self.domains[name]
        if domain.locked or self.status != "ACTIVE":
            return refused(409, "DOMAIN_LOCKED", "The domain status does not allow performing the operation")
        bad = [n for n, host in enumerate(body["nameServers"]) if host.endswith(".unregistered.example")]
        if bad:
            fields = [{"path": f"body.nameServers[{n}]", "code": "INVALID", "message": "unknown host"} for n in bad]
            return refused(422, "INVALID_BODY", "Request body doesn't fulfill schema", fields)
        self.change(domain, ns=body["nameServers"])
        return FakeAnswer(204, "")


def refused(status: int, code: str, message: str, fields: list[Any] | None = None) -> FakeAnswer:
    body: dict[str, Any] = {"code": code, "message": message}
    return FakeAnswer(status, {**body, "fields": fields} if fields else body)
