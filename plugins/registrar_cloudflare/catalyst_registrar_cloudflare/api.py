"""Calls of Cloudflare's API, and what its error codes mean."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from catalyst_sdk import Permanent, PluginFailure, RateLimited
from catalyst_sdk.credentials import Credential
from catalyst_sdk.registrar_http import Api, Reply

PROVIDER = "cloudflare"
BASE = "https://api.cloudflare.com/client/v4"
RIGHT = "Zone / DNS / Edit"
_REJECTED = {1000, 6003, 6111, 9109, 10000}
_STRANGE = {1001, 7003, 9103}
_BUSY = 10013
_INVALID = {1004, 9000, 9005}
"""A record that cannot be."""
_TAKEN = {81053, 81054, 81056, 81057, 81058}
"""A record that is there already, or stands beside what it may not stand beside."""
_PAUSE = timedelta(seconds=60)
_PAGE, _MOST_PAGES = 100, 50


class CloudflareApi:
    """Calls with one token."""

    def __init__(self, api: Api, credential: Credential, base: str) -> None:
        self._api = api
        self._credential = credential
        self._base = base or BASE

    async def get(self, path: str, **query: str) -> Any:
        """What a path holds."""
        return (await self._call("GET", path, query.items()))["result"]

    async def all(self, path: str, **query: str) -> list[Any]:
        """Every page of a list."""
        found: list[Any] = []
        for page in range(1, _MOST_PAGES + 1):
            pages = {**query, "page": str(page), "per_page": str(_PAGE)}
            body = await self._call("GET", path, pages.items())
            found += body["result"]
            if page >= int((body.get("result_info") or {}).get("total_pages", 1)):
                return found
        raise self._api.misunderstood("a list without an end")

    async def post(self, path: str, body: object) -> None:
        """Change something."""
        await self._call("POST", path, (), body)

    async def _call(
        self, method: str, path: str, query: Iterable[tuple[str, str]], body: object = None
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._credential['token']}"}
        reply = await self._api.call(method, self._base + path, query=query, headers=headers, body=body)
        found = reply.json()
        if isinstance(found, dict) and found.get("success") is True and "result" in found:
            return found
        raise self._refusal(reply, found, is_of_records="/dns_records" in path)

    def _refusal(self, reply: Reply, found: Any, *, is_of_records: bool) -> PluginFailure:
        errors = found.get("errors") if isinstance(found, dict) else None
        if not errors:
            return self._api.refused(reply)
        code, said = int(errors[0]["code"]), self._api.quoted(errors[0]["message"])
        if code == _BUSY:
            return RateLimited(
                f"Cloudflare asks for a pause: {said}", retry_after=_PAUSE, provider=PROVIDER, provider_code=str(code)
            )
        told = {"provider": PROVIDER, "provider_code": str(code)}
        # The token has listed the zone by now, so it is a good one that lacks a right.
        if reply.status == 403 and is_of_records:
            action = f"give the token the permission {RIGHT} for the zone"
            return Permanent(
                "PERMISSION_MISSING", f"Cloudflare denies it: {said}", user_action=action, rule=RIGHT, **told
            )
        if code in _REJECTED:
            action = "make an API token with Zone / Zone / Read and Zone / DNS / Edit for the zone"
            return Permanent(
                "CREDENTIALS_REJECTED", f"Cloudflare does not take the token: {said}", user_action=action, **told
            )
        if code in _STRANGE:
            return stranger(said, str(code))
        if code in _INVALID:
            action = "check the name servers and keys of the plan"
            return Permanent(
                "NAMESERVER_REJECTED", f"Cloudflare does not take the records: {said}", user_action=action, **told
            )
        if code in _TAKEN:
            action = "take away what else stands at the name, then make a new plan"
            return Permanent(
                "CONFLICT", f"other records stand where the delegation would: {said}", user_action=action, **told
            )
        return self._api.refused(reply, said, code)


def stranger(why: str, code: str = "") -> Permanent:
    """The token sees no zone that holds the domain."""
    action = "give the token the permission Zone / Zone / Read for the zone, or use the account that has it"
    text = f"the token sees no zone with the domain: {why}"
    return Permanent("DOMAIN_NOT_IN_ACCOUNT", text, provider=PROVIDER, provider_code=code, user_action=action)
